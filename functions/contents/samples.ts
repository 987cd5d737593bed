// Of each kind a few of its newest writes, for who wrote them: a bounded number, since which kinds are the largest is
// only known at the end, and so is what was in use.
import { type Written, writtenBy } from './managed-fields.ts';
import type { KindWriters } from './types.ts';

const SLOTS = 16;
/** No cluster has so many, but somebody else's keys may begin with anything. */
const MOST_KINDS = 1000;
/** Some MB: a page has as many copies as it was written. */
const MOST_ROWS = 100_000;

/** A write, wherever it lies: free pages have copies of those in use. */
interface Sample {
  readonly main: number;
  readonly written: Written;
  isInUse: boolean;
}

/** What becomes of a write that goes by. */
export const Wanted = { no: 0, yes: 1, known: 2 } as const;
type Wanted = (typeof Wanted)[keyof typeof Wanted];

export class Samples {
  /** By kind, as all below: by revision, the oldest first; SLOTS at most. */
  readonly #samples: Sample[][] = [];
  // Numbers by themselves, since each write is looked at: how many have gone by, from which number on the next one is
  // looked into, and the revisions of the oldest sample (0 where there is room for more) and of the newest.
  readonly #seen = new Float64Array(MOST_KINDS);
  readonly #next = new Float64Array(MOST_KINDS).fill(1);
  readonly #oldest = new Float64Array(MOST_KINDS);
  readonly #newest = new Float64Array(MOST_KINDS);
  readonly #numbers = new Map<string, number>();
  /** By the row of their record. */
  readonly #rows = new Map<number, Sample>();

  /** @param prefix of its keys. @returns its number; -1 where there are too many */
  kind(prefix: string): number {
    const known = this.#numbers.get(prefix);
    if (known !== undefined) return known;
    if (this.#samples.length === MOST_KINDS) return -1;
    const number = this.#samples.push([]) - 1;
    this.#numbers.set(prefix, number);
    return number;
  }

  /**
   * Each sixteenth of what has gone by until then, and of these the newest: also where a million come in order there
   * are no more than two hundred to look into.
   * @param main the write's revision
   */
  wants(kind: number, main: number): Wanted {
    if (kind < 0) return Wanted.no;
    const seen = (this.#seen[kind] ?? 0) + 1;
    this.#seen[kind] = seen;
    if (main < (this.#oldest[kind] ?? 0)) return Wanted.no;
    if (main <= (this.#newest[kind] ?? 0) && this.#find(kind, main) !== undefined) return Wanted.known;
    return seen >= (this.#next[kind] ?? 0) ? Wanted.yes : Wanted.no;
  }

  /** One that is wanted. @param end of what is there of its value, from `start` on */
  take(kind: number, main: number, row: number, bytes: Buffer, start: number, end: number): void {
    const samples = this.#samples[kind];
    if (samples === undefined) return;
    const seen = this.#seen[kind] ?? 0;
    this.#next[kind] = seen + 1 + Math.floor(seen / SLOTS);
    const sample = { main, written: writtenBy(bytes, start, end), isInUse: false };
    samples.push(sample);
    samples.sort((a, b) => a.main - b.main);
    if (samples.length > SLOTS) samples.shift();
    if (samples.length === SLOTS) this.#oldest[kind] = samples[0]?.main ?? 0;
    this.#newest[kind] = samples.at(-1)?.main ?? 0;
    this.#rows.set(row, sample);
  }

  /** One that is known, in another page. */
  again(kind: number, main: number, row: number): void {
    const sample = this.#find(kind, main);
    if (sample !== undefined && this.#rows.size < MOST_ROWS) this.#rows.set(row, sample);
  }

  #find(kind: number, main: number): Sample | undefined {
    const samples = this.#samples[kind] ?? [];
    for (let index = samples.length - 1; index >= 0; index--) {
      const sample = samples[index];
      if (sample === undefined || sample.main < main) return undefined;
      if (sample.main === main) return sample;
    }
    return undefined;
  }

  /** The row turned out to be in use. */
  use(row: number): void {
    const sample = this.#rows.get(row);
    if (sample !== undefined) sample.isInUse = true;
  }

  /** Undefined where none of its writes in use was looked into. */
  writersOf(prefix: string): KindWriters | undefined {
    const samples = this.#samples[this.#numbers.get(prefix) ?? -1] ?? [];
    const inUse = samples.filter(({ isInUse }) => isInUse);
    if (inUse.length === 0) return undefined;
    const managers = new Map<string, number>();
    let encrypted = 0;
    for (const { written } of inUse) {
      if (written === 'encrypted') encrypted++;
      else if (written !== 'none') managers.set(written.manager, (managers.get(written.manager) ?? 0) + 1);
    }
    return {
      writes: inUse.length,
      encrypted,
      managers: [...managers]
        .map(([manager, writes]) => ({ manager, writes }))
        .sort((a, b) => b.writes - a.writes || (a.manager < b.manager ? -1 : 1)),
    };
  }
}
