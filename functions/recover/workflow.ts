// Recovery from NOSPACE: observe, decide, act, verify (docs/architecture.md, "The way of an event").

import { readContentsHistory } from '../aws/contents-history.ts';
import { type KeptContents, newestWithHistory } from '../contract/contents.ts';
import { formatBytes, type PlannedStep } from '../contract/report.ts';
import { flawInWords, hasFlaw } from '../contract/versions.ts';
import { askNodes } from '../control-plane/ask-nodes.ts';
import { inspectDisks } from '../control-plane/disks.ts';
import { whatFillsIt } from '../control-plane/live-data.ts';
import { locateEtcd, unreadable, withoutEndpoints } from '../control-plane/locate.ts';
import { awayIn, isTypedInVain, look } from '../control-plane/look.ts';
import { reportMember } from '../control-plane/members.ts';
import { listNodes } from '../control-plane/nodes.ts';
import type { KubeletRestarts, Observation } from '../control-plane/observation.ts';
import { observeNobody } from '../control-plane/observe.ts';
import { missingRights } from '../control-plane/rights.ts';
import type { ReachableRun, RunContext } from '../control-plane/run-context.ts';
import { copiesFirst } from '../control-plane/snapshot-first.ts';
import { type Unwell, unwell } from '../control-plane/verify.ts';
import type { Conclusion } from '../engine/conduct.ts';
import { GuardError } from '../engine/journal.ts';
import { readMode } from '../engine/mode.ts';
import { carryOut } from '../engine/plan.ts';
import { CHEAP_RIGHTS, RIGHTS } from '../etcd/rights.ts';
import { type Acted, act } from './act.ts';
import { decide, type Plan } from './decide.ts';
import { restartKubelets } from './kubelets.ts';
import { actPlan, describePlan, kubeletPlan, missingParts, snapshotOrder } from './plan.ts';

/** What a run knows by now, for a report that has to be made in the middle of it. */
interface Known {
  observation?: Observation;
  plan?: Plan;
}

/** One recovery, from the first look to the last. Everything it finds out or does is in the journal's steps. */
export async function recover(recovery: RunContext): Promise<Conclusion> {
  const known: Known = {};
  try {
    return await observeAndAct(recovery, known);
  } catch (error) {
    if (!(error instanceof GuardError)) throw error;
    const { observation, plan } = known;
    const members = observation?.members.map((member) => reportMember(member, observation, observation)) ?? [];
    // R16: turned before the first change it is as if it had been turned before the run.
    if (error.switchedOff && !recovery.journal.changing) {
      const steps = observation && plan ? planned(plan, observation, recovery) : [];
      return { outcome: 'planned', reason: nothingChanged(error.message, steps), members, plan: steps };
    }
    if (!recovery.journal.changing) throw error;
    return {
      outcome: 'escalated',
      reason: `${error.message}. What was done before stays done: see the steps.`,
      members,
    };
  }
}

async function observeAndAct(recovery: RunContext, known: Known): Promise<Conclusion> {
  const { configuration, journal } = recovery;
  for (const { name, detail } of missingParts(recovery)) journal.note(name, { outcome: 'not-configured', detail });
  const { mode, why: standing } = await readMode(recovery);
  const { nodes, problem } = await listNodes(recovery);
  const found = locateEtcd(recovery, nodes);
  if (found === undefined) return withoutEndpoints(problem);

  // Where nodes are known, a cluster of which nobody answers is something to go by (R11).
  const ofNobody = nodes === undefined ? undefined : observeNobody;
  const standsStill = recovery.command.dryRun || mode === 'observe';
  const judge = (observation: Observation) => {
    known.observation = observation;
    known.plan = decide(observation, {
      ...configuration.recover,
      copiesFirst: copiesFirst(recovery),
      order: snapshotOrder(recovery),
    });
    return known.plan;
  };
  let seen = await look(found, 'observe', nodes, { ofNobody });
  let reached = found;
  let plan: Plan | undefined;
  if (seen.observation !== undefined) {
    const located = await askNodes(recovery, found, seen.observation, observeNobody);
    reached = located.reached;
    seen = { ...seen, observation: located.observation };
    plan = judge(located.observation);
  }
  let kubelets: KubeletRestarts | undefined;
  for (let waited = false; !standsStill; ) {
    const told = known.observation?.nodes ?? nodes;
    if (plan?.kind === 'restart-kubelets' && known.observation !== undefined) {
      const found = known.observation;
      await carryOut(kubeletPlan(plan), async (step) => {
        if (step.action === 'observe') seen = await look(reached, 'observe again', told, { ofNobody });
        else kubelets = await restartKubelets(reached, step, found);
        return undefined;
      });
    } else if (!waited && isAboutAway(plan, known.observation) && !isTypedInVain(recovery.command, seen)) {
      // Nothing can be done about it but to wait: a kubelet may be about to start it again.
      waited = true;
      seen = await look(reached, 'wait for voters', told, { ofNobody, patient: true });
    } else break;
    plan = seen.observation && judge({ ...seen.observation, kubelets });
  }
  let { observation } = known;
  if (seen.observation === undefined || plan === undefined || observation === undefined) return unreadable(seen.detail);
  if (plan.kind === 'steps') {
    observation = { ...observation, disks: await inspectDisks(reached, observation, problem) };
    plan = judge(observation);
  }

  const members = observation.members.map((member) => reportMember(member, observation, observation));
  // A dry run is there to find by day what would stop a run at night, also where there is nothing to do today.
  if (plan.kind === 'steps' || (plan.kind === 'nothing-to-do' && recovery.command.dryRun)) {
    const rights = recovery.command.dryRun ? RIGHTS : CHEAP_RIGHTS;
    const missing = await missingRights(reached, observation, rights);
    if (missing !== undefined) return { outcome: 'escalated', reason: missing, members };
  }
  if (plan.kind === 'nothing-to-do') {
    if (observation.kubelets === undefined) return { outcome: 'nothing-to-do', reason: plan.reason, members };
    const trouble = unwell(observation, observation);
    if (trouble === undefined) return { outcome: 'recovered', reason: plan.reason, members };
    return {
      outcome: 'escalated',
      reason: `${plan.reason} But ${await troubleInWords(reached, trouble)}`,
      members,
    };
  }
  if (plan.kind === 'refusal') return { outcome: plan.outcome, reason: `${plan.rule}: ${plan.reason}`, members };
  if (standsStill || plan.kind === 'restart-kubelets') {
    const steps = planned(plan, observation, recovery);
    const why = recovery.command.dryRun ? 'A dry run' : standing;
    return { outcome: 'planned', reason: nothingChanged(why, steps), members, plan: steps };
  }
  return recoverByPlan(reached, plan, observation);
}

/** Whether it says no only because a voter is away that may come back, or nobody could be read at all. */
function isAboutAway(plan: Plan | undefined, observation: Observation | undefined): boolean {
  if (plan === undefined || observation === undefined || observation.nobody !== undefined) return true;
  return plan.kind === 'refusal' && plan.rule === 'R2' && awayIn(observation).length > 0;
}

function planned(plan: Plan, observation: Observation, recovery: RunContext): readonly PlannedStep[] {
  return plan.kind === 'steps' || plan.kind === 'restart-kubelets' ? describePlan(plan, observation, recovery) : [];
}

function nothingChanged(why: string, steps: readonly PlannedStep[]): string {
  return `${why}: nothing was changed. ${steps.length} steps are planned.`;
}

async function recoverByPlan(
  recovery: ReachableRun,
  plan: Extract<Plan, { kind: 'steps' }>,
  observation: Observation,
): Promise<Conclusion> {
  const acted = await act(recovery, actPlan(plan, recovery), observation);
  // In the end: nobody's writes wait for it.
  const conclusion = await concludeByPlan(recovery, acted, observation);
  return { ...conclusion, lastNight: await lastNight(recovery) };
}

/** Where the run's own copy has no history by now, or there is none. */
async function lastNight({ journal, table, configuration }: ReachableRun): Promise<Conclusion['lastNight']> {
  const hasHistory = journal.contents !== undefined && !journal.contents.isCompacted;
  if (table === undefined || hasHistory) return undefined;
  const options = { guarded: false, retried: 'failures' } as const;
  const step = await journal.step<{ done: KeptContents }>('last night', options, async () => {
    const { nights } = await readContentsHistory(table, configuration.name);
    const night = newestWithHistory(nights);
    if (night === undefined) return { outcome: 'nothing-to-do', detail: 'no copy of an earlier night in the table' };
    return { outcome: 'done', detail: `what filled it: as of the copy of ${night.at}`, data: night };
  });
  return step.data;
}

async function concludeByPlan(recovery: ReachableRun, acted: Acted, observation: Observation): Promise<Conclusion> {
  if (acted.unsaved !== undefined) {
    const members = observation.members.map((member) => reportMember(member, observation, observation));
    return { outcome: 'escalated', reason: `${acted.unsaved} The alarm stays armed.`, members };
  }
  // Who has stopped with words does not wait to add some more.
  const patient = acted.stopped === undefined;
  const verified = await look(recovery, 'verify', observation.nodes, { patient, guarded: false });
  const after = verified.observation;
  const members = observation.members.map((member) => ({
    ...reportMember(member, observation, after),
    ...acted.defragmented[member.id],
  }));
  const { pruned, stopped } = acted;
  if (stopped !== undefined) return { outcome: 'escalated', reason: stopped, members, pruned };
  const trouble = unwell(after, observation);
  if (after === undefined || trouble !== undefined) {
    const words = await troubleInWords(recovery, trouble);
    const reason = `NOSPACE was disarmed and a write accepted, but the last look did not find everything well: ${verified.detail}. ${words}`;
    return { outcome: 'escalated', reason: reason.trim(), members, pruned };
  }
  return { outcome: 'recovered', reason: success(observation, after), members, pruned };
}

async function troubleInWords({ journal, cluster }: ReachableRun, trouble: Unwell | undefined): Promise<string> {
  const { problems = [], full } = trouble ?? {};
  if (full === undefined) return problems.join(' ');
  const voter = { id: full.id, name: full.name };
  const options = { guarded: false };
  const filling = await journal.step('what fills it', options, async () => whatFillsIt(await cluster(), voter));
  return [...problems, `Largest: ${filling.detail}.`].join(' ');
}

function success(before: Observation, after: Observation): string {
  const largest = ({ members }: Observation) =>
    formatBytes(Math.max(...members.map(({ dbSize, isLearner }) => (isLearner ? 0 : (dbSize ?? 0)))));
  return `The cluster takes writes again: NOSPACE is disarmed and stayed away, the largest voter's file went from ${largest(before)} to ${largest(after)}.${upgrade(before)}`;
}

/** R17: what was ruled out this time is told, with the version that mends it. */
function upgrade({ members }: Observation): string {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const told = voters.flatMap(({ id, name, version }) =>
    voters.length > 1 && hasFlaw(version, 'snapshot-meanwhile-corrupts')
      ? [`${name || id} is ${flawInWords(version, 'snapshot-meanwhile-corrupts')}`]
      : [],
  );
  return told.length === 0 ? '' : ` That was ruled out before each, but upgrade etcd: ${told.join('; ')}.`;
}
