// The plan in words, for a dry run, and the parts of a recovery that this cluster's configuration leaves out.
import { formatBytes, type PlannedStep } from '../contract/report.ts';
import { flawInWords, hasFlaw } from '../contract/versions.ts';
import { nameOf, type Observation } from '../control-plane/observation.ts';
import type { RunContext } from '../control-plane/run-context.ts';
import { planSnapshot } from '../control-plane/snapshot-first.ts';
import type { Plan, RecoveryStep } from './decide.ts';

/** What a recovery would do with the reports, where the data itself turns out to be too much. */
export function missingParts({
  configuration,
  pruneFunction,
}: Pick<RunContext, 'configuration' | 'pruneFunction'>): PlannedStep[] {
  if (configuration.kubernetes !== undefined && pruneFunction !== undefined) return [];
  const what = configuration.kubernetes === undefined ? '`kubernetes`' : 'prune function';
  return [{ name: 'prune', detail: `no ${what}: not configured; should live data alone be too much, nobody prunes` }];
}

/** @returns one entry a step, in the order in which they would run */
export function describePlan(
  plan: Extract<Plan, { kind: 'steps' | 'restart-kubelets' }>,
  observation: Observation,
  {
    configuration,
    snapshotBucket,
    pruneFunction,
  }: Pick<RunContext, 'configuration' | 'snapshotBucket' | 'pruneFunction'>,
): PlannedStep[] {
  if (plan.kind === 'restart-kubelets') {
    const how = plan.together ? 'at the same time, because the quorum is lost' : 'one by one, while the quorum is held';
    const restarts = plan.nodes.map(({ name, instanceId }) => ({
      name: `restart kubelet ${name}`,
      detail: `${instanceId}, ${how}`,
    }));
    const left = plan.unknown.map((detail) => ({ name: 'restart kubelets', detail: `none for this: ${detail}` }));
    return [...restarts, ...left, { name: 'observe', detail: 'look again, and decide on what is found then' }];
  }
  const snapshot = planSnapshot({ configuration, snapshotBucket });
  return [
    ...missingParts({ configuration, pruneFunction }),
    snapshot,
    ...plan.steps.map((step) => describeStep(step, observation)),
  ];
}

function describeStep(step: RecoveryStep, { members }: Observation): PlannedStep {
  const names = (ids: readonly string[]) => ids.map((id) => nameOf(members, id)).join(', ');
  switch (step.action) {
    case 'compact':
      return { name: 'compact', detail: `physically, to revision ${step.revision}, on ${names(step.memberIds)}` };
    case 'move-leader':
      return { name: 'move leader', detail: `from ${names([step.fromMemberId])} to a healthy, caught-up voter` };
    case 'defragment': {
      const { dbSize = 0, version } = members.find(({ id }) => id === step.memberId) ?? {};
      const isAlone = members.filter(({ isLearner }) => !isLearner).length === 1;
      const unless =
        !isAlone && hasFlaw(version, 'snapshot-meanwhile-corrupts')
          ? `, unless that cannot be ruled out at its turn: it is ${flawInWords(version, 'snapshot-meanwhile-corrupts')}`
          : '';
      return { name: `defragment ${names([step.memberId])}`, detail: `its file has ${formatBytes(dbSize)}${unless}` };
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
