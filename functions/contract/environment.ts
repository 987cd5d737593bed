// What a run finds in its environment: its cluster, and where its lease, its history and its events go.
import { type ClusterConfiguration, parseCluster } from './configuration.ts';
import { type Environment, given, isInLambda, required, requiredJson } from './variables.ts';

export interface RunEnvironment {
  readonly cluster: ClusterConfiguration;
  /** The DynamoDB table of lease and history; undefined (never in Lambda): the run goes without. */
  readonly table: string | undefined;
  /** The EventBridge bus for reports; undefined (never in Lambda): nothing is published. */
  readonly bus: string | undefined;
  /**
   * The bucket for snapshots: the configuration's own, or the stack's; undefined: none is configured, or none is
   * wanted.
   */
  readonly snapshotBucket: string | undefined;
  /** The parameter that is the switch (R16); undefined (never in Lambda): the run is `auto`. */
  readonly switchParameter: string | undefined;
  /**
   * The prune function's ARN with its alias; undefined where `kubernetes` is not configured, and in what starts no
   * pruning.
   */
  readonly pruneFunction: string | undefined;
  readonly inLambda: boolean;
}

/**
 * Reads `ETCD_MEDIC_CLUSTER` (the cluster's configuration as JSON), `ETCD_MEDIC_TABLE`, `ETCD_MEDIC_BUS`,
 * `ETCD_MEDIC_SWITCH`, `ETCD_MEDIC_SNAPSHOT_BUCKET` and `ETCD_MEDIC_PRUNE_FUNCTION`.
 * @throws InvalidInputError when the configuration is not JSON or not a cluster's configuration
 * @throws SetupError when a variable is missing that must be there: the cluster always, all others but the prune
 *   function in Lambda
 */
export function readEnvironment(env: Environment): RunEnvironment {
  const inLambda = isInLambda(env);
  const read = inLambda ? required : given;
  const cluster = parseCluster(requiredJson(env, 'ETCD_MEDIC_CLUSTER'), 'ETCD_MEDIC_CLUSTER');
  return {
    cluster,
    snapshotBucket:
      cluster.snapshot === false ? undefined : (cluster.snapshot?.bucket ?? read(env, 'ETCD_MEDIC_SNAPSHOT_BUCKET')),
    switchParameter: read(env, 'ETCD_MEDIC_SWITCH'),
    pruneFunction: given(env, 'ETCD_MEDIC_PRUNE_FUNCTION'),
    table: read(env, 'ETCD_MEDIC_TABLE'),
    bus: read(env, 'ETCD_MEDIC_BUS'),
    inLambda,
  };
}
