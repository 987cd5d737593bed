// The names of what a cluster's stack makes. They are fixed, not generated, where a person or a policy must know them.
import { ArnFormat, type Stack } from 'aws-cdk-lib';
import { ownAlarms } from '../functions/contract/alarm-routes.ts';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import type { WorkflowName } from '../functions/contract/workflows.ts';

/** The account's default bus: a rule of the user's finds the events there without knowing about us. */
export const EVENT_BUS = 'default';

/** Without a qualifier. Made from the name, because a role that refers to its function's own ARN would be a circle. */
export function functionArn(stack: Stack, name: string): string {
  return stack.formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: name,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** The alarms that start a workflow: those of the stack's own that do, and those that the configuration names. */
export function alarmNames(cluster: ClusterConfiguration): readonly string[] {
  return [...new Set([...ownAlarms(cluster.name), ...cluster.alarms].map(({ name }) => name))];
}

/** Of the schedule that starts a workflow. At most 64 characters are allowed; the longest cluster's has 59. */
export function scheduleName(cluster: ClusterConfiguration, workflow: WorkflowName): string {
  return `etcd-medic-${cluster.name}-${workflow}`;
}

/** Of the schedule that rehearses a workflow: 63 characters at most. */
export function rehearsalName(cluster: ClusterConfiguration, workflow: WorkflowName): string {
  return `etcd-medic-${cluster.name}-dry-${workflow}`;
}

/** Of the switch in Parameter Store (R16). */
export function switchParameterName(cluster: ClusterConfiguration): string {
  return `/etcd-medic/${cluster.name}/mode`;
}
