// The voters of a cluster as a sweep sees them, and the one check that stands before every change to one of them.
import { whyAtWork } from '../etcd/at-work.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import type { Member, MemberClient, MemberStatus } from '../etcd/types.ts';
import { describeError, EtcdMedicError } from '../run/errors.ts';

/** A voter by its id and name, as plain data that goes through checkpoints. */
export interface Voter {
  readonly id: string;
  readonly name: string;
}

/** How long a voter may take to answer a linearizable read before it counts as unhealthy: an election takes 1 to 2 s. */
const HEALTHY_WITHIN_MS = 10_000;
/** Between two looks at a voter that does not answer yet; reads only, so they may be many. */
const LOOK_AGAIN_MS = 25;
/** Between two looks for a member that has no connection: each opens new ones. */
const REOPEN_AFTER_MS = 500;

/** A voter is away, or an alarm stands that forbids every change: this step and all after it are not done. */
export class SweepStoppedError extends EtcdMedicError {
  override readonly name = 'SweepStoppedError';
}

/**
 * A voter is there and at work: it says who it is, and does not answer reads, as while it is being defragmented, by us or by somebody else.
 * To be waited for; it says nothing against anything.
 */
export class MemberBusyError extends EtcdMedicError {
  override readonly name = 'MemberBusyError';
}

/** Opens the connections, or looks again for the members that did not answer the last time. */
export type OpenCluster = () => Promise<EtcdCluster>;

/**
 * The cluster, with a connection to every one of these voters. One that is just restarting is waited for.
 * @throws SweepStoppedError naming who cannot be reached
 */
export async function reach(open: OpenCluster, voters: readonly Voter[]): Promise<EtcdCluster> {
  const giveUpAt = Date.now() + HEALTHY_WITHIN_MS;
  for (;;) {
    const answer = await open().catch((error: unknown) => ({ problem: describeError(error) }));
    const away = 'problem' in answer ? answer.problem : problemsOf(answer, voters);
    if (!('problem' in answer) && away === undefined) return answer;
    if (Date.now() > giveUpAt) throw new SweepStoppedError(`R2: ${away}`);
    await new Promise((resolve) => setTimeout(resolve, REOPEN_AFTER_MS));
  }
}

function problemsOf(cluster: EtcdCluster, voters: readonly Voter[]): string | undefined {
  const away = voters.filter(({ id }) => cluster.client(id) === undefined);
  if (away.length === 0) return undefined;
  return away.map((voter) => `${voter.name} cannot be reached: ${whyAway(cluster, voter)}`).join('; ');
}

export function whyAway({ members }: EtcdCluster, { id }: Voter): string {
  return members.find((member) => member.id === id)?.problem ?? 'it is not in the member list any more';
}

/** @throws SweepStoppedError when there is no connection to the member */
export function clientOf(cluster: EtcdCluster, voter: Voter): MemberClient {
  const client = cluster.client(voter.id);
  if (client === undefined) throw new SweepStoppedError(`${voter.name} cannot be reached: ${whyAway(cluster, voter)}`);
  return client;
}

/**
 * R1 and R2, to be asked directly before a change to `target`: no member knows of CORRUPT, the voters are still those that were
 * observed, and every one but the target answers a linearizable read.
 * @returns the status of every voter, the target's among them
 * @throws SweepStoppedError naming who is away, new or corrupt; MemberBusyError
 */
export async function checkOthersHealthy(
  cluster: EtcdCluster,
  voters: readonly Voter[],
  target: Voter | undefined,
): Promise<ReadonlyMap<string, MemberStatus>> {
  const others = voters.filter(({ id }) => id !== target?.id);
  await Promise.all(others.map((voter) => untilHealthy(clientOf(cluster, voter), voter)));
  // Only now: while one of them was waited for, there may have been an election, and the target may lead (R3).
  const looks = await Promise.all(
    voters.map(async (voter) => {
      const client = clientOf(cluster, voter);
      const [status, { members }] = await Promise.all([statusOf(client, voter), client.memberList()]);
      return { id: voter.id, status, members };
    }),
  );
  for (const { status, members } of looks) {
    const other = status.alarms.find(({ type }) => type !== 'NOSPACE');
    if (other) throw new SweepStoppedError(`R1: ${other.type} is raised by ${other.memberId}: nothing more is changed`);
    refuseOtherVoters(voters, members);
  }
  return new Map(looks.map(({ id, status }) => [id, status]));
}

/** A voter that was added or promoted since would be in no barrier and no health check. */
function refuseOtherVoters(voters: readonly Voter[], members: readonly Member[]): void {
  const now = members.filter(({ isLearner }) => !isLearner);
  const added = now.filter(({ id }) => !voters.some((voter) => voter.id === id)).map(({ id, name }) => name || id);
  const removed = voters.filter(({ id }) => !now.some((member) => member.id === id)).map(({ name }) => name);
  if (added.length === 0 && removed.length === 0) return;
  const change = [...added.sort().map((name) => `${name} came`), ...removed.map((name) => `${name} went`)].join(', ');
  throw new SweepStoppedError(`R2: the cluster's voters have changed since they were observed (${change}): run again`);
}

/** Waits until the voter answers a linearizable read. @throws MemberBusyError, SweepStoppedError after HEALTHY_WITHIN_MS */
export async function untilHealthy(client: MemberClient, voter: Voter, withinMs = HEALTHY_WITHIN_MS): Promise<void> {
  const giveUpAt = Date.now() + withinMs;
  for (;;) {
    try {
      return await client.checkHealth();
    } catch (error) {
      if (Date.now() > giveUpAt) {
        // A linearizable read also waits where the quorum is lost; Status does not.
        await client.status().catch((reason: unknown) => refuseAtWork(client, voter, reason));
        throw new SweepStoppedError(`R2: ${voter.name} is not healthy: ${describeError(error)}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}

/** @throws MemberBusyError where it is at work; EtcdError */
async function statusOf(client: MemberClient, voter: Voter): Promise<MemberStatus> {
  try {
    return await client.status();
  } catch (error) {
    await refuseAtWork(client, voter, error);
    throw error;
  }
}

/** @param error what Status or a serializable read ended with. @throws MemberBusyError where the member is there all the same */
export async function refuseAtWork(client: MemberClient, voter: Voter, error: unknown): Promise<void> {
  const why = await whyAtWork(client, error);
  if (why !== undefined) throw new MemberBusyError(`${voter.name} is at work: ${why}`, { cause: error });
}
