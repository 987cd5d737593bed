// Where etcd is, by the configuration or by its nodes; and how a run ends that has nobody to ask.
import type { Conclusion } from '../engine/conduct.ts';
import { endpointsOf } from './nodes.ts';
import type { ObservedNode } from './observation.ts';
import type { ReachableRun, RunContext } from './run-context.ts';

/** @returns undefined where neither the configuration nor a node says where etcd is */
export function locateEtcd(recovery: RunContext, nodes: readonly ObservedNode[] | undefined): ReachableRun | undefined {
  const endpoints = endpointsOf(recovery.configuration, nodes);
  if (endpoints.length === 0) return undefined;
  return { ...recovery, endpoints, cluster: () => recovery.cluster(endpoints) };
}

/** @param problem why the nodes could not be listed, where they could not */
export function withoutEndpoints(problem: string | undefined): Conclusion {
  const reason = `etcd.endpoints: found nothing, and no node to ask for them: ${problem ?? 'no node has the tag'}. Nothing was changed.`;
  return { outcome: 'failed', reason, members: [] };
}

/** What a run ends with whose first look found nobody. */
export function unreadable(problem: string): Conclusion {
  return {
    outcome: 'failed',
    reason: `etcd could not be read, and nothing in it was changed: ${problem}`,
    members: [],
  };
}
