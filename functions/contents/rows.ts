// A table of unsigned 32-bit numbers that grows by pieces: millions of rows without an object each, and nothing is
// copied when it grows.
import { ContentsError } from './bolt.ts';

const BITS = 12;
const PIECE = 1 << BITS;

export class Rows {
  readonly #width: number;
  readonly #most: number;
  readonly #what: string;
  readonly #pieces: (Uint32Array | undefined)[] = [];
  /** How many were added. */
  length = 0;

  /**
   * @param what the rows are, in words
   * @param most how many there may be
   */
  constructor(width: number, what: string, most: number) {
    this.#width = width;
    this.#what = what;
    this.#most = most;
  }

  /** 0 where nothing was set. */
  get(row: number, column: number): number {
    return this.#pieces[row >>> BITS]?.[(row & (PIECE - 1)) * this.#width + column] ?? 0;
  }

  /** @throws ContentsError where there are too many */
  set(row: number, column: number, value: number): void {
    this.#pieceOf(row)[(row & (PIECE - 1)) * this.#width + column] = value;
  }

  /** The first four columns at once, and the fifth where there is one. */
  setAll(row: number, first: number, second: number, third: number, fourth: number, fifth?: number): void {
    const piece = this.#pieceOf(row);
    const at = (row & (PIECE - 1)) * this.#width;
    piece[at] = first;
    piece[at + 1] = second;
    piece[at + 2] = third;
    piece[at + 3] = fourth;
    if (fifth !== undefined) piece[at + 4] = fifth;
  }

  #pieceOf(row: number): Uint32Array {
    const index = row >>> BITS;
    const piece = this.#pieces[index];
    if (piece !== undefined) return piece;
    if (row >= this.#most) {
      throw new ContentsError(`found more than ${this.#most} ${this.#what}: its contents are not told`);
    }
    const added = new Uint32Array(PIECE * this.#width);
    this.#pieces[index] = added;
    return added;
  }

  /** @returns the first of so many new rows */
  add(count: number): number {
    const first = this.length;
    this.length += count;
    return first;
  }

  /** Takes back the last rows, where nobody has added any since. */
  takeBack(first: number, count: number): void {
    if (this.length === first + count) this.length = first;
  }
}
