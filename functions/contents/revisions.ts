// What the revisions of all keys add up to: the last one of a key is live unless it says that the key was deleted, all
// others are history.

import { shiftCrc, updateCrc } from './crc32c.ts';
import { KEY_BUCKET } from './leaf-page.ts';
import {
  BEGINNING_BITS,
  LEASE_BIT,
  MOST_PAGES,
  NEW_BIT,
  type PageTable,
  Revision,
  SAMPLE_BIT,
  TOMBSTONE_BIT,
} from './page-table.ts';
import { type Resource, resourceOf } from './resources.ts';
import { Rows } from './rows.ts';
import { bytesOf, type Contents, type KindContents, type LargeObject, type Tally } from './types.ts';

const LARGEST_SHOWN = 10;
const FIRST_CAPACITY = 1 << 12;
const WIDE = 0x1_0000_0000;
/** A CRC's register before its first byte; and what it is inverted by behind the last. */
const NOT_BEGUN = 0xffff_ffff;
/** The bucket's, which etcd's hash begins with. */
const KEY_NAME = Buffer.from(KEY_BUCKET);

type Counted = { -readonly [Field in keyof Tally]: Tally[Field] };

export class Revisions {
  readonly #table: PageTable;
  /** In their order: the first row, how many, and the upper half of the first one's main revision. */
  readonly #runs = new Rows(3, 'pages', MOST_PAGES);
  /** By the number of its keys' beginning; of those that were deleted or replaced, all revisions. */
  readonly #tallies: Counted[] = [];
  /** One more than the row of each key's last revision, at the place that the key's hash has; 0 where there is none. */
  #lastOf = new Uint32Array(FIRST_CAPACITY);
  #keys = 0;
  /** Of names and values. */
  bytes = 0;
  /** The newest revision so far. */
  last = 0;

  constructor(table: PageTable) {
    this.#table = table;
  }

  /**
   * Rows of a page, in the order of revisions, none older than those before.
   * @param from the main revision of the first one
   * @param last that of the last one
   */
  add(first: number, count: number, from: number, last: number): void {
    const run = this.#runs.add(1);
    this.#runs.set(run, 0, first);
    this.#runs.set(run, 1, count);
    this.#runs.set(run, 2, Math.floor(from / WIDE));
    for (let row = first; row < first + count; row++) {
      const bytes = this.#table.records.get(row, Revision.bytes);
      const about = this.#table.records.get(row, Revision.about);
      this.bytes += bytes;
      if ((about & SAMPLE_BIT) !== 0) this.#table.samples.use(row);
      const tally = this.#tallyOf(about & BEGINNING_BITS);
      if ((about & TOMBSTONE_BIT) !== 0) {
        tally.tombstones++;
        tally.tombstoneBytes += bytes;
      } else {
        tally.revisions++;
        tally.historyBytes += bytes;
      }
      this.#replace(row);
    }
    this.last = last;
  }

  sum(root: string): Pick<Contents, 'revision' | 'total' | 'kinds' | 'largest'> {
    const largest: { readonly row: number; readonly bytes: number }[] = [];
    for (const entry of this.#lastOf) {
      if (entry === 0) continue;
      const row = entry - 1;
      const about = this.#table.records.get(row, Revision.about);
      if ((about & TOMBSTONE_BIT) !== 0) continue;
      const bytes = this.#table.records.get(row, Revision.bytes);
      const tally = this.#tallyOf(about & BEGINNING_BITS);
      tally.keys++;
      tally.liveBytes += bytes;
      tally.revisions--;
      tally.historyBytes -= bytes;
      const version = this.#table.records.get(row, Revision.version);
      tally.versions += version;
      if ((about & NEW_BIT) !== 0) tally.newVersions += version;
      if ((about & LEASE_BIT) !== 0) tally.leased++;
      if (largest.length === LARGEST_SHOWN && bytes < (largest.at(-1)?.bytes ?? 0)) continue;
      largest.push({ row, bytes });
      // In the file's order where they are equal: places differ from process to process.
      largest.sort((a, b) => b.bytes - a.bytes || a.row - b.row);
      largest.length = Math.min(largest.length, LARGEST_SHOWN);
    }
    const { kinds, total } = this.#byKind(root);
    return { revision: String(this.last), total, kinds, largest: largest.map((each) => this.#describe(each, root)) };
  }

  /**
   * What etcd's HashKV says of these at the newest of their revisions (server/storage/mvcc/hash.go and key_index.go,
   * which come to the same from 3.4 to 3.7): all that is newer than the compaction and, of what is older, each key's
   * last revision at that moment unless the key was deleted by it.
   * @param compacted what the member is compacted to, that revision or a later one than the file was; -1 where never
   * @returns hexadecimal; undefined where etcd's own depends on how far it has come with a compaction
   */
  hash(compacted: number): string | undefined {
    let register = updateCrc(NOT_BEGUN, KEY_NAME, 0, KEY_NAME.length);
    let isOldLeftOut = false;
    for (let run = 0; run < this.#runs.length; run++) {
      const first = this.#runs.get(run, 0);
      let upper = this.#runs.get(run, 2);
      let before = 0;
      for (let row = first; row < first + this.#runs.get(run, 1); row++) {
        const lower = this.#table.records.get(row, Revision.main);
        if (lower < before) upper++;
        before = lower;
        if (upper * WIDE + lower <= compacted && !this.#isLive(row)) {
          isOldLeftOut = true;
          continue;
        }
        const bytes = this.#table.records.get(row, Revision.bytes);
        register = (shiftCrc(register, bytes) ^ this.#table.records.get(row, Revision.crc)) >>> 0;
      }
    }
    // Where no key is left at all, etcd leaves out nothing of what is there.
    if (isOldLeftOut && !this.#hasLive()) return undefined;
    return ((register ^ NOT_BEGUN) >>> 0).toString(16).padStart(8, '0');
  }

  #isLive(row: number): boolean {
    if ((this.#table.records.get(row, Revision.about) & TOMBSTONE_BIT) !== 0) return false;
    return this.#lastOf[this.#placeOf(row)] === row + 1;
  }

  #hasLive(): boolean {
    return this.#lastOf.some((entry) => entry !== 0 && this.#isLive(entry - 1));
  }

  #describe({ row, bytes }: { readonly row: number; readonly bytes: number }, root: string): LargeObject {
    const { resource, namespace } = this.#resourceOf(
      this.#table.records.get(row, Revision.about) & BEGINNING_BITS,
      root,
    );
    return { key: this.#table.keyOf(row), resource, namespace, bytes };
  }

  #byKind(root: string): { total: Tally; kinds: KindContents[] } {
    const total = nothing();
    const kinds = new Map<string, Resource & { tally: Counted; namespaces: Map<string, Counted> }>();
    for (const [beginning, tally] of this.#tallies.entries()) {
      // Of those that only stand in free pages there is none.
      if (tally === undefined) continue;
      const resource = this.#resourceOf(beginning, root);
      const kind = kinds.get(resource.prefix) ?? { ...resource, tally: nothing(), namespaces: new Map() };
      kinds.set(resource.prefix, kind);
      addTo(total, tally);
      addTo(kind.tally, tally);
      if (resource.namespace !== undefined) {
        const namespace = kind.namespaces.get(resource.namespace) ?? nothing();
        addTo(namespace, tally);
        kind.namespaces.set(resource.namespace, namespace);
      }
    }
    const found = [...kinds.values()].map(({ prefix, resource, tally, namespaces }) => {
      const writers = this.#table.samples.writersOf(prefix);
      return {
        prefix,
        resource,
        ...tally,
        namespaces: [...namespaces]
          .map(([namespace, each]) => ({ namespace, ...each }))
          .sort((a, b) => bytesOf(b) - bytesOf(a) || (a.namespace < b.namespace ? -1 : 1)),
        ...(writers && { writers }),
      };
    });
    return { total, kinds: found.sort((a, b) => bytesOf(b) - bytesOf(a) || (a.prefix < b.prefix ? -1 : 1)) };
  }

  #resourceOf(beginning: number, root: string): Resource {
    return resourceOf(this.#table.beginnings[beginning] ?? '', root);
  }

  #tallyOf(beginning: number): Counted {
    this.#tallies[beginning] ??= nothing();
    return this.#tallies[beginning];
  }

  /** This is its key's last revision now. */
  #replace(row: number): void {
    const place = this.#placeOf(row);
    if (this.#lastOf[place] === 0) this.#keys++;
    this.#lastOf[place] = row + 1;
    if (this.#keys * 2 > this.#lastOf.length) this.#grow();
  }

  #placeOf(row: number): number {
    const { records } = this.#table;
    const mask = this.#lastOf.length - 1;
    const [low, high] = [records.get(row, Revision.low), records.get(row, Revision.high)];
    for (let place = low & mask; ; place = (place + 1) & mask) {
      const there = this.#lastOf[place] ?? 0;
      if (there === 0) return place;
      if (records.get(there - 1, Revision.low) === low && records.get(there - 1, Revision.high) === high) return place;
    }
  }

  #grow(): void {
    const before = this.#lastOf;
    this.#lastOf = new Uint32Array(before.length * 2);
    for (const entry of before) if (entry !== 0) this.#lastOf[this.#placeOf(entry - 1)] = entry;
  }
}

function nothing(): Counted {
  return {
    keys: 0,
    liveBytes: 0,
    leased: 0,
    versions: 0,
    newVersions: 0,
    revisions: 0,
    historyBytes: 0,
    tombstones: 0,
    tombstoneBytes: 0,
  };
}

function addTo(sum: Counted, tally: Tally): void {
  sum.keys += tally.keys;
  sum.liveBytes += tally.liveBytes;
  sum.leased += tally.leased;
  sum.versions += tally.versions;
  sum.newVersions += tally.newVersions;
  sum.revisions += tally.revisions;
  sum.historyBytes += tally.historyBytes;
  sum.tombstones += tally.tombstones;
  sum.tombstoneBytes += tally.tombstoneBytes;
}
