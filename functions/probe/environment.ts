// What the probe is told at deployment: its cluster, and the table that its look goes into.
import { type ClusterConfiguration, parseCluster } from '../contract/configuration.ts';
import { type Environment, given, isInLambda, required, requiredJson } from '../contract/variables.ts';

export interface ProbeEnvironment {
  readonly configuration: ClusterConfiguration;
  /** Undefined (never in Lambda): the look is written nowhere. */
  readonly table: string | undefined;
  readonly inLambda: boolean;
}

/**
 * @param env `ETCD_MEDIC_CLUSTER`: the cluster's configuration as JSON; `ETCD_MEDIC_TABLE`
 * @throws SetupError where one is missing that must be there: the cluster always, the table in Lambda
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function readEnvironment(env: Environment): ProbeEnvironment {
  const inLambda = isInLambda(env);
  return {
    configuration: parseCluster(requiredJson(env, 'ETCD_MEDIC_CLUSTER'), 'ETCD_MEDIC_CLUSTER'),
    table: (inLambda ? required : given)(env, 'ETCD_MEDIC_TABLE'),
    inLambda,
  };
}
