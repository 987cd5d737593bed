// What is known of a file's pages while the stream goes by: compact, since which of them are of any use is only known
// at the end.
import { ContentsError } from './bolt.ts';
import { asNumber, hash, hashOf } from './hash.ts';
import type { KeyValue } from './key-value.ts';
import { LOOK_BYTES } from './managed-fields.ts';
import { nameStart, resourceOf } from './resources.ts';
import { Rows } from './rows.ts';
import { Samples, Wanted } from './samples.ts';

/** With one of 4 KiB each, 64 GiB. */
export const MOST_PAGES = 16 * 1024 * 1024;
/** 224 MiB of memory. */
export const MOST_REVISIONS = 8 * 1024 * 1024;
const MOST_BEGINNINGS = 100_000;
/** Of each of the largest objects; more than are ever shown, since nobody knows yet which of them are still there. */
const MOST_NAMES = 4096;
/** A power of two. */
const RECENT = 16_384;
const MOST_PROBLEMS = 1000;

/** What a page is by its own word, if it has one. */
export const PageKind = { none: 0, broken: 1, freelist: 2, branch: 3, leaf: 4, revisions: 5, buckets: 6 } as const;
export type PageKind = (typeof PageKind)[keyof typeof PageKind];

/** A column a fact, by page. */
export const Page = {
  /** The kind, and the count of elements above it. */
  kindAndCount: 0,
  overflow: 1,
  /** Of the first of its records, or children. */
  first: 2,
  /** Of its elements' names and values. */
  bytes: 3,
  /** Revisions: the first one. Buckets: where the records of the bucket `key` are, if its content is in here. */
  firstHigh: 4,
  firstLow: 5,
  lastHigh: 6,
  lastLow: 7,
} as const;

/**
 * A revision of a key, in the order of the pages. `crc`: the register behind its name and value, from 0 on; `main`: the
 * lower half of its main revision.
 */
export const Revision = { low: 0, high: 1, bytes: 2, about: 3, version: 4, crc: 5, main: 6 } as const;
/** Of `about`: all below is the number of its key's beginning. */
export const TOMBSTONE_BIT = 0x8000_0000;
export const LEASE_BIT = 0x4000_0000;
export const NEW_BIT = 0x2000_0000;
/** Who wrote it was looked into. */
export const SAMPLE_BIT = 0x1000_0000;
export const BEGINNING_BITS = 0x0fff_ffff;
const LARGEST_NUMBER = 0xffff_ffff;

/** A bucket in its parent's page: its name's number, its root page and, where that is 0, what is in its value. */
export const Bucket = { name: 0, root: 1, count: 2, bytes: 3 } as const;
const NO_BUCKET = 0xffff_ffff;

export interface BucketRecord {
  readonly name: string;
  readonly root: number;
  readonly count: number;
  readonly bytes: number;
}

export interface PageTableOptions {
  /** What kube-apiserver's keys begin with, with its slash. */
  readonly root: string;
  readonly mostRevisions: number;
  /** Keys that came into being after this revision are told apart. */
  readonly since: number;
  /** Whether each revision's CRC is made. */
  readonly hashes: boolean;
}

export class PageTable {
  readonly root: Buffer;
  readonly hashes: boolean;
  readonly pages = new Rows(8, 'pages', MOST_PAGES);
  /** Of revisions and of buckets. */
  readonly records: Rows;
  readonly children = new Rows(1, 'pages', MOST_PAGES);
  /** What keys begin with, up to where their names begin. The first one stands for any other, too. */
  readonly beginnings = [''];
  readonly samples = new Samples();
  readonly problems = new Map<number, string>();
  /** By the number of a beginning. */
  readonly #kinds = [-1];
  readonly #beginnings = new Map<number, number>();
  readonly #bucketNames: string[] = [];
  /** By their hash. */
  readonly #names = new Map<number, { readonly key: string; readonly bytes: number }>();
  #namedFrom = 0;
  readonly #root: string;
  readonly #since: number;
  /** Hashes' upper halves and sizes, by the lower ones: which names were kept last. */
  readonly #recent = new Uint32Array(2 * RECENT);

  constructor({ root, mostRevisions, since, hashes }: PageTableOptions) {
    this.hashes = hashes;
    this.root = Buffer.from(root);
    this.#root = root;
    this.#since = since;
    this.records = new Rows(7, 'revisions', mostRevisions);
  }

  kind(page: number): number {
    return this.pages.get(page, Page.kindAndCount) & 0xffff;
  }

  count(page: number): number {
    return this.pages.get(page, Page.kindAndCount) >>> 16;
  }

  setKind(page: number, kind: PageKind, count: number): void {
    this.pages.set(page, Page.kindAndCount, count * 0x10000 + kind);
  }

  /** What is wrong matters only where the page turns out to be in use. */
  setBroken(page: number, problem: string): void {
    this.setKind(page, PageKind.broken, 0);
    this.note(page, problem);
  }

  note(page: number, problem: string): void {
    if (this.problems.size < MOST_PROBLEMS) this.problems.set(page, problem);
  }

  /** @returns whether it is wanted as a sample of its kind's writes */
  setRevision(
    row: number,
    bytes: Buffer,
    { main, keyStart, keyEnd, tombstone, tailBytes, createRevision, version }: KeyValue,
    elementBytes: number,
  ): boolean {
    const flags =
      (tombstone ? TOMBSTONE_BIT : 0) | (tailBytes > 0 ? LEASE_BIT : 0) | (createRevision > this.#since ? NEW_BIT : 0);
    const beginning = this.#beginningOf(bytes, keyStart, keyEnd);
    hashOf(bytes, keyStart, keyEnd);
    const { low, high } = hash;
    const about = (flags | beginning) >>> 0;
    this.records.setAll(row, low, high, elementBytes, about, Math.min(version, LARGEST_NUMBER));
    this.records.set(row, Revision.main, main >>> 0);
    if (elementBytes >= this.#namedFrom) this.#keepLarge(low, high, bytes, keyStart, keyEnd, elementBytes);
    if (tombstone) return false;
    const kind = this.#kinds[beginning] ?? -1;
    const wanted = this.samples.wants(kind, main);
    if (wanted === Wanted.known) {
      this.records.set(row, Revision.about, (about | SAMPLE_BIT) >>> 0);
      this.samples.again(kind, main, row);
    }
    return wanted === Wanted.yes;
  }

  /**
   * One that setRevision has asked for.
   * @param end of what is there of it in `bytes`, `sampleBytes` long where its value is
   */
  sample(row: number, bytes: Buffer, { main, valueStart, valueEnd }: KeyValue, end: number): void {
    const about = this.records.get(row, Revision.about);
    this.records.set(row, Revision.about, (about | SAMPLE_BIT) >>> 0);
    const kind = this.#kinds[about & BEGINNING_BITS] ?? -1;
    this.samples.take(kind, main, row, bytes, valueStart, Math.min(valueEnd, valueStart + LOOK_BYTES, end));
  }

  setBucket(row: number, { name, root, count, bytes }: BucketRecord): void {
    let number = this.#bucketNames.indexOf(name);
    if (number < 0) number = this.#bucketNames.push(name) - 1;
    if (number > MOST_PROBLEMS)
      throw new ContentsError('found buckets of more than 1000 names, expected those of etcd');
    this.records.setAll(row, number, root, count, bytes);
  }

  /** What stands beside buckets and is none. */
  setPlain(row: number, bytes: number): void {
    this.records.set(row, Bucket.name, NO_BUCKET);
    this.records.set(row, Bucket.bytes, bytes);
  }

  /** Undefined where it is none. */
  bucketName(row: number): string | undefined {
    return this.#bucketNames[this.records.get(row, Bucket.name)];
  }

  /** The key of a revision; undefined where it was not among the largest. */
  keyOf(record: number): string | undefined {
    return this.#names.get(asNumber(this.records.get(record, Revision.low), this.records.get(record, Revision.high)))
      ?.key;
  }

  #beginningOf(bytes: Buffer, start: number, end: number): number {
    const name = nameStart(bytes, start, end, this.root);
    hashOf(bytes, start, name);
    const beginningHash = asNumber(hash.low, hash.high);
    const known = this.#beginnings.get(beginningHash);
    if (known !== undefined) return known;
    // No cluster has so many namespaces, but somebody else's keys may have.
    if (name === start || this.beginnings.length >= MOST_BEGINNINGS) return 0;
    const number = this.beginnings.push(bytes.toString('utf8', start, name)) - 1;
    this.#beginnings.set(beginningHash, number);
    this.#kinds[number] = this.samples.kind(resourceOf(this.beginnings[number] ?? '', this.#root).prefix);
    return number;
  }

  #keepLarge(low: number, high: number, bytes: Buffer, start: number, end: number, elementBytes: number): void {
    // Nearly always one that was kept before: a large object's history is long.
    const place = (low & (RECENT - 1)) * 2;
    if (this.#recent[place] === high && (this.#recent[place + 1] ?? 0) >= elementBytes) return;
    this.#recent[place] = high;
    this.#recent[place + 1] = elementBytes;
    this.#keepName(asNumber(low, high), bytes, start, end, elementBytes);
  }

  #keepName(keyHash: number, bytes: Buffer, start: number, end: number, elementBytes: number): void {
    const known = this.#names.get(keyHash);
    if (known !== undefined && known.bytes >= elementBytes) return;
    this.#names.set(keyHash, { key: known?.key ?? bytes.toString('utf8', start, end), bytes: elementBytes });
    if (this.#names.size <= 2 * MOST_NAMES) return;
    const largest = [...this.#names].sort(([, a], [, b]) => b.bytes - a.bytes).slice(0, MOST_NAMES);
    this.#names.clear();
    for (const [each, name] of largest) this.#names.set(each, name);
    this.#namedFrom = largest.at(-1)?.[1].bytes ?? 0;
    this.#recent.fill(0);
  }
}
