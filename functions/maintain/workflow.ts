// The nightly maintenance: observe, decide, act, verify (docs/architecture.md, "The way of an event").

import { formatBytes, type ReportMember } from '../contract/report.ts';
import { inspectDisks } from '../control-plane/disks.ts';
import { whatFillsIt } from '../control-plane/live-data.ts';
import { locateEtcd, unreadable, withoutEndpoints } from '../control-plane/locate.ts';
import { awayIn, isTypedInVain, look } from '../control-plane/look.ts';
import { reportMember } from '../control-plane/members.ts';
import { listNodes } from '../control-plane/nodes.ts';
import type { Observation, ObservedMember } from '../control-plane/observation.ts';
import { missingRights } from '../control-plane/rights.ts';
import type { ReachableRun, RunContext } from '../control-plane/run-context.ts';
import { quotaOf, withoutQuota } from '../control-plane/verify.ts';
import type { Conclusion } from '../engine/conduct.ts';
import { GuardError } from '../engine/journal.ts';
import { readMode } from '../engine/mode.ts';
import { type Acted, act, type Night } from './act.ts';
import { decide, isFull, type Judgement, type MaintenancePlan } from './decide.ts';
import { readRates } from './history.ts';
import { describePlan, type NightStep, nightPlan } from './plan.ts';
import type { SeenRate } from './stall.ts';
import { windowEnd, windowOver } from './window.ts';

/** What a run knows by now, for a report that has to be made in the middle of it. */
interface Known {
  observation?: Observation;
  plan?: Exclude<MaintenancePlan, { kind: 'refusal' }>;
}

/** One night, from the first look to the last. Everything it finds out or does is in the journal's steps. */
export async function maintain(maintenance: RunContext): Promise<Conclusion> {
  const known: Known = {};
  try {
    return await observeAndAct(maintenance, known);
  } catch (error) {
    // R16: turned before the first change it is as if it had been turned before the run. Later ones `act` has put into
    // words.
    const { observation, plan } = known;
    if (!(error instanceof GuardError && error.switchedOff)) throw error;
    if (observation === undefined || plan === undefined) {
      return { outcome: 'planned', reason: `${error.message}. Nothing was changed.`, members: [], plan: [] };
    }
    return planned(error.message, plan, observation, maintenance);
  }
}

async function observeAndAct(maintenance: RunContext, known: Known): Promise<Conclusion> {
  const { configuration, journal, command } = maintenance;
  const { maintain: policy } = configuration;
  const { mode, why: standing } = await readMode(maintenance);
  const { nodes, problem } = await listNodes(maintenance);
  const reached = locateEtcd(maintenance, nodes);
  if (reached === undefined) return withoutEndpoints(problem);
  const rates = await earlierRates(maintenance);

  const startedMs = Date.parse(journal.steps[0]?.startedAt ?? '');
  const standsStill = command.dryRun || mode === 'observe';
  let first = await look(reached, 'observe', nodes);
  let plan = first.observation && decide(first.observation, policy, rates);
  const startedAt = new Date(Number.isNaN(startedMs) ? first.atMs : startedMs).toISOString();
  const windowEndMs = windowEnd(command.trigger, startedAt, policy.windowMinutes);
  const away = first.observation === undefined || awayIn(first.observation).length > 0;
  const waits = !standsStill && away && !isTypedInVain(command, first);
  if (waits && (plan === undefined || (plan.kind === 'refusal' && plan.rule === 'R2'))) {
    first = await look(reached, 'wait for voters', nodes, { patient: true, untilMs: windowEndMs });
    plan = first.observation && decide(first.observation, policy, rates);
  }
  if (first.observation === undefined || plan === undefined) return unreadable(first.detail);
  let observation = first.observation;
  const unchanged = observation.members.map((member) => reportMember(member, observation, observation));
  if (plan.kind === 'refusal') {
    return { outcome: plan.outcome, reason: `${plan.rule}: ${plan.reason} Nothing was changed.`, members: unchanged };
  }
  const missing = await missingRights(reached, observation);
  if (missing !== undefined) return { outcome: 'escalated', reason: missing, members: unchanged };
  known.observation = observation;
  known.plan = plan;
  if (standsStill) {
    if (plan.kind === 'steps') {
      observation = { ...observation, disks: await inspectDisks(reached, observation, problem) };
      const withDisks = decide(observation, policy, rates);
      if (withDisks.kind !== 'refusal') plan = withDisks;
    }
    return planned(command.dryRun ? 'A dry run' : standing, plan, observation, maintenance);
  }
  const over = windowOver(windowEndMs, first.atMs);
  if (over !== undefined) {
    return { outcome: 'refused', reason: `Too late: ${over}. Nothing was changed.`, members: unchanged };
  }
  const night = { reached, observation, rates, windowEndMs, nodesProblem: problem };
  return goOver(nightPlan(plan, observation, maintenance), night);
}

function planned(
  why: string,
  plan: Exclude<MaintenancePlan, { kind: 'refusal' }>,
  observation: Observation,
  maintenance: RunContext,
): Conclusion {
  const members = observation.members.map((member) => reportMember(member, observation, observation));
  const steps = describePlan(plan, observation, maintenance);
  const reason = `${why}: nothing was changed. ${plan.kind === 'steps' ? plan.memberIds.length : 'No'} members are worth a defragmentation as of now.`;
  return { outcome: 'planned', reason, members: withNotes(members, plan.judgements), plan: steps };
}

/** What cannot be read is guessed cautiously: a night's stall estimates must not depend on a service's hiccup. */
async function earlierRates({ journal, table, configuration }: RunContext): Promise<readonly SeenRate[]> {
  if (table === undefined) {
    journal.note('rates', { outcome: 'not-configured', detail: 'no table with earlier reports: not configured' });
    return [];
  }
  const step = await journal.step<{ done: readonly SeenRate[] }>(
    'rates',
    { retried: 'failures', guarded: false },
    async () => {
      const { rates, reports, unreadable } = await readRates({ table, cluster: configuration.name });
      const lost = unreadable > 0 ? `, ${unreadable} could not be understood` : '';
      const detail = `${rates.length} defragmentations in the last ${reports} reports${lost}`;
      return { outcome: 'done', detail, data: rates };
    },
  );
  return step.data ?? [];
}

async function goOver(plan: readonly NightStep[], night: Night): Promise<Conclusion> {
  const { reached, observation: before } = night;
  const acted = await act(night, plan);
  const patient = acted.ended === undefined || acted.ended.outcome === 'maintained';
  const verified = await look(reached, 'verify', before.nodes, { patient, guarded: false });
  const after = verified.observation;
  const swept = before.members.map((member) => ({
    ...reportMember(member, before, after),
    ...acted.defragmented[member.id],
    ...(acted.skipped[member.id] !== undefined && { note: acted.skipped[member.id] }),
  }));
  const conclusion = { members: withNotes(swept, acted.judgements), pruned: acted.pruned };
  const { ended } = acted;
  if (ended !== undefined && ended.outcome !== 'maintained') return { ...ended, ...conclusion };

  const told = [summary(acted, before, after), ended?.reason].filter(Boolean).join(' ');
  const away = after?.members.filter(({ healthy, isLearner }) => !healthy && !isLearner) ?? [];
  if (after === undefined || after.alarms.length > 0 || away.length > 0) {
    const reason = `${told} But the last look did not find everything well: ${verified.detail}`;
    return { outcome: 'escalated', reason, ...conclusion };
  }
  const earlier = acted.judged ?? before;
  const known = after.members.map((member) => ({ ...member, quota: quotaOf(member, earlier) }));
  const full = known.filter((member) => isFull(member, reached.configuration.maintain));
  if (full.length > 0) {
    return { outcome: 'escalated', reason: `${told} ${await stillFull(reached, full)}`, ...conclusion };
  }
  const untold = withoutQuota(after, earlier);
  if (untold.length > 0) return { outcome: 'escalated', reason: `${told} But ${untold.join(' ')}`, ...conclusion };
  if (acted.unpruned !== undefined) {
    const reason = `${told} But the pruning before it ended without a report: ${acted.unpruned}. Look at the prune function's durable executions and its log.`;
    return { outcome: 'escalated', reason, ...conclusion };
  }
  return { outcome: 'maintained', reason: told, ...conclusion };
}

/** Why a member was left alone stands beside it; what the observation has to say of it comes first. */
function withNotes(members: readonly ReportMember[], judgements: readonly Judgement[]): ReportMember[] {
  return members.map((member) => {
    const judgement = judgements.find(({ memberId }) => memberId === member.id);
    if (member.note !== undefined || judgement === undefined || judgement.verdict === 'defragment') return member;
    return { ...member, note: judgement.reason };
  });
}

function summary(
  { compactedTo, defragmented, skipped, judgements, judged, compared }: Acted,
  before: Observation,
  after?: Observation,
): string {
  const sizeIn = (observation: Observation | undefined, memberId: string) => {
    const dbSize = observation?.members.find(({ id }) => id === memberId)?.dbSize;
    return dbSize === undefined ? 'not known' : formatBytes(dbSize);
  };
  const done = judgements
    .filter(({ memberId }) => defragmented[memberId] !== undefined)
    .map(({ memberId, name }) => `${name} ${sizeIn(judged ?? before, memberId)} → ${sizeIn(after, memberId)}`);
  const left = judgements
    .filter(({ verdict }) => verdict !== 'defragment')
    .map(({ name, reason }) => `${name}: ${reason}`)
    .concat(Object.values(skipped));
  return [
    `Compacted to revision ${compactedTo}; defragmented ${done.join(', ') || 'none'}.`,
    ...(left.length > 0 ? [`Left alone: ${left.join('; ')}.`] : []),
    ...comparedInWords(compared),
  ].join(' ');
}

function comparedInWords(compared: Acted['compared']): string[] {
  if (compared === undefined) return [];
  if (compared.kind === 'equal') return [`Before it, ${compared.words}.`];
  return [`Whether all voters have the same contents was not told: ${compared.words}.`];
}

async function stillFull(
  { journal, cluster, configuration }: ReachableRun,
  full: readonly ObservedMember[],
): Promise<string> {
  const named = full.map(
    ({ name, dbSize = 0, quota }) =>
      `${name} has ${formatBytes(dbSize)} of ${quota.kind === 'limit' ? formatBytes(quota.bytes) : 'no quota'}`,
  );
  const [member] = full;
  const filling =
    member &&
    (await journal.step('what fills it', { guarded: false }, async () => whatFillsIt(await cluster(), member)));
  const share = Math.round(100 * configuration.maintain.quotaShareAbove);
  return `Above ${share} % of the quota all the same: ${named.join(', ')}. Before it is full, delete what is not needed or raise --quota-backend-bytes. Largest: ${filling?.detail}.`;
}
