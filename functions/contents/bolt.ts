// The file format of go.etcd.io/bbolt, as far as reading goes: pages, their headers, and the meta page that says where
// everything begins (internal/common/{page,meta,inode}.go of bbolt 1.3 to 1.5, which write the same).
import { EtcdMedicError } from '../contract/errors.ts';

/** What was read is no bbolt database that can be walked, or more than can be told in the memory there is for it. */
export class ContentsError extends EtcdMedicError {
  override readonly name = 'ContentsError';
}

export const BRANCH_PAGE = 0x01;
export const LEAF_PAGE = 0x02;
export const FREELIST_PAGE = 0x10;
/** id (8), flags (2), count (2), overflow (4). */
export const PAGE_HEADER = 16;
/** Of a leaf: flags, position, length of the key, of the value. Of a branch: position, length of the key, page (8). */
export const ELEMENT_HEADER = 16;
/** Of a leaf's element: its value is another bucket. */
export const BUCKET_ELEMENT = 0x01;
/** Before a bucket's content in its parent: root page (8), sequence (8). Root 0: the content follows in a page of its
 * own within the value. */
export const BUCKET_HEADER = 16;

const MAGIC = 0xed0cdaed;
const VERSION = 2;
const META_BYTES = 64;
const NO_FREELIST = 0xffff_ffff_ffff_ffffn;
const SMALLEST_PAGE = 1024;
/** The largest of any processor that Linux runs on. */
const LARGEST_PAGE = 64 * 1024;
/** With this many bytes of a file, its page size is known or never will be. */
export const FIRST_BYTES = LARGEST_PAGE + PAGE_HEADER + META_BYTES;

export interface Meta {
  readonly pageSize: number;
  /** Page of the root bucket. */
  readonly root: number;
  /** Undefined: it is not kept in the file, as etcd wants it. */
  readonly freelist: number | undefined;
  /** How many pages there are. */
  readonly pages: number;
  readonly transaction: number;
}

/** @param at where the page begins. @returns undefined where there is no meta page, or a damaged one */
export function readMeta(bytes: Buffer, at: number): Meta | undefined {
  const start = at + PAGE_HEADER;
  if (bytes.length < start + META_BYTES) return undefined;
  if (bytes.readUInt32LE(start) !== MAGIC || bytes.readUInt32LE(start + 4) !== VERSION) return undefined;
  if (fnv64(bytes.subarray(start, start + 56)) !== bytes.readBigUInt64LE(start + 56)) return undefined;
  const [pageSize, root, freelist, pages, transaction] = [
    bytes.readUInt32LE(start + 8),
    Number(bytes.readBigUInt64LE(start + 16)),
    bytes.readBigUInt64LE(start + 32),
    Number(bytes.readBigUInt64LE(start + 40)),
    Number(bytes.readBigUInt64LE(start + 48)),
  ];
  return { pageSize, root, freelist: freelist === NO_FREELIST ? undefined : Number(freelist), pages, transaction };
}

/**
 * As bbolt looks for it: in the first meta page or, where that is damaged, in the second, which begins at whatever it
 * says.
 * @param first FIRST_BYTES of the file, or all that it has
 */
export function findPageSize(first: Buffer): number | undefined {
  for (let size = SMALLEST_PAGE; size <= LARGEST_PAGE; size *= 2) {
    if ((readMeta(first, 0) ?? readMeta(first, size))?.pageSize === size) return size;
  }
  return undefined;
}

/** FNV-1a, as Go's hash/fnv has it. */
function fnv64(bytes: Buffer): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffff_ffff_ffff_ffffn;
  return hash;
}
