// Tells a database's contents while its copy goes by. The copy comes first: it neither fails nor waits for this.
import type { KeptContents, ReportContents } from '../contract/contents.ts';
import { describeError } from '../contract/errors.ts';
import { ContentsReader } from './contents.ts';
import { earlierThan } from './growth.ts';
import { summarize } from './summary.ts';

/** What it may take of the copy's time, once that is worth counting: several times of what it does take. */
const MOST_SHARE = 0.4;
const COUNTED_FROM_MS = 500;
/** 56 MiB of memory, which a function has to spare beside its parts under way. */
const MOST_REVISIONS = 2 * 1024 * 1024;

export type ToldBeside =
  | {
      readonly contents: ReportContents;
      /** As ContentsReader has it. */
      readonly hash: (compacted: bigint) => string | undefined;
      readonly problem?: undefined;
    }
  | { readonly contents?: undefined; readonly problem: string };

export interface BesideOptions {
  /** What kube-apiserver's keys begin with, with its slash. @default /registry/ */
  readonly root?: string | undefined;
  /** ISO 8601: when the copy was begun. */
  readonly at: string;
  /** What the member was at by then, or before. */
  readonly revision: bigint;
  /** Earlier copies, the newest first, that growth is counted from. @default none */
  readonly nights?: readonly KeptContents[];
  /** There is no copy that could be held up, nor proven. @default false */
  readonly isAlone?: boolean;
}

export class ContentsBeside {
  #reader: ContentsReader | undefined;
  #problem = '';
  #spentMs = 0;
  #startedMs: number | undefined;
  readonly #at: string;
  readonly #nights: readonly KeptContents[];
  readonly #isAlone: boolean;

  constructor({ root, at, revision, nights = [], isAlone = false }: BesideOptions) {
    this.#at = at;
    this.#isAlone = isAlone;
    this.#nights = earlierThan(nights, at, revision);
    const [before] = this.#nights;
    this.#reader = new ContentsReader({
      root,
      mostRevisions: MOST_REVISIONS,
      since: before && Number(before.revision),
      hashes: !isAlone,
    });
  }

  /** Passes the pieces on as they come. */
  async *through(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      this.#take((reader) => reader.write(piece));
      yield piece;
    }
  }

  /** Never throws: what could not be told is said. */
  end(): ToldBeside {
    const told = this.#take((reader) => {
      const contents = summarize(reader.end(), { at: this.#at, nights: this.#nights });
      return { contents, hash: (compacted: bigint) => reader.hash(compacted) };
    });
    return told ?? { problem: this.#problem };
  }

  #take<Result>(work: (reader: ContentsReader) => Result): Result | undefined {
    const reader = this.#reader;
    if (reader === undefined) return undefined;
    const beganMs = performance.now();
    this.#startedMs ??= beganMs;
    try {
      return work(reader);
    } catch (error) {
      this.#giveUp(describeError(error));
      return undefined;
    } finally {
      const nowMs = performance.now();
      this.#spentMs += nowMs - beganMs;
      const most = Math.max(COUNTED_FROM_MS, MOST_SHARE * (nowMs - this.#startedMs));
      if (this.#spentMs > most && !this.#isAlone)
        this.#giveUp(`it would have held up the copy, after ${Math.round(this.#spentMs)} ms`);
    }
  }

  #giveUp(problem: string): void {
    if (this.#reader === undefined) return;
    this.#reader = undefined;
    this.#problem = problem;
  }
}
