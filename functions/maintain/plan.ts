// A night's plan, as far as the numbers tell: what `act` goes over, and its words for a dry run.

import { formatBytes, type PlannedStep } from '../contract/report.ts';
import { nameOf, type Observation } from '../control-plane/observation.ts';
import type { RunContext } from '../control-plane/run-context.ts';
import { planSnapshot } from '../control-plane/snapshot-first.ts';
import { type SweepStep, turnsOf } from '../control-plane/sweep.ts';
import type { Judgement, MaintenancePlan } from './decide.ts';
import { LEADER_STALL_MS } from './stall.ts';

export type NightStep =
  | { readonly action: 'snapshot' | 'prune' }
  /** Nobody keeps a copy whose contents could be told. */
  | { readonly action: 'contents' }
  /** Of voters of whose file less than so many bytes are in use. */
  | { readonly action: 'compare'; readonly belowBytes: number }
  /** It is noted, and grows old before anything is compacted to it. */
  | { readonly action: 'revision'; readonly ageSeconds: number; readonly now: string }
  | { readonly action: 'compact'; readonly memberIds: readonly string[] }
  /** By the sizes after it the rest of the plan is made anew: until then they are a forecast. */
  | { readonly action: 'canary' }
  | SweepStep
  /** The rest of the plan is made anew, by how long the first member took. */
  | { readonly action: 'judge-others' }
  | { readonly action: 'leave'; readonly name: string; readonly reason: string };

type Decided = Exclude<MaintenancePlan, { kind: 'refusal' }>;

/** In the order in which they would run; and who is left alone. */
export function nightPlan(
  decided: Decided,
  observation: Observation,
  { configuration: { maintain: policy }, snapshotBucket }: Pick<RunContext, 'configuration' | 'snapshotBucket'>,
): readonly NightStep[] {
  const voters = observation.members.filter(({ isLearner }) => !isLearner);
  const tellsAlone = policy.contents && snapshotBucket === undefined && voters.length > 1;
  return [
    { action: 'snapshot' },
    ...(tellsAlone ? [{ action: 'contents' } as const] : []),
    ...(policy.compareBelowBytes !== false && voters.length > 1
      ? [{ action: 'compare', belowBytes: policy.compareBelowBytes } as const]
      : []),
    ...(policy.prune ? [{ action: 'prune' } as const] : []),
    { action: 'revision', ageSeconds: policy.revisionAgeSeconds, now: observation.revision },
    { action: 'compact', memberIds: voters.map(({ id }) => id) },
    { action: 'canary' },
    ...sweepPlan(decided, observation),
  ];
}

/** The part of it that rests on the members' sizes. */
export function sweepPlan(decided: Decided, { members }: Observation): readonly NightStep[] {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const leader = voters.length > 1 ? voters.find(({ isLeader }) => isLeader)?.id : undefined;
  const left = decided.judgements.filter(({ verdict }) => verdict !== 'defragment');
  return [
    ...(decided.kind === 'steps' ? turnsOf(decided.memberIds, leader) : []),
    ...(decided.kind === 'steps' && decided.tries ? [{ action: 'judge-others' } as const] : []),
    ...left.map(({ name, reason }) => ({ action: 'leave', name, reason }) as const),
  ];
}

/** The plan in words, for a dry run. */
export function describePlan(
  decided: Decided,
  observation: Observation,
  maintenance: Pick<RunContext, 'configuration' | 'snapshotBucket' | 'pruneFunction'>,
): PlannedStep[] {
  const names = (ids: readonly string[]) => ids.map((id) => nameOf(observation.members, id)).join(', ');
  const describe = (step: NightStep): PlannedStep => {
    switch (step.action) {
      case 'snapshot':
        return planSnapshot(maintenance);
      case 'contents':
        return { name: 'contents', detail: "what fills the database, by a follower's Snapshot stream, stored nowhere" };
      case 'compare':
        return { name: 'compare', detail: "the voters' contents, by HashKV of one after the other at one revision" };
      case 'prune':
        return {
          name: 'prune',
          detail: maintenance.pruneFunction === undefined ? NO_PRUNING : 'delete stale reports first',
        };
      case 'revision':
        return { name: 'revision', detail: `note it and wait ${step.ageSeconds} s; now it is ${step.now}` };
      case 'compact':
        return { name: 'compact', detail: `physically, to the noted revision, on ${names(step.memberIds)}` };
      case 'canary':
        return {
          name: 'canary',
          detail: 'write and delete one key through every voter, then look at the sizes again',
        };
      case 'move-leader': {
        const unless = `unless the stalls before it show that its own is ${LEADER_STALL_MS / 1000} s at most`;
        const detail = `from ${names([step.fromMemberId])} to a healthy, caught-up voter, ${unless}`;
        return { name: 'move leader', detail };
      }
      case 'defragment':
        return describeDefragmentation(step.memberId, decided.judgements, names([step.memberId]));
      case 'judge-others':
        return { name: 'sizes', detail: 'look at them again, and judge the others by how long the first took' };
      case 'leave':
        return { name: `leave ${step.name}`, detail: `as of now ${step.reason}` };
    }
  };
  return nightPlan(decided, observation, maintenance).map(describe);
}

function describeDefragmentation(memberId: string, judgements: readonly Judgement[], name: string): PlannedStep {
  const { reason = '', gainBytes = 0 } = judgements.find((judgement) => judgement.memberId === memberId) ?? {};
  return { name: `defragment ${name}`, detail: `as of now ${formatBytes(gainBytes)} come back: ${reason}` };
}

/** What stands in a report where `maintain.prune` is set and cannot be done. */
const NO_PRUNING = '`maintain.prune` is set, but there is no prune function: not configured';
