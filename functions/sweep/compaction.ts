// R4: one revision, a physical compaction to each voter, as a barrier before any defragmentation.
import type { EtcdCluster } from '../etcd/discovery.ts';
import { EtcdError } from '../etcd/errors.ts';
import { describeError } from '../run/errors.ts';
import type { StepResult } from '../run/journal.ts';
import { clientOf, type Voter } from './voters.ts';

/** The voters that have not said yet that their compaction is through: ask them again. */
export interface CompactionProgress {
  readonly pending: readonly Voter[];
}

/**
 * Asks every voter at once for a physical compaction to `revision`. The first one starts it everywhere; each answer comes when
 * that member's own is through, whoever started it. So asking again is safe: "already compacted" waits for the same barrier.
 */
export async function compactEach(
  cluster: EtcdCluster,
  voters: readonly Voter[],
  revision: bigint,
): Promise<StepResult<CompactionProgress>> {
  const answers = await Promise.all(
    voters.map(async (voter) => {
      try {
        await clientOf(cluster, voter).compact(revision);
        return undefined;
      } catch (error) {
        const unknown = error instanceof EtcdError && error.outcome === 'unknown';
        return { voter, unknown, text: `${voter.name}: ${describeError(error)}` };
      }
    }),
  );
  const troubles = answers.filter((answer) => answer !== undefined);
  const pending = troubles.map(({ voter }) => voter);
  if (pending.length === 0) {
    return { outcome: 'done', detail: `compacted to revision ${revision} on every voter`, data: { pending } };
  }
  const detail = troubles.map(({ text }) => text).join('; ');
  return { outcome: troubles.every(({ unknown }) => unknown) ? 'unknown' : 'failed', detail, data: { pending } };
}
