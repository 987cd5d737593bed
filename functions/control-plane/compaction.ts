// R4: one revision, a physical compaction to each voter, as a barrier before any defragmentation; and the sizes after
// it.

import { describeError } from '../contract/errors.ts';
import type { Look } from '../engine/poll.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { EtcdError, EtcdTimeoutError, EtcdUnreachableError, QuorumLostError } from '../etcd/errors.ts';
import type { Attempt } from './patience.ts';
import { AwayError, checkBeforeChange, clientOf, connectAll, type OpenCluster, type Voter } from './voters.ts';

/** How often a barrier that timed out is asked for again: with the call's own deadline, 25 minutes. */
const SLOW_ATTEMPTS = 5;
/** A voter that breaks the connection again and again while it compacts does not come through. */
const BROKEN_ATTEMPTS = 30;

/** How far the barrier has come. */
export interface CompactionProgress {
  /** The voters that have not said yet that their compaction is through: to be asked again. */
  readonly pending: readonly Voter[];
  readonly slow: number;
  readonly broken: number;
}

export interface CompactionEnds {
  /** Each voter's file in bytes, by id, read after the barrier. */
  readonly done: Readonly<Record<string, number>>;
}

/**
 * Asks every pending voter at once for a physical compaction to `revision`. The first one starts it everywhere; each
 * answer comes when that member's own is through, whoever started it. So asking again is safe: "already compacted"
 * waits for the same barrier. Once all are through their files are measured: what shrinks from then on was defragmented
 * with the history gone (a defragmentation from before keeps the member from answering).
 * @throws AwayError, SweepStoppedError
 */
export async function compactEach(
  open: OpenCluster,
  voters: readonly Voter[],
  revision: bigint,
  attempt: Attempt<CompactionProgress>,
): Promise<Look<CompactionEnds, CompactionProgress>> {
  const { pending, slow, broken } = attempt.memory ?? { pending: voters, slow: 0, broken: 0 };
  const cluster = await connectAll(open, voters, attempt.patienceMs);
  await checkBeforeChange(cluster, voters, undefined, attempt);
  const answers = await Promise.all(
    pending.map(async (voter) => {
      try {
        await clientOf(cluster, voter).compact(revision);
        return undefined;
      } catch (error) {
        return { voter, error, text: `${voter.name}: ${describeError(error)}` };
      }
    }),
  );
  const troubles = answers.filter((answer) => answer !== undefined);
  const left = troubles.map(({ voter }) => voter);
  if (left.length > 0) {
    const isSlow = troubles.some(({ error }) => error instanceof EtcdTimeoutError);
    const memory = { pending: left, slow: slow + Number(isSlow), broken: broken + Number(!isSlow) };
    const detail = troubles.map(({ text }) => text).join('; ');
    if (!troubles.every(({ error }) => isWorthAsking(error))) return { outcome: 'failed', detail };
    return {
      outcome: 'unknown',
      detail,
      again: memory.slow < SLOW_ATTEMPTS && memory.broken < BROKEN_ATTEMPTS,
      memory,
    };
  }
  const dbSizes = await measure(cluster, voters);
  if (dbSizes === undefined) {
    const detail = `compacted to revision ${revision} on every voter, but not every file could be measured after it`;
    const memory = { pending: left, slow, broken: broken + 1 };
    return { outcome: 'unknown', detail, again: memory.broken < BROKEN_ATTEMPTS, memory };
  }
  return { outcome: 'done', detail: `compacted to revision ${revision} on every voter`, data: dbSizes };
}

async function measure(
  cluster: EtcdCluster,
  voters: readonly Voter[],
): Promise<Readonly<Record<string, number>> | undefined> {
  const sizes = voters.map(async (voter) => [voter.id, (await clientOf(cluster, voter).status()).dbSize] as const);
  try {
    return Object.fromEntries(await Promise.all(sizes));
  } catch (error) {
    // Just gone, or busy: the next attempt waits for it.
    if (error instanceof EtcdError || error instanceof AwayError) return undefined;
    throw error;
  }
}

function isWorthAsking(error: unknown): boolean {
  if (error instanceof AwayError) return true;
  if (!(error instanceof EtcdError)) return false;
  return error.outcome === 'unknown' || error instanceof EtcdUnreachableError || error instanceof QuorumLostError;
}
