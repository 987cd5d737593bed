// The state table's records as the page needs them, checked: they may have been written by an older or a newer version.
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import * as z from 'zod/mini';
import { TRIGGER_KINDS } from '../contract/command.ts';
import { describeError, InvalidInputError } from '../contract/errors.ts';
import type { ProbeLook } from '../contract/probe-record.ts';
import { OUTCOMES, REPORTERS } from '../contract/report.ts';
import { validate } from '../contract/validate.ts';

type Item = Readonly<Record<string, AttributeValue>>;

const time = z.string().check(z.refine((text) => Number.isFinite(Date.parse(text)), 'a time in ISO 8601'));
const bytes = z.number().check(z.gte(0, 'at least 0 bytes'));
const quota = z.nullable(z.union([bytes, z.literal('none')]));

const lookSchema = z.object({
  at: time,
  durationMs: z.number(),
  members: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      endpoint: z.string(),
      version: z.nullable(z.string()),
      isLeader: z.boolean(),
      isLearner: z.boolean(),
      healthy: z.boolean(),
      quotaBytes: quota,
      dbSize: z.nullable(bytes),
      dbSizeInUse: z.nullable(bytes),
      alarms: z.array(z.string()),
      problem: z.nullable(z.string()),
    }),
  ),
  // Left out by an older version.
  strayAlarms: z._default(
    z.array(z.object({ memberId: z.string(), type: z.enum(['NOSPACE', 'CORRUPT', 'UNKNOWN']) })),
    [],
  ),
  problem: z.nullable(z.string()),
});

const sizes = z.optional(z.object({ dbSize: bytes, dbSizeInUse: bytes, alarms: z.array(z.string()) }));

const reportSchema = z.object({
  cluster: z.string(),
  workflow: z.enum(REPORTERS),
  outcome: z.enum(OUTCOMES),
  reason: z.string(),
  trigger: z.object({ kind: z.enum(TRIGGER_KINDS), source: z.string() }),
  dryRun: z.boolean(),
  startedAt: time,
  finishedAt: time,
  members: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      endpoint: z.string(),
      isLeader: z.boolean(),
      isLearner: z.boolean(),
      quotaBytes: quota,
      before: sizes,
      after: sizes,
      defragmented: z.boolean(),
    }),
  ),
  pruned: z.optional(z.array(z.looseObject({ resource: z.string(), deleted: z.number() }))),
});

/** Of a finished run, what the page shows. */
export type PastRun = z.output<typeof reportSchema>;

/**
 * @returns null where there is no such item yet
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function parseLook(item: Item | undefined): ProbeLook | null {
  return item === undefined ? null : validate(lookSchema, json(item.look?.S), "the probe's record");
}

export function parseReport(item: Item): { readonly report: PastRun } | { readonly problem: string } {
  try {
    return { report: validate(reportSchema, json(item.report?.S), 'its report') };
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    return { problem: `The run ${item.record?.S ?? '(unknown)'} could not be read: ${describeError(error)}` };
  }
}

/** Undefined where it is none: the schema then says what was found. */
function json(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
