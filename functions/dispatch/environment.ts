// What the function is told at deployment: its cluster, and where the workflows are.
import * as z from 'zod/mini';
import { type ClusterConfiguration, parseCluster } from '../contract/configuration.ts';
import { validate } from '../contract/validate.ts';
import { type Environment, requiredJson } from '../contract/variables.ts';
import { WORKFLOW_NAMES, type WorkflowName } from '../contract/workflows.ts';
import { QUALIFIED_FUNCTION_ARN } from './start.ts';

export interface DispatchEnvironment {
  readonly cluster: ClusterConfiguration;
  /** Qualified function ARNs; a workflow that isn't deployed isn't there. */
  readonly workflows: Readonly<Partial<Record<WorkflowName, string>>>;
}

const functionArn = z.string().check(z.regex(QUALIFIED_FUNCTION_ARN, "a function's ARN with its alias or version"));
const workflowMap = z.partialRecord(z.enum(WORKFLOW_NAMES), functionArn);

/**
 * @param env `ETCD_MEDIC_CLUSTER`: the cluster's configuration; `ETCD_MEDIC_WORKFLOWS`: workflow -> ARN; both
 *   JSON
 * @throws SetupError where one is missing
 * @throws InvalidInputError naming the variable, the field, what was found and what was expected
 */
export function readEnvironment(env: Environment): DispatchEnvironment {
  return {
    cluster: parseCluster(requiredJson(env, 'ETCD_MEDIC_CLUSTER'), 'ETCD_MEDIC_CLUSTER'),
    workflows: validate(workflowMap, requiredJson(env, 'ETCD_MEDIC_WORKFLOWS'), 'ETCD_MEDIC_WORKFLOWS'),
  };
}
