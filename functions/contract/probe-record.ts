// What the probe leaves in the state table for whoever draws or asks: its last look, as one item.
import * as z from 'zod/mini';
import { ALARM_TYPES } from './alarm.ts';
import type { Immutable } from './immutable.ts';

/** The sort key of the item; its partition key is the cluster's name. */
export const PROBE_RECORD = 'probe';

const bytes = z.number().check(z.gte(0, 'at least 0 bytes'));

const probedMemberSchema = z.object({
  /** Hexadecimal, as etcdctl prints it. */
  id: z.string(),
  name: z.string(),
  endpoint: z.string(),
  version: z.nullable(z.string()),
  isLeader: z.boolean(),
  isLearner: z.boolean(),
  /** Answers a linearizable read; a learner: Status. */
  healthy: z.boolean(),
  /** `null`: could not be read; `"none"`: it has no quota. */
  quotaBytes: z.nullable(z.union([bytes, z.literal('none')])),
  /** Bytes; `null` where it does not answer. */
  dbSize: z.nullable(bytes),
  dbSizeInUse: z.nullable(bytes),
  alarms: z.array(z.string()),
  problem: z.nullable(z.string()),
});

/** The attribute `look` of the item, as JSON. */
export const probeLookSchema = z.object({
  /** ISO 8601, UTC. */
  at: z.iso.datetime({ offset: true, error: 'a time in ISO 8601' }),
  durationMs: z.number(),
  members: z.array(probedMemberSchema),
  /** Hexadecimal ids of the members that have ever answered the probe. Left out by an older version. */
  answered: z.optional(z.array(z.string())),
  /** Alarms of who is no member any more: writes are refused for their sake, too. Left out by an older version. */
  strayAlarms: z._default(z.array(z.object({ memberId: z.string(), type: z.enum(ALARM_TYPES) })), []),
  /** Why nobody could be asked; `null` where at least one member answered. */
  problem: z.nullable(z.string()),
});

export type ProbedMember = Immutable<z.output<typeof probedMemberSchema>>;
export type ProbeLook = Immutable<z.output<typeof probeLookSchema>>;
