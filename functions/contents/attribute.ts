// The walk from the newest meta page over all that is in use, once the whole file has gone by: each byte goes to one
// thing, and the sum is the file.
import { BUCKET_HEADER, ContentsError, ELEMENT_HEADER, type Meta, PAGE_HEADER } from './bolt.ts';
import { KEY_BUCKET } from './leaf-page.ts';
import type { PageReader } from './page-reader.ts';
import { Bucket, Page, PageKind, type PageTable } from './page-table.ts';
import { Revisions } from './revisions.ts';
import type { BucketContents, Contents, Rest } from './types.ts';

const META_PAGES = 2;
const TRAILER_BYTES = 32;
/** Of buckets within buckets; bbolt allows it, etcd has none. */
const DEEPEST = 8;

export interface Attributed {
  readonly contents: Contents;
  readonly revisions: Revisions;
}

/** @throws ContentsError naming the page that stands in the way */
export function attribute({ table, metas, bytes }: PageReader, root: string): Attributed {
  const meta = metas.toSorted((a, b) => b.transaction - a.transaction)[0];
  if (meta === undefined) throw new ContentsError('found no valid meta page, expected a bbolt database');
  const walk = new Walk(table, meta, bytes);
  walk.bucket([], meta.root);
  walk.freelist();
  const { pageSize } = meta;
  const rest = walk.rest();
  const buckets = walk.buckets.filter(({ name }) => name !== KEY_BUCKET);
  const revisions = walk.revisions.sum(root);
  const sum =
    walk.revisions.bytes + [...buckets.map((each) => each.bytes), ...Object.values(rest)].reduce((a, b) => a + b, 0);
  if (sum !== bytes) throw new ContentsError(`found what ${sum} bytes are, of ${bytes} in the file`);
  return { contents: { bytes, pageSize, ...revisions, buckets, rest }, revisions: walk.revisions };
}

class Walk {
  readonly buckets: BucketContents[] = [];
  readonly revisions: Revisions;
  readonly #table: PageTable;
  readonly #meta: Meta;
  readonly #used: Uint8Array;
  readonly #behind: { readonly unused: number; readonly trailer: number };
  readonly #rest = { branchPages: 0, freelistPages: 0, headers: 0, slack: 0 };
  #usedPages = META_PAGES;

  constructor(table: PageTable, meta: Meta, bytes: number) {
    const { pages, pageSize } = meta;
    const behind = bytes - pages * pageSize;
    if (!(behind >= 0)) {
      throw new ContentsError(`the file is cut short: found ${bytes} bytes, expected ${pages} pages of ${pageSize}`);
    }
    const trailer = behind % pageSize;
    if (trailer !== 0 && trailer !== TRAILER_BYTES) {
      throw new ContentsError(`found ${trailer} bytes behind the last page, expected none or ${TRAILER_BYTES}`);
    }
    this.#table = table;
    this.#meta = meta;
    this.#behind = { unused: behind - trailer, trailer };
    this.#used = new Uint8Array(pages);
    this.revisions = new Revisions(table);
  }

  /** @param path names from the root on; etcd has one level of them */
  bucket(path: readonly string[], root: number): void {
    const name = path.join('/');
    if (path.length > DEEPEST) throw new ContentsError(`found buckets within buckets, down to ${name}`);
    const found = { name, keys: 0, bytes: 0 };
    const withBuckets: number[] = [];
    for (const page of this.#leaves(root, name)) {
      const count = this.#table.count(page);
      found.keys += count;
      found.bytes += this.#table.pages.get(page, Page.bytes);
      if (this.#table.kind(page) === PageKind.buckets) withBuckets.push(page);
      else if (name === KEY_BUCKET && count > 0) this.#addRevisions(page, count);
    }
    for (const page of withBuckets) {
      const first = this.#table.pages.get(page, Page.first);
      for (let row = first; row < first + this.#table.count(page); row++) {
        const inner = this.#table.bucketName(row);
        if (inner === undefined) continue;
        found.keys -= 1;
        found.bytes -= this.#inner([...path, inner], row, page);
      }
    }
    if (path.length > 0 || found.keys > 0) this.buckets.push(found);
  }

  /** @returns how many bytes it takes in its parent's page */
  #inner(path: readonly string[], row: number, page: number): number {
    const { records, pages } = this.#table;
    const around = BUCKET_HEADER + (path.at(-1)?.length ?? 0);
    const root = records.get(row, Bucket.root);
    if (root !== 0) {
      this.#rest.headers += around;
      this.bucket(path, root);
      return around;
    }
    const [name, keys, bytes] = [path.join('/'), records.get(row, Bucket.count), records.get(row, Bucket.bytes)];
    const headers = around + PAGE_HEADER + keys * ELEMENT_HEADER;
    this.#rest.headers += headers;
    this.buckets.push({ name, keys, bytes });
    if (name === KEY_BUCKET && keys > 0) {
      // So few keys that their revisions' upper halves are all those of the last one.
      const last = this.#wide(page, Page.lastHigh);
      this.revisions.add(pages.get(page, Page.firstHigh), keys, last, last);
    }
    return headers + bytes;
  }

  /** In the order of their keys. */
  *#leaves(root: number, bucket: string): Generator<number> {
    const { pages, children } = this.#table;
    const open = [root];
    for (let page = open.pop(); page !== undefined; page = open.pop()) {
      const bytes = this.#use(page, bucket);
      const count = this.#table.count(page);
      switch (this.#table.kind(page)) {
        case PageKind.branch: {
          this.#rest.branchPages += bytes;
          const first = pages.get(page, Page.first);
          for (let index = count - 1; index >= 0; index--) open.push(children.get(first + index, 0));
          break;
        }
        case PageKind.leaf:
        case PageKind.revisions:
        case PageKind.buckets: {
          const headers = PAGE_HEADER + count * ELEMENT_HEADER;
          this.#rest.headers += headers;
          this.#rest.slack += bytes - headers - pages.get(page, Page.bytes);
          yield page;
          break;
        }
        default:
          throw this.#problem(page, bucket, 'it is cut short, or neither a branch nor a leaf');
      }
    }
  }

  #addRevisions(page: number, count: number): void {
    if (this.#table.kind(page) !== PageKind.revisions) throw this.#problem(page, KEY_BUCKET, 'it has no revisions');
    const from = this.#wide(page, Page.firstHigh);
    if (from < this.revisions.last) {
      throw new ContentsError(`page ${page}, of bucket ${KEY_BUCKET}: its revisions are older than those before it`);
    }
    this.revisions.add(this.#table.pages.get(page, Page.first), count, from, this.#wide(page, Page.lastHigh));
  }

  freelist(): void {
    const { freelist } = this.#meta;
    if (freelist === undefined) return;
    if (this.#table.kind(freelist) !== PageKind.freelist) throw this.#problem(freelist, 'freelist', 'it is none');
    this.#rest.freelistPages = this.#use(freelist, 'freelist');
  }

  rest(): Rest {
    const { pages, pageSize } = this.#meta;
    const freePages = (pages - this.#usedPages) * pageSize;
    return { freePages, metaPages: META_PAGES * pageSize, ...this.#rest, ...this.#behind };
  }

  /** @returns its bytes, with all that overflows */
  #use(page: number, of: string): number {
    const { pages, pageSize } = this.#meta;
    const end = page + 1 + this.#table.pages.get(page, Page.overflow);
    if (page < META_PAGES || end > pages) throw this.#problem(page, of, `expected one of the ${pages} that there are`);
    for (let each = page; each < end; each++) {
      if (this.#used[each] !== 0) throw this.#problem(page, of, `${each} is in use twice`);
      this.#used[each] = 1;
    }
    this.#usedPages += end - page;
    return (end - page) * pageSize;
  }

  #wide(page: number, column: number): number {
    return this.#table.pages.get(page, column) * 0x1_0000_0000 + this.#table.pages.get(page, column + 1);
  }

  #problem(page: number, of: string, problem: string): ContentsError {
    return new ContentsError(`page ${page}, of ${of || 'the root'}: ${this.#table.problems.get(page) ?? problem}`);
  }
}
