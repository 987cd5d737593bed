// R17: whether a snapshot from the leader could come to a member in the middle of its defragmentation, which corrupts
// the data of some versions. Asked directly before it is sent.

import { describeError } from '../contract/errors.ts';
import { flawInWords, hasFlaw } from '../contract/versions.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { EtcdError } from '../etcd/errors.ts';
import type { MemberStatus } from '../etcd/types.ts';
import { CAUGHT_UP_ENTRIES } from './leadership.ts';
import { clientOf, type Voter } from './voters.ts';

const FLAW = 'snapshot-meanwhile-corrupts';

export interface HarmMeanwhile {
  /** Why it must not be sent now; undefined where the harm was ruled out. */
  readonly hold: { readonly why: string; readonly remedy: string } | undefined;
  /** What was ruled out, for the report. */
  readonly told: string;
}

/**
 * @param statuses of every voter, of just now
 * @returns undefined where the member's version can't be harmed so, or nobody is there to send it a snapshot
 * @throws AwayError
 */
export async function harmMeanwhile(
  cluster: EtcdCluster,
  voters: readonly Voter[],
  target: Voter,
  statuses: ReadonlyMap<string, MemberStatus>,
): Promise<HarmMeanwhile | undefined> {
  const status = statuses.get(target.id);
  if (voters.length === 1 || !hasFlaw(status?.version, FLAW)) return undefined;
  const flaw = flawInWords(status?.version, FLAW);
  const newest = [...statuses.values()].reduce((most, { raftIndex }) => (raftIndex > most ? raftIndex : most), 0n);
  const behind = newest - (status?.raftAppliedIndex ?? 0n);
  const reasons = [
    ...(behind >= CAUGHT_UP_ENTRIES ? [`it is ${behind} entries behind`] : []),
    ...(await underWay(cluster, voters, target)),
  ];
  const told = `it is ${flaw}: none was in flight, and it was caught up`;
  if (reasons.length === 0) return { hold: undefined, told };
  const why = `${target.name} is ${flaw}, and that cannot be ruled out now: ${reasons.join('; ')}`;
  return { hold: { why, remedy: 'upgrade etcd, or see to what is named here' }, told };
}

/** Snapshots to the member as everybody's /metrics tell of them. A page that can't be read rules nothing out. */
async function underWay(cluster: EtcdCluster, voters: readonly Voter[], target: Voter): Promise<readonly string[]> {
  const looks = voters.map(async (voter): Promise<string[]> => {
    try {
      const { sendingTo, takesOne } = await clientOf(cluster, voter).raftSnapshots();
      if (voter.id === target.id) return takesOne ? ['it takes a snapshot of another member'] : [];
      return sendingTo.includes(target.id) ? [`${voter.name} sends it a snapshot`] : [];
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      return [`${voter.name}'s /metrics cannot be read: ${describeError(error)}`];
    }
  });
  return (await Promise.all(looks)).flat();
}
