// Recovery from NOSPACE: observe, decide, act, verify (design.md, "The way of an event").
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { NoMemberAnsweredError } from '../etcd/errors.ts';
import { readMode } from '../nodes/mode.ts';
import type { Command } from '../run/command.ts';
import type { Conclusion } from '../run/conduct.ts';
import type { ClusterConfiguration } from '../run/configuration.ts';
import type { Journal } from '../run/journal.ts';
import { formatBytes } from '../run/report.ts';
import { snapshotFirst } from '../sweep/snapshot-first.ts';
import { act } from './act.ts';
import { decide, nameOf, type Observation, type ObservedNode, type Plan } from './decide.ts';
import { restartKubelets } from './kubelets.ts';
import { reportMember, votersOf } from './members.ts';
import { endpointsOf, inspectDisks, listNodes } from './nodes.ts';
import { observe, observeNobody } from './observe.ts';
import { describePlan, missingParts } from './plan.ts';

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
  const mode = await readMode(recovery);
  const { nodes, problem } = await listNodes(recovery);
  const endpoints = endpointsOf(configuration, nodes);
  if (endpoints.length === 0) {
    const reason = `etcd.endpoints: found nothing, and no node to ask for them: ${problem ?? 'no node has the tag'}. Nothing was changed.`;
    return { outcome: 'failed', reason, members: [] };
  }
  const reached: Reached = { ...recovery, endpoints, cluster: () => recovery.cluster(endpoints) };

  const first = await look(reached, 'observe', nodes);
  if (first.observation === undefined) return unread(first.detail);
  const standsStill = recovery.command.dryRun || mode === 'observe';
  let observation = first.observation;
  let plan = decide(observation, configuration.recover);
  if (plan.kind === 'restart-kubelets' && !standsStill) {
    await restartKubelets(reached, plan);
    const second = await look(reached, 'observe again', nodes);
    if (second.observation === undefined) return unread(second.detail);
    observation = { ...second.observation, kubeletsRestarted: true };
    plan = decide(observation, configuration.recover);
  }
  if (plan.kind === 'steps') {
    observation = { ...observation, disks: await inspectDisks(reached, observation, problem) };
    plan = decide(observation, configuration.recover);
  }

  const members = observation.members.map((member) => reportMember(member, observation, observation));
  if (plan.kind === 'nothing-to-do') return { outcome: 'nothing-to-do', reason: plan.reason, members };
  if (plan.kind === 'refusal') return { outcome: plan.outcome, reason: `${plan.rule}: ${plan.reason}`, members };
  if (standsStill || plan.kind === 'restart-kubelets') {
    const steps = describePlan(plan, observation, recovery);
    const why = recovery.command.dryRun ? 'A dry run' : 'R16: the switch says observe';
    return {
      outcome: 'planned',
      reason: `${why}: nothing was changed. ${steps.length} steps are planned.`,
      members,
      plan: steps,
    };
  }
  return carryOut(reached, plan, observation);
}

function unread(problem: string): Conclusion {
  return {
    outcome: 'failed',
    reason: `etcd could not be read, and nothing in it was changed: ${problem}`,
    members: [],
  };
}

/** One look may fall into an election or a member's restart; what is still away after so many is away. */
const LOOKS = 3;
const LOOK_AGAIN_SECONDS = 5;

interface Look {
  readonly observation: Observation | undefined;
  /** What was seen, or why nothing could be. */
  readonly detail: string;
}

/** One observation, repeated while a voter is away. Where nodes are known, a cluster of which nobody answers is one too (R11). */
async function look(reached: Reached, name: string, nodes: readonly ObservedNode[] | undefined): Promise<Look> {
  const { journal, configuration, cluster, context } = reached;
  for (let attempt = 1; ; attempt++) {
    const observed = await journal.quietUnguardedStep(attempt === 1 ? name : `${name} (${attempt})`, async () => {
      try {
        const observation = await observe(await cluster(), configuration.etcd.quotaBytes);
        return {
          outcome: 'done',
          detail: describe(observation),
          data: { observation, again: isUnsettled(observation) },
        };
      } catch (error) {
        if (!(error instanceof NoMemberAnsweredError)) throw error;
        const observation = nodes === undefined ? undefined : observeNobody(error);
        return {
          outcome: 'failed',
          detail: error.message,
          data: { observation, again: error.problems.some(({ silent }) => silent) },
        };
      }
    });
    if (!observed.data?.again || attempt === LOOKS) {
      journal.note(name, observed);
      const observation = observed.data?.observation;
      return { observation: observation && { ...observation, nodes }, detail: observed.detail };
    }
    await context.wait('look again', { seconds: LOOK_AGAIN_SECONDS });
  }
}

/** R1 needs no second look. */
function isUnsettled({ members, alarms }: Observation): boolean {
  return (
    alarms.every(({ type }) => type === 'NOSPACE') && members.some(({ healthy, isLearner }) => !healthy && !isLearner)
  );
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
  const away = after?.members.filter(({ healthy, isLearner }) => !healthy && !isLearner) ?? [];
  if (after === undefined || after.alarms.length > 0 || away.length > 0) {
    const reason = `NOSPACE was disarmed and a write accepted, but the last look did not find everything well: ${verified.detail}. ${away.map(({ name, problem }) => `${name} does not answer: ${problem}`).join('; ')}`;
    return { outcome: 'escalated', reason: reason.trim(), members, pruned };
  }
  return { outcome: 'recovered', reason: success(observation, after), members, pruned };
}

function describe({ members, alarms }: Observation): string {
  const healthy = members.filter((member) => member.healthy).length;
  const files = members.map(
    ({ id, name, dbSize }) => `${name || id} ${dbSize === undefined ? 'away' : formatBytes(dbSize)}`,
  );
  const raised = alarms.map(({ type, memberId }) => `${type} on ${nameOf(members, memberId)}`).join(', ') || 'no alarm';
  return `${healthy} of ${members.length} members healthy; ${files.join(', ')}; ${raised}`;
}

function success(before: Observation, after: Observation): string {
  const largest = ({ members }: Observation) =>
    formatBytes(Math.max(...members.map(({ dbSize, isLearner }) => (isLearner ? 0 : (dbSize ?? 0)))));
  return `The cluster takes writes again: NOSPACE is disarmed and stayed away, the largest voter's file went from ${largest(before)} to ${largest(after)}.`;
}
