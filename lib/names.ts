// The names of what a cluster's stack makes. They are fixed, not generated, where a person or a policy must know them.
import { ArnFormat, type Stack } from 'aws-cdk-lib';
import type { ClusterConfiguration } from '../functions/run/configuration.ts';

/** The event source of everything that etcd-medic puts on a bus. */
export const EVENT_SOURCE = 'etcd-medic';

/** The account's default bus: a rule of the user's finds the events there without knowing about us. */
export const EVENT_BUS = 'default';

export function functionName(cluster: ClusterConfiguration, name: string): string {
  return `etcd-medic-${cluster.name}-${name}`;
}

/** Without a qualifier. Made from the name, because a role that refers to its function's own ARN would be a circle. */
export function functionArn(stack: Stack, name: string): string {
  return stack.formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: name,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** The alarms that start a workflow: the stack's own, and those that the configuration names. */
export function alarmNames(cluster: ClusterConfiguration): readonly string[] {
  return [...new Set([`etcd-medic-${cluster.name}-nospace`, ...cluster.alarms.map(({ name }) => name)])];
}

/** Of the switch in Parameter Store (R16). */
export function switchParameterName(cluster: ClusterConfiguration): string {
  return `/etcd-medic/${cluster.name}/mode`;
}
