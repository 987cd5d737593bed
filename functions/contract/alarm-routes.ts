// Which alarm starts which workflow.
import { alarmName } from './names.ts';
import { WORKFLOW_NAMES, WORKFLOWS, type WorkflowName } from './workflows.ts';

/** Which workflow an alarm starts, by its exact name: a CloudWatch alarm's, or an Alertmanager alert's `alertname`. */
export interface AlarmRoute {
  readonly name: string;
  readonly workflow: WorkflowName;
}

/** The alarms that each stack brings along and that start something. */
export function ownAlarms(cluster: string): readonly AlarmRoute[] {
  return WORKFLOW_NAMES.flatMap((workflow) =>
    WORKFLOWS[workflow].startedBy.map((kind) => ({ name: alarmName(cluster, kind), workflow })),
  );
}
