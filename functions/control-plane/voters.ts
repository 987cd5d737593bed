// The voters of a cluster as a sweep sees them, and the one check that stands before every change to one of them.

import { describeError, EtcdMedicError, InvalidInputError } from '../contract/errors.ts';
import { hasFlaw } from '../contract/versions.ts';
import { whyAtWork } from '../etcd/at-work.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { CorruptError, DifferentClustersError, PermissionDeniedError } from '../etcd/errors.ts';
import type { Member, MemberClient, MemberStatus } from '../etcd/types.ts';

/** A voter by its id and name, as plain data that goes through checkpoints. */
export interface Voter {
  readonly id: string;
  readonly name: string;
}

/**
 * How long a voter may take to answer a linearizable read before it counts as unhealthy: an election takes 1 to 2 s.
 */
export const HEALTHY_WITHIN_MS = 10_000;
/** Between two looks at a voter that does not answer yet; reads only, so they may be many. */
const LOOK_AGAIN_MS = 25;
/** Between two looks for a member that has no connection: each opens new ones. */
const REOPEN_AFTER_MS = 500;

/** A rule forbids this step, and asking again would be answered the same: it and all after it are not done. */
export class SweepStoppedError extends EtcdMedicError {
  override readonly name: string = 'SweepStoppedError';
}

/** A voter is away for now, or busy, or sees no leader: nothing was done, and the same may be done once it is back. */
export class AwayError extends SweepStoppedError {
  override readonly name: string = 'AwayError';
  /** Names of voters. */
  readonly who: readonly string[];

  constructor(message: string, who: readonly Voter[], options?: ErrorOptions) {
    super(message, options);
    this.who = who.map(({ name }) => name);
  }
}

/**
 * What stands around a change: how long a step may wait for a voter by itself, and what is asked directly before the
 * change.
 */
export interface BeforeChange {
  /** @default HEALTHY_WITHIN_MS */
  readonly patienceMs?: number | undefined;
  /**
   * What a durable step gives its work.
   * @returns whether that took its time.
   * @throws where nothing more may be changed (R9, R16).
   * @default nobody is asked
   */
  readonly confirm?: (() => Promise<boolean>) | undefined;
  /**
   * R17: a voter whose reads prove nothing is proven healthy by what goes through raft's log, also under NOSPACE.
   * @default by a second linearizable read
   */
  readonly emergency?: boolean | undefined;
}

/** Beside the keys of Kubernetes (`/registry/`), so that nothing else ever reads or lists them. */
export const OWN_PREFIX = '/etcd-medic/';
/** Is never written: deleting it makes no revision, and all have to agree to it. */
const NO_KEY = `${OWN_PREFIX}no-such-key`;

/**
 * A voter is there and at work: it says who it is, and does not answer reads, as while it is being defragmented, by us
 * or by somebody else. To be waited for; it says nothing against anything.
 */
export class MemberBusyError extends AwayError {
  override readonly name = 'MemberBusyError';
}

/** Opens the connections, or looks again for the members that did not answer the last time. */
export type OpenCluster = () => Promise<EtcdCluster>;

/**
 * The cluster, with a connection to every one of these voters. One that is just restarting is waited for.
 * @throws AwayError naming who cannot be reached; SweepStoppedError for a voter that has left the cluster
 */
export async function connectAll(
  open: OpenCluster,
  voters: readonly Voter[],
  withinMs = HEALTHY_WITHIN_MS,
): Promise<EtcdCluster> {
  const giveUpAt = Date.now() + withinMs;
  for (;;) {
    try {
      const cluster = await open();
      for (const voter of voters) clientOf(cluster, voter);
      return cluster;
    } catch (error) {
      if (!isPassing(error)) throw error;
      if (Date.now() >= giveUpAt) {
        throw error instanceof AwayError ? error : new AwayError(`R2: ${describeError(error)}`, voters);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, REOPEN_AFTER_MS));
  }
}

/** What a person has to put right, and what a rule says, does not pass by itself. */
function isPassing(error: unknown): boolean {
  if (error instanceof AwayError) return true;
  return !(
    error instanceof SweepStoppedError ||
    error instanceof InvalidInputError ||
    error instanceof DifferentClustersError
  );
}

/** @returns undefined where it is not in the member list any more */
function whyAway({ members }: EtcdCluster, { id }: Voter): string | undefined {
  const member = members.find((each) => each.id === id);
  return member && (member.problem ?? 'there is no connection to it');
}

/** @throws AwayError when there is no connection to the member; SweepStoppedError when it has left the cluster */
export function clientOf(cluster: EtcdCluster, voter: Voter): MemberClient {
  const client = cluster.client(voter.id);
  if (client !== undefined) return client;
  const why = whyAway(cluster, voter);
  if (why !== undefined) throw new AwayError(`R2: ${voter.name} cannot be reached: ${why}`, [voter]);
  throw new SweepStoppedError(`R2: ${voter.name} cannot be reached: it is not in the member list any more`);
}

/**
 * R1 and R2, to be asked directly before a change to `target`: no member knows of CORRUPT, the voters are still those
 * that were observed, and every one but the target answers a linearizable read. R17: where that read may be a stale
 * one, its health is proven once more.
 * @returns the status of every voter, the target's among them
 * @throws AwayError (MemberBusyError) naming who is away; SweepStoppedError naming who is new or corrupt
 */
export async function checkOthersHealthy(
  cluster: EtcdCluster,
  voters: readonly Voter[],
  target: Voter | undefined,
  { patienceMs: withinMs = HEALTHY_WITHIN_MS, emergency = false }: Omit<BeforeChange, 'confirm'> = {},
): Promise<ReadonlyMap<string, MemberStatus>> {
  const others = voters.filter(({ id }) => id !== target?.id);
  await Promise.all(others.map((voter) => untilHealthy(clientOf(cluster, voter), voter, withinMs)));
  // Only now: while one of them was waited for, there may have been an election, and the target may lead (R3).
  const looks = await Promise.all(
    voters.map(async (voter) => {
      const client = clientOf(cluster, voter);
      try {
        const [status, { members }] = await Promise.all([statusOf(client, voter), client.memberList()]);
        return { id: voter.id, status, members };
      } catch (error) {
        if (error instanceof AwayError || error instanceof PermissionDeniedError) throw error;
        throw new AwayError(`R2: ${voter.name} does not answer: ${describeError(error)}`, [voter], { cause: error });
      }
    }),
  );
  for (const { status, members } of looks) {
    const other = status.alarms.find(({ type }) => type !== 'NOSPACE');
    if (other) throw new SweepStoppedError(`R1: ${other.type} is raised by ${other.memberId}: nothing more is changed`);
    refuseOtherVoters(voters, members);
  }
  const unproven = looks.filter(({ id, status }) => id !== target?.id && hasFlaw(status.version, 'read-may-be-stale'));
  await Promise.all(
    unproven.map(async ({ id }) => {
      const voter = voters.find((each) => each.id === id);
      if (voter !== undefined) await proveHealthy(clientOf(cluster, voter), voter, emergency);
    }),
  );
  return new Map(looks.map(({ id, status }) => [id, status]));
}

/** R17. @throws AwayError; SweepStoppedError under CORRUPT; PermissionDeniedError */
async function proveHealthy(client: MemberClient, voter: Voter, emergency: boolean): Promise<void> {
  try {
    if (emergency) await client.delete(NO_KEY);
    else await client.checkHealth();
  } catch (error) {
    if (error instanceof PermissionDeniedError) throw error;
    refuseCorrupt(error);
    throw new AwayError(`R2: ${voter.name} is not healthy: ${describeError(error)}`, [voter], { cause: error });
  }
}

function refuseCorrupt(error: unknown): void {
  if (!(error instanceof CorruptError)) return;
  throw new SweepStoppedError(`R1: ${describeError(error)}: nothing more is changed`, { cause: error });
}

/**
 * How often the checks are made again because the guard took its time: it asks a service that may not be well itself.
 */
const CHECKS = 3;

/**
 * checkOthersHealthy, and the guard asked once more: neither is much older than the other when the change follows.
 * @throws AwayError, SweepStoppedError, and what `confirm` throws
 */
export async function checkBeforeChange(
  cluster: EtcdCluster,
  voters: readonly Voter[],
  target: Voter | undefined,
  { patienceMs = HEALTHY_WITHIN_MS, confirm = async () => false, emergency }: BeforeChange,
): Promise<ReadonlyMap<string, MemberStatus>> {
  for (let check = 1; ; check++) {
    const first = check === 1;
    const statuses = await checkOthersHealthy(cluster, voters, target, {
      patienceMs: first ? patienceMs : 0,
      emergency,
    });
    const asked = await confirm();
    if (!asked || check === CHECKS) return statuses;
  }
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

/**
 * Waits until the voter answers a linearizable read.
 * @throws AwayError (MemberBusyError) after `withinMs`; SweepStoppedError under CORRUPT
 */
async function untilHealthy(client: MemberClient, voter: Voter, withinMs = HEALTHY_WITHIN_MS): Promise<void> {
  const giveUpAt = Date.now() + withinMs;
  for (;;) {
    try {
      return await client.checkHealth();
    } catch (error) {
      refuseCorrupt(error);
      if (Date.now() >= giveUpAt) {
        // A linearizable read also waits where the quorum is lost; Status does not.
        await client.status().catch((reason: unknown) => refuseAtWork(client, voter, reason));
        throw new AwayError(`R2: ${voter.name} is not healthy: ${describeError(error)}`, [voter], { cause: error });
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

/**
 * @param error what Status or a serializable read ended with.
 * @throws MemberBusyError where the member is there all the same
 */
export async function refuseAtWork(client: MemberClient, voter: Voter, error: unknown): Promise<void> {
  const why = await whyAtWork(client, error);
  if (why !== undefined) throw new MemberBusyError(`${voter.name} is at work: ${why}`, [voter], { cause: error });
}
