// What the function is told at deployment: its cluster, where the state is, and what its buttons call.
import { type ClusterConfiguration, parseCluster } from '../contract/configuration.ts';
import { type Environment, required, requiredJson } from '../contract/variables.ts';

export interface WidgetEnvironment {
  readonly cluster: ClusterConfiguration;
  /** The DynamoDB table with the probe's last look, the lease and the runs. */
  readonly table: string;
  /** The parameter that is the switch (R16). */
  readonly switchParameter: string;
  /** The ARN of dispatch. */
  readonly dispatchArn: string;
}

/**
 * Reads `ETCD_MEDIC_CLUSTER` (the cluster's configuration as JSON), `ETCD_MEDIC_TABLE`, `ETCD_MEDIC_SWITCH` and
 * `ETCD_MEDIC_DISPATCH`.
 * @throws SetupError where one is missing
 * @throws InvalidInputError where the configuration is none
 */
export function readEnvironment(env: Environment): WidgetEnvironment {
  return {
    cluster: parseCluster(requiredJson(env, 'ETCD_MEDIC_CLUSTER'), 'ETCD_MEDIC_CLUSTER'),
    table: required(env, 'ETCD_MEDIC_TABLE'),
    switchParameter: required(env, 'ETCD_MEDIC_SWITCH'),
    dispatchArn: required(env, 'ETCD_MEDIC_DISPATCH'),
  };
}
