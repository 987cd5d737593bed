// Reads everything the decision needs from every member at once, and changes nothing.

import type { Alarm } from '../contract/alarm.ts';
import { describeError } from '../contract/errors.ts';
import { mayDefragmentBeside, NON_BLOCKING_DEFRAGMENTATION } from '../contract/versions.ts';
import { whyAtWork } from '../etcd/at-work.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import type { NoMemberAnsweredError } from '../etcd/errors.ts';
import type { DiscoveredMember, MemberClient, MemberStatus } from '../etcd/types.ts';
import type { Observation, ObservedMember, ObservedQuota } from './observation.ts';

/**
 * @param configuredQuotaBytes `etcd.quotaBytes`: stands in only where a member can't be asked (R8)
 * @param giveUp when it aborts, what has not answered counts as not answering, with the signal's reason as its problem.
 *   @default each call's own deadline
 * @returns every member of the cluster, also those that don't answer; never throws for a single member's sake
 */
export async function observe(
  cluster: EtcdCluster,
  configuredQuotaBytes: number | undefined,
  giveUp?: AbortSignal,
): Promise<Observation> {
  const readings = await Promise.all(
    cluster.members.map((member) => readMember(member, cluster.client(member.id), configuredQuotaBytes, giveUp)),
  );
  const leaderId = leaderInMostEyes(readings);
  return {
    clusterId: cluster.clusterId,
    members: readings
      .map(({ member }) => ({ ...member, isLeader: member.id === leaderId }))
      .sort((a, b) => a.name.localeCompare(b.name)),
    alarms: allAlarms(readings),
    revision: String(readings.reduce((newest, { status }) => max(newest, status?.revision ?? 0n), 0n)),
    raftIndex: String(readings.reduce((newest, { status }) => max(newest, status?.raftIndex ?? 0n), 0n)),
  };
}

/** What is known of a cluster of which nobody answers: where nothing answers at all. */
export function observeNobody({ message, problems }: NoMemberAnsweredError): Observation {
  // A host that is silent at one port and answers at another is none that is silent.
  const answering = new Set(problems.filter(({ silent }) => !silent).map(({ endpoint }) => hostOf(endpoint)));
  const silentHosts = [
    ...new Set(problems.filter(({ silent }) => silent).map(({ endpoint }) => hostOf(endpoint))),
  ].filter((host) => !answering.has(host));
  return { clusterId: '', members: [], alarms: [], revision: '0', nobody: { silentHosts, problem: message } };
}

interface Reading {
  readonly member: Omit<ObservedMember, 'isLeader'>;
  readonly status: MemberStatus | undefined;
  /** The cluster's alarm list, asked of this member; undefined where it did not answer. */
  readonly alarms: readonly Alarm[] | undefined;
}

async function readMember(
  member: DiscoveredMember,
  client: MemberClient | undefined,
  configuredQuotaBytes: number | undefined,
  giveUp: AbortSignal | undefined,
): Promise<Reading> {
  const { id, name, isLearner, silent } = member;
  const endpoint = member.endpoint ?? member.clientUrls[0] ?? '(never started)';
  const urls = member.endpoint === undefined ? member.clientUrls : [member.endpoint, ...member.clientUrls];
  // What its name leads to counts as well: its node may not be known by that name.
  const hosts = [...new Set([...urls.map(hostOf), ...(client?.remoteAddress ? [client.remoteAddress] : [])])];
  if (client === undefined) {
    const problem = member.problem ?? 'it has no client URL';
    const quota = { kind: 'unknown', problem } as const;
    const { shared } = member;
    const away = { id, name, endpoint, hosts, isLearner, healthy: false, silent, shared, problem, quota };
    // What it said of itself elsewhere is of use for what it knows of the cluster, its alarms first (R1).
    return { member: away, status: member.seen, alarms: undefined };
  }
  const [status, health, quota, alarms] = await Promise.all([
    attempt(client.status(), giveUp),
    // A learner refuses linearizable reads; it is not a voter, so nothing is decided on its health.
    isLearner ? { value: undefined } : attempt(client.checkHealth(), giveUp),
    readQuota(client, configuredQuotaBytes, giveUp),
    isLearner ? { problem: 'a learner' } : attempt(client.alarms(), giveUp),
  ]);
  const refusal = 'problem' in status ? status : 'problem' in health ? health : undefined;
  const atWork = 'problem' in status ? await whyAtWork(client, status.error) : undefined;
  const problem = atWork === undefined ? refusal?.problem : `it is at work: ${atWork}`;
  const answered = 'value' in status ? status.value : undefined;
  const gate = mayDefragmentBeside(answered?.version)
    ? await attempt(client.hasFeature(NON_BLOCKING_DEFRAGMENTATION), giveUp)
    : undefined;
  return {
    member: {
      id,
      name,
      endpoint,
      hosts,
      isLearner,
      healthy: problem === undefined,
      silent: false,
      busy: atWork !== undefined,
      problem,
      version: answered?.version,
      // What can't be told is as on all older versions.
      ...(gate !== undefined && 'value' in gate && { defragmentsBeside: gate.value }),
      dbSize: answered?.dbSize,
      dbSizeInUse: answered?.dbSizeInUse,
      quota,
    },
    status: answered,
    alarms: 'value' in alarms ? alarms.value : undefined,
  };
}

/** R8: from the member itself; the configured value only where it can't be asked. */
export async function readQuota(
  client: MemberClient,
  configuredQuotaBytes: number | undefined,
  giveUp?: AbortSignal,
): Promise<ObservedQuota> {
  const quota = await attempt(client.quota(), giveUp);
  if ('value' in quota) return quota.value;
  if (configuredQuotaBytes !== undefined) {
    return { kind: 'limit', bytes: configuredQuotaBytes, source: 'configuration' };
  }
  return { kind: 'unknown', problem: quota.problem };
}

/** What all members know of alarms: one of them may have seen CORRUPT before the others (R1). */
function allAlarms(readings: readonly Reading[]): readonly Alarm[] {
  const seen = new Map<string, Alarm>();
  for (const { status, alarms } of readings) {
    for (const alarm of [...(alarms ?? []), ...(status?.alarms ?? [])])
      seen.set(`${alarm.type} ${alarm.memberId}`, alarm);
  }
  return [...seen.values()].sort((a, b) => a.memberId.localeCompare(b.memberId) || a.type.localeCompare(b.type));
}

function leaderInMostEyes(readings: readonly Reading[]): string | undefined {
  const votes = new Map<string, number>();
  for (const { status } of readings) {
    if (status?.leaderId !== undefined) votes.set(status.leaderId, (votes.get(status.leaderId) ?? 0) + 1);
  }
  return [...votes].sort(([, a], [, b]) => b - a)[0]?.[0];
}

type Attempt<Value> = { readonly value: Value } | { readonly problem: string; readonly error?: unknown };

async function attempt<Value>(promise: Promise<Value>, giveUp: AbortSignal | undefined): Promise<Attempt<Value>> {
  try {
    return { value: await (giveUp ? Promise.race([promise, rejectionOf(giveUp)]) : promise) };
  } catch (error) {
    return { problem: describeError(error), error };
  }
}

function rejectionOf(giveUp: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (giveUp.aborted) reject(giveUp.reason);
    giveUp.addEventListener('abort', () => reject(giveUp.reason), { once: true });
  });
}

/** The host of a client URL, without the brackets of an IPv6 address. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : url;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
