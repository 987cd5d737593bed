// What is known of a run when its rules are checked.
import type { MemberLog } from './member-log.ts';

export interface Span {
  readonly from: number;
  /** Exclusive; infinite while it lasts. */
  readonly until: number;
}

/** A voter in a run. Times are milliseconds since the epoch, sizes are bytes. */
export interface WatchedMember {
  readonly name: string;
  /** Negative: none. */
  readonly quotaBytes: number;
  readonly log: MemberLog;
  /** When nobody could have found it healthy: it had ended, was stopped, or was cut off from its clients. */
  readonly absences: readonly Span[];
  /** When its kubelet was restarted. */
  readonly kubeletRestarts: readonly number[];
  /** At the run's end; undefined where it didn't answer. */
  readonly dbSize: number | undefined;
}

export interface WatchedRun {
  /** When it began; what the logs have from before is only how things stood. */
  readonly from: number;
  /** In milliseconds: where the others took no longer, the leader may be defragmented while it leads (R3). 0: never. */
  readonly leaderStallMs: number;
  /** When a snapshot was complete in its bucket; undefined where none is to be taken. */
  readonly copies?: readonly number[] | undefined;
  /** All voters. */
  readonly members: readonly WatchedMember[];
}

/**
 * A check before a change can't see what happens after it: so long from a check to etcd's first word about the change.
 */
export const UNSEEN_MS = 1_000;
