// A plane's nodes under Systems Manager: known to its stand-in, with the stack's own documents.
import { documentName } from '../../functions/contract/documents.ts';
import { inspectNodeDocument, restartKubeletDocument } from '../../lib/documents/document-content.ts';
import type { AwsStandIn } from '../aws/stand-in.ts';
import type { ControlPlane } from './plane.ts';

/** @param cluster the name in the configuration: the documents are called by it */
export function manageNodes({ ssm }: AwsStandIn, { nodes }: ControlPlane, cluster = 'control-plane'): void {
  for (const node of nodes) ssm.nodes.set(node.instanceId, node);
  ssm.documents.set(documentName(cluster, 'RestartKubelet'), restartKubeletDocument());
  ssm.documents.set(documentName(cluster, 'InspectNode'), inspectNodeDocument());
}
