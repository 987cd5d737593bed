// What the probe is told at deployment: its cluster, and the table that its look goes into.
import { type ClusterConfiguration, parseCluster } from '../run/configuration.ts';
import { InvalidInputError, SetupError } from '../run/errors.ts';

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
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): ProbeEnvironment {
  const inLambda = Boolean(env.AWS_LAMBDA_FUNCTION_NAME);
  const table = env.ETCD_MEDIC_TABLE || undefined;
  if (inLambda && table === undefined) throw missing('ETCD_MEDIC_TABLE');
  const cluster = env.ETCD_MEDIC_CLUSTER;
  if (!cluster) throw missing('ETCD_MEDIC_CLUSTER');
  return { configuration: parseCluster(parseJson(cluster), 'ETCD_MEDIC_CLUSTER'), table, inLambda };
}

function missing(name: string): SetupError {
  return new SetupError(
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
