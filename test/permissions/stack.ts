// The stack with everything that can be configured, so that each role has all that it ever gets.

import { synth } from '../lib/synth.ts';
import { type Deployed, readDeployed } from './deployed.ts';
import type { Names } from './resolver.ts';

export const CLUSTER = 'demo';
/** Of the user's own, told beside the stack's. */
export const OTHER_TOPIC = 'arn:aws:sns:eu-west-1:111122223333:on-call';
/** Of the user's own. */
export const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/7f5e2c34-0b0c-4d7c-9a55-5a2f6f0e7b11';

/** Beside where etcd, its nodes and the API server are. */
export const EVERYTHING = {
  network: {
    vpcId: 'vpc-0a1b2c3d4e5f60718',
    subnetIds: ['subnet-0a1b2c3d4e5f60711', 'subnet-0a1b2c3d4e5f60712'],
    securityGroupId: 'sg-0a1b2c3d4e5f60719',
  },
  encryptionKeyArn: KEY,
  notify: { topicArns: [OTHER_TOPIC] },
} as const;

/**
 * Everything is issued, for which the nodes need to be known; as RKE2 has it, the API server's clients have an
 * authority of their own.
 */
export function signingNodes(tag: { readonly key: string; readonly value: string }) {
  const kubernetes = {
    caFile: '/etc/kubernetes/pki/ca.crt',
    caKeyFile: '/etc/kubernetes/pki/ca.key',
    serverCaFile: '/etc/kubernetes/pki/server-ca.crt',
  };
  return { tag, authorities: { kubernetes } };
}

export function deploy(cluster: unknown, names: Names): Deployed {
  using synthesis = synth([cluster]);
  return readDeployed(synthesis.template(), CLUSTER, names);
}

/** @param changes in what is configured @default everything is, and all credentials are issued */
export function sampleDeployed(changes: Readonly<Record<string, unknown>> = {}): Deployed {
  const cluster = {
    ...EVERYTHING,
    name: CLUSTER,
    etcd: { credentials: { issued: true } },
    nodes: signingNodes({ key: 'etcd-medic/cluster', value: CLUSTER }),
    kubernetes: { server: 'https://10.0.0.10:6443', credentials: { issued: true } },
    ...changes,
  };
  return deploy(cluster, { table: 'state-table', bucket: 'snapshot-bucket' });
}
