// What a CDK app of one's own imports: the whole stack, or some of what it is made of.
export { type ClusterConfiguration, parseCluster, parseClusters } from '../functions/contract/configuration.ts';
export { EtcdMedicError, InvalidInputError } from '../functions/contract/errors.ts';
export type { NetworkConfiguration } from '../functions/contract/network.ts';
export type { PresetName } from '../functions/contract/presets.ts';
export { AlarmTriggers, type AlarmTriggersProps } from './alarm-triggers.ts';
export { ClusterAlarms, type ClusterAlarmsProps } from './cluster-alarms.ts';
export { ClusterNetwork, type FunctionNetwork, type Reached } from './cluster-network.ts';
export { readClusters } from './clusters.ts';
export { CredentialsFunction, type CredentialsFunctionProps } from './credentials-function.ts';
export { Dashboard, type DashboardProps } from './dashboard.ts';
export { EtcdMedicStack, type EtcdMedicStackProps } from './etcd-medic-stack.ts';
export { NodeCommands, type NodeCommandsProps } from './node-commands.ts';
export { ProbeFunction, type ProbeFunctionProps } from './probe-function.ts';
export { NO_GATEWAY_ENDPOINTS } from './service-endpoints.ts';
export { SnapshotBucket, type SnapshotBucketProps } from './snapshot-bucket.ts';
export { StateTable, type StateTableProps } from './state-table.ts';
export { WidgetFunction, type WidgetFunctionProps } from './widget-function.ts';
