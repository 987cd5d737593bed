// Recovery from NOSPACE: observe, decide, act, verify (design.md, "The way of an event").
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { EtcdCluster } from '../etcd/discovery.ts';
import type { Conclusion } from '../run/conduct.ts';
import type { ClusterConfiguration } from '../run/configuration.ts';
import type { Journal } from '../run/journal.ts';
import { formatBytes } from '../run/report.ts';
import { act } from './act.ts';
import { decide, nameOf, type Observation, type Plan } from './decide.ts';
import { reportMember } from './members.ts';
import { observe } from './observe.ts';
import { describePlan, missingParts } from './plan.ts';

export interface Recovery {
  readonly context: DurableContext;
  readonly configuration: ClusterConfiguration;
  readonly dryRun: boolean;
  readonly journal: Journal;
  /** The members' connections; opened once an invocation and shared by its steps. */
  readonly cluster: () => Promise<EtcdCluster>;
}

/** One recovery, from the first look to the last. Everything it finds out or does is in the journal's steps. */
export async function recover(recovery: Recovery): Promise<Conclusion> {
  const { configuration, journal } = recovery;
  for (const { name, detail } of missingParts(configuration)) journal.missing(name, detail);
  const observed = await journal.step('observe', async () => {
    const observation = await observe(await recovery.cluster(), configuration.etcd.quotaBytes);
    return { outcome: 'done', detail: describe(observation), data: observation };
  });
  if (observed.data === undefined) {
    return {
      outcome: 'failed',
      reason: `etcd could not be read, nothing was changed: ${observed.detail}`,
      members: [],
    };
  }
  const observation = observed.data;
  const plan = decide(observation, configuration.recover);
  const unchanged = observation.members.map((member) => reportMember(member, observation, observation));

  if (plan.kind === 'nothing-to-do') return { outcome: 'nothing-to-do', reason: plan.reason, members: unchanged };
  if (plan.kind === 'refusal') {
    return { outcome: plan.outcome, reason: `${plan.rule}: ${plan.reason}`, members: unchanged };
  }
  if (recovery.dryRun) {
    const steps = describePlan(plan, observation, configuration);
    const reason = `A dry run: nothing was changed. ${steps.length} steps are planned.`;
    return { outcome: 'planned', reason, members: unchanged, plan: steps };
  }
  return carryOut(recovery, plan, observation);
}

async function carryOut(
  recovery: Recovery,
  plan: Extract<Plan, { kind: 'steps' }>,
  observation: Observation,
): Promise<Conclusion> {
  const { journal, configuration } = recovery;
  const acted = await act(recovery, plan.steps, observation);
  const verified = await journal.unguardedStep('verify', async () => {
    const after = await observe(await recovery.cluster(), configuration.etcd.quotaBytes);
    return { outcome: 'done', detail: describe(after), data: after };
  });
  const after = verified.data;
  const members = observation.members.map((member) => ({
    ...reportMember(member, observation, after),
    ...acted.defragmented[member.id],
  }));
  if (acted.stopped !== undefined) return { outcome: 'escalated', reason: acted.stopped, members };
  const away = after?.members.filter(({ healthy }) => !healthy) ?? [];
  if (after === undefined || after.alarms.length > 0 || away.length > 0) {
    const reason = `NOSPACE was disarmed and a write accepted, but the last look did not find everything well: ${verified.detail}. ${away.map(({ name, problem }) => `${name} does not answer: ${problem}`).join('; ')}`;
    return { outcome: 'escalated', reason: reason.trim(), members };
  }
  return { outcome: 'recovered', reason: success(observation, after), members };
}

function describe({ members, alarms }: Observation): string {
  const healthy = members.filter((member) => member.healthy).length;
  const files = members.map(({ name, dbSize }) => `${name} ${dbSize === undefined ? 'away' : formatBytes(dbSize)}`);
  const raised = alarms.map(({ type, memberId }) => `${type} on ${nameOf(members, memberId)}`).join(', ') || 'no alarm';
  return `${healthy} of ${members.length} members healthy; ${files.join(', ')}; ${raised}`;
}

function success(before: Observation, after: Observation): string {
  const largest = ({ members }: Observation) =>
    formatBytes(Math.max(...members.map(({ dbSize, isLearner }) => (isLearner ? 0 : (dbSize ?? 0)))));
  return `The cluster takes writes again: NOSPACE is disarmed and stayed away, the largest voter's file went from ${largest(before)} to ${largest(after)}.`;
}
