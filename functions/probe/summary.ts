// What a look means: the figures for the metrics, the record for the table, and the sentence for a person. Pure.
import type { Alarm } from '../contract/alarm.ts';
import type { KeptContents } from '../contract/contents.ts';
import type { ProbedMember } from '../contract/probe-record.ts';
import type { Outcome } from '../contract/report.ts';
import { isFrom36, VERSION_RULES } from '../contract/versions.ts';
import type { Observation, ObservedMember } from '../control-plane/observation.ts';
import { nameOf } from '../control-plane/observation.ts';
import { describeFilling } from './filling.ts';
import type { Look } from './look.ts';

/** Of its quota, in percent: from here on it is worth saying what fills it. */
const FILLING_FROM_PERCENT = 50;

/** Undefined: not known, so that no metric is put out. */
export interface ClusterFigures {
  readonly nospaceAlarms: number | undefined;
  readonly corruptAlarms: number | undefined;
  readonly membersAnswering: number;
  readonly membersAway: number | undefined;
  /** Percent. */
  readonly quotaUsage: number | undefined;
  readonly hasLeader: 0 | 1;
}

export function clusterFigures(look: Look): ClusterFigures {
  if (look.kind !== 'seen') {
    return {
      nospaceAlarms: undefined,
      corruptAlarms: undefined,
      membersAnswering: 0,
      membersAway: look.endpoints?.length,
      quotaUsage: undefined,
      hasLeader: 0,
    };
  }
  const { members, alarms } = look.observation;
  const voters = members.filter(({ isLearner }) => !isLearner);
  const membersAnswering = members.filter(answers).length;
  // Who sees no quorum tells the alarms as they were when it last saw one: an alarm among them is one, none is no
  // knowledge.
  const isCurrent = voters.some(({ healthy }) => healthy);
  const raisedBy = (isCounted: (type: string) => boolean) => {
    const raised = new Set(alarms.filter(({ type }) => isCounted(type)).map(({ memberId }) => memberId)).size;
    return raised > 0 || isCurrent ? raised : undefined;
  };
  return {
    nospaceAlarms: raisedBy((type) => type === 'NOSPACE'),
    corruptAlarms: raisedBy((type) => type !== 'NOSPACE'),
    membersAnswering,
    membersAway: voters.filter(({ healthy }) => !healthy).length,
    quotaUsage: fullest(voters)?.usagePercent,
    hasLeader: members.some(({ isLeader }) => isLeader) ? 1 : 0,
  };
}

/** The members as the record and the metrics take them, sorted by name; none where nobody answers. */
export function probedMembers(look: Look): readonly ProbedMember[] {
  if (look.kind !== 'seen') return [];
  const { members, alarms } = look.observation;
  return members.map((member) => ({
    id: member.id,
    name: member.name,
    endpoint: member.endpoint,
    version: member.version ?? null,
    isLeader: member.isLeader,
    isLearner: member.isLearner,
    healthy: member.healthy,
    quotaBytes: member.quota.kind === 'limit' ? member.quota.bytes : member.quota.kind === 'none' ? 'none' : null,
    dbSize: member.dbSize ?? null,
    dbSizeInUse: member.dbSizeInUse ?? null,
    alarms: alarms.filter(({ memberId }) => memberId === member.id).map(({ type }) => type),
    problem: member.problem ?? (member.quota.kind === 'unknown' ? member.quota.problem : null),
  }));
}

/** Of who is no member any more: etcd keeps a removed member's alarm, and refuses writes for its sake. */
export function strayAlarms(look: Look): readonly Alarm[] {
  if (look.kind !== 'seen') return [];
  const { members, alarms } = look.observation;
  return alarms.filter(({ memberId }) => !members.some(({ id }) => id === memberId));
}

/** Why nobody could be asked; null where at least one member answered. */
export function problemOf(look: Look): string | null {
  if (look.kind !== 'seen') return look.problem;
  if (look.observation.members.some(answers)) return null;
  return look.observation.members.map(({ problem }) => problem).join('; ');
}

export interface Verdict {
  readonly outcome: Extract<Outcome, 'healthy' | 'escalated' | 'failed'>;
  readonly reason: string;
}

export interface Known {
  /** Hexadecimal ids of who has ever answered the probe; undefined: not known. */
  readonly answered?: ReadonlySet<string> | undefined;
  /** What the newest copy was full of; undefined: not known. */
  readonly contents?: KeptContents | undefined;
}

export function judge(look: Look, { answered, contents }: Known = {}): Verdict {
  if (look.kind === 'blind') return { outcome: 'failed', reason: `The probe can't look at etcd: ${look.problem}` };
  if (look.kind === 'nobody') return { outcome: 'escalated', reason: `Nobody answers: ${look.problem}` };
  const { observation } = look;
  const troubles = [
    ...raisedAlarms(observation),
    ...away(observation),
    ...strangers(observation, answered),
    ...unknownQuotas(observation),
    ...look.refusedRights.map((text) => `A recovery would be refused at ${text}.`),
  ];
  const filling = fills(observation, contents);
  if (troubles.length > 0) return { outcome: 'escalated', reason: [...troubles, ...filling].join(' ') };
  return { outcome: 'healthy', reason: [wellBeing(observation), ...filling].join(' ') };
}

/** Where there is a reason to ask. */
function fills({ members, alarms }: Observation, contents: KeptContents | undefined): string[] {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const isFull = alarms.some(({ type }) => type === 'NOSPACE');
  if (contents === undefined || (!isFull && (fullest(voters)?.usagePercent ?? 0) < FILLING_FROM_PERCENT)) return [];
  const quotas = voters.flatMap(({ quota }) => (quota.kind === 'limit' ? [quota.bytes] : []));
  const words = describeFilling(contents, quotas.length === 0 ? undefined : Math.min(...quotas));
  return words === '' ? [] : [words];
}

function raisedAlarms({ alarms, members }: Observation): string[] {
  const named = (list: typeof alarms) =>
    [...new Set(list.map(({ memberId }) => nameOf(members, memberId)))].sort().join(', ');
  const nospace = alarms.filter(({ type }) => type === 'NOSPACE');
  const others = alarms.filter(({ type }) => type !== 'NOSPACE');
  return [
    ...(others.length > 0
      ? [
          `${[...new Set(others.map(({ type }) => type))].join(' and ')} on ${named(others)}: a person has to find the broken member and replace it; no program may disarm this.`,
        ]
      : []),
    ...(nospace.length > 0
      ? [`NOSPACE on ${named(nospace)}: etcd refuses writes. Run recover, where its alarm has not started it already.`]
      : []),
  ];
}

function away({ members }: Observation): string[] {
  return members
    .filter(({ isLearner, healthy }) => !isLearner && !healthy)
    .map(({ id, problem }) => `${nameOf(members, id)} is away: ${problem}.`);
}

/** R17: a member that was removed may be back on the way from 3.5 to 3.6, and counts for the quorum. */
function strangers({ members }: Observation, answered: ReadonlySet<string> | undefined): string[] {
  if (answered === undefined || !members.some(({ version }) => isFrom36(version))) return [];
  const { what, flawed } = VERSION_RULES['removed-members-return'];
  const [{ from, mendedIn }] = flawed;
  return members
    .filter(({ id, healthy }) => !healthy && !answered.has(id))
    .map(
      ({ id }) =>
        `${nameOf(members, id)} has never answered the probe: an etcd from ${from} to before ${mendedIn} ${what} (R17). Where nobody has added it, remove it: etcdctl member remove ${id}.`,
    );
}

/** R8: a recovery of such a cluster would be refused, and nobody is warned before it is full. */
function unknownQuotas({ members }: Observation): string[] {
  return members.flatMap((member) => {
    const { id, isLearner, quota } = member;
    if (isLearner || !answers(member) || quota.kind !== 'unknown') return [];
    return [`The quota of ${nameOf(members, id)} is not known, so a recovery would be refused (R8): ${quota.problem}.`];
  });
}

function wellBeing({ members }: Observation): string {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const top = fullest(voters);
  const usage = top && `; ${top.name} is the fullest, at ${top.usagePercent} % of its quota`;
  return `All ${voters.length} voters are healthy and no alarm is raised${usage ?? ''}.`;
}

function answers({ dbSize }: ObservedMember): boolean {
  return dbSize !== undefined;
}

/** Undefined where no voter has told both its size and a quota. */
function fullest(
  voters: readonly ObservedMember[],
): { readonly name: string; readonly usagePercent: number } | undefined {
  const usages = voters.flatMap(({ id, dbSize, quota }) =>
    dbSize === undefined || quota.kind !== 'limit'
      ? []
      : [{ name: nameOf(voters, id), usagePercent: Math.round((dbSize / quota.bytes) * 10_000) / 100 }],
  );
  return usages.sort((a, b) => b.usagePercent - a.usagePercent)[0];
}
