// One etcd member as kubeadm sets it up: its flags, certificates and folder, run by a kubelet.
import { join } from 'node:path';
import type { Authority, CredentialFiles } from './certificates.ts';
import type { EtcdBinaries } from './etcd-binaries.ts';
import { Kubelet } from './kubelet.ts';

/** What a member is started with, and, saved with the plane, started again with. */
export interface MemberSpec {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** Negative: no quota. */
  readonly quotaBytes: number;
}

export interface MemberSetting {
  readonly directory: string;
  readonly tls: boolean;
  readonly binaries: EtcdBinaries;
  /** `name=peerUrl,…` of all members. */
  readonly initialCluster: string;
  readonly joining: boolean;
  readonly flags: readonly string[];
  readonly kubeletSpeed: number;
}

/** kubeadm's. A lower one costs less replay after a restart. */
const SNAPSHOT_COUNT = 10_000;

export function clientUrl({ clientPort }: MemberSpec, tls: boolean): string {
  return `${tls ? 'https' : 'http'}://127.0.0.1:${clientPort}`;
}

export function peerUrl({ peerPort }: MemberSpec, tls: boolean): string {
  return `${tls ? 'https' : 'http'}://127.0.0.1:${peerPort}`;
}

/** A member's files in the plane's folder. */
export function memberFiles(directory: string, name: string) {
  const dataDir = join(directory, name);
  return { dataDir, dbFile: join(dataDir, 'member/snap/db'), logFile: join(directory, `${name}.log`) };
}

/** kubeadm's `server.crt` and `peer.crt` of a member. */
export async function issueMemberCertificates(authority: Authority, name: string): Promise<void> {
  await authority.issue({ name: `${name}-server` });
  await authority.issue({ name: `${name}-peer` });
}

/** A member of a plane on this machine; made stopped. */
export class PlaneMember {
  readonly name: string;
  /** Its client URL. */
  readonly endpoint: string;
  readonly peerUrl: string;
  readonly dataDir: string;
  readonly dbFile: string;
  /** One JSON document a line, as etcd logs. */
  readonly logFile: string;
  readonly quotaBytes: number;
  readonly isLearner: boolean;
  readonly kubelet: Kubelet;
  /** Hexadecimal, as etcdctl prints it; empty until the member has answered once. */
  id = '';

  constructor(spec: MemberSpec, setting: MemberSetting, diesWithParent: readonly string[]) {
    const { dataDir, dbFile, logFile } = memberFiles(setting.directory, spec.name);
    this.name = spec.name;
    this.endpoint = clientUrl(spec, setting.tls);
    this.peerUrl = peerUrl(spec, setting.tls);
    this.dataDir = dataDir;
    this.dbFile = dbFile;
    this.logFile = logFile;
    this.quotaBytes = spec.quotaBytes;
    this.isLearner = setting.joining;
    const [command = setting.binaries.etcd, ...args] = [
      ...diesWithParent,
      setting.binaries.etcd,
      ...memberFlags(spec, setting),
    ];
    this.kubelet = new Kubelet({ command, args, logFile }, setting.kubeletSpeed);
  }

  /** Undefined while it isn't running. */
  get pid(): number | undefined {
    return this.kubelet.pid;
  }
}

function memberFlags(spec: MemberSpec, setting: MemberSetting): string[] {
  const { directory, tls, binaries } = setting;
  const certificates = join(directory, 'pki');
  const client = clientUrl(spec, tls);
  const peer = peerUrl(spec, tls);
  return [
    `--name=${spec.name}`,
    `--data-dir=${memberFiles(directory, spec.name).dataDir}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=${setting.initialCluster}`,
    `--initial-cluster-state=${setting.joining ? 'existing' : 'new'}`,
    `--snapshot-count=${SNAPSHOT_COUNT}`,
    `--quota-backend-bytes=${spec.quotaBytes}`,
    '--logger=zap',
    '--log-outputs=stderr',
    // As kubeadm from 1.22 on, whose etcd is 3.5.
    ...(binaries.version.startsWith('3.5.') ? ['--experimental-initial-corrupt-check=true'] : []),
    ...(tls
      ? [
          `--cert-file=${join(certificates, `${spec.name}-server.crt`)}`,
          `--key-file=${join(certificates, `${spec.name}-server.key`)}`,
          `--trusted-ca-file=${join(certificates, 'ca.crt')}`,
          '--client-cert-auth=true',
          `--peer-cert-file=${join(certificates, `${spec.name}-peer.crt`)}`,
          `--peer-key-file=${join(certificates, `${spec.name}-peer.key`)}`,
          `--peer-trusted-ca-file=${join(certificates, 'ca.crt')}`,
          '--peer-client-cert-auth=true',
        ]
      : []),
    ...setting.flags,
  ];
}

/** The client certificate's files of a plane's folder. */
export function clientCredentials(directory: string): CredentialFiles {
  const folder = join(directory, 'pki');
  return { caFile: join(folder, 'ca.crt'), certFile: join(folder, 'client.crt'), keyFile: join(folder, 'client.key') };
}
