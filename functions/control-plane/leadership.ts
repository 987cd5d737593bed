// R3: the leader gives its leadership to a healthy, caught-up voter before it is defragmented itself.

import { describeError } from '../contract/errors.ts';
import type { StepResult } from '../engine/step.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import type { MemberStatus } from '../etcd/types.ts';
import {
  AwayError,
  type BeforeChange,
  checkBeforeChange,
  clientOf,
  connectAll,
  type OpenCluster,
  type Voter,
} from './voters.ts';

/**
 * How far a voter's applied log may be behind the leader's to take over: fewer than this is caught up within one
 * heartbeat.
 */
export const CAUGHT_UP_ENTRIES = 100n;
/** A transfer takes a few milliseconds; an election that came instead of it, 1 to 2 s. */
const MOVED_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 5;

/**
 * Moves the leadership away from `from`, if it has it, and returns once another voter says that it leads.
 * @throws AwayError when a voter is away, no other is fit yet, or none leads in time; SweepStoppedError
 */
export async function moveLeaderAway(
  open: OpenCluster,
  voters: readonly Voter[],
  from: Voter,
  before: BeforeChange = {},
): Promise<StepResult> {
  const cluster = await connectAll(open, voters, before.patienceMs);
  const statuses = await checkBeforeChange(cluster, voters, undefined, before);
  if (statuses.get(from.id)?.leaderId !== from.id) {
    return { outcome: 'nothing-to-do', detail: `${from.name} is not the leader any more` };
  }
  const to = fittest(voters, statuses, from);
  if (to === undefined) {
    // One that was just restarted catches up within seconds.
    const others = voters.filter(({ id }) => id !== from.id);
    throw new AwayError(`R3: no voter is caught up, so the leadership stays with ${from.name}`, others);
  }
  // The server answers MoveLeader at its next tick of 100 ms; the new leader itself says so at once. Whichever comes
  // first.
  const request = clientOf(cluster, from)
    .moveLeader(to.id)
    .then(
      () => undefined,
      (error: unknown) => describeError(error),
    );
  const problem = await Promise.race([request, untilLeads(cluster, to)]);
  if (problem !== undefined) await untilLeads(cluster, to, problem);
  return { outcome: 'done', detail: `leadership moved from ${from.name} to ${to.name}` };
}

/** The voter with the most of the log applied, if that is close enough to the leader's own. */
function fittest(
  voters: readonly Voter[],
  statuses: ReadonlyMap<string, MemberStatus>,
  from: Voter,
): Voter | undefined {
  const lead = statuses.get(from.id)?.raftIndex ?? 0n;
  const applied = (voter: Voter) => statuses.get(voter.id)?.raftAppliedIndex ?? 0n;
  const fit = voters.filter((voter) => voter.id !== from.id && lead - applied(voter) < CAUGHT_UP_ENTRIES);
  return fit.sort((a, b) => (applied(b) > applied(a) ? 1 : applied(b) < applied(a) ? -1 : 0))[0];
}

/** @param problem what the request itself said: a refusal that may have come after the fact */
async function untilLeads(cluster: EtcdCluster, to: Voter, problem = 'no answer'): Promise<undefined> {
  const giveUpAt = Date.now() + MOVED_WITHIN_MS;
  for (;;) {
    const leads = await clientOf(cluster, to)
      .status()
      .then(
        ({ leaderId }) => leaderId === to.id,
        () => false, // what it does not answer now it may at the next look
      );
    if (leads) return undefined;
    if (Date.now() > giveUpAt) throw new AwayError(`R3: the leadership did not move to ${to.name}: ${problem}`, [to]);
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
