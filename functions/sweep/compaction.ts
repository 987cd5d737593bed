// R4: one revision, a physical compaction to each voter, as a barrier before any defragmentation.
import { EtcdError, EtcdUnreachableError, QuorumLostError } from '../etcd/errors.ts';
import { describeError } from '../run/errors.ts';
import type { StepResult } from '../run/journal.ts';
import { checkOthersHealthy, clientOf, type OpenCluster, reach, SweepStoppedError, type Voter } from './voters.ts';

/** The voters that have not said yet that their compaction is through: ask them again. */
export interface CompactionProgress {
  readonly pending: readonly Voter[];
}

/**
 * Asks every pending voter at once for a physical compaction to `revision`. The first one starts it everywhere; each answer comes when
 * that member's own is through, whoever started it. So asking again is safe: "already compacted" waits for the same barrier.
 */
export async function compactEach(
  open: OpenCluster,
  voters: readonly Voter[],
  pending: readonly Voter[],
  revision: bigint,
): Promise<StepResult<CompactionProgress>> {
  const cluster = await reach(open, voters);
  await checkOthersHealthy(cluster, voters, undefined);
  const answers = await Promise.all(
    pending.map(async (voter) => {
      try {
        await clientOf(cluster, voter).compact(revision);
        return undefined;
      } catch (error) {
        return { voter, again: isWorthAsking(error), text: `${voter.name}: ${describeError(error)}` };
      }
    }),
  );
  const troubles = answers.filter((answer) => answer !== undefined);
  const left = troubles.map(({ voter }) => voter);
  if (left.length === 0) {
    return { outcome: 'done', detail: `compacted to revision ${revision} on every voter`, data: { pending: left } };
  }
  const detail = troubles.map(({ text }) => text).join('; ');
  return { outcome: troubles.every(({ again }) => again) ? 'unknown' : 'failed', detail, data: { pending: left } };
}

function isWorthAsking(error: unknown): boolean {
  if (error instanceof SweepStoppedError) return true;
  if (!(error instanceof EtcdError)) return false;
  return error.outcome === 'unknown' || error instanceof EtcdUnreachableError || error instanceof QuorumLostError;
}
