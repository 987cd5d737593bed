// The voters of a cluster as a sweep sees them, and the one check that stands before every change to one of them.
import type { EtcdCluster } from '../etcd/discovery.ts';
import type { MemberClient, MemberStatus } from '../etcd/types.ts';
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

/** A voter is away, or an alarm stands that forbids every change: this step and all after it are not done. */
export class SweepStoppedError extends EtcdMedicError {
  override readonly name = 'SweepStoppedError';
}

/** @throws SweepStoppedError when the member could not be reached */
export function clientOf(cluster: EtcdCluster, voter: Voter): MemberClient {
  const client = cluster.client(voter.id);
  if (client !== undefined) return client;
  const problem = cluster.members.find(({ id }) => id === voter.id)?.problem ?? 'it is not in the member list any more';
  throw new SweepStoppedError(`${voter.name} cannot be reached: ${problem}`);
}

/**
 * R1 and R2, to be asked directly before a change to `target`: no member knows of CORRUPT, and every voter but the target
 * answers a linearizable read.
 * @returns the status of every voter, the target's among them
 * @throws SweepStoppedError naming who is away or corrupt
 */
export async function checkOthersHealthy(
  cluster: EtcdCluster,
  voters: readonly Voter[],
  target: Voter | undefined,
): Promise<ReadonlyMap<string, MemberStatus>> {
  const statuses = await Promise.all(
    voters.map(async (voter) => {
      const client = clientOf(cluster, voter);
      if (voter.id !== target?.id) await untilHealthy(client, voter);
      return [voter.id, await client.status()] as const;
    }),
  );
  for (const [, status] of statuses) {
    const other = status.alarms.find(({ type }) => type !== 'NOSPACE');
    if (other) throw new SweepStoppedError(`R1: ${other.type} is raised by ${other.memberId}: nothing more is changed`);
  }
  return new Map(statuses);
}

/** Waits until the voter answers a linearizable read. @throws SweepStoppedError after HEALTHY_WITHIN_MS */
export async function untilHealthy(client: MemberClient, voter: Voter, withinMs = HEALTHY_WITHIN_MS): Promise<void> {
  const giveUpAt = Date.now() + withinMs;
  for (;;) {
    try {
      return await client.checkHealth();
    } catch (error) {
      if (Date.now() > giveUpAt) {
        throw new SweepStoppedError(`R2: ${voter.name} is not healthy: ${describeError(error)}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}
