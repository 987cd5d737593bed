// What fills the database: how many keys each kind of Kubernetes object has, and about how many bytes.
import type { MemberClient } from './types.ts';

export interface PrefixUsage {
  /** `/registry/<group>/<plural>/` for custom resources, `/registry/<plural>/` for built-in ones; OUTSIDE_REGISTRY for the rest. */
  readonly prefix: string;
  readonly keys: number;
  /** Live data only, without its history: the mean size of the first few objects times their number. */
  readonly estimatedBytes: number;
}

export const OUTSIDE_REGISTRY = '(keys outside /registry/)';

const REGISTRY = '/registry/';
/** Enough to tell kilobytes from megabytes; at most 15 MB, since etcd's values are at most 1.5 MB. */
const SAMPLED_KEYS = 10;
/** A real cluster has one to two hundred kinds; this ends the walk where the keys are not those of Kubernetes. */
const MAX_PREFIXES = 2_000;
/** How many samples are asked for at a time, so that a member that is in trouble is not flooded. */
const SAMPLES_AT_ONCE = 4;

/**
 * The `limit` prefixes with the most bytes, the largest first. Two small reads per kind of object, of this member's own data: works
 * under NOSPACE and without a quorum.
 * @throws EtcdError
 */
export async function largestPrefixes(
  client: Pick<MemberClient, 'keyRange'>,
  { limit }: { readonly limit: number },
): Promise<readonly PrefixUsage[]> {
  const prefixes = await findPrefixes(client);
  const usages: PrefixUsage[] = [];
  for (let i = 0; i < prefixes.length; i += SAMPLES_AT_ONCE) {
    const some = prefixes.slice(i, i + SAMPLES_AT_ONCE);
    usages.push(...(await Promise.all(some.map((found) => measure(client, found)))));
  }
  const outside = await countOutside(client);
  if (outside.keys > 0) usages.push(outside);
  return usages.sort((a, b) => b.estimatedBytes - a.estimatedBytes || b.keys - a.keys).slice(0, limit);
}

interface FoundPrefix {
  readonly prefix: string;
  readonly keys: number;
}

/** Walks from each prefix's first key to the first key behind it. What a range still counts says how many keys were passed. */
async function findPrefixes(client: Pick<MemberClient, 'keyRange'>): Promise<readonly FoundPrefix[]> {
  const found: FoundPrefix[] = [];
  const to = endOf(REGISTRY);
  let rest = await client.keyRange({ from: REGISTRY, to, limit: 1 });
  for (let first = rest.keys[0]; first && found.length < MAX_PREFIXES; first = rest.keys[0]) {
    const prefix = prefixOf(first.key);
    const behind = await client.keyRange({ from: endOf(prefix), to, limit: 1 });
    // Other people write meanwhile, so a difference of counts can be off by a few.
    found.push({ prefix, keys: Math.max(1, rest.count - behind.count) });
    rest = behind;
  }
  return found;
}

async function measure(client: Pick<MemberClient, 'keyRange'>, { prefix, keys }: FoundPrefix): Promise<PrefixUsage> {
  const sample = await client.keyRange({ from: prefix, to: endOf(prefix), limit: SAMPLED_KEYS, measureValues: true });
  return { prefix, keys, estimatedBytes: estimate(sample.keys, keys) };
}

async function countOutside(client: Pick<MemberClient, 'keyRange'>): Promise<PrefixUsage> {
  const [before, after] = await Promise.all([
    client.keyRange({ from: '\0', to: REGISTRY, limit: SAMPLED_KEYS, measureValues: true }),
    client.keyRange({ from: endOf(REGISTRY), to: '\0', limit: SAMPLED_KEYS, measureValues: true }),
  ]);
  return {
    prefix: OUTSIDE_REGISTRY,
    keys: before.count + after.count,
    estimatedBytes: estimate(before.keys, before.count) + estimate(after.keys, after.count),
  };
}

function estimate(
  sample: readonly { readonly key: string; readonly valueBytes: number | undefined }[],
  keys: number,
): number {
  if (sample.length === 0) return 0;
  const bytes = sample.reduce((sum, { key, valueBytes = 0 }) => sum + key.length + valueBytes, 0);
  return Math.round((bytes / sample.length) * keys);
}

/** A group has a dot in its name, a built-in kind has none: `/registry/aquasecurity.github.io/vulnerabilityreports/`, `/registry/pods/`. */
export function prefixOf(key: string): string {
  const parts = key.slice(REGISTRY.length).split('/');
  const [first = '', second] = parts;
  if (second === undefined) return key;
  const isGroup = first.includes('.') && parts.length > 2;
  return isGroup ? `${REGISTRY}${first}/${second}/` : `${REGISTRY}${first}/`;
}

/** The first key behind all that `prefix` stands for: those under it, or only itself where it is no folder. */
function endOf(prefix: string): string {
  if (!prefix.endsWith('/')) return `${prefix}\0`;
  return `${prefix.slice(0, -1)}0`; // '0' comes directly after '/'
}
