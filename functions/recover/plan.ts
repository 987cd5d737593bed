// The plan in words, for a dry run, and the parts of a recovery that this cluster's configuration leaves out.
import type { ClusterConfiguration } from '../run/configuration.ts';
import { formatBytes, type PlannedStep } from '../run/report.ts';
import { nameOf, type Observation, type Plan, type RecoveryStep } from './decide.ts';

/** Where a part of design.md's recovery is missing, its place in the plan stays visible. */
export function missingParts({ nodes, kubernetes }: ClusterConfiguration): PlannedStep[] {
  const without = (field: string, present: boolean) =>
    present
      ? `\`${field}\` is set, but this version cannot use it yet: not configured`
      : `no \`${field}\`: not configured`;
  return [
    { name: 'switch', detail: 'no switch in Parameter Store: not configured' },
    { name: 'kubelets', detail: without('nodes', nodes !== undefined) },
    { name: 'disk', detail: without('nodes', nodes !== undefined) },
    { name: 'snapshot', detail: 'no snapshot is taken by this version: not configured' },
    { name: 'prune', detail: without('kubernetes', kubernetes !== undefined) },
  ];
}

/** @returns one entry a step, in the order in which they would run */
export function describePlan(
  plan: Extract<Plan, { kind: 'steps' }>,
  observation: Observation,
  configuration: ClusterConfiguration,
): PlannedStep[] {
  return [...missingParts(configuration), ...plan.steps.map((step) => describeStep(step, observation))];
}

function describeStep(step: RecoveryStep, { members }: Observation): PlannedStep {
  const names = (ids: readonly string[]) => ids.map((id) => nameOf(members, id)).join(', ');
  switch (step.action) {
    case 'compact':
      return { name: 'compact', detail: `physically, to revision ${step.revision}, on ${names(step.memberIds)}` };
    case 'move-leader':
      return { name: 'move leader', detail: `from ${names([step.fromMemberId])} to a healthy, caught-up voter` };
    case 'defragment': {
      const size = members.find(({ id }) => id === step.memberId)?.dbSize ?? 0;
      return { name: `defragment ${names([step.memberId])}`, detail: `its file has ${formatBytes(size)}` };
    }
    case 'disarm':
      return {
        name: 'disarm',
        detail: `NOSPACE of ${names(step.memberIds)}, once every voter is below 90 % of its quota`,
      };
    case 'canary':
      return { name: 'canary', detail: 'write and delete one key through every voter' };
    case 'watch':
      return { name: 'watch', detail: `the alarm list for ${step.seconds} s` };
  }
}
