// The control-plane nodes as a recovery sees them: who there are, and where etcd is by them. Changes nothing.

import type { ClusterConfiguration } from '../contract/configuration.ts';
import { agentTooOld } from '../nodes/agent-version.ts';
import { findNodes, type Node } from '../nodes/inventory.ts';
import type { ObservedNode } from './observation.ts';
import type { RunContext } from './run-context.ts';

/** @returns undefined where no nodes are configured, or why they could not be listed */
export async function listNodes({
  configuration,
  journal,
}: RunContext): Promise<{ readonly nodes?: readonly ObservedNode[]; readonly problem?: string }> {
  const { nodes: configured } = configuration;
  if (configured === undefined) {
    const detail = 'no `nodes`, so kubelets and disks are out of reach: not configured';
    journal.note('nodes', { outcome: 'not-configured', detail });
    return {};
  }
  const step = await journal.step<{ done: readonly ObservedNode[] }>('nodes', { retried: 'failures' }, async () => {
    const nodes = observedNodes(await findNodes({ tag: configured.tag }));
    const tag = `${configured.tag.key}=${configured.tag.value}`;
    return {
      outcome: 'done',
      detail: nodes.length > 0 ? nodes.map(describe).join(', ') : `no node with the tag ${tag} has an SSM agent`,
      data: nodes,
    };
  });
  // Configured, but unknown: what needs them is not done (R6).
  return step.outcome === 'done' ? { nodes: step.data } : { nodes: [], problem: step.detail };
}

/** Those that are online first: whoever was replaced is in the inventory for weeks. */
export function observedNodes(found: readonly Node[]): readonly ObservedNode[] {
  return found
    .map(({ instanceId, name, ipAddress, pingStatus, agentVersion }) => {
      const online = pingStatus === 'Online';
      return { instanceId, name, ipAddress, online, ...(agentVersion !== undefined && { agentVersion }) };
    })
    .sort((a, b) => Number(b.online) - Number(a.online));
}

function describe({ name, ipAddress, online, agentVersion }: ObservedNode): string {
  const notes = [online ? [] : 'agent offline', agentTooOld(agentVersion) ?? []].flat();
  return `${name} ${ipAddress ?? 'without an address'}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
}

/** The members' client URLs: the configured ones, or those of the nodes, each once. */
export function endpointsOf({ etcd }: ClusterConfiguration, nodes: readonly ObservedNode[] = []): readonly string[] {
  return etcd.endpoints ?? [...new Set(nodes.flatMap((node) => clientUrlsOf(node, etcd.clientPort)))];
}

/** What a node has told, or else the address that Systems Manager has of it. */
export function clientUrlsOf({ etcdUrls, ipAddress }: ObservedNode, clientPort: number): readonly string[] {
  return etcdUrls ?? (ipAddress === undefined ? [] : [clientUrl(ipAddress, clientPort)]);
}

export function clientUrl(address: string, clientPort: number): string {
  return `https://${address.includes(':') ? `[${address}]` : address}:${clientPort}`;
}
