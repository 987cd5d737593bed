// A recovery's plan: what was decided, with what a run of this configuration does around it; and its words.
import { formatBytes, type PlannedStep } from '../contract/report.ts';
import { flawInWords, hasFlaw } from '../contract/versions.ts';
import { nameOf, type Observation } from '../control-plane/observation.ts';
import type { RunContext } from '../control-plane/run-context.ts';
import { planSnapshot } from '../control-plane/snapshot-first.ts';
import type { CopyOrder, Plan, RecoveryStep } from './decide.ts';

/** What act goes over. */
export type ActStep =
  /** What this configuration leaves out, which is told at the run's beginning. */
  | { readonly action: 'left-out'; readonly name: string; readonly detail: string }
  | { readonly action: 'snapshot' }
  /** The snapshot comes later: whether it can be stored is tried before the first change. */
  | { readonly action: 'try-store' }
  | RecoveryStep
  /** Only ever found on the way: the live data alone is too much, for these members. */
  | { readonly action: 'prune'; readonly full: FullMember; readonly memberIds: readonly string[] };

/** Whose file is full of what is live. Bytes. */
export interface FullMember {
  readonly memberId: string;
  readonly liveBytes: number;
  readonly quotaBytes: number;
}

export type KubeletStep =
  | ({ readonly action: 'restart-kubelets' } & Omit<RestartKubelets, 'kind'>)
  /** Look again, and decide on what is found then. */
  | { readonly action: 'observe' };

type RestartKubelets = Extract<Plan, { kind: 'restart-kubelets' }>;
type Steps = Extract<Plan, { kind: 'steps' }>;

type Parts = Pick<RunContext, 'configuration' | 'snapshotBucket' | 'pruneFunction'>;

/** What a recovery would do with the reports, where the data itself turns out to be too much. */
export function missingParts({
  configuration,
  pruneFunction,
}: Pick<Parts, 'configuration' | 'pruneFunction'>): Extract<ActStep, { action: 'left-out' }>[] {
  if (configuration.kubernetes !== undefined && pruneFunction !== undefined) return [];
  const what = configuration.kubernetes === undefined ? '`kubernetes`' : 'prune function';
  const detail = `no ${what}: not configured; should live data alone be too much, nobody prunes`;
  return [{ action: 'left-out', name: 'prune', detail }];
}

/** R13: the snapshot comes before anything in etcd is changed, unless the steps have it behind the first member. */
export function actPlan({ steps }: Steps, parts: Parts): readonly ActStep[] {
  const copiesLater = steps.some(({ action }) => action === 'copy');
  return [...missingParts(parts), { action: copiesLater ? 'try-store' : 'snapshot' }, ...steps];
}

/** What the configuration says of it; a run that keeps no copy has nothing to put off. */
export function snapshotOrder({ configuration, snapshotBucket }: Parts): CopyOrder {
  if (snapshotBucket === undefined || configuration.snapshot === false) return 'before-compaction';
  return configuration.snapshot?.order ?? 'after-first-member';
}

export function kubeletPlan({ kind: _, ...restart }: RestartKubelets): readonly KubeletStep[] {
  return [{ action: 'restart-kubelets', ...restart }, { action: 'observe' }];
}

/** The plan in words, for a dry run. */
export function describePlan(plan: Steps | RestartKubelets, observation: Observation, parts: Parts): PlannedStep[] {
  const steps = plan.kind === 'steps' ? actPlan(plan, parts) : kubeletPlan(plan);
  return steps.flatMap((step) => describeStep(step, observation, parts));
}

function describeStep(
  step: ActStep | KubeletStep,
  { members }: Observation,
  parts: Parts,
): PlannedStep | PlannedStep[] {
  const names = (ids: readonly string[]) => ids.map((id) => nameOf(members, id)).join(', ');
  switch (step.action) {
    case 'left-out':
      return { name: step.name, detail: step.detail };
    case 'restart-kubelets':
      return describeRestarts(step);
    case 'observe':
      return { name: 'observe', detail: 'look again, and decide on what is found then' };
    case 'snapshot':
      return planSnapshot(parts);
    case 'try-store':
      return { name: 'snapshot bucket', detail: 'begin an upload and take it back, before anything is changed' };
    case 'copy': {
      const first = names([step.memberId]);
      const compare = `the contents of ${first} with those of all voters, at revision ${step.revision}`;
      return [{ name: 'compare', detail: compare }, planSnapshot(parts, first)].flat();
    }
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
    case 'prune':
      return { name: 'prune', detail: `delete stale reports: ${names([step.full.memberId])} is full of live data` };
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

function describeRestarts({ together, nodes, unknown }: Omit<RestartKubelets, 'kind'>): PlannedStep[] {
  const how = together ? 'at the same time, because the quorum is lost' : 'one by one, while the quorum is held';
  return [
    ...nodes.map(({ name, instanceId }) => ({ name: `restart kubelet ${name}`, detail: `${instanceId}, ${how}` })),
    ...unknown.map((detail) => ({ name: 'restart kubelets', detail: `none for this: ${detail}` })),
  ];
}
