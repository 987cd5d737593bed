// Which alarm starts which workflow.
import type { Command } from './command.ts';

/** Which workflow an alarm starts, by its exact name: a CloudWatch alarm's, or an Alertmanager alert's `alertname`. */
export interface AlarmRoute {
  readonly name: string;
  readonly workflow: Command['workflow'];
}

/** The alarms that each stack brings along and that start something; what they start isn't configurable. */
export function ownAlarms(cluster: string): readonly AlarmRoute[] {
  return [
    { name: `etcd-medic-${cluster}-nospace`, workflow: 'recover' },
    // CloudWatch tells of a change once. Where that run was skipped or failed, this is the one further try.
    { name: `etcd-medic-${cluster}-nospace-persists`, workflow: 'recover' },
    { name: `etcd-medic-${cluster}-quota-usage`, workflow: 'maintain' },
  ];
}
