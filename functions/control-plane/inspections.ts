// Asks nodes about themselves through InspectNode: their disks, their addresses, and where their etcd is. Changes
// nothing.

import type { ClusterConfiguration } from '../contract/configuration.ts';
import { documentName } from '../contract/documents.ts';
import type { RecordedStep } from '../engine/step.ts';
import { agentTooOld } from '../nodes/agent-version.ts';
import type { NodeResult } from '../nodes/command-results.ts';
import type { SentCommand } from '../nodes/commands.ts';
import { type NodeInspection, nodeInspection } from '../nodes/outputs.ts';
import { sendPatiently, untilEnded } from './command-wait.ts';
import { onlyNodeAt } from './node-match.ts';
import { clientUrl } from './nodes.ts';
import type { ObservedNode } from './observation.ts';
import { hostOf } from './observe.ts';
import type { ReachableRun } from './run-context.ts';

/** How long Systems Manager tries to deliver a command to a node whose agent is busy. */
const DELIVERY_TIMEOUT_SECONDS = 60;
/** The script of InspectNode ends within a minute; delivery comes before it. */
const INSPECTED_WITHIN_SECONDS = 120;

export interface Inspections {
  /** The step that sent it, for its times; its detail says why nothing could be sent where nothing was. */
  readonly sent: RecordedStep<{ done: SentCommand }>;
  readonly results: readonly NodeResult<NodeInspection>[];
}

/** Asks all of them at once, those that are online. */
export async function inspectNodes(recovery: ReachableRun, nodes: readonly ObservedNode[]): Promise<Inspections> {
  const { journal, configuration } = recovery;
  const online = nodes.filter((node) => node.online).map(({ instanceId }) => instanceId);
  // Asked more than once a run: what was found out before is not what is so now.
  const stepId = `${journal.executionArn} inspect nodes ${journal.steps.length}`;
  const command = {
    document: documentName(configuration.name, 'InspectNode'),
    instanceIds: online,
    parameters: {
      DataDir: configuration.etcd.dataDir,
      KubeletUnit: configuration.nodes?.kubeletUnit ?? 'kubelet',
      ManifestPath: configuration.nodes?.manifestPath ?? '',
    },
    stepId,
    timeoutSeconds: DELIVERY_TIMEOUT_SECONDS,
  };
  const detail = `sent to ${online.length} nodes`;
  const sent = await sendPatiently(journal, 'inspect nodes', detail, command, { changes: false });
  if (sent.outcome !== 'done') return { sent, results: [] };
  const results = await untilEnded(recovery, {
    sent: sent.data,
    output: nodeInspection,
    name: 'inspected nodes',
    withinSeconds: INSPECTED_WITHIN_SECONDS,
  });
  return { sent, results };
}

/** The nodes with what they have told of themselves. */
export function withInspections(
  nodes: readonly ObservedNode[],
  results: readonly NodeResult<NodeInspection>[],
  { etcd: { clientPort } }: Pick<ClusterConfiguration, 'etcd'>,
): readonly ObservedNode[] {
  return nodes.map((node) => {
    const inspection = results.find(({ instanceId }) => instanceId === node.instanceId)?.output;
    if (!inspection?.addresses) return node;
    const told = { ...node, addresses: inspection.addresses };
    return { ...told, etcdUrls: etcdUrlsOf(told, inspection, clientPort) };
  });
}

/**
 * By its manifest, as far as that names addresses of its own; where it doesn't, etcd may be at any of its addresses.
 */
function etcdUrlsOf(
  node: ObservedNode & { readonly addresses: readonly string[] },
  { manifest }: NodeInspection,
  clientPort: number,
): readonly string[] {
  const flags = manifest?.flags ?? {};
  const written = [flags['advertise-client-urls'], flags['listen-client-urls']].flatMap(
    (urls) => urls?.split(',') ?? [],
  );
  const own = written.filter((url) => /^https?:/.test(url) && URL.canParse(url) && onlyNodeAt(hostOf(url), [node]));
  return own.length > 0 ? [...new Set(own)] : node.addresses.map((address) => clientUrl(address, clientPort));
}

/** Why a node did not do what it was sent, with what may be wrong with its agent. */
export function problemWithAgent({ agentVersion }: ObservedNode, problem: string): string {
  const tooOld = agentTooOld(agentVersion);
  return tooOld === undefined ? problem : `${problem} (${tooOld})`;
}
