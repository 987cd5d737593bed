// A night's maintenance in words, for a dry run: what would be done, as far as today's numbers tell.

import type { MaintenancePolicy } from '../contract/configuration.ts';
import { formatBytes, type PlannedStep } from '../contract/report.ts';
import { nameOf, type Observation } from '../control-plane/observation.ts';
import { planSnapshot } from '../control-plane/snapshot-first.ts';
import type { MaintenancePlan } from './decide.ts';
import type { Maintenance } from './maintenance.ts';
import { LEADER_STALL_MS } from './stall.ts';

/** @returns one entry a step, in the order in which they would run, and one for each member that is left alone */
export function describePlan(
  plan: Exclude<MaintenancePlan, { kind: 'refusal' }>,
  observation: Observation,
  maintenance: Pick<Maintenance, 'configuration' | 'snapshotBucket' | 'pruneFunction'>,
): PlannedStep[] {
  const { maintain: policy } = maintenance.configuration;
  const names = (ids: readonly string[]) => ids.map((id) => nameOf(observation.members, id)).join(', ');
  const voters = observation.members.filter(({ isLearner }) => !isLearner).map(({ id }) => id);
  const sweep = plan.kind === 'steps' ? plan.memberIds : [];
  return [
    planSnapshot(maintenance),
    ...planPruning(policy, maintenance.pruneFunction),
    { name: 'revision', detail: `note it and wait ${policy.revisionAgeSeconds} s; now it is ${observation.revision}` },
    { name: 'compact', detail: `physically, to the noted revision, on ${names(voters)}` },
    { name: 'canary', detail: 'write and delete one key through every voter, then look at the sizes again' },
    ...sweep.flatMap((id) => {
      const { reason = '', gainBytes = 0 } = plan.judgements.find(({ memberId }) => memberId === id) ?? {};
      const isLeader = observation.members.some((member) => member.id === id && member.isLeader);
      const unless = `unless the stalls before it show that its own is below ${LEADER_STALL_MS / 1000} s`;
      const move = { name: 'move leader', detail: `from ${names([id])} to a healthy, caught-up voter, ${unless}` };
      const detail = `as of now ${formatBytes(gainBytes)} come back: ${reason}`;
      return [...(isLeader && voters.length > 1 ? [move] : []), { name: `defragment ${names([id])}`, detail }];
    }),
    ...plan.judgements
      .filter(({ verdict }) => verdict !== 'defragment')
      .map(({ name, reason }) => ({ name: `leave ${name}`, detail: `as of now ${reason}` })),
  ];
}

function planPruning({ prune }: MaintenancePolicy, pruneFunction: string | undefined): PlannedStep[] {
  if (!prune) return [];
  return [{ name: 'prune', detail: pruneFunction === undefined ? NO_PRUNING : 'delete stale reports first' }];
}

/** What stands in a report where `maintain.prune` is set and cannot be done. */
const NO_PRUNING = '`maintain.prune` is set, but there is no prune function: not configured';
