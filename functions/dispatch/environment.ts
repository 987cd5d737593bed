// What the function is told at deployment: its cluster, and where the workflows are.
import * as z from 'zod/mini';
import { type ClusterConfiguration, parseCluster } from '../contract/configuration.ts';
import { InvalidInputError, SetupError } from '../contract/errors.ts';
import { validate } from '../contract/validate.ts';
import { WORKFLOW_NAMES, type WorkflowName } from '../contract/workflows.ts';
import { tryJson } from './json.ts';
import { QUALIFIED_FUNCTION_ARN } from './start.ts';

export interface DispatchEnvironment {
  readonly cluster: ClusterConfiguration;
  /** Qualified function ARNs; a workflow that isn't deployed isn't there. */
  readonly workflows: Readonly<Partial<Record<WorkflowName, string>>>;
}

const functionArn = z.string().check(z.regex(QUALIFIED_FUNCTION_ARN, "a function's ARN with its alias or version"));
const workflowMap = z.partialRecord(z.enum(WORKFLOW_NAMES), functionArn);

/**
 * @param environment `ETCD_MEDIC_CLUSTER`: the cluster's configuration; `ETCD_MEDIC_WORKFLOWS`: workflow -> ARN; both
 *   JSON
 * @throws SetupError where one is missing
 * @throws InvalidInputError naming the variable, the field, what was found and what was expected
 */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): DispatchEnvironment {
  return {
    cluster: parseCluster(variable('ETCD_MEDIC_CLUSTER', environment), 'ETCD_MEDIC_CLUSTER'),
    workflows: validate(workflowMap, variable('ETCD_MEDIC_WORKFLOWS', environment), 'ETCD_MEDIC_WORKFLOWS'),
  };
}

function variable(name: string, environment: Readonly<Record<string, string | undefined>>): unknown {
  const text = environment[name];
  if (text === undefined || text === '') {
    throw new SetupError(`the environment variable ${name} is not set; the stack sets it when it is deployed`);
  }
  const value = tryJson(text);
  if (value === undefined) {
    throw new InvalidInputError(name, ['(the whole document): found text that is not JSON, expected a JSON object']);
  }
  return value;
}
