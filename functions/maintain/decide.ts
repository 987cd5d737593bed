// What a night's maintenance is to do about what was observed: a pure function, no client, no clock, no environment.

import type { MaintenancePolicy } from '../contract/configuration.ts';
import { formatBytes } from '../contract/report.ts';
import { flawInWords, hasFlaw, MOST_ENTRIES_BEHIND } from '../contract/versions.ts';
import { diskProblem, nameOf, type Observation, type ObservedMember, troubles } from '../control-plane/observation.ts';
import type { Refusal } from '../engine/plan.ts';
import { estimateStall, MEASURED_BYTES_PER_MS, type SeenRate, type StallEstimate } from './stall.ts';

/**
 * Of a file that fills its quota's `quotaShareAbove`, at least this share has to come back: with less it would be as
 * large again within days, and each defragmentation stalls its member. What is left then is live data, and that is for
 * a person.
 */
export const WORTHWHILE_GAIN_SHARE = 0.1;

/** What one member's own numbers say. */
export interface Judgement {
  readonly memberId: string;
  readonly name: string;
  /** `live-data`: its file fills its quota, and a defragmentation would not help. */
  readonly verdict: 'defragment' | 'not-worth-it' | 'learner' | 'live-data' | 'stalls-too-long' | 'no-disk' | 'version';
  /** One sentence, with the numbers. */
  readonly reason: string;
  /** What a defragmentation would give back. */
  readonly gainBytes: number;
}

export type MaintenancePlan =
  | Refusal
  /** No member is to be defragmented; compacting is worth it every night. */
  | { readonly kind: 'nothing-to-do'; readonly judgements: readonly Judgement[] }
  | {
      readonly kind: 'steps';
      /** In the order of the sweep: most to gain first, the leader last (R3). */
      readonly memberIds: readonly string[];
      readonly judgements: readonly Judgement[];
      /** Only one is swept, to see how long it takes; then it is to be decided anew, with its rate. */
      readonly tries?: true;
    };

/**
 * Decides on what is now (docs/rules.md, R1 to R3, R6, R17): whether anything may be changed, and which members are
 * worth a stall. `dbSizeInUse` says what is live only after a compaction and a write; before that it is a forecast.
 * @param rates of earlier defragmentations, newest first
 */
export function decide(
  observation: Observation,
  policy: MaintenancePolicy,
  rates: readonly SeenRate[],
): MaintenancePlan {
  const refusal = refuseAlarm(observation) ?? refuseUnhealthyVoter(observation);
  if (refusal !== undefined) return refusal;
  const judgements = observation.members.map((member) => judge(member, observation, policy, rates));
  const memberIds = inSweepOrder(observation.members, judgements);
  if (memberIds.length > 0) return { kind: 'steps', memberIds, judgements };
  return tryOne(observation, policy, judgements, rates) ?? { kind: 'nothing-to-do', judgements };
}

/**
 * A cluster that was never seen defragmenting, and has too much live data for the cautious guess, would never be seen
 * defragmenting. So one follower goes first, while the others are left alone: its stall keeps nobody else's writes
 * waiting, and if its kubelet kills it half-way, it comes back with the file that it had.
 */
function tryOne(
  { members }: Observation,
  { maxStallSeconds }: MaintenancePolicy,
  judgements: readonly Judgement[],
  rates: readonly SeenRate[],
): MaintenancePlan | undefined {
  const voters = members.filter(({ isLearner }) => !isLearner);
  if (rates.length > 0 || voters.length < VOTERS_TO_TRY) return undefined;
  const mayBeTried = ({ memberId, verdict }: Judgement) => {
    const member = voters.find(({ id }) => id === memberId);
    if (verdict !== 'stalls-too-long' || member === undefined || member.isLeader) return false;
    const { dbSize = 0, dbSizeInUse = dbSize } = member;
    return dbSizeInUse <= MEASURED_BYTES_PER_MS * maxStallSeconds * 1000;
  };
  const [tried] = judgements
    .filter(mayBeTried)
    .sort((a, b) => b.gainBytes - a.gainBytes || a.name.localeCompare(b.name));
  if (tried === undefined) return undefined;
  const why = (judgement: Judgement): Judgement => {
    if (judgement.memberId === tried.memberId) {
      const reason = `a follower, tried first, because nobody knows yet how long it takes here: ${judgement.reason}`;
      return { ...judgement, verdict: 'defragment', reason };
    }
    if (judgement.verdict !== 'stalls-too-long') return judgement;
    return { ...judgement, reason: `it waits for what ${tried.name} takes: ${judgement.reason}` };
  };
  return { kind: 'steps', memberIds: [tried.memberId], judgements: judgements.map(why), tries: true };
}

/** With fewer there is no quorum while one of them stalls. */
const VOTERS_TO_TRY = 3;

/**
 * Whether the member's file fills so much of its quota that it must not be left so. A quota that is not known fills
 * nothing.
 */
export function isFull(
  { dbSize = 0, quota, isLearner }: ObservedMember,
  { quotaShareAbove }: MaintenancePolicy,
): boolean {
  return !isLearner && quota.kind === 'limit' && dbSize >= quotaShareAbove * quota.bytes;
}

/** R1; and NOSPACE is an emergency, which has a workflow of its own. */
function refuseAlarm({ alarms, members }: Observation): MaintenancePlan | undefined {
  if (alarms.length === 0) return undefined;
  const named = alarms.map(({ type, memberId }) => `${type} on ${nameOf(members, memberId)}`).join(', ');
  if (alarms.some(({ type }) => type !== 'NOSPACE')) {
    return {
      kind: 'refusal',
      outcome: 'escalated',
      rule: 'R1',
      reason: `${named}: nothing more is changed. Compare the members' data (etcdctl endpoint hashkv --cluster) and replace the member that differs; this alarm is never disarmed by a program.`,
    };
  }
  return {
    kind: 'refusal',
    outcome: 'refused',
    rule: 'NOSPACE',
    reason: `${named}: maintenance changes nothing more, recover answers that. If it has not begun by itself, start it: { "workflow": "recover" }.`,
  };
}

/** R2: a sweep that could not be finished isn't begun. */
function refuseUnhealthyVoter({ members }: Observation): MaintenancePlan | undefined {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const away = voters.filter(({ healthy }) => !healthy);
  if (away.length === 0) return undefined;
  return {
    kind: 'refusal',
    outcome: 'refused',
    rule: 'R2',
    reason: `${away.length} of ${voters.length} voters away. ${troubles(away)} Maintenance can wait until all are well.`,
  };
}

function judge(
  member: ObservedMember,
  { disks, members, entriesPerSecond = 0 }: Observation,
  policy: MaintenancePolicy,
  rates: readonly SeenRate[],
): Judgement {
  const { id: memberId, name, dbSize = 0, dbSizeInUse = dbSize } = member;
  const gainBytes = Math.max(0, dbSize - dbSizeInUse);
  const judged = (verdict: Judgement['verdict'], reason: string): Judgement => ({
    memberId,
    name: name || memberId,
    verdict,
    reason,
    gainBytes,
  });
  if (member.isLearner) return judged('learner', 'a learner: it refuses to be defragmented and is left alone');

  const freeShare = dbSize > 0 ? gainBytes / dbSize : 0;
  const file = `${percent(freeShare)} of ${formatBytes(dbSize)} free, ${formatBytes(gainBytes)} to gain${usage(member)}`;
  const full = isFull(member, policy);
  const sparse = freeShare >= policy.freeShareAbove && gainBytes >= policy.minReclaimBytes;
  if (!sparse && !full) return judged('not-worth-it', `not worth a stall: ${file}`);
  if (!sparse && freeShare < WORTHWHILE_GAIN_SHARE) {
    return judged('live-data', `full of live data, which a defragmentation does not make smaller: ${file}`);
  }

  for (const flaw of ['defragmentation-corrupts', 'crash-leaves-difference'] as const) {
    if (!hasFlaw(member.version, flaw)) continue;
    return judged('version', `it is ${flawInWords(member.version, flaw)}: ${file}. Upgrade etcd first`);
  }
  const diskTrouble = disks === undefined ? undefined : diskProblem(member, disks);
  if (diskTrouble !== undefined) {
    return judged('no-disk', `R6: its disk cannot be seen to hold the new file: ${diskTrouble}; ${file}`);
  }
  // R17: it serves on, so there is no stall to estimate.
  if (member.defragmentsBeside) return judged('defragment', file);
  const stall = estimateStall(memberId, dbSizeInUse, rates);
  if (stall.ms > policy.maxStallSeconds * 1000) {
    return judged(
      'stalls-too-long',
      `it would not answer for ${stallInWords(stall, dbSizeInUse)}, longer than maintain.maxStallSeconds of ${policy.maxStallSeconds} s, and the kubelet may kill it half-way: ${file}. Defragment it by hand at a quiet hour with its liveness probe relaxed, or raise maintain.maxStallSeconds`,
    );
  }
  const behind = Math.round((entriesPerSecond * stall.ms) / 1000);
  const isAlone = members.filter(({ isLearner }) => !isLearner).length === 1;
  if (!isAlone && hasFlaw(member.version, 'snapshot-meanwhile-corrupts') && behind >= MOST_ENTRIES_BEHIND) {
    return judged(
      'version',
      `it is ${flawInWords(member.version, 'snapshot-meanwhile-corrupts')}, and would be sent one: in ${stallInWords(stall, dbSizeInUse)} it would fall ${behind} entries behind at ${entriesPerSecond.toFixed(1)} entries a second, and from ${MOST_ENTRIES_BEHIND} on it is left alone: ${file}. Upgrade etcd first`,
    );
  }
  return judged('defragment', file);
}

/** How full its quota is; why that is not known, where it is not. */
function usage({ dbSize = 0, quota }: ObservedMember): string {
  if (quota.kind === 'none') return '';
  if (quota.kind === 'unknown')
    return `; its quota could not be read (${quota.problem}), so only the free share counts`;
  return `; ${percent(dbSize / quota.bytes)} of its quota of ${formatBytes(quota.bytes)}`;
}

/** A rate of 0 is that of a member whose end was only found by looking. */
function stallInWords({ ms, bytesPerMs, from }: StallEstimate, liveBytes: number): string {
  if (!Number.isFinite(ms)) return `nobody knows how long (nobody saw how long it took tonight, by ${from})`;
  return `about ${Math.round(ms / 1000)} s (${formatBytes(liveBytes)} live at ${formatBytes(bytesPerMs * 1000)}/s, by ${from})`;
}

function inSweepOrder(members: readonly ObservedMember[], judgements: readonly Judgement[]): string[] {
  const leads = (memberId: string) => members.some(({ id, isLeader }) => id === memberId && isLeader);
  return judgements
    .filter(({ verdict }) => verdict === 'defragment')
    .sort(
      (a, b) =>
        Number(leads(a.memberId)) - Number(leads(b.memberId)) ||
        b.gainBytes - a.gainBytes ||
        a.name.localeCompare(b.name),
    )
    .map(({ memberId }) => memberId);
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
