// A control-plane node on this machine: one member's folder tree, its kubelet's systemctl and crictl, and what Systems
// Manager knows of it.
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

/** Of docker0, on every node that has it. */
export const BRIDGE_ADDRESS = '172.17.0.1';

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
  /** A test may have Systems Manager know another one. */
  ipAddress: string;
  agentVersion: string | undefined;
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

  /**
   * Makes the node's folder tree, and its commands, which work until it is disposed of.
   * @param root replaced where it exists
   */
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
      ip: () => ({ exitCode: 0, stdout: addressTable(member.address) }),
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

/** `ip -o addr show` of a node with a container runtime's bridge, which has the same address on all of them. */
function addressTable(address: string): string {
  return [
    '1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever',
    `2: docker0    inet ${BRIDGE_ADDRESS}/16 brd 172.17.255.255 scope global docker0\\       valid_lft forever preferred_lft forever`,
    `3: eth0    inet ${address}/24 brd 10.0.0.255 scope global dynamic eth0\\       valid_lft 3079sec preferred_lft 3079sec`,
    '3: eth0    inet6 fe80::8ff:feff:fe00:1/64 scope link \\       valid_lft forever preferred_lft forever',
  ].join('\n');
}

/** Owner only, as kubeadm's are. */
async function writeInto(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { mode: 0o600 });
}
