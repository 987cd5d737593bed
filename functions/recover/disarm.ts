// R7: takes the NOSPACE alarms away once every voter is small enough, and proves by reading back and writing that they are gone.
import type { EtcdCluster } from '../etcd/discovery.ts';
import type { Alarm } from '../etcd/types.ts';
import { describeError, EtcdMedicError } from '../run/errors.ts';
import type { StepResult } from '../run/journal.ts';
import {
  checkOthersHealthy,
  clientOf,
  type OpenCluster,
  reach,
  SweepStoppedError,
  type Voter,
} from '../sweep/voters.ts';
import { nameOf } from './decide.ts';
import { readQuota } from './observe.ts';

/** At or above this share of its quota a voter would raise the alarm again within minutes. */
export const DISARM_BELOW_SHARE = 0.9;
/** Beside the keys of Kubernetes (`/registry/`), so that nothing else ever reads or lists them. */
export const CANARY_PREFIX = '/etcd-medic/canary/';

/** A voter's quota could not be read, so nothing was disarmed (R8). */
export class QuotaUnknownError extends EtcdMedicError {
  override readonly name = 'QuotaUnknownError';
}

/**
 * Disarms NOSPACE, member by member, by exact id, and reads the list back.
 * @throws SweepStoppedError when a voter is away, or at or above DISARM_BELOW_SHARE; QuotaUnknownError. Nothing is disarmed then
 */
export async function disarm(
  open: OpenCluster,
  voters: readonly Voter[],
  configuredQuotaBytes: number | undefined,
): Promise<StepResult<never>> {
  const cluster = await reach(open, voters);
  const healthy = checkOthersHealthy(cluster, voters, undefined);
  await Promise.all([
    healthy,
    ...voters.map(async (voter) => {
      const quota = await readQuota(clientOf(cluster, voter), configuredQuotaBytes);
      const size = (await healthy).get(voter.id)?.dbSize ?? Number.POSITIVE_INFINITY;
      // Not a rule's refusal yet: a member that was just restarting can be asked again.
      if (quota.kind === 'unknown') throw new QuotaUnknownError(`R8: ${voter.name}: ${quota.problem}`);
      if (quota.kind === 'limit' && size >= DISARM_BELOW_SHARE * quota.bytes) {
        throw new SweepStoppedError(
          `R7: ${voter.name} still has ${size} of ${quota.bytes} bytes: the alarm would come back, so it stays armed`,
        );
      }
    }),
  ]);
  const learners = await lookAtLearners(cluster);
  const client = clientOf(cluster, anyOf(voters));
  const armed = await client.alarms();
  refuseOthers(armed, cluster);
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

/** Writes one small key through every voter and deletes it: the cluster takes writes again, through each of its members. */
export async function canary(open: OpenCluster, voters: readonly Voter[]): Promise<StepResult<never>> {
  const cluster = await reach(open, voters);
  for (const voter of voters) {
    const key = `${CANARY_PREFIX}${voter.id}`;
    const client = clientOf(cluster, voter);
    try {
      await client.put(key, new Date().toISOString());
    } catch (error) {
      // A put that was not answered may be there all the same. Why it failed counts, and not that a delete fails as well.
      await client.delete(key).catch(() => {});
      throw error;
    }
    await client.delete(key);
  }
  return {
    outcome: 'done',
    detail: `a key was written and deleted through ${voters.map(({ name }) => name).join(', ')}`,
  };
}

/**
 * One look at the alarms while they are watched, through the first voter that answers.
 * @returns `done` where the list is empty, `failed` where an alarm is back, `unknown` where nobody answers
 */
export async function lookForAlarms(
  open: OpenCluster,
  voters: readonly Voter[],
): Promise<StepResult<readonly Alarm[]>> {
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
      if (alarms.length === 0) return { outcome: 'done', detail: 'no alarm', data: alarms };
      return { outcome: 'failed', detail: `${list(alarms, cluster)} came back`, data: alarms };
    } catch (error) {
      problems.push(`${voter.name}: ${describeError(error)}`);
    }
  }
  return { outcome: 'unknown', detail: `the alarm list could not be read: ${problems.join('; ')}` };
}

/**
 * Measured: a learner whose file has reached its quota raises NOSPACE again with the first write after a disarm, and it refuses to
 * be defragmented. Only becoming a voter helps it.
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
