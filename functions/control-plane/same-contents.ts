// R13: that one voter has the same contents as all others, by etcd's own hash of them. Changes nothing.
import type { StepResult } from '../engine/step.ts';
import { computedHash } from './computed-hash.ts';
import { clientOf, connectAll, type OpenCluster, type Voter } from './voters.ts';

/**
 * HashKV of every voter at one revision, which each of them has by now.
 * @param revision the one after the revision that all of them were compacted to
 * @returns `refused` where they differ; `unknown` where it can't be told, since somebody has compacted, too
 * @throws AwayError, EtcdError
 */
export async function compareContents(
  open: OpenCluster,
  voters: readonly Voter[],
  revision: bigint,
  { patienceMs }: { readonly patienceMs: number },
): Promise<StepResult> {
  const cluster = await connectAll(open, voters, patienceMs);
  const compacted = revision - 1n;
  const answers = await Promise.all(
    voters.map(async (voter) => {
      const { hash, compactRevision, computed } = await computedHash(clientOf(cluster, voter), revision);
      return {
        hash,
        computed: computed && compactRevision === compacted,
        words: `${voter.name} ${hash} (compacted to ${compactRevision})`,
      };
    }),
  );
  const told = `at revision ${revision} etcd's HashKV of the voters is ${answers.map(({ words }) => words).join(', ')}`;
  if (!answers.every(({ computed }) => computed)) {
    return { outcome: 'unknown', detail: `${told}; not all of it computed from what is kept: somebody has compacted` };
  }
  if (new Set(answers.map(({ hash }) => hash)).size > 1) return { outcome: 'refused', detail: `${told}: they differ` };
  return { outcome: 'done', detail: told };
}
