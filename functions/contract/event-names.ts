// What the events are called that people's rules, the stack's and notify's own are about.
import { WORKFLOW_NAMES, WORKFLOWS } from './workflows.ts';

/** The event source of everything that etcd-medic puts on a bus. */
export const EVENT_SOURCE = 'etcd-medic';

/** What runs put on the bus at their end. */
export const FINISHED: readonly string[] = WORKFLOW_NAMES.map((name) => WORKFLOWS[name].finishedEvent);
/** The same report once more, for rules that only want the bad news; people have it from the first event. */
export const ESCALATION = 'Etcd Medic Escalation';

export const STATUS_CHANGE = 'Durable Execution Status Change';
/** How an execution ends that has not succeeded. */
export const DEATHS = ['FAILED', 'TIMED_OUT', 'STOPPED'] as const;
