// Where a plane's members are: addresses, ports, folders and certificates, chosen once and saved with the plane.
import { join } from 'node:path';
import { createAuthority } from './certificates.ts';
import type { EtcdBinaries } from './etcd-binaries.ts';
import { issueMemberCertificates, type MemberSpec } from './member.ts';
import type { ControlPlaneOptions } from './options.ts';
import { freePorts } from './ports.ts';
import { type SavedPlane, savePlane } from './saved-plane.ts';

/** What a member's place has beside a client and a peer port. */
interface Placement {
  /** An IP address of its own, with the same ports as on the others'. */
  readonly addresses: boolean;
  readonly metrics: boolean;
  readonly proxies: boolean;
}

type Place = Pick<MemberSpec, 'clientPort' | 'peerPort' | 'address' | 'metricsPort' | 'behindProxies'>;

const MiB = 1024 * 1024;
/** Filled in about two seconds, and yet twenty times a large report. */
const DEFAULT_QUOTA_BYTES = 32 * MiB;
/** The first node's last number. */
const FIRST_HOST = 10;

/** Makes everything that a fresh plane's folder needs before its members start. */
export async function prepareLayout(
  directory: string,
  { version }: EtcdBinaries,
  options: ControlPlaneOptions,
): Promise<SavedPlane> {
  const { members: count = 3, tls = true, quotaBytes = DEFAULT_QUOTA_BYTES } = options;
  const { memberQuotaBytes = {}, dataDirectories = {}, etcdNames = [] } = options;
  const names = Array.from({ length: count }, (_, i) => `cp-${i + 1}`);
  for (const name of [...Object.keys(memberQuotaBytes), ...Object.keys(dataDirectories)]) {
    if (!names.includes(name)) throw new RangeError(`there is no member ${name}, there are ${names.join(', ')}`);
  }
  const places = await findPlaces(names.length, placementOf(options));
  const members: MemberSpec[] = names.map((name, i) => ({
    name,
    etcdName: etcdNames[i],
    quotaBytes: memberQuotaBytes[name] ?? quotaBytes,
    dataDir: dataDirectories[name],
    ...present(places[i]),
  }));
  if (tls) {
    const authority = await createAuthority(join(directory, 'pki'));
    await authority.issue({ name: 'client', usages: ['client'] });
    for (const member of members) await issueMemberCertificates(authority, member);
  }
  const layout = { version, tls, members };
  await savePlane(directory, layout);
  return layout;
}

/** A place for one more member of a plane, like those that the others have. */
export async function findPlaceBeside(members: readonly MemberSpec[]): Promise<Place> {
  const [first] = members;
  const placement = {
    addresses: first?.address !== undefined,
    metrics: first?.metricsPort !== undefined,
    proxies: first?.behindProxies !== undefined,
  };
  return present((await findPlaces(1, placement, members))[0]);
}

function placementOf({ addresses = false, nodes = false, probes, proxies = false }: ControlPlaneOptions): Placement {
  // kubeadm's etcd always has its metrics port; without nodes and probes nobody looks at it.
  return { addresses: addresses || nodes, metrics: nodes || probes !== undefined, proxies };
}

async function findPlaces(
  count: number,
  { addresses, metrics, proxies }: Placement,
  beside: readonly MemberSpec[] = [],
): Promise<Place[]> {
  const [first] = beside;
  const network = first?.address?.replace(/\.\d+$/, '') ?? anyNetwork();
  const shared = addresses ? (first ?? (await ports(metrics))) : undefined;
  const places: Place[] = [];
  for (let i = 0; i < count; i++) {
    const address = addresses ? `${network}.${FIRST_HOST + beside.length + i}` : undefined;
    const { clientPort, peerPort, metricsPort } = shared ?? (await ports(metrics));
    const behindProxies = proxies ? await ports(false) : undefined;
    places.push({ clientPort, peerPort, address, metricsPort, behindProxies });
  }
  return places;
}

/** Of the loopback's 127.0.0.0/8: all of it is this machine, and another plane is hardly ever in the same one. */
function anyNetwork(): string {
  const any = (from: number, below: number) => from + Math.floor(Math.random() * (below - from));
  return `127.${any(16, 224)}.${any(0, 256)}`;
}

async function ports(metrics: boolean) {
  const [clientPort, peerPort, metricsPort] = await freePorts(metrics ? 3 : 2);
  return { clientPort: present(clientPort), peerPort: present(peerPort), ...(metrics && { metricsPort }) };
}

function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new RangeError('fewer places than asked for');
  return value;
}
