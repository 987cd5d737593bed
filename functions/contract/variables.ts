// The variables by which the stack tells a function what it needs, how a function reads one, and what it says where
// that is missing or no JSON.
import { InvalidInputError, SetupError } from './errors.ts';

/** What lib/ sets, and what functions/ read: one list for both, so that neither has a name which the other lacks. */
export type VariableName =
  /** The cluster's configuration, as JSON. */
  | 'ETCD_MEDIC_CLUSTER'
  /** The DynamoDB table of lease, history and the probe's last look. */
  | 'ETCD_MEDIC_TABLE'
  /** The EventBridge bus for reports and escalations. */
  | 'ETCD_MEDIC_BUS'
  /** The parameter that is the switch (R16). */
  | 'ETCD_MEDIC_SWITCH'
  /** The stack's own bucket for snapshots. */
  | 'ETCD_MEDIC_SNAPSHOT_BUCKET'
  /** The prune function's ARN with its alias. */
  | 'ETCD_MEDIC_PRUNE_FUNCTION'
  /** Of dispatch: workflow -> its function's ARN with its alias, as JSON. */
  | 'ETCD_MEDIC_WORKFLOWS'
  /** Of the widget: dispatch's ARN, which its buttons call. */
  | 'ETCD_MEDIC_DISPATCH'
  /** Of notify: the stack's own topic's ARN. */
  | 'ETCD_MEDIC_TOPIC'
  /** Of credentials: the authority's files by purpose, as JSON. */
  | 'ETCD_MEDIC_ISSUED'
  /** What logs and metrics call the function. */
  | 'POWERTOOLS_SERVICE_NAME'
  | 'POWERTOOLS_METRICS_NAMESPACE';

/** What AWS's SDK alone reads: where a service is, in a VPC. */
type SdkVariableName = 'AWS_USE_DUALSTACK_ENDPOINT' | `AWS_ENDPOINT_URL_${string}`;

/** What a function is deployed with. */
export type FunctionVariables = Readonly<Partial<Record<VariableName | SdkVariableName, string>>>;

/** `process.env`, or what stands for it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Undefined where it is not set. An empty variable counts as none: that is what an unset CloudFormation parameter
 * leaves behind.
 */
export function given(env: Environment, name: VariableName): string | undefined {
  return read(env, name);
}

/** @throws SetupError where it is not set */
export function required(env: Environment, name: VariableName): string {
  const value = given(env, name);
  if (value !== undefined) return value;
  throw new SetupError(
    `environment variable ${name}: found nothing. Deploy the stack again: it sets what its functions need`,
  );
}

/** @throws SetupError where it is not set, InvalidInputError where it is no JSON */
export function requiredJson(env: Environment, name: VariableName): unknown {
  const text = required(env, name);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError(name, ['(the whole document): found text that is not JSON'], { cause });
  }
}

export function isInLambda(env: Environment): boolean {
  return read(env, 'AWS_LAMBDA_FUNCTION_NAME') !== undefined;
}

function read(env: Environment, name: VariableName | 'AWS_LAMBDA_FUNCTION_NAME'): string | undefined {
  return env[name]?.trim() || undefined;
}
