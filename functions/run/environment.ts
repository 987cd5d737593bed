// What a run finds in its environment: its cluster, and where its lease, its history and its events go.
import { type ClusterConfiguration, parseCluster } from './configuration.ts';
import { InvalidInputError, SetupError } from './errors.ts';

export interface RunEnvironment {
  readonly cluster: ClusterConfiguration;
  /** The DynamoDB table of lease and history; undefined (never in Lambda): the run goes without. */
  readonly table: string | undefined;
  /** The EventBridge bus for reports; undefined (never in Lambda): nothing is published. */
  readonly bus: string | undefined;
  /** The bucket for snapshots: the configuration's own, or the stack's; undefined: none is configured, or none is wanted. */
  readonly snapshotBucket: string | undefined;
  /** The parameter that is the switch (R16); undefined (never in Lambda): the run is `auto`. */
  readonly switchParameter: string | undefined;
  /** The prune function's ARN with its alias; undefined where `kubernetes` is not configured, and in what starts no pruning. */
  readonly pruneFunction: string | undefined;
  readonly inLambda: boolean;
}

/**
 * Reads `ETCD_MEDIC_CLUSTER` (the cluster's configuration as JSON), `ETCD_MEDIC_TABLE`, `ETCD_MEDIC_BUS`, `ETCD_MEDIC_SWITCH`,
 * `ETCD_MEDIC_SNAPSHOT_BUCKET` and `ETCD_MEDIC_PRUNE_FUNCTION`.
 * @param env `process.env`, or what stands for it
 * @throws InvalidInputError when the configuration is not JSON or not a cluster's configuration
 * @throws SetupError when a variable is missing that must be there: the cluster always, all others but the prune function in Lambda
 */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): RunEnvironment {
  const inLambda = given(env, 'AWS_LAMBDA_FUNCTION_NAME') !== undefined;
  const read = inLambda ? required : given;
  const cluster = parseCluster(parseJson(required(env, 'ETCD_MEDIC_CLUSTER')), 'ETCD_MEDIC_CLUSTER');
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

type Environment = Parameters<typeof readEnvironment>[0];

/** An empty variable counts as none: that is what an unset CloudFormation parameter leaves behind. */
function given(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

function required(env: Environment, name: string): string {
  const value = given(env, name);
  if (value !== undefined) return value;
  throw new SetupError(
    `environment variable ${name}: found nothing. Deploy the stack again: it sets what its functions need`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError('ETCD_MEDIC_CLUSTER', ['(the whole document): found text that is not JSON'], { cause });
  }
}
