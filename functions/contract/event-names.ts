// What the events are called that people's rules, the stack's and notify's own are about.

/** What a run puts on the bus at its end. */
export const FINISHED = ['Etcd Recovery Finished', 'Etcd Maintenance Finished', 'Report Pruning Finished'] as const;
/** The same report once more, for rules that only want the bad news; people have it from the first event. */
export const ESCALATION = 'Etcd Medic Escalation';

export const STATUS_CHANGE = 'Durable Execution Status Change';
/** How an execution ends that has not succeeded. */
export const DEATHS = ['FAILED', 'TIMED_OUT', 'STOPPED'] as const;
