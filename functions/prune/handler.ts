// The prune function: deletes stale reports. Its event is a Command; its result, the RunReport.
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { clusterWorkflow } from '../engine/cluster-workflow.ts';
import { currentPruneSession, type SessionOptions, withPruneSession } from './session.ts';
import { prune } from './workflow.ts';

/** @param options for tests, which have less patience */
export function pruneHandler(options: SessionOptions = {}): DurableLambdaHandler {
  const workflow = clusterWorkflow(({ command, environment, journal }) => {
    const { cluster: configuration, switchParameter, table } = environment;
    const { dryRun, emergency = false, limits: raised = {}, trigger } = command;
    const session = currentPruneSession();
    return prune({ configuration, dryRun, emergency, raised, trigger, journal, switchParameter, table, session });
  });
  return withPruneSession(workflow, options);
}

export const handler = pruneHandler();
