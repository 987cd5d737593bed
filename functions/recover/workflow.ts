// Recovery from NOSPACE: observe, decide, act, verify (design.md, "The way of an event").
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { readMode } from '../nodes/mode.ts';
import type { Command } from '../run/command.ts';
import type { Conclusion } from '../run/conduct.ts';
import type { ClusterConfiguration } from '../run/configuration.ts';
import type { Journal } from '../run/journal.ts';
import { formatBytes } from '../run/report.ts';
import { snapshotFirst } from '../sweep/snapshot-first.ts';
import { act } from './act.ts';
import { askNodes } from './ask-nodes.ts';
import { decide, type Observation, type Plan } from './decide.ts';
import { inspectDisks } from './disks.ts';
import { restartKubelets } from './kubelets.ts';
import { whatFillsIt } from './live-data.ts';
import { look } from './look.ts';
import { reportMember, votersOf } from './members.ts';
import { listNodes } from './nodes.ts';
import { observeNobody } from './observe.ts';
import { describePlan, missingParts } from './plan.ts';
import { nowhere, reach, unread } from './reach.ts';
import { missingRights } from './rights.ts';
import { type Unwell, unwell } from './verify.ts';

export interface Recovery {
  readonly context: DurableContext;
  readonly command: Command;
  readonly configuration: ClusterConfiguration;
  readonly journal: Journal;
  /** R13; undefined: not configured, or switched off. */
  readonly snapshotBucket: string | undefined;
  /** The prune function's qualified ARN; undefined: not configured. */
  readonly pruneFunction: string | undefined;
  /** R16; undefined: not configured. */
  readonly switchParameter: string | undefined;
  /** The members' connections; opened once an invocation and shared by its steps. */
  readonly cluster: (endpoints: readonly string[]) => Promise<EtcdCluster>;
}

/** A recovery that knows where etcd is. */
export interface Reached extends Omit<Recovery, 'cluster'> {
  readonly endpoints: readonly string[];
  readonly cluster: () => Promise<EtcdCluster>;
}

/** One recovery, from the first look to the last. Everything it finds out or does is in the journal's steps. */
export async function recover(recovery: Recovery): Promise<Conclusion> {
  const { configuration, journal } = recovery;
  for (const { name, detail } of missingParts(recovery)) journal.missing(name, detail);
  const { mode, why: standing } = await readMode(recovery);
  const { nodes, problem } = await listNodes(recovery);
  const known = reach(recovery, nodes);
  if (known === undefined) return nowhere(problem);

  // Where nodes are known, a cluster of which nobody answers is something to go by (R11).
  const ofNobody = nodes === undefined ? undefined : observeNobody;
  const first = await look(known, 'observe', nodes, ofNobody);
  if (first.observation === undefined) return unread(first.detail);
  const located = await askNodes(recovery, known, first.observation, observeNobody);
  const { reached } = located;
  const standsStill = recovery.command.dryRun || mode === 'observe';
  let observation = located.observation;
  let plan = decide(observation, configuration.recover);
  if (plan.kind === 'restart-kubelets' && !standsStill) {
    const kubelets = await restartKubelets(reached, plan, observation);
    const second = await look(reached, 'observe again', observation.nodes, ofNobody);
    if (second.observation === undefined) return unread(second.detail);
    observation = { ...second.observation, kubelets };
    plan = decide(observation, configuration.recover);
  }
  if (plan.kind === 'steps') {
    observation = { ...observation, disks: await inspectDisks(reached, observation, problem) };
    plan = decide(observation, configuration.recover);
  }

  const members = observation.members.map((member) => reportMember(member, observation, observation));
  // A dry run is there to find by day what would stop a run at night, also where there is nothing to do today.
  if (plan.kind === 'steps' || (plan.kind === 'nothing-to-do' && recovery.command.dryRun)) {
    const missing = await missingRights(reached, observation);
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
    const steps = describePlan(plan, observation, recovery);
    const why = recovery.command.dryRun ? 'A dry run' : standing;
    return {
      outcome: 'planned',
      reason: `${why}: nothing was changed. ${steps.length} steps are planned.`,
      members,
      plan: steps,
    };
  }
  return carryOut(reached, plan, observation);
}

async function carryOut(
  recovery: Reached,
  plan: Extract<Plan, { kind: 'steps' }>,
  observation: Observation,
): Promise<Conclusion> {
  const unsaved = await snapshotFirst(recovery, votersOf(observation));
  if (unsaved !== undefined) {
    const members = observation.members.map((member) => reportMember(member, observation, observation));
    return { outcome: 'escalated', reason: `${unsaved} The alarm stays armed.`, members };
  }
  const acted = await act(recovery, plan.steps, observation);
  const verified = await look(recovery, 'verify', observation.nodes);
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

async function troubleInWords({ journal, cluster }: Reached, trouble: Unwell | undefined): Promise<string> {
  const { problems = [], full } = trouble ?? {};
  if (full === undefined) return problems.join(' ');
  const voter = { id: full.id, name: full.name };
  const filling = await journal.unguardedStep('what fills it', async () => whatFillsIt(await cluster(), voter));
  return [...problems, `Largest: ${filling.detail}.`].join(' ');
}

function success(before: Observation, after: Observation): string {
  const largest = ({ members }: Observation) =>
    formatBytes(Math.max(...members.map(({ dbSize, isLearner }) => (isLearner ? 0 : (dbSize ?? 0)))));
  return `The cluster takes writes again: NOSPACE is disarmed and stayed away, the largest voter's file went from ${largest(before)} to ${largest(after)}.`;
}
