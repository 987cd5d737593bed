// The control-plane nodes as a recovery sees them: who there are, and whether their disks hold a new file. Changes nothing.
import type { NodeResult } from '../nodes/command-results.ts';
import { sendCommandOnce } from '../nodes/commands.ts';
import { documentName } from '../nodes/documents.ts';
import { findNodes } from '../nodes/inventory.ts';
import { type NodeInspection, nodeInspection } from '../nodes/outputs.ts';
import type { ClusterConfiguration } from '../run/configuration.ts';
import { formatBytes } from '../run/report.ts';
import { untilEnded } from './command-wait.ts';
import type { Observation, ObservedDisk, ObservedMember, ObservedNode } from './decide.ts';
import type { Reached, Recovery } from './workflow.ts';

/** How long Systems Manager tries to deliver a command to a node whose agent is busy. */
const DELIVERY_TIMEOUT_SECONDS = 60;
/** The script of InspectNode ends within a minute; delivery comes before it. */
const INSPECTED_WITHIN_LOOKS = 60;

/** @returns undefined where no nodes are configured, or why they could not be listed */
export async function listNodes({
  configuration,
  journal,
}: Recovery): Promise<{ readonly nodes?: readonly ObservedNode[]; readonly problem?: string }> {
  const { nodes: configured } = configuration;
  if (configured === undefined) {
    journal.missing('nodes', 'no `nodes`, so kubelets and disks are out of reach: not configured');
    return {};
  }
  const step = await journal.step('nodes', async () => {
    const found = await findNodes({ tag: configured.tag });
    const nodes: ObservedNode[] = found.flatMap(({ instanceId, name, ipAddress, pingStatus }) =>
      ipAddress === undefined ? [] : [{ instanceId, name, ipAddress, online: pingStatus === 'Online' }],
    );
    const words = nodes.map(({ name, ipAddress, online }) => `${name} ${ipAddress}${online ? '' : ' (agent offline)'}`);
    const tag = `${configured.tag.key}=${configured.tag.value}`;
    return {
      outcome: 'done',
      detail: nodes.length > 0 ? words.join(', ') : `no node with the tag ${tag} has an SSM agent`,
      data: nodes,
    };
  });
  // Configured, but unknown: what needs them is not done (R6).
  return step.data === undefined ? { nodes: [], problem: step.detail } : { nodes: step.data };
}

/** The members' client URLs: the configured ones, or those of the nodes. */
export function endpointsOf({ etcd }: ClusterConfiguration, nodes: readonly ObservedNode[] = []): readonly string[] {
  const host = (address: string) => (address.includes(':') ? `[${address}]` : address);
  return etcd.endpoints ?? nodes.map(({ ipAddress }) => `https://${host(ipAddress)}:${etcd.clientPort}`);
}

/** The node that a member is on, by its hosts. */
export function nodeOf(
  { hosts }: Pick<ObservedMember, 'hosts'>,
  nodes: readonly ObservedNode[],
): ObservedNode | undefined {
  return nodes.find(({ ipAddress, name }) => hosts.includes(ipAddress) || hosts.includes(name));
}

/** R6: looks at the disk of every voter's node, all at once. Where there are no nodes there is nothing to look at. */
export async function inspectDisks(
  recovery: Reached,
  { members, nodes }: Observation,
  nodesProblem: string | undefined,
): Promise<readonly ObservedDisk[] | undefined> {
  const { journal, context, configuration } = recovery;
  if (nodes === undefined) return undefined;
  if (nodesProblem !== undefined) {
    const problem = `the nodes could not be listed: ${nodesProblem}`;
    journal.missing('disk', problem, 'failed');
    return members.map(({ id: memberId }) => ({ memberId, problem }));
  }
  const voters = members
    .filter(({ isLearner }) => !isLearner)
    .map((member) => ({ member, node: nodeOf(member, nodes) }));
  const online = voters.flatMap(({ node }) => (node?.online ? [node.instanceId] : []));
  const sent = await journal.quietStep('inspect nodes', async () => {
    const commands = await sendCommandOnce({
      document: documentName(configuration.name, 'InspectNode'),
      instanceIds: online,
      parameters: {
        DataDir: configuration.etcd.dataDir,
        KubeletUnit: configuration.nodes?.kubeletUnit ?? 'kubelet',
        ManifestPath: configuration.nodes?.manifestPath ?? '',
      },
      stepId: `${context.executionContext.durableExecutionArn} inspect nodes`,
      timeoutSeconds: DELIVERY_TIMEOUT_SECONDS,
    });
    return { outcome: 'done', detail: `sent to ${online.length} nodes`, data: commands };
  });
  const results =
    sent.data === undefined
      ? []
      : await untilEnded(recovery, {
          sent: sent.data,
          output: nodeInspection,
          name: 'inspect nodes',
          looks: INSPECTED_WITHIN_LOOKS,
        });
  const disks = voters.map(({ member, node }) => diskOf(member, node, results, sent.detail));
  const words = disks.map((disk, i) => {
    const name = voters[i]?.member.name;
    return 'problem' in disk ? `${name}: ${disk.problem}` : `${name} ${formatBytes(disk.freeBytes)} free`;
  });
  journal.note('disk', {
    ...sent,
    outcome: disks.some((disk) => 'problem' in disk) ? 'failed' : 'done',
    detail: words.join('; '),
  });
  return disks;
}

function diskOf(
  { id: memberId }: ObservedMember,
  node: ObservedNode | undefined,
  results: readonly NodeResult<NodeInspection>[],
  sendProblem: string,
): ObservedDisk {
  if (node === undefined) return { memberId, problem: 'its node is not among those with the tag' };
  if (!node.online)
    return { memberId, problem: `the SSM agent of its node ${node.name} (${node.instanceId}) is offline` };
  const result = results.find(({ instanceId }) => instanceId === node.instanceId);
  if (result === undefined) return { memberId, problem: `its node ${node.name} could not be asked: ${sendProblem}` };
  const { state, output, problem } = result;
  if (output?.disk) return { memberId, path: output.dataDir, freeBytes: output.disk.freeBytes };
  const why = problem ?? (output ? output.notes.join('; ') : `no answer yet (${state})`);
  return { memberId, problem: `its node ${node.name} (${node.instanceId}) could not be looked at: ${why}` };
}
