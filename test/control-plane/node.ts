// A control-plane node on this machine: one member's folder tree, its kubelet's systemctl and crictl, and what Systems Manager knows of it.
import { createHash } from 'node:crypto';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { NodeFault, PingStatus, SsmNode } from '../aws/ssm-node.ts';
import { crictl } from './crictl.ts';
import type { PlaneMember } from './member.ts';
import { Shims } from './shims.ts';
import { DATA_DIR, etcdManifest, MANIFEST_FILE, PKI_FOLDER, type PodManifest } from './static-pod.ts';
import { systemctl } from './systemctl.ts';

/** What all nodes of a plane are tagged with. */
export const NODE_TAG = { key: 'etcd-medic/cluster', value: 'control-plane' } as const;

/** The plane's files that lie in a node's /etc/kubernetes/pki/etcd, by their name there. */
const certificates = (name: string): Readonly<Record<string, string>> => ({
  'ca.crt': 'ca.crt',
  'server.crt': `${name}-server.crt`,
  'server.key': `${name}-server.key`,
  'peer.crt': `${name}-peer.crt`,
  'peer.key': `${name}-peer.key`,
  'healthcheck-client.crt': 'client.crt',
  'healthcheck-client.key': 'client.key',
});

export class ControlPlaneNode implements SsmNode, AsyncDisposable {
  readonly instanceId: string;
  readonly ipAddress: string;
  readonly computerName: string;
  readonly tags: Readonly<Record<string, string>> = { Name: 'control-plane', [NODE_TAG.key]: NODE_TAG.value };
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly member: PlaneMember;
  /** The folder that is this node's `/`. */
  readonly root: string;
  pingStatus: PingStatus = 'Online';
  fault: NodeFault | undefined;
  readonly #shims: Shims;

  private constructor(member: PlaneMember, root: string, shims: Shims) {
    this.member = member;
    this.root = root;
    this.#shims = shims;
    // Two planes have different roots.
    this.instanceId = `i-0${createHash('sha256').update(root).digest('hex').slice(0, 16)}`;
    this.ipAddress = member.address;
    this.computerName = `${member.name}.control-plane.internal`;
    this.path = `${join(root, 'bin')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    this.environment = { ETCD_MEDIC_ROOT: root };
    this.workingDirectory = root;
  }

  /** Makes the node's folder tree, and its commands, which work until it is disposed of. @param root replaced where it exists */
  static async create(member: PlaneMember, root: string, manifest: PodManifest): Promise<ControlPlaneNode> {
    await rm(root, { recursive: true, force: true });
    await mkdir(join(root, PKI_FOLDER), { recursive: true });
    for (const [name, file] of Object.entries(certificates(member.name))) {
      await symlink(join(manifest.pkiFolder, file), join(root, PKI_FOLDER, name));
    }
    await writeInto(join(root, MANIFEST_FILE), etcdManifest(member, manifest));
    await mkdir(join(root, dirname(DATA_DIR)), { recursive: true });
    await symlink(member.dataDir, join(root, DATA_DIR));
    const shims = await Shims.start(join(root, 'bin'), {
      systemctl: (args) => systemctl(member.kubelet, args),
      crictl: (args) => crictl(member.kubelet, member.name, args),
    });
    return new ControlPlaneNode(member, root, shims);
  }

  get name(): string {
    return this.member.name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shims[Symbol.asyncDispose]();
  }
}

/** Owner only, as kubeadm's are. */
async function writeInto(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { mode: 0o600 });
}
