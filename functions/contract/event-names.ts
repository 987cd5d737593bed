// What the events are called that people's rules, the stack's and notify's own are about.
import type { Command } from './command.ts';

/** What a run puts on the bus at its end, by its workflow. */
export const FINISHED_BY: Readonly<Record<Command['workflow'], string>> = {
  recover: 'Etcd Recovery Finished',
  maintain: 'Etcd Maintenance Finished',
  prune: 'Report Pruning Finished',
};
export const FINISHED: readonly string[] = Object.values(FINISHED_BY);
/** The same report once more, for rules that only want the bad news; people have it from the first event. */
export const ESCALATION = 'Etcd Medic Escalation';

export const STATUS_CHANGE = 'Durable Execution Status Change';
/** How an execution ends that has not succeeded. */
export const DEATHS = ['FAILED', 'TIMED_OUT', 'STOPPED'] as const;
