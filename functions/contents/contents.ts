// What an etcd database is full of, to the last byte: read once from its file or from a Snapshot stream, by kind and
// namespace.
import { attribute } from './attribute.ts';
import { PageReader } from './page-reader.ts';
import { MOST_REVISIONS } from './page-table.ts';
import type { Revisions } from './revisions.ts';
import type { Contents } from './types.ts';

const REGISTRY = '/registry/';

export interface ContentsOptions {
  /** What kube-apiserver's keys begin with (`--etcd-prefix`), with its slash. @default /registry/ */
  readonly root?: string | undefined;
  /** A file with more is refused. @default 8 million, 224 MiB of memory */
  readonly mostRevisions?: number;
  /** The newest revision of an earlier look: keys that came later are counted apart. @default none is later */
  readonly since?: number | undefined;
  /** Whether `hash` will be asked. @default true */
  readonly hashes?: boolean;
}

/** Takes a file as it comes, piece by piece. */
export class ContentsReader {
  readonly #reader: PageReader;
  readonly #root: string;
  readonly #hashes: boolean;
  #revisions: Revisions | undefined;

  constructor(options: ContentsOptions = {}) {
    const {
      root = REGISTRY,
      mostRevisions = MOST_REVISIONS,
      since = Number.POSITIVE_INFINITY,
      hashes = true,
    } = options;
    this.#root = root;
    this.#hashes = hashes;
    this.#reader = new PageReader({ root, mostRevisions, since, hashes });
  }

  /**
   * Takes 28 bytes of memory for each revision that is in the file, and 32 for each of its pages that begins one.
   * @param piece of any length; it may be used again
   * @throws ContentsError
   */
  write(piece: Buffer): void {
    this.#reader.write(piece);
  }

  /** @throws ContentsError where the file can't be walked */
  end(): Contents {
    this.#reader.end();
    const { contents, revisions } = attribute(this.#reader, this.#root);
    this.#revisions = revisions;
    return contents;
  }

  /**
   * After the end: etcd's HashKV of this database at its newest revision, as a member has it that is compacted to
   * `compacted` (-1: never), which is no less than what this database was compacted to.
   * @returns hexadecimal; undefined where it can't be told
   */
  hash(compacted: bigint): string | undefined {
    return this.#hashes ? this.#revisions?.hash(Number(compacted)) : undefined;
  }
}

/**
 * @param file in order, with or without the SHA-256 at the end of a snapshot
 * @throws ContentsError; what `file` throws
 */
export async function readContents(file: AsyncIterable<Buffer>): Promise<Contents> {
  const reader = new ContentsReader({ hashes: false });
  for await (const piece of file) reader.write(piece);
  return reader.end();
}
