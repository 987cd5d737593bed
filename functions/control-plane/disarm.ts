// R7: takes the NOSPACE alarms away once every voter is small enough, and proves by reading back and writing that they
// are gone.

import type { Alarm } from '../contract/alarm.ts';
import { describeError, EtcdMedicError } from '../contract/errors.ts';
import type { StepResult } from '../engine/step.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { nameOf } from './observation.ts';
import { readQuota } from './observe.ts';
import {
  type BeforeChange,
  checkBeforeChange,
  checkOthersHealthy,
  clientOf,
  connectAll,
  type OpenCluster,
  OWN_PREFIX,
  SweepStoppedError,
  type Voter,
} from './voters.ts';

/** At or above this share of its quota a voter would raise the alarm again within minutes. */
const DISARM_BELOW_SHARE = 0.9;
export const CANARY_PREFIX = `${OWN_PREFIX}canary/`;

/** A voter's quota could not be read, so nothing was disarmed (R8). */
class QuotaUnknownError extends EtcdMedicError {
  override readonly name = 'QuotaUnknownError';
}

/**
 * Disarms NOSPACE, member by member, by exact id, and reads the list back.
 * @throws AwayError when a voter is away; SweepStoppedError when one is at or above DISARM_BELOW_SHARE;
 * QuotaUnknownError. Nothing is disarmed then
 */
export async function disarm(
  open: OpenCluster,
  voters: readonly Voter[],
  configuredQuotaBytes: number | undefined,
  before: BeforeChange = {},
): Promise<StepResult> {
  const cluster = await connectAll(open, voters, before.patienceMs);
  const healthy = checkOthersHealthy(cluster, voters, undefined, before);
  const client = clientOf(cluster, anyOf(voters));
  const quotasOf = voters.map(async (voter) => ({
    voter,
    quota: await readQuota(clientOf(cluster, voter), configuredQuotaBytes),
  }));
  const reading = Promise.all([client.alarms(), lookAtLearners(cluster), Promise.all(quotasOf)]);
  reading.catch(() => {}); // seen below, unless somebody is away, whose name says more
  await healthy;
  const [armed, learners, quotas] = await reading;
  refuseOthers(armed, cluster);
  // The sizes last: whatever was waited for before, they are of now.
  const statuses = await checkBeforeChange(cluster, voters, undefined, before);
  for (const { voter, quota } of quotas) {
    const size = statuses.get(voter.id)?.dbSize ?? Number.POSITIVE_INFINITY;
    // Not a rule's refusal yet: a member that was just restarting can be asked again.
    if (quota.kind === 'unknown') throw new QuotaUnknownError(`R8: ${voter.name}: ${quota.problem}`);
    if (quota.kind === 'limit' && size >= DISARM_BELOW_SHARE * quota.bytes) {
      throw new SweepStoppedError(
        `R7: ${voter.name} still has ${size} of ${quota.bytes} bytes: the alarm would come back, so it stays armed`,
      );
    }
  }
  await Promise.all(armed.map(({ memberId }) => client.disarmNospace(memberId)));
  const left = await client.alarms();
  if (left.length > 0)
    throw new SweepStoppedError(`R7: after disarming, the alarm list still has ${list(left, cluster)}`);
  return {
    outcome: armed.length > 0 ? 'done' : 'nothing-to-do',
    detail:
      armed.length > 0
        ? `disarmed ${list(armed, cluster)}; the alarm list read back is empty${learners}`
        : `no alarm was armed any more${learners}`,
  };
}

/**
 * Writes one small key through every voter and deletes it: the cluster takes writes again, through each of its members.
 * What an earlier canary has left behind, of this run or another, goes with it.
 */
export async function canary(
  open: OpenCluster,
  voters: readonly Voter[],
  before: BeforeChange = {},
): Promise<StepResult> {
  const cluster = await connectAll(open, voters, before.patienceMs);
  await checkBeforeChange(cluster, voters, undefined, before);
  const left = await deleteCanaries(cluster, voters);
  try {
    for (const voter of voters) {
      const key = `${CANARY_PREFIX}${voter.id}`;
      const client = clientOf(cluster, voter);
      await client.put(key, new Date().toISOString());
      await client.delete(key);
    }
  } catch (error) {
    // A put that was not answered may be there all the same. Why it failed counts, and not that a delete fails as well:
    // the next canary deletes it.
    await deleteCanaries(cluster, voters).catch(() => 0);
    throw error;
  }
  const swept = left === 0 ? '' : `; ${left} left by an earlier one deleted`;
  return {
    outcome: 'done',
    detail: `a key was written and deleted through ${voters.map(({ name }) => name).join(', ')}${swept}`,
  };
}

/** More than one a member, and one more for the timed writes, there never are. */
const MOST_CANARIES = 1_000;

/**
 * Deletes every canary, through the first voter that does it: whoever wrote one may be gone. Deletes work under
 * NOSPACE, too.
 * @returns how many there were
 * @throws what the last voter said, where none did it
 */
export async function deleteCanaries(cluster: EtcdCluster, voters: readonly Voter[]): Promise<number> {
  const from = CANARY_PREFIX;
  const to = CANARY_PREFIX.replace(/\/$/, '0'); // the character after it
  let problem: unknown = new SweepStoppedError('the cluster has no voter');
  for (const voter of voters) {
    try {
      const client = clientOf(cluster, voter);
      const { keys } = await client.keyRange({ from, to, limit: MOST_CANARIES });
      for (const { key } of keys) await client.delete(key);
      return keys.length;
    } catch (error) {
      problem = error;
    }
  }
  throw problem;
}

/**
 * One look at the alarms while they are watched, through the first voter that answers.
 * @returns `done` where the list is empty, `failed` with it where an alarm is back, `unknown` where nobody answers
 */
export async function lookForAlarms(
  open: OpenCluster,
  voters: readonly Voter[],
): Promise<StepResult<{ failed: readonly Alarm[] }>> {
  const problems: string[] = [];
  let cluster: EtcdCluster;
  try {
    cluster = await open();
  } catch (error) {
    return { outcome: 'unknown', detail: `the alarm list could not be read: ${describeError(error)}` };
  }
  for (const voter of voters) {
    try {
      const alarms = await clientOf(cluster, voter).alarms();
      if (alarms.length === 0) return { outcome: 'done', detail: 'no alarm' };
      return { outcome: 'failed', detail: `${list(alarms, cluster)} came back`, data: alarms };
    } catch (error) {
      problems.push(`${voter.name}: ${describeError(error)}`);
    }
  }
  return { outcome: 'unknown', detail: `the alarm list could not be read: ${problems.join('; ')}` };
}

/**
 * Measured: a learner whose file has reached its quota raises NOSPACE again with the first write after a disarm, and it
 * refuses to be defragmented. Only becoming a voter helps it.
 */
async function lookAtLearners(cluster: EtcdCluster): Promise<string> {
  const unseen: string[] = [];
  for (const { id, name, isLearner } of cluster.members) {
    if (!isLearner) continue;
    const learner = name || id;
    const full = await fullLearner(cluster, id).catch((error: unknown) => describeError(error));
    if (typeof full === 'string') unseen.push(`; the learner ${learner} could not be looked at: ${full}`);
    else if (full !== undefined) {
      throw new SweepStoppedError(
        `R7: the learner ${learner} has ${full.dbSize} of ${full.quotaBytes} bytes and would raise the alarm again with the first write, so it stays armed. A learner cannot be defragmented: promote it (etcdctl member promote ${id}) or remove it (etcdctl member remove ${id}), then run again`,
      );
    }
  }
  return unseen.join('');
}

async function fullLearner(cluster: EtcdCluster, id: string) {
  const client = clientOf(cluster, { id, name: id });
  const [{ dbSize }, quota] = await Promise.all([client.status(), readQuota(client, undefined)]);
  if (quota.kind === 'unknown') throw new SweepStoppedError(quota.problem);
  if (quota.kind === 'none' || dbSize < DISARM_BELOW_SHARE * quota.bytes) return undefined;
  return { dbSize, quotaBytes: quota.bytes };
}

function refuseOthers(alarms: readonly Alarm[], cluster: EtcdCluster): void {
  const others = alarms.filter(({ type }) => type !== 'NOSPACE');
  if (others.length > 0) throw new SweepStoppedError(`R1: ${list(others, cluster)}: nothing is disarmed`);
}

function list(alarms: readonly Alarm[], { members }: EtcdCluster): string {
  return alarms.map(({ type, memberId }) => `${type} on ${nameOf(members, memberId)}`).join(', ');
}

function anyOf(voters: readonly Voter[]): Voter {
  const [first] = voters;
  if (first === undefined) throw new SweepStoppedError('the cluster has no voter');
  return first;
}
