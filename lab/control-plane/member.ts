// One etcd member as kubeadm sets it up: its flags, certificates and folder, run by a kubelet.
import { join } from 'node:path';
import type { Authority, CredentialFiles } from './certificates.ts';
import type { EtcdBinaries } from './etcd-binaries.ts';
import { Kubelet } from './kubelet.ts';
import { type KubeadmGeneration, kubeadmProbes } from './probes.ts';

/** What a member is started with, and, saved with the plane, started again with. */
export interface MemberSpec {
  readonly name: string;
  /** What its etcd is called in the cluster. @default its name */
  readonly etcdName?: string | undefined;
  readonly clientPort: number;
  readonly peerPort: number;
  /** Negative: no quota. */
  readonly quotaBytes: number;
  /** Its node's IP address. @default '127.0.0.1' */
  readonly address?: string | undefined;
  /** Where it serves its metrics and its health without TLS. Left out: on the client port only. */
  readonly metricsPort?: number | undefined;
  /** Ports of 127.0.0.1 that it listens on itself. Left out: on the ones above, without a proxy before it. */
  readonly behindProxies?: { readonly clientPort: number; readonly peerPort: number } | undefined;
  /** @default a folder with its name, in the plane's */
  readonly dataDir?: string | undefined;
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
  /** Undefined: its kubelet doesn't probe it. */
  readonly probes: KubeadmGeneration | undefined;
}

/** kubeadm's. A lower one costs less replay after a restart. */
const SNAPSHOT_COUNT = 10_000;

/** Where a member without an address of its own is. */
export const LOOPBACK = '127.0.0.1';

function clientUrl({ address = LOOPBACK, clientPort }: MemberSpec, tls: boolean): string {
  return `${tls ? 'https' : 'http'}://${address}:${clientPort}`;
}

export function peerUrl({ address = LOOPBACK, peerPort }: MemberSpec, tls: boolean): string {
  return `${tls ? 'https' : 'http'}://${address}:${peerPort}`;
}

/** A member's files in the plane's folder. */
export function memberFiles(directory: string, { name, dataDir = join(directory, name) }: MemberSpec) {
  return { dataDir, dbFile: join(dataDir, 'member/snap/db'), logFile: join(directory, `${name}.log`) };
}

/** kubeadm's `server.crt` and `peer.crt` of a member. */
export async function issueMemberCertificates(authority: Authority, { name, address }: MemberSpec): Promise<void> {
  const addresses = address === undefined ? [] : [address];
  await authority.issue({ name: `${name}-server`, addresses });
  await authority.issue({ name: `${name}-peer`, addresses });
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
  /** Of its node. */
  readonly address: string;
  /** Without TLS; undefined where it serves its metrics on the client port only. */
  readonly metricsUrl: string | undefined;
  readonly kubelet: Kubelet;
  /** Hexadecimal, as etcdctl prints it; empty until the member has answered once. */
  id = '';
  readonly #spec: MemberSpec;
  readonly #setting: MemberSetting;
  readonly #diesWithParent: readonly string[];
  #flags: readonly string[];

  constructor(spec: MemberSpec, setting: MemberSetting, diesWithParent: readonly string[]) {
    this.#spec = spec;
    this.#setting = setting;
    this.#diesWithParent = diesWithParent;
    const { dataDir, dbFile, logFile } = memberFiles(setting.directory, spec);
    this.name = spec.name;
    this.endpoint = clientUrl(spec, setting.tls);
    this.peerUrl = peerUrl(spec, setting.tls);
    this.dataDir = dataDir;
    this.dbFile = dbFile;
    this.logFile = logFile;
    this.quotaBytes = spec.quotaBytes;
    this.isLearner = setting.joining;
    this.address = spec.address ?? LOOPBACK;
    this.metricsUrl = metricsUrl(spec);
    this.#flags = memberFlags(spec, setting);
    const { command, args } = this.#command(setting.binaries.etcd);
    const probes =
      setting.probes !== undefined && this.metricsUrl !== undefined
        ? { url: this.metricsUrl, probes: kubeadmProbes(setting.probes) }
        : undefined;
    this.kubelet = new Kubelet({ command, args, logFile, probes }, setting.kubeletSpeed);
  }

  /** What its etcd is started with. */
  get flags(): readonly string[] {
    return this.#flags;
  }

  /** From its next start on it is of another version, with the flags that this one takes. */
  replaceBinaries(binaries: EtcdBinaries): void {
    this.#flags = memberFlags(this.#spec, { ...this.#setting, binaries });
    const { command, args } = this.#command(binaries.etcd);
    this.kubelet.replaceCommand(command, args);
  }

  #command(etcd: string): { readonly command: string; readonly args: readonly string[] } {
    const [command = etcd, ...args] = [...this.#diesWithParent, etcd, ...this.#flags];
    return { command, args };
  }

  /** Undefined while it isn't running. */
  get pid(): number | undefined {
    return this.kubelet.pid;
  }
}

function memberFlags(spec: MemberSpec, setting: MemberSetting): string[] {
  const { directory, tls, binaries } = setting;
  const certificates = join(directory, 'pki');
  const listening = spec.behindProxies ? { ...spec, ...spec.behindProxies, address: LOOPBACK } : spec;
  const metrics = metricsUrl(spec);
  return [
    `--name=${spec.etcdName ?? spec.name}`,
    `--data-dir=${memberFiles(directory, spec).dataDir}`,
    `--listen-client-urls=${clientUrl(listening, tls)}`,
    `--advertise-client-urls=${clientUrl(spec, tls)}`,
    `--listen-peer-urls=${peerUrl(listening, tls)}`,
    `--initial-advertise-peer-urls=${peerUrl(spec, tls)}`,
    ...(metrics === undefined ? [] : [`--listen-metrics-urls=${metrics}`]),
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

function metricsUrl({ address = LOOPBACK, metricsPort }: MemberSpec): string | undefined {
  return metricsPort === undefined ? undefined : `http://${address}:${metricsPort}`;
}

/** The client certificate's files of a plane's folder. */
export function clientCredentials(directory: string): CredentialFiles {
  const folder = join(directory, 'pki');
  return { caFile: join(folder, 'ca.crt'), certFile: join(folder, 'client.crt'), keyFile: join(folder, 'client.key') };
}
