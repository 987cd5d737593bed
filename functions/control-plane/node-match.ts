// Which node a member is on, by addresses and by names: one function for disks, kubelets and whoever waits for a node's
// etcd.
import type { ObservedNode } from './observation.ts';
import { hostOf } from './observe.ts';

/** What is known of where a member is. */
export interface Whereabouts {
  /** kubeadm gives a member its node's name. */
  readonly name?: string | undefined;
  /** Where it answered, or its first client URL. */
  readonly endpoint?: string | undefined;
  readonly hosts: readonly string[];
}

/** One node, or why it is not known: none fits, or several do. */
export type NodeMatch =
  | { readonly node: ObservedNode; readonly problem?: undefined }
  | { readonly node?: undefined; readonly problem: string };

/**
 * The node that a member is on. An address that several nodes have (a bridge's, a replaced node's) tells of none of
 * them.
 */
export function nodeOf({ name, endpoint, hosts }: Whereabouts, nodes: readonly ObservedNode[]): NodeMatch {
  const answeredAt = endpoint === undefined ? undefined : hostOf(endpoint);
  // Where it answered may be an address that moves between the nodes: what it advertises goes before that.
  const advertised = hosts.filter((host) => host !== answeredAt);
  for (const places of [hosts, advertised, name ? [name] : []]) {
    const found = new Set(places.flatMap((place) => onlyNodeAt(place, nodes) ?? []));
    const [node] = found;
    if (node !== undefined && found.size === 1) return { node };
  }
  const compared = `${hosts.join(', ') || 'no address'} compared with ${nodes.map(describeNode).join('; ') || 'no nodes'}`;
  const several = hosts.flatMap((host) => nodesAt(host, nodes)).length > 0;
  return {
    problem: several
      ? `which of the nodes it is on cannot be told: ${compared}`
      : `its node is not among those with the tag: ${compared}`,
  };
}

/** @returns the node that has this address or name; undefined where none has it, or several */
export function onlyNodeAt(host: string, nodes: readonly ObservedNode[]): ObservedNode | undefined {
  const found = nodesAt(host, nodes);
  return found.length === 1 ? found[0] : undefined;
}

/** A node in a report's words, with all that it is known by. */
export function describeNode(node: ObservedNode): string {
  const addresses = addressesOf(node);
  return `${node.name} (${node.instanceId}${addresses.length > 0 ? `: ${addresses.join(', ')}` : ''})`;
}

/**
 * Systems Manager keeps a replaced node for weeks, and its successor may have its address: who is online goes before
 * who isn't.
 */
function nodesAt(host: string, nodes: readonly ObservedNode[]): readonly ObservedNode[] {
  const found = nodes.filter((node) => isAt(host, node));
  const online = found.filter((node) => node.online);
  return online.length > 0 ? online : found;
}

function isAt(host: string, node: ObservedNode): boolean {
  const place = plain(host);
  if (place === '') return false;
  const address = addressIn(place);
  if (address !== undefined) return addressesOf(node).includes(address);
  // Resource names of EC2: i-0123456789abcdef0.eu-central-1.compute.internal.
  if (firstLabel(place) === node.instanceId) return true;
  const name = plain(node.name);
  if (place === name) return true;
  // A short name is that of a long one; two long ones of different domains are two names.
  return (!place.includes('.') || !name.includes('.')) && firstLabel(place) === firstLabel(name);
}

/** All that are known, and the one in a name that EC2 gave: ip-10-0-0-11.ec2.internal. */
function addressesOf({ ipAddress, addresses = [], name }: ObservedNode): readonly string[] {
  const known = [ipAddress, ...addresses].map((address) => plain(address ?? ''));
  return [...new Set([...known, addressIn(plain(name)) ?? ''])].filter(Boolean);
}

/** The address that a host is, or that EC2 has written into its name. */
function addressIn(host: string): string | undefined {
  if (host.includes(':') || /^\d+(\.\d+){3}$/.test(host)) return host;
  return /^ip-(\d+-\d+-\d+-\d+)(\.|$)/.exec(host)?.[1]?.replaceAll('-', '.');
}

/** One spelling: lower case, no dot at the end, IPv6 as URLs have it. */
function plain(host: string): string {
  const text = host
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/^\[|\]$/g, '');
  return text.includes(':') ? hostOf(`http://[${text}]`) : text;
}

function firstLabel(name: string): string {
  return name.split('.')[0] ?? name;
}
