// What the probe leaves in the state table for whoever draws or asks: its last look, as one item.
import type { Alarm } from './alarm.ts';

/** The sort key of the item; its partition key is the cluster's name. */
export const PROBE_RECORD = 'probe';

export interface ProbedMember {
  /** Hexadecimal, as etcdctl prints it. */
  readonly id: string;
  readonly name: string;
  readonly endpoint: string;
  readonly version: string | null;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
  /** Answers a linearizable read; a learner: Status. */
  readonly healthy: boolean;
  /** `null`: could not be read; `"none"`: it has no quota. */
  readonly quotaBytes: number | 'none' | null;
  /** Bytes; `null` where it does not answer. */
  readonly dbSize: number | null;
  readonly dbSizeInUse: number | null;
  readonly alarms: readonly string[];
  readonly problem: string | null;
}

/** The attribute `look` of the item, as JSON. */
export interface ProbeLook {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly durationMs: number;
  readonly members: readonly ProbedMember[];
  /** Hexadecimal ids of the members that have ever answered the probe. Left out by earlier versions of this program. */
  readonly answered?: readonly string[];
  /** Alarms of who is no member any more: writes are refused for their sake, too. */
  readonly strayAlarms: readonly Alarm[];
  /** Why nobody could be asked; `null` where at least one member answered. */
  readonly problem: string | null;
}
