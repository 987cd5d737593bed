// The pages of a bbolt file in the order in which they lie in it, from whatever pieces it comes in. Nothing tells a
// page that is in use from one that is free before all have gone by, and free ones still hold what they last held: so
// every page is looked at that says of itself that it is one, and the walk over those in use comes at the end.
import {
  BRANCH_PAGE,
  ContentsError,
  ELEMENT_HEADER,
  FIRST_BYTES,
  FREELIST_PAGE,
  findPageSize,
  LEAF_PAGE,
  type Meta,
  PAGE_HEADER,
  readMeta,
} from './bolt.ts';
import { LeafPage, type PageAt } from './leaf-page.ts';
import { OpenPage } from './open-page.ts';
import { Page, PageKind, PageTable, type PageTableOptions } from './page-table.ts';

const META_PAGES = 2;
/** Pages whose end has not come yet. Of those in use there is one at a time; free ones may overlap. */
const MOST_OPEN = 256;

export class PageReader {
  readonly table: PageTable;
  readonly metas: Meta[] = [];
  /** Of all that came. */
  bytes = 0;
  #pageSize = 0;
  /** What has come of a page, or of the beginning. */
  #rest: Buffer = Buffer.alloc(0);
  #open: OpenPage[] = [];

  constructor(options: PageTableOptions) {
    this.table = new PageTable(options);
  }

  /**
   * @param piece the next bytes of the file; not kept
   * @throws ContentsError where it is no bbolt database, or one with too much in it
   */
  write(piece: Buffer): void {
    this.bytes += piece.length;
    if (this.#pageSize === 0) this.#begin(piece);
    else this.#readPieces(piece);
  }

  /** @throws ContentsError where it is no bbolt database */
  end(): void {
    if (this.#pageSize === 0) this.#begin(Buffer.alloc(0), true);
  }

  #begin(piece: Buffer, isAll = false): void {
    const first = Buffer.concat([this.#rest, piece]);
    const size = findPageSize(first);
    if (size === undefined) {
      if (first.length >= FIRST_BYTES || isAll) {
        throw new ContentsError(
          `found no valid meta page in the first ${first.length} bytes, expected a bbolt database`,
        );
      }
      this.#rest = first;
      return;
    }
    this.#pageSize = size;
    this.#rest = Buffer.alloc(0);
    this.#readPieces(first);
  }

  /** Whole pages where they are; one that came in pieces is put together. */
  #readPieces(piece: Buffer): void {
    const size = this.#pageSize;
    let at = 0;
    if (this.#rest.length > 0) {
      at = Math.min(size - this.#rest.length, piece.length);
      this.#rest = Buffer.concat([this.#rest, piece.subarray(0, at)]);
      if (this.#rest.length < size) return;
      const page = this.#rest;
      this.#rest = Buffer.alloc(0);
      this.#readPages(page, this.bytes - piece.length + at - size);
    }
    const whole = Math.floor((piece.length - at) / size) * size;
    if (whole > 0) this.#readPages(piece.subarray(at, at + whole), this.bytes - piece.length + at);
    // A copy: what the piece lies in is used again.
    if (at + whole < piece.length) this.#rest = Buffer.from(piece.subarray(at + whole));
  }

  #readPages(bytes: Buffer, start: number): void {
    if (this.#open.length > 0) this.#open = this.#open.filter((page) => !page.advance(bytes, start));
    const size = this.#pageSize;
    let page = start / size;
    for (let at = 0; at < bytes.length; at += size, page++) {
      if (page < META_PAGES) {
        const meta = readMeta(bytes, at);
        if (meta !== undefined) this.metas.push(meta);
        continue;
      }
      // Most of a database of large objects is the inside of values: this comes first.
      if (bytes[at] !== (page & 0xff)) continue;
      if (bytes.readUInt32LE(at) === page && bytes.readUInt32LE(at + 4) === 0) this.#readPage(bytes, start, at, page);
    }
  }

  #readPage(bytes: Buffer, start: number, at: number, page: number): void {
    const count = bytes.readUInt16LE(at + 10);
    const overflow = bytes.readUInt32LE(at + 12);
    const header: PageAt = { page, at: start + at, count, overflow, pageSize: this.#pageSize };
    switch (bytes.readUInt16LE(at + 8)) {
      case LEAF_PAGE:
        this.#follow(new LeafPage(this.table, header), header, bytes, start);
        break;
      case BRANCH_PAGE:
        this.#follow(new BranchPage(this.table, header), header, bytes, start);
        break;
      case FREELIST_PAGE:
        this.table.setKind(page, PageKind.freelist, 0);
        break;
      default:
        return;
    }
    this.table.pages.set(page, Page.overflow, overflow);
  }

  #follow(open: OpenPage, { page, count }: PageAt, bytes: Buffer, start: number): void {
    // bbolt splits what is larger, unless it is of four elements or fewer.
    if (PAGE_HEADER + count * ELEMENT_HEADER > this.#pageSize) {
      this.table.setBroken(page, `found ${count} elements, expected no more than fit into a page`);
      return;
    }
    // Until its end has come.
    this.table.setKind(page, PageKind.broken, 0);
    if (open.advance(bytes, start)) return;
    if (this.#open.length < MOST_OPEN) this.#open.push(open);
    else this.table.note(page, `${MOST_OPEN} pages before it have no end`);
  }
}

/** Its elements are what leads to its children; their keys are not needed. */
class BranchPage extends OpenPage {
  readonly #table: PageTable;
  readonly #page: PageAt;

  constructor(table: PageTable, page: PageAt) {
    super(page.at, PAGE_HEADER + page.count * ELEMENT_HEADER);
    this.#table = table;
    this.#page = page;
  }

  protected override take(bytes: Buffer, at: number): boolean {
    const { page, count, overflow, pageSize } = this.#page;
    const { children, pages } = this.#table;
    const first = children.add(count);
    pages.set(page, Page.first, first);
    let end = this.wantedBytes;
    for (let index = 0; index < count; index++) {
      const header = PAGE_HEADER + index * ELEMENT_HEADER;
      if (header + bytes.readUInt32LE(at + header) !== end) {
        this.#table.setBroken(page, `element ${index} does not begin where the one before it ends`);
        return true;
      }
      end += bytes.readUInt32LE(at + header + 4);
      if (bytes.readUInt32LE(at + header + 12) !== 0) {
        this.#table.setBroken(page, `element ${index} leads to a page beyond all`);
        return true;
      }
      children.set(first + index, 0, bytes.readUInt32LE(at + header + 8));
    }
    if (count === 0 || end > (overflow + 1) * pageSize) this.#table.setBroken(page, `${count} elements, ${end} bytes`);
    else this.#table.setKind(page, PageKind.branch, count);
    return true;
  }
}
