// What the function is told at deployment: its cluster, where the state is, and what its buttons call.
import { type ClusterConfiguration, parseCluster } from '../contract/configuration.ts';
import { InvalidInputError, SetupError } from '../contract/errors.ts';

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
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): WidgetEnvironment {
  return {
    cluster: parseCluster(json(required(env, 'ETCD_MEDIC_CLUSTER')), 'ETCD_MEDIC_CLUSTER'),
    table: required(env, 'ETCD_MEDIC_TABLE'),
    switchParameter: required(env, 'ETCD_MEDIC_SWITCH'),
    dispatchArn: required(env, 'ETCD_MEDIC_DISPATCH'),
  };
}

function required(env: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = env[name]?.trim();
  if (value) return value;
  throw new SetupError(`the environment variable ${name} is not set; the stack sets it when it is deployed`);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError('ETCD_MEDIC_CLUSTER', ['(the whole document): found text that is not JSON'], { cause });
  }
}
