// The credentials function with all that it talks to on this machine: the AWS services, a node with openssl, and its
// environment.
import { inspect } from 'node:util';
import { vi } from 'vitest';
import {
  type AuthorityFiles,
  KUBEADM_AUTHORITIES,
  type Purpose,
  signingDocumentName,
} from '../../functions/contract/purposes.ts';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { handler } from '../../functions/credentials/handler.ts';
import type { VersionedSecret } from '../../lab/aws/secret-versions.ts';
import { type SecretsManagerStandIn, startSecretsManager } from '../../lab/aws/secretsmanager.ts';
import type { ApiCall } from '../../lab/aws/server.ts';
import { type SsmStandIn, startSsm } from '../../lab/aws/ssm.ts';
import type { DocumentContent } from '../../lib/documents/document-content.ts';
import { signClientCertificateDocument } from '../../lib/documents/sign-client-certificate.ts';
import { type FolderNode, folderNode } from '../nodes/scripts.ts';

export const SECRET_ARNS: Readonly<Record<Purpose, string>> = {
  etcd: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:etcd-Ab12Cd',
  kubernetes: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:kubernetes-Ef34Gh',
};
export const DOCUMENT = signingDocumentName('demo');
export const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;

/** etcd's authority as kubeadm has it; the API server's as RKE2 does: its clients' is another than its own. */
const AUTHORITIES: Readonly<Record<Purpose, AuthorityFiles>> = {
  etcd: KUBEADM_AUTHORITIES.etcd,
  kubernetes: { ...KUBEADM_AUTHORITIES.kubernetes, serverCaFile: '/etc/kubernetes/pki/server-ca.crt' },
};

/** An authority on a node: each in PEM. */
export interface Files {
  readonly certificate: string;
  readonly key: string;
  /** Of the API server. @default that of its clients */
  readonly serverCertificate?: string;
}

export interface Setting extends AsyncDisposable {
  readonly ssm: SsmStandIn;
  readonly secretsManager: SecretsManagerStandIn;
  /** Empty at first. */
  readonly secrets: Readonly<Record<Purpose, VersionedSecret>>;
  /** Another node, with the authorities that are given. */
  addNode(name: string, files?: Readonly<Partial<Record<Purpose, Files>>>): Promise<FolderNode>;
  /** What the document's script is; undefined: its own. */
  setScript(lines: readonly string[] | undefined): void;
  /** The credentials of a label; undefined where there are none, or none yet. */
  credentials(purpose: Purpose, label?: string): TlsMaterial | undefined;
  /** All credentials that were ever put into a secret. */
  issued(purpose: Purpose): readonly TlsMaterial[];
  /**
   * Everything that could have been seen by somebody: logs, errors, commands and their parameters, what services were
   * asked.
   */
  seen(): string;
  /** The function's answer; its errors are kept for `seen`. */
  call(event: unknown): Promise<unknown>;
  /** As Secrets Manager rotates: announces a version and calls the steps in order. @returns the version's id */
  rotate(purpose: Purpose, steps?: readonly string[]): Promise<string>;
}

/**
 * Lambda's clock is this machine's; Systems Manager's seconds last ten milliseconds, so that nobody waits for a node
 * that is away.
 */
export async function startSetting({
  endpoints = ['https://127.0.0.1:1'],
  server = 'https://127.0.0.1:1',
}: {
  readonly endpoints?: readonly string[];
  readonly server?: string;
} = {}): Promise<Setting> {
  const calls: ApiCall[] = [];
  const ssm = await startSsm(calls, { secondMs: 10 });
  const secretsManager = await startSecretsManager(calls);
  const cluster = {
    name: 'demo',
    etcd: { endpoints, credentials: { secretArn: SECRET_ARNS.etcd } },
    kubernetes: { server, credentials: { secretArn: SECRET_ARNS.kubernetes } },
    nodes: { tag: { key: 'cluster', value: 'demo' } },
  };
  const environment = {
    AWS_ENDPOINT_URL_SSM: ssm.url,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: secretsManager.url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    ETCD_MEDIC_CLUSTER: JSON.stringify(cluster),
    ETCD_MEDIC_ISSUED: JSON.stringify(AUTHORITIES),
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const output: string[] = [];
  const keep = (chunk: string | Uint8Array) => {
    output.push(String(chunk));
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(keep),
    vi.spyOn(process.stderr, 'write').mockImplementation(keep),
  ];
  const nodes: FolderNode[] = [];
  const errors: string[] = [];
  ssm.documents.set(DOCUMENT, signClientCertificateDocument());
  const secrets = {
    etcd: secretsManager.create(SECRET_ARNS.etcd),
    kubernetes: secretsManager.create(SECRET_ARNS.kubernetes),
  };
  const call = async (event: unknown) => {
    try {
      return await handler(event);
    } catch (error) {
      errors.push(inspect(error, { depth: 10, showHidden: true }));
      throw error;
    }
  };
  return {
    ssm,
    secretsManager,
    secrets,
    call,
    addNode: async (name, files = {}) => {
      const number = nodes.length + 1;
      const node = await folderNode({
        instanceId: `i-${String(number).padStart(17, '0')}`,
        ...{ computerName: name, ipAddress: `10.0.0.${number}` },
      });
      nodes.push(node);
      for (const purpose of ['etcd', 'kubernetes'] as const) {
        const given = files[purpose];
        if (given === undefined) continue;
        const { caFile, caKeyFile, serverCaFile } = AUTHORITIES[purpose];
        await node.file(serverCaFile, given.serverCertificate ?? given.certificate);
        await node.file(caFile, given.certificate);
        await node.file(caKeyFile, given.key);
      }
      ssm.nodes.set(node.instanceId, node);
      return node;
    },
    setScript: (lines) => ssm.documents.set(DOCUMENT, withScript(lines)),
    credentials: (purpose, label = 'AWSCURRENT') => credentialsIn(secrets[purpose].value(label) ?? '{}'),
    issued: (purpose) => secrets[purpose].written.flatMap((text) => credentialsIn(text) ?? []),
    seen: () => [...output, ...errors, inspect([ssm.commands, calls], { depth: 10, maxStringLength: null })].join('\n'),
    rotate: async (purpose, steps = STEPS) => {
      const ClientRequestToken = crypto.randomUUID();
      secrets[purpose].announce(ClientRequestToken);
      for (const Step of steps) await call({ Step, SecretId: SECRET_ARNS[purpose], ClientRequestToken });
      return ClientRequestToken;
    },
    [Symbol.asyncDispose]: async () => {
      for (const spy of spies) spy.mockRestore();
      vi.unstubAllEnvs();
      await secretsManager[Symbol.asyncDispose]();
      await ssm[Symbol.asyncDispose]();
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    },
  };
}

/** @returns undefined for a text that says that there are none yet */
function credentialsIn(text: string): TlsMaterial | undefined {
  const value = JSON.parse(text);
  return 'key' in value ? value : undefined;
}

function withScript(lines: readonly string[] | undefined): DocumentContent {
  const content = signClientCertificateDocument();
  if (lines === undefined) return content;
  const [step] = content.mainSteps;
  return { ...content, mainSteps: [{ ...step, inputs: { ...step.inputs, runCommand: lines } }] };
}
