// R11: where it can't be told whose the silence is, the nodes themselves are asked where their etcd is, and etcd is
// looked for there. Changes nothing.
import type { NoMemberAnsweredError } from '../etcd/errors.ts';
import { inspectNodes, problemWithAgent, withInspections } from './inspections.ts';
import { look } from './look.ts';
import { describeNode } from './node-match.ts';
import { clientUrlsOf } from './nodes.ts';
import type { Observation } from './observation.ts';
import type { ReachableRun, RunContext } from './run-context.ts';
import { silentNodes } from './silent-nodes.ts';

export interface Located {
  readonly observation: Observation;
  /** With more endpoints, where the nodes told of more. */
  readonly reached: ReachableRun;
}

/**
 * Systems Manager has one address of each node, which may be a bridge's or another network's; members may advertise
 * names of any kind.
 */
export async function askNodes(
  recovery: RunContext,
  reached: ReachableRun,
  seen: Observation,
  ofNobody: (error: NoMemberAnsweredError) => Observation | undefined,
): Promise<Located> {
  const { nodes = [], nobody } = seen;
  const mayRestart = reached.configuration.recover.restartKubelets;
  const needed = nobody !== undefined || (mayRestart && silentNodes(seen).unknown.length > 0);
  if (nodes.length === 0 || !needed) return { observation: seen, reached };
  const told = await tell(reached, seen);
  const { clientPort } = reached.configuration.etcd;
  const endpoints = [...new Set([...reached.endpoints, ...told.flatMap((node) => clientUrlsOf(node, clientPort))])];
  if (nobody === undefined || endpoints.length === reached.endpoints.length) {
    return { observation: { ...seen, nodes: told }, reached };
  }
  const further: ReachableRun = { ...reached, endpoints, cluster: () => recovery.cluster(endpoints) };
  const { observation } = await look(further, 'observe at the nodes', told, { ofNobody });
  return { observation: observation ?? { ...seen, nodes: told }, reached: further };
}

async function tell(reached: ReachableRun, { nodes = [] }: Observation): Promise<NonNullable<Observation['nodes']>> {
  const { sent, results } = await inspectNodes(reached, nodes);
  const told = withInspections(nodes, results, reached.configuration);
  const words = told.map((node) => {
    const result = results.find(({ instanceId }) => instanceId === node.instanceId);
    if (node.etcdUrls !== undefined) return `${describeNode(node)} has its etcd at ${node.etcdUrls.join(', ')}`;
    if (!node.online) return `${describeNode(node)} has an SSM agent that is offline`;
    const why = result === undefined ? sent.detail : (result.problem ?? `no addresses (${result.state})`);
    return `${describeNode(node)} did not tell: ${problemWithAgent(node, why)}`;
  });
  const complete = told.every(({ etcdUrls }) => etcdUrls !== undefined);
  reached.journal.note('ask nodes', { ...sent, outcome: complete ? 'done' : 'unknown', detail: words.join('; ') });
  return told;
}
