// What fills the database: how many keys each kind of Kubernetes object has, and how many bytes, measured over the
// whole range of each.
import { cut, type Stratum } from './strata.ts';
import type { MemberClient } from './types.ts';

export interface PrefixUsage {
  /**
   * `/registry/<group>/<plural>/` for custom resources, `/registry/<plural>/` for built-in ones; OUTSIDE_REGISTRY for
   * the rest.
   */
  readonly prefix: string;
  readonly keys: number;
  /** Of keys and values, live data only, without its history. */
  readonly bytes: number;
  /**
   * 0: every key was measured. Otherwise `bytes` is a sample's, from all over the range, and is off by more in one case
   * of twenty. Undefined: what was measured is from one end alone, so `bytes` is what that has, and nothing is said
   * about the rest.
   */
  readonly errorBytes: number | undefined;
  /** How many keys were measured, spread over all of them. */
  readonly measuredKeys: number;
}

export interface MeasureOptions {
  readonly limit: number;
  /** All of it takes no longer than this and one call. @default 20,000 */
  readonly withinMs?: number;
  /** So many bytes of values are transferred, and one page. @default 512 MiB */
  readonly withinBytes?: number;
}

export const OUTSIDE_REGISTRY = '(keys outside /registry/)';

const REGISTRY = '/registry/';
const MiB = 1024 * 1024;
const WITHIN_MS = 20_000;
const WITHIN_BYTES = 512 * MiB;
/** Of the time, what telling the kinds apart may take. */
const SHARE_FOR_FINDING = 0.3;
/** Of time and bytes, what is spent before the ranges that are not through by then are cut into parts. */
const SHARE_UNCUT = 0.6;
/** Of the time, what cutting may take, each time. */
const SHARE_FOR_CUTTING = 0.3;
/** For each page etcd counts the whole rest of a range: one with more keys than this is cut from the start. */
const MAX_UNCUT_KEYS = 20_000;
/** A real cluster has one to two hundred kinds; this ends the walk where the keys are not those of Kubernetes. */
const MAX_PREFIXES = 2_000;
/** A page is asked for by its number of keys, so that it comes to about so much. */
const PAGE_BYTES = 2 * MiB;
/** Of values of 1.5 MB, the largest that etcd takes by itself, still less than what a connection accepts at once. */
const MAX_PAGE_KEYS = 40;
const FIRST_PAGE_KEYS = 4;
/** Sampled at so many places a kind's mean is known to a few per cent. */
const MAX_PARTS = 64;
/** From fewer places than this nothing is concluded about a range. */
const MIN_PLACES = 4;
/** Standard errors either way that hold 95 of 100 times. */
const CONFIDENCE = 2;

type Reading = Pick<MemberClient, 'keyRange'>;

/**
 * The `limit` prefixes with the most bytes, the largest first. Reads every kind through, page by page and one page at a
 * time, of this member's own data: works under NOSPACE and without a quorum. Where that takes too long, what has been
 * read by then is spread over the whole range of each kind, and the error is told; nothing is concluded from one end of
 * a range.
 * @throws EtcdError
 */
export async function largestPrefixes(client: Reading, options: MeasureOptions): Promise<readonly PrefixUsage[]> {
  const { limit, withinMs = WITHIN_MS, withinBytes = WITHIN_BYTES } = options;
  const startedMs = performance.now();
  const elapsedMs = () => performance.now() - startedMs;
  const kinds: Kind[] = (await findPrefixes(client, () => elapsedMs() < SHARE_FOR_FINDING * withinMs)).map(
    ({ prefix, ranges }) => ({
      prefix,
      parts: ranges.map((range) => new Part(range)),
    }),
  );
  const cutAll = async (isMeant: (part: Part) => boolean) => {
    const untilMs = elapsedMs() + SHARE_FOR_CUTTING * withinMs;
    for (const kind of kinds) {
      const parts = await Promise.all(
        kind.parts.map(async (part) => (isMeant(part) ? part.cut(client, () => elapsedMs() < untilMs) : [part])),
      );
      kind.parts = spread(parts.flat());
    }
  };
  await cutAll(({ keys }) => keys > MAX_UNCUT_KEYS);
  let transferredBytes = 0;
  const mayRead = (share: number) =>
    elapsedMs() < share * withinMs && transferredBytes < share * withinBytes && kinds.some(isLeft);
  // In turns: a page of each kind, each time of another part of it. So whenever it has to end, no kind was left out for
  // another's sake.
  const read = async (share: number) => {
    for (let turn = 0; mayRead(share); turn++) {
      for (const { parts } of kinds) {
        const part = nextOf(parts, turn);
        if (part !== undefined && mayRead(share)) transferredBytes += await part.readPage(client);
      }
    }
  };
  await read(SHARE_UNCUT);
  if (kinds.some(isLeft)) {
    await cutAll(({ isDone, wasCut }) => !isDone && !wasCut);
    await read(1);
  }
  return kinds.map(usageOf).sort(largestFirst).slice(0, limit);
}

interface Kind {
  readonly prefix: string;
  parts: readonly Part[];
}

function isLeft({ parts }: Kind): boolean {
  return parts.some(({ isDone }) => !isDone);
}

/** A part of a kind's range, and what has been read of it from its beginning on. */
class Part {
  /** As it was counted first; of one that was read through or cut, as many as were read. */
  keys: number;
  readonly wasCut: boolean;
  readonly #to: string;
  #next: string | undefined;
  #pageKeys = FIRST_PAGE_KEYS;
  measuredKeys = 0;
  measuredBytes = 0;
  /** Of each page, the mean of its objects. */
  readonly pageMeans: number[] = [];

  constructor({ from, to, keys }: Stratum, wasCut = false) {
    this.keys = keys;
    this.wasCut = wasCut;
    this.#to = to;
    this.#next = from;
  }

  get isDone(): boolean {
    return this.#next === undefined;
  }

  /** @returns what was read, as a part that is through, and the rest in parts */
  async cut(client: Reading, mayGoOn: () => boolean): Promise<readonly Part[]> {
    if (this.#next === undefined) return [this];
    const rest = { from: this.#next, to: this.#to, keys: Math.max(1, this.keys - this.measuredKeys) };
    const parts = await cut(client, rest, MAX_PARTS, mayGoOn);
    this.#end();
    return [this, ...parts.map((part) => new Part(part, true))];
  }

  #end(): void {
    this.#next = undefined;
    this.keys = this.measuredKeys;
  }

  /** @returns how many bytes it had */
  async readPage(client: Reading): Promise<number> {
    if (this.#next === undefined) return 0;
    const request = { from: this.#next, to: this.#to, limit: this.#pageKeys, measureValues: true };
    const { keys, count } = await client.keyRange(request);
    const bytes = keys.reduce((sum, { key, valueBytes = 0 }) => sum + Buffer.byteLength(key) + valueBytes, 0);
    const last = keys.at(-1);
    if (last !== undefined) {
      this.measuredKeys += keys.length;
      this.measuredBytes += bytes;
      this.pageMeans.push(bytes / keys.length);
      this.#next = `${last.key}\0`;
      const fitting = Math.floor(PAGE_BYTES / (bytes / keys.length));
      // Never more than twice as many at once: the first objects may be the smallest.
      this.#pageKeys = Math.max(1, Math.min(fitting, 2 * this.#pageKeys, MAX_PAGE_KEYS));
    }
    // Other people write meanwhile: of what was read through, what was read counts.
    if (count <= keys.length) this.#end();
    return bytes;
  }
}

/** The part whose turn it is, of those that are not through. */
function nextOf(parts: readonly Part[], turn: number): Part | undefined {
  const left = parts.filter(({ isDone }) => !isDone);
  return left[turn % left.length];
}

/** In an order in which those that come first are from all over the range: by halves, quarters, eighths. */
function spread(parts: readonly Part[]): readonly Part[] {
  if (parts.length < 3) return parts;
  const even = parts.filter((_, index) => index % 2 === 0);
  const odd = parts.filter((_, index) => index % 2 === 1);
  return [...spread(even), ...spread(odd)];
}

function usageOf({ prefix, parts }: Kind): PrefixUsage {
  const sum = (of: (part: Part) => number) => parts.reduce((total, part) => total + of(part), 0);
  const measuredKeys = sum((part) => part.measuredKeys);
  const measuredBytes = sum((part) => part.measuredBytes);
  const keys = sum((part) => Math.max(part.keys, part.measuredKeys));
  if (parts.every(({ isDone }) => isDone)) return { prefix, keys, bytes: measuredBytes, errorBytes: 0, measuredKeys };
  const places = parts.filter((part) => part.wasCut && part.measuredKeys > 0).length;
  if (places < MIN_PLACES || parts.some(({ isDone, wasCut }) => !isDone && !wasCut)) {
    return { prefix, keys, bytes: measuredBytes, errorBytes: undefined, measuredKeys };
  }
  const mean = measuredBytes / measuredKeys;
  // What was not read of a part is taken to be as what was read of it; of one that was not begun, as all that was read.
  const bytes = sum((part) => {
    if (part.isDone) return part.measuredBytes;
    const own = part.measuredKeys > 0 ? part.measuredBytes / part.measuredKeys : mean;
    return part.measuredBytes + Math.max(0, part.keys - part.measuredKeys) * own;
  });
  const pages = parts.flatMap(({ pageMeans }) => pageMeans);
  const deviation = deviationOf(pages) / Math.sqrt(pages.length);
  const errorBytes = Math.ceil(CONFIDENCE * deviation * (keys - measuredKeys));
  return { prefix, keys, bytes: Math.round(bytes), errorBytes, measuredKeys };
}

function deviationOf(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

function largestFirst(a: PrefixUsage, b: PrefixUsage): number {
  return b.bytes - a.bytes || b.keys - a.keys;
}

interface FoundPrefix {
  readonly prefix: string;
  readonly ranges: readonly Stratum[];
}

/**
 * Walks from each prefix's first key to the first key behind it, letter by letter: etcd counts all keys of a range for
 * each answer, so a range should not reach over a million keys of another kind.
 */
async function findPrefixes(client: Reading, mayGoOn: () => boolean): Promise<readonly FoundPrefix[]> {
  const found: FoundPrefix[] = [];
  const letters = Array.from({ length: 26 }, (_, index) => `${REGISTRY}${String.fromCharCode(97 + index)}`);
  const ends = [...letters, `${REGISTRY}{`, endOf(REGISTRY)];
  let from = REGISTRY;
  for (const to of ends) {
    if (!mayGoOn()) {
      const behind = { from, to: endOf(REGISTRY) };
      const { count: keys } = await client.keyRange({ ...behind, limit: 1 });
      if (keys > 0)
        found.push({ prefix: `(kinds from ${from} on, not told apart in time)`, ranges: [{ ...behind, keys }] });
      break;
    }
    let rest = await client.keyRange({ from, to, limit: 1 });
    for (let first = rest.keys[0]; first && found.length < MAX_PREFIXES; first = rest.keys[0]) {
      const prefix = prefixOf(first.key);
      const end = endOf(prefix);
      const behind = await client.keyRange({ from: end, to, limit: 1 });
      // Other people write meanwhile, so a difference of counts can be off by a few.
      const keys = Math.max(1, rest.count - behind.count);
      found.push({ prefix, ranges: [{ from: prefix, to: end, keys }] });
      rest = behind;
    }
    from = to;
  }
  const outside = await Promise.all(
    [
      { from: '\0', to: REGISTRY },
      { from: endOf(REGISTRY), to: '\0' },
    ].map(async (range) => ({ ...range, keys: (await client.keyRange({ ...range, limit: 1 })).count })),
  );
  const ranges = outside.filter(({ keys }) => keys > 0);
  return ranges.length === 0 ? found : [...found, { prefix: OUTSIDE_REGISTRY, ranges }];
}

/**
 * A group has a dot in its name, a built-in kind has none: `/registry/aquasecurity.github.io/vulnerabilityreports/`,
 * `/registry/pods/`.
 */
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
