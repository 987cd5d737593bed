// Of each kind a few of its newest writes, for who wrote them: a bounded number, since which kinds are the largest is
// only known at the end, and so is what was in use.
import { type Written, writtenBy } from './managed-fields.ts';
import type { KindWriters } from './types.ts';

const SLOTS = 16;
/** No cluster has so many, but somebody else's keys may begin with anything. */
const MOST_KINDS = 1000;

/** A write, wherever it lies: free pages have copies of those in use. */
interface Sample {
  readonly main: number;
  readonly written: Written;
  isInUse: boolean;
}

interface Kind {
  /** By revision, the oldest first; SLOTS at most. */
  readonly samples: Sample[];
  /** How many writes have gone by, and from which number on the next one is looked into. */
  seen: number;
  next: number;
}

export class Samples {
  readonly #kinds: Kind[] = [];
  readonly #numbers = new Map<string, number>();
  /** By the row of their record. */
  readonly #rows = new Map<number, Sample>();

  /** @param prefix of its keys. @returns its number; -1 where there are too many */
  kind(prefix: string): number {
    const known = this.#numbers.get(prefix);
    if (known !== undefined) return known;
    if (this.#kinds.length === MOST_KINDS) return -1;
    const number = this.#kinds.push({ samples: [], seen: 0, next: 1 }) - 1;
    this.#numbers.set(prefix, number);
    return number;
  }

  /**
   * Each sixteenth of what has gone by until then, and of these the newest: also where a million come in order there
   * are no more than two hundred to look into.
   * @param main the write's revision
   */
  wants(kindNumber: number, main: number): boolean {
    const kind = this.#kinds[kindNumber];
    if (kind === undefined) return false;
    kind.seen++;
    const { samples } = kind;
    const oldest = samples[0]?.main ?? 0;
    if (samples.length === SLOTS && main < oldest) return false;
    if (kind.seen >= kind.next) return true;
    return main <= (samples.at(-1)?.main ?? 0) && samples.some((sample) => sample.main === main);
  }

  /** One that is wanted. @param end of what is there of its value, from `start` on */
  take(kindNumber: number, main: number, row: number, bytes: Buffer, start: number, end: number): void {
    const kind = this.#kinds[kindNumber];
    if (kind === undefined) return;
    const { samples } = kind;
    let sample = samples.find((each) => each.main === main);
    if (sample === undefined) {
      kind.next = kind.seen + 1 + Math.floor(kind.seen / SLOTS);
      sample = { main, written: writtenBy(bytes, start, end), isInUse: false };
      samples.push(sample);
      samples.sort((a, b) => a.main - b.main);
      if (samples.length > SLOTS) samples.shift();
    }
    this.#rows.set(row, sample);
  }

  /** The row turned out to be in use. */
  use(row: number): void {
    const sample = this.#rows.get(row);
    if (sample !== undefined) sample.isInUse = true;
  }

  /** Undefined where none of its writes in use was looked into. */
  writersOf(prefix: string): KindWriters | undefined {
    const { samples = [] } = this.#kinds[this.#numbers.get(prefix) ?? -1] ?? {};
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
