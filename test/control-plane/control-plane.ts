// A control plane on this machine: real etcd members as kubeadm sets them up, each under a kubelet.
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority } from './certificates.ts';
import { type EtcdBinaries, findEtcd } from './etcd-binaries.ts';
import { issueMemberCertificates, type MemberSpec, memberFiles } from './member.ts';
import { ControlPlane } from './plane.ts';
import { freePorts } from './ports.ts';
import { onProcessEnd } from './process-end.ts';
import { PortTakenError } from './readiness.ts';
import { readSavedPlane, savePlane } from './saved-plane.ts';

export interface ControlPlaneOptions {
  /** How many voters, named `cp-1`, `cp-2`, … @default 3 */
  readonly members?: number;
  /** Of etcd. @default what this machine has, see findEtcd */
  readonly version?: string;
  /** Mutual TLS for clients and peers; otherwise plain http. @default true */
  readonly tls?: boolean;
  /** Of each member; negative means none. @default 32 MiB */
  readonly quotaBytes?: number;
  /** Where a member's quota differs from the others': bytes by name. */
  readonly memberQuotaBytes?: Readonly<Record<string, number>>;
  /**
   * Is kept when the plane stops. One that a plane was in before starts again with its data: its members, ports, quotas and
   * certificates are as they were, and what is said here about them doesn't count.
   * @default a fresh temp folder, removed when the plane stops
   */
  readonly directory?: string;
  /** Further flags of each etcd, such as `--heartbeat-interval=500`. */
  readonly flags?: readonly string[];
  /** All of the kubelets' waiting times are divided by it. @default 1 */
  readonly kubeletSpeed?: number;
  /** Told what takes long, in one line each. */
  readonly onProgress?: (message: string) => void;
}

const MiB = 1024 * 1024;
/** Filled in about two seconds, and yet twenty times a large report. */
const DEFAULT_QUOTA_BYTES = 32 * MiB;
/** A port that was free a moment ago is hardly ever taken twice in a row. */
const ATTEMPTS = 5;

/**
 * Starts the members and waits until each answers a linearizable read.
 * @throws EtcdNotFoundError
 * @throws MemberStartError with the end of the member's log
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const { onProgress = () => {}, flags = [], kubeletSpeed = 1 } = options;
  const binaries = await findEtcd(options.version, { onProgress });
  const keep = options.directory !== undefined;
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'etcd-medic-')));
  await mkdir(directory, { recursive: true });
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const forget = keep ? () => {} : onProcessEnd(remove);
  try {
    const saved = keep ? await readSavedPlane(directory) : undefined;
    for (let attempt = 1; ; attempt++) {
      const layout = saved ?? (await prepare(directory, binaries, options));
      const setting = { directory, keep, binaries, tls: layout.tls, flags, kubeletSpeed };
      onProgress(`starting ${layout.members.length} members of etcd ${binaries.version}`);
      const plane = new ControlPlane(setting);
      try {
        await plane.start(layout.members);
        return plane;
      } catch (error) {
        await plane.stop({ keep: true });
        if (!(error instanceof PortTakenError) || saved || attempt === ATTEMPTS) throw error;
        for (const { name } of layout.members) {
          const { dataDir, logFile } = memberFiles(directory, name);
          await Promise.all([dataDir, logFile].map((path) => rm(path, { recursive: true, force: true })));
        }
      }
    }
  } catch (error) {
    if (!keep) remove();
    throw error;
  } finally {
    forget();
  }
}

/** Everything that a fresh plane's folder needs before its members start. */
async function prepare(directory: string, binaries: EtcdBinaries, options: ControlPlaneOptions) {
  const { members: count = 3, tls = true, quotaBytes = DEFAULT_QUOTA_BYTES, memberQuotaBytes = {} } = options;
  const ports = await freePorts(2 * count);
  const members: MemberSpec[] = [];
  for (let i = 0; i < count; i++) {
    const [clientPort, peerPort] = ports.slice(2 * i);
    if (clientPort === undefined || peerPort === undefined) throw new RangeError('fewer ports than asked for');
    const name = `cp-${i + 1}`;
    members.push({ name, clientPort, peerPort, quotaBytes: memberQuotaBytes[name] ?? quotaBytes });
  }
  if (tls) {
    const authority = await createAuthority(join(directory, 'pki'));
    await authority.issue({ name: 'client', usages: ['client'] });
    for (const { name } of members) await issueMemberCertificates(authority, name);
  }
  const layout = { version: binaries.version, tls, members };
  await savePlane(directory, layout);
  return layout;
}
