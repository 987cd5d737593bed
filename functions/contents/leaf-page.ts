// A leaf page as it goes by: where its elements are and, where they are revisions or buckets, what they are.
import { BUCKET_ELEMENT, BUCKET_HEADER, ELEMENT_HEADER, LEAF_PAGE, PAGE_HEADER } from './bolt.ts';
import { updateCrc } from './crc32c.ts';
import { KeyValue, REVISION_BYTES } from './key-value.ts';
import { LOOK_BYTES } from './managed-fields.ts';
import { OpenPage } from './open-page.ts';
import { Page, PageKind, type PageTable, Revision } from './page-table.ts';

/** Enough of an element for nearly all keys; a longer one is asked for. */
const FIRST_LOOK_BYTES = 512;
/** What etcd takes as a whole request by default, and more than any key of Kubernetes'. */
const LONGEST_LOOK_BYTES = 1.5 * 1024 * 1024;
/** The bucket with all that clients have written. */
export const KEY_BUCKET = 'key';

export interface PageAt {
  readonly page: number;
  /** Where it begins in the file. */
  readonly at: number;
  readonly count: number;
  readonly overflow: number;
  readonly pageSize: number;
}

/** One for all pages: each element is done with before the next. */
const keyValue = new KeyValue();

/** Is done, or goes on with the next element. */
const DONE = true;
const GO_ON = false;

export class LeafPage extends OpenPage {
  readonly #table: PageTable;
  readonly #page: PageAt;
  /** The page's headers: in the stream's own piece as long as that is there. */
  #headers: Buffer | undefined;
  #headersAt = 0;
  #kind: PageKind = PageKind.leaf;
  #element = -1;
  #nameBytes = 0;
  #valueBytes = 0;
  /** Of the element, in the file. */
  #at: number;
  #firstRecord = 0;
  #isTail = false;
  /** More of the element was asked for, to see who wrote it. */
  #isSample = false;
  #main = -1;
  #sub = -1;
  #isRead = false;
  /** Each element's hash, of all of its bytes: behind what is read of it. */
  #isHashing = false;
  #hashed = 0;
  #hashing = -1;
  #hashedElementEnd = 0;
  #register = 0;

  constructor(table: PageTable, page: PageAt) {
    super(page.at, PAGE_HEADER + page.count * ELEMENT_HEADER);
    this.#table = table;
    this.#page = page;
    this.#at = page.at + this.wantedBytes;
  }

  override advance(chunk: Buffer, start: number): boolean {
    this.#isRead ||= super.advance(chunk, start);
    if (this.#isHashing) this.#hash(chunk, start);
    const isDone = this.#isRead && !this.#isHashing;
    if (!isDone && this.#headers === chunk) {
      const end = this.#headersAt + PAGE_HEADER + this.#page.count * ELEMENT_HEADER;
      this.#headers = Buffer.from(chunk.subarray(this.#headersAt, end));
      this.#headersAt = 0;
    }
    return isDone;
  }

  /** Of elements that lie one behind the other, as far as the piece goes. */
  #hash(chunk: Buffer, start: number): void {
    const end = start + chunk.length;
    for (;;) {
      const to = Math.min(this.#hashedElementEnd, end);
      if (to > this.#hashed) this.#register = updateCrc(this.#register, chunk, this.#hashed - start, to - start);
      this.#hashed = to;
      if (to < this.#hashedElementEnd) return;
      if (this.#hashing >= 0) {
        this.#table.records.set(this.#firstRecord + this.#hashing, Revision.crc, this.#register);
      }
      this.#hashing++;
      if (this.#hashing === this.#page.count || this.#headers === undefined) break;
      const header = this.#headersAt + PAGE_HEADER + this.#hashing * ELEMENT_HEADER;
      this.#hashedElementEnd += this.#headers.readUInt32LE(header + 8) + this.#headers.readUInt32LE(header + 12);
      this.#register = 0;
    }
    this.#isHashing = false;
  }

  protected override take(bytes: Buffer, at: number): boolean {
    if (this.#headers === undefined) return this.#takeHeaders(bytes, at);
    if (this.#kind === PageKind.buckets) return this.#takeBucket(bytes, at);
    if (!this.#isTail) return this.#takeRevision(bytes, at);
    this.#isTail = false;
    return keyValue.isLease(bytes, at, this.wantedBytes) ? this.#next() : this.#noRevisions('has no lease behind it');
  }

  #takeHeaders(bytes: Buffer, at: number): boolean {
    this.#headers = bytes;
    this.#headersAt = at;
    const { page, count, overflow, pageSize } = this.#page;
    const layout = readLayout(bytes, at, count, (overflow + 1) * pageSize);
    if (typeof layout === 'string') return this.#broken(layout);
    this.#table.pages.set(page, Page.bytes, layout.bytes);
    const firstName = count === 0 ? 0 : bytes.readUInt32LE(at + PAGE_HEADER + 8);
    if (layout.hasBuckets) this.#kind = PageKind.buckets;
    else if (firstName === REVISION_BYTES || firstName === REVISION_BYTES + 1) this.#kind = PageKind.revisions;
    else return this.#finish();
    this.#firstRecord = this.#table.records.add(count);
    this.#isHashing = this.#table.hashes && this.#kind === PageKind.revisions;
    this.#hashed = this.#at;
    this.#hashedElementEnd = this.#at;
    return this.#next();
  }

  #next(): boolean {
    for (;;) {
      this.#at += this.#nameBytes + this.#valueBytes;
      this.#element++;
      if (this.#element === this.#page.count || this.#headers === undefined) return this.#finish();
      const header = this.#headersAt + PAGE_HEADER + this.#element * ELEMENT_HEADER;
      this.#nameBytes = this.#headers.readUInt32LE(header + 8);
      this.#valueBytes = this.#headers.readUInt32LE(header + 12);
      const whole = this.#nameBytes + this.#valueBytes;
      this.wantedAt = this.#at;
      if (this.#kind === PageKind.revisions) {
        this.wantedBytes = Math.min(whole, FIRST_LOOK_BYTES);
        return whole === 0 ? this.#noRevisions('is empty') : GO_ON;
      }
      if (this.#headers.readUInt32LE(header) === BUCKET_ELEMENT) {
        this.wantedBytes = whole;
        // Its content is in the value only where that takes a quarter of a page at most.
        if (this.#valueBytes >= BUCKET_HEADER && whole <= this.#page.pageSize) return GO_ON;
        return this.#broken(`element ${this.#element} is a bucket of ${whole} bytes`);
      }
      this.#table.setPlain(this.#firstRecord + this.#element, whole);
    }
  }

  #takeRevision(bytes: Buffer, at: number): boolean {
    const needed = keyValue.read(bytes, at, this.wantedBytes, this.#nameBytes, this.#valueBytes);
    const { problem, main, sub, tailBytes } = keyValue;
    if (needed > LONGEST_LOOK_BYTES) return this.#noRevisions(`has a key of ${needed} bytes or so`);
    if (needed > this.wantedBytes) {
      this.wantLonger(bytes, at, needed);
      return GO_ON;
    }
    if (problem !== undefined) return this.#noRevisions(problem);
    const whole = this.#nameBytes + this.#valueBytes;
    const row = this.#firstRecord + this.#element;
    if (!this.#isSample) {
      if (main < this.#main || (main === this.#main && sub <= this.#sub)) return this.#noRevisions('is out of order');
      if (this.#element === 0) setWide(this.#table, this.#page.page, Page.firstHigh, main);
      this.#main = main;
      this.#sub = sub;
      this.#isSample = this.#table.setRevision(row, bytes, keyValue, whole);
      const sampled = Math.min(keyValue.valueEnd, keyValue.valueStart + LOOK_BYTES) - at;
      if (this.#isSample && sampled > this.wantedBytes) {
        this.wantLonger(bytes, at, sampled);
        return GO_ON;
      }
    }
    if (this.#isSample) this.#table.sample(row, bytes, keyValue, at + this.wantedBytes);
    this.#isSample = false;
    if (tailBytes === 0) return this.#next();
    // What was taken may begin before what is there of the file now: it has to be asked here.
    if (this.wantedBytes >= whole) {
      const isLease = keyValue.isLease(bytes, at + whole - tailBytes, tailBytes);
      return isLease ? this.#next() : this.#noRevisions('has no lease behind it');
    }
    this.#isTail = true;
    this.wantedAt = this.#at + whole - tailBytes;
    this.wantedBytes = tailBytes;
    return GO_ON;
  }

  #takeBucket(bytes: Buffer, at: number): boolean {
    const name = bytes.toString('latin1', at, at + this.#nameBytes);
    const value = at + this.#nameBytes;
    const root = Number(bytes.readBigUInt64LE(value));
    const row = this.#firstRecord + this.#element;
    if (root !== 0) {
      this.#table.setBucket(row, { name, root, count: 0, bytes: 0 });
      return this.#next();
    }
    const start = value + BUCKET_HEADER;
    const room = this.#valueBytes - BUCKET_HEADER;
    const isPage = room >= PAGE_HEADER && bytes.readUInt16LE(start + 8) === LEAF_PAGE;
    const count = isPage ? bytes.readUInt16LE(start + 10) : 0;
    const layout = isPage ? readLayout(bytes, start, count, room) : 'there is no page in it';
    if (typeof layout === 'string' || layout.hasBuckets || layout.end !== room) {
      return this.#broken(`bucket ${name}: ${typeof layout === 'string' ? layout : 'another length than its value'}`);
    }
    this.#table.setBucket(row, { name, root, count, bytes: layout.bytes });
    if (name === KEY_BUCKET && !this.#takeInline(bytes, start, count)) return this.#broken('bucket key: no revisions');
    return this.#next();
  }

  /** What is in a database of few keys. */
  #takeInline(bytes: Buffer, start: number, count: number): boolean {
    const first = this.#table.records.add(count);
    this.#table.pages.set(this.#page.page, Page.firstHigh, first);
    let at = start + PAGE_HEADER + count * ELEMENT_HEADER;
    for (let index = 0; index < count; index++) {
      const header = start + PAGE_HEADER + index * ELEMENT_HEADER;
      const [nameBytes, valueBytes] = [bytes.readUInt32LE(header + 8), bytes.readUInt32LE(header + 12)];
      const whole = nameBytes + valueBytes;
      keyValue.read(bytes, at, whole, nameBytes, valueBytes);
      if (keyValue.problem !== undefined) return false;
      const isSample = this.#table.setRevision(first + index, bytes, keyValue, whole);
      if (isSample) this.#table.sample(first + index, bytes, keyValue, at + whole);
      if (this.#table.hashes) this.#table.records.set(first + index, Revision.crc, updateCrc(0, bytes, at, at + whole));
      this.#main = keyValue.main;
      at += whole;
    }
    setWide(this.#table, this.#page.page, Page.lastHigh, Math.max(0, this.#main));
    return true;
  }

  #finish(): boolean {
    const { page, count } = this.#page;
    const { pages } = this.#table;
    pages.set(page, Page.first, this.#firstRecord);
    if (this.#kind === PageKind.revisions) setWide(this.#table, page, Page.lastHigh, this.#main);
    this.#table.setKind(page, this.#kind, count);
    return DONE;
  }

  /** It may still be a page of another bucket, whose names are as long. */
  #noRevisions(problem: string): boolean {
    this.#isHashing = false;
    const { page, count } = this.#page;
    this.#table.records.takeBack(this.#firstRecord, count);
    this.#table.setKind(page, PageKind.leaf, count);
    this.#table.note(page, `revision ${this.#element} ${problem}`);
    return DONE;
  }

  #broken(problem: string): boolean {
    this.#isHashing = false;
    const { page, count } = this.#page;
    if (this.#kind !== PageKind.leaf) this.#table.records.takeBack(this.#firstRecord, count);
    this.#table.setBroken(page, problem);
    return DONE;
  }
}

interface Layout {
  /** Of all names and values. */
  readonly bytes: number;
  readonly end: number;
  readonly hasBuckets: boolean;
}

/**
 * Elements lie one behind the other, as bbolt writes them, so that a damaged header is found.
 * @param room for all of the page
 * @returns or what is wrong
 */
function readLayout(bytes: Buffer, at: number, count: number, room: number): Layout | string {
  const headers = PAGE_HEADER + count * ELEMENT_HEADER;
  if (headers > room) return `${count} elements in ${room} bytes`;
  let end = headers;
  let hasBuckets = false;
  for (let index = 0; index < count; index++) {
    const header = PAGE_HEADER + index * ELEMENT_HEADER;
    const flags = bytes.readUInt32LE(at + header);
    if (flags > BUCKET_ELEMENT) return `element ${index} has the flags ${flags}, expected 0 or 1`;
    if (header + bytes.readUInt32LE(at + header + 4) !== end) {
      return `element ${index} does not begin where the one before it ends`;
    }
    hasBuckets ||= flags === BUCKET_ELEMENT;
    end += bytes.readUInt32LE(at + header + 8) + bytes.readUInt32LE(at + header + 12);
  }
  return end > room ? `its elements end at ${end}, in ${room} bytes` : { bytes: end - headers, end, hasBuckets };
}

function setWide({ pages }: PageTable, page: number, column: number, value: number): void {
  pages.set(page, column, Math.floor(value / 0x1_0000_0000));
  pages.set(page, column + 1, value >>> 0);
}
