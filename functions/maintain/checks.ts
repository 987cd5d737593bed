// What stands directly before a night's changes: a last check before each member, and the write that makes the sizes
// true.

import { CANARY_PREFIX, canary, deleteCanaries } from '../control-plane/disarm.ts';
import { nameOf } from '../control-plane/observation.ts';
import {
  type BeforeChange,
  checkOthersHealthy,
  clientOf,
  connectAll,
  type OpenCluster,
  type Voter,
} from '../control-plane/voters.ts';
import type { StepResult } from '../engine/step.ts';
import { windowOver } from './window.ts';

/** From which on what a compaction has freed is counted as free. */
const COMMITS = 2;

/**
 * `skipped`: the window is over. `refused`: an alarm stands.
 * @throws AwayError where a voter is away (R2); SweepStoppedError where an alarm other than NOSPACE stands (R1)
 */
export async function checkBefore(
  open: OpenCluster,
  voters: readonly Voter[],
  windowEndMs: number,
  { patienceMs }: BeforeChange = {},
): Promise<StepResult> {
  const over = windowOver(windowEndMs, Date.now());
  if (over !== undefined) return { outcome: 'skipped', detail: over };
  const cluster = await connectAll(open, voters, patienceMs);
  const statuses = await checkOthersHealthy(cluster, voters, undefined, { patienceMs });
  const raised = [...statuses.values()].flatMap(({ alarms }) => alarms);
  if (raised.length === 0) return { outcome: 'done', detail: 'every voter is healthy, no alarm' };
  const named = [...new Set(raised.map(({ type, memberId }) => `${type} on ${nameOf(voters, memberId)}`))].join(', ');
  return { outcome: 'refused', detail: `${named}: recover answers that` };
}

/**
 * After a compaction `dbSizeInUse` stays what it was until something is written and committed twice: what was freed
 * counts from the second commit on, because the read transaction of before ends in the background (etcd's
 * batchTxBuffered.unsafeCommit). So a key is written and deleted through every voter, which also shows that each takes
 * writes; then the same compaction, asked for again, makes each commit (EtcdServer.Compact, ForceCommit) however busy
 * its disk is.
 */
export async function commitCanary(
  open: OpenCluster,
  voters: readonly Voter[],
  compactedTo: bigint,
  before: BeforeChange = {},
): Promise<StepResult> {
  for (let commits = 1; ; commits++) {
    const written = await canary(open, voters, before);
    const cluster = await connectAll(open, voters, before.patienceMs);
    await before.confirm?.();
    await Promise.all(voters.map((voter) => clientOf(cluster, voter).compact(compactedTo)));
    if (commits === COMMITS) return written;
  }
}

/** As many as show a disk that is slow now and then. */
const TIMED_WRITES = 4;

/** How long the slowest of a few small writes through every voter takes, in milliseconds. */
export async function timeWrites(open: OpenCluster, voters: readonly Voter[]): Promise<StepResult<{ done: number }>> {
  const cluster = await connectAll(open, voters);
  const key = `${CANARY_PREFIX}timed`;
  let slowestMs = 0;
  try {
    for (const voter of Array.from({ length: TIMED_WRITES }, () => voters).flat()) {
      const began = performance.now();
      await clientOf(cluster, voter).put(key, '');
      slowestMs = Math.max(slowestMs, performance.now() - began);
    }
  } finally {
    await deleteCanaries(cluster, voters);
  }
  const ms = Math.ceil(slowestMs);
  return { outcome: 'done', detail: `the slowest of ${TIMED_WRITES * voters.length} writes took ${ms} ms`, data: ms };
}
