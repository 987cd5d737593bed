// Systems Manager on this machine for a test file, found by the SDK's own environment variables.
import { vi } from 'vitest';
import { documentName } from '../../functions/contract/documents.ts';
import type { ApiCall } from '../../lab/aws/server.ts';
import { type SsmOptions, type SsmStandIn, startSsm } from '../../lab/aws/ssm.ts';
import type { SsmNode } from '../../lab/aws/ssm-node.ts';
import { inspectNodeDocument, restartKubeletDocument } from '../../lib/documents/document-content.ts';

export const RESTART = documentName('demo', 'RestartKubelet');
export const INSPECT = documentName('demo', 'InspectNode');

export interface Service extends AsyncDisposable {
  readonly ssm: SsmStandIn;
  readonly calls: readonly ApiCall[];
  /** How often an action was called, refused calls not counted. */
  count(action: string): number;
}

export async function startService(options?: SsmOptions): Promise<Service> {
  const calls: ApiCall[] = [];
  const ssm = await startSsm(calls, options);
  ssm.documents.set(RESTART, restartKubeletDocument());
  ssm.documents.set(INSPECT, inspectNodeDocument());
  const environment = {
    AWS_ENDPOINT_URL_SSM: ssm.url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  return {
    ssm,
    calls,
    count: (action) => calls.filter((call) => call.action === `ssm:${action}`).length,
    [Symbol.asyncDispose]: async () => {
      vi.unstubAllEnvs();
      await ssm[Symbol.asyncDispose]();
    },
  };
}

/** A node that no script is run on; its id, name and address are made from its number. */
export function bareNode(number: number, changes: Partial<SsmNode> = {}): SsmNode {
  return {
    instanceId: `i-${number.toString(16).padStart(17, '0')}`,
    ipAddress: `10.0.${number >> 8}.${number & 255}`,
    computerName: `cp-${number}.example.internal`,
    tags: { cluster: 'demo' },
    pingStatus: 'Online',
    path: '/usr/bin:/bin',
    environment: {},
    workingDirectory: '/',
    fault: { kind: 'offline' },
    ...changes,
  };
}

export function addNodes(ssm: SsmStandIn, nodes: readonly SsmNode[]): readonly string[] {
  for (const node of nodes) ssm.nodes.set(node.instanceId, node);
  return nodes.map(({ instanceId }) => instanceId);
}
