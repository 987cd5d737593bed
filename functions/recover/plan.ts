// The plan in words, for a dry run, and the parts of a recovery that this cluster's configuration leaves out.
import type { ClusterConfiguration } from '../run/configuration.ts';
import { formatBytes, type PlannedStep } from '../run/report.ts';
import { nameOf, type Observation, type Plan, type RecoveryStep } from './decide.ts';
import type { Recovery } from './workflow.ts';

/** Parts of design.md's recovery that this version does not have: their place stays visible. */
export function missingParts({ kubernetes }: ClusterConfiguration): PlannedStep[] {
  const detail =
    kubernetes === undefined
      ? 'no `kubernetes`: not configured'
      : '`kubernetes` is set, but this version does not prune yet: not configured';
  return [{ name: 'prune', detail }];
}

/** @returns one entry a step, in the order in which they would run */
export function describePlan(
  plan: Extract<Plan, { kind: 'steps' | 'restart-kubelets' }>,
  observation: Observation,
  { configuration, snapshotBucket }: Pick<Recovery, 'configuration' | 'snapshotBucket'>,
): PlannedStep[] {
  if (plan.kind === 'restart-kubelets') {
    const how = plan.together ? 'at the same time, because the quorum is lost' : 'one by one, while the quorum is held';
    const restarts = plan.nodes.map(({ name, instanceId }) => ({
      name: `restart kubelet ${name}`,
      detail: `${instanceId}, ${how}`,
    }));
    return [...restarts, { name: 'observe', detail: 'look again, and decide on what is found then' }];
  }
  const snapshot =
    snapshotBucket === undefined
      ? missingSnapshot(configuration)
      : { name: 'snapshot', detail: `of a healthy follower, to bucket ${snapshotBucket}` };
  return [...missingParts(configuration), snapshot, ...plan.steps.map((step) => describeStep(step, observation))];
}

export function missingSnapshot({ snapshot }: ClusterConfiguration): PlannedStep {
  const why = snapshot === false ? 'switched off by the configuration' : 'no bucket: not configured';
  return { name: 'snapshot', detail: why };
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
