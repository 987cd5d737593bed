// A writer that runs all along, and what became of everything that etcd said yes to.
import { setTimeout as wait } from 'node:timers/promises';
import type { Etcd3 } from 'etcd3';
import { describeError } from '../../functions/contract/errors.ts';
import { type Reachable, within, withMember } from './client.ts';

/** A plane, as far as the writer looks at it. */
export interface Written extends Reachable {
  readonly members: readonly (Reachable['members'][number] & { readonly isLearner: boolean })[];
}

export interface WriterOptions {
  /** Between two writes through one member. @default 20 */
  readonly pauseMs?: number;
}

export interface Verification {
  /** Writes that etcd said yes to. */
  readonly acknowledged: number;
  /** Refused for want of space, which is what NOSPACE is. */
  readonly refused: number;
  /** Neither: the member was down, cut off or busy. Such a write may have happened or not. */
  readonly unknown: number;
  /** A sentence for each member that lacks something, or doesn't answer. Empty: no data was lost. */
  readonly losses: readonly string[];
}

const PREFIX = '/etcd-medic-test/acknowledged/';
const WRITE_TIMEOUT_MS = 2_000;
const READ_TIMEOUT_MS = 10_000;
/** etcd3 takes 4 MiB an answer. */
const PAGE = 5_000;
/** A member that was away catches up within seconds. */
const CATCH_UP_MS = 30_000;
const LOOK_EVERY_MS = 200;
/** Numbers named in a sentence. */
const NAMED = 5;

/** Starts writing small keys, each with its number, through all voters side by side. */
export function writeAllAlong(plane: Written, { pauseMs = 20 }: WriterOptions = {}): AcknowledgedWriter {
  return new AcknowledgedWriter(plane, pauseMs);
}

export class AcknowledgedWriter implements AsyncDisposable {
  readonly #plane: Written;
  readonly #acknowledged: number[] = [];
  readonly #stop = new AbortController();
  readonly #writing: Promise<unknown>;
  #next = 0;
  #refused = 0;
  #unknown = 0;

  constructor(plane: Written, pauseMs: number) {
    this.#plane = plane;
    this.#writing = Promise.all(
      this.#voters.map(({ endpoint }) => withMember(plane, endpoint, (client) => this.#write(client, pauseMs))),
    );
  }

  get #voters(): Written['members'] {
    return this.#plane.members.filter(({ isLearner }) => !isLearner);
  }

  /** So far. */
  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  /** What these writes are called, in the order in which they were answered. */
  get acknowledgedNumbers(): readonly number[] {
    return this.#acknowledged;
  }

  /** So far. */
  get refused(): number {
    return this.#refused;
  }

  /** Ends after the writes that are under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#writing;
  }

  /**
   * Stops, and looks on every voter, by serializable reads, for everything that was acknowledged. Members that are
   * behind are given the time to catch up.
   */
  async verify({ withinMs = CATCH_UP_MS }: { readonly withinMs?: number } = {}): Promise<Verification> {
    await this.stop();
    const giveUpAt = Date.now() + withinMs;
    for (;;) {
      const losses = (await Promise.all(this.#voters.map((member) => this.#lossOf(member)))).filter(
        (loss) => loss !== undefined,
      );
      if (losses.length === 0 || Date.now() > giveUpAt) {
        return { acknowledged: this.acknowledged, refused: this.#refused, unknown: this.#unknown, losses };
      }
      await wait(LOOK_EVERY_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #write(client: Etcd3, pauseMs: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const number = this.#next++;
      try {
        await client.kv.put(
          { key: Buffer.from(keyOf(number)), value: Buffer.from(`${number}`) },
          within(WRITE_TIMEOUT_MS),
        );
        this.#acknowledged.push(number);
      } catch (error) {
        if (describeError(error).includes('database space exceeded')) this.#refused++;
        else this.#unknown++;
      }
      await wait(pauseMs);
    }
  }

  async #lossOf({ name, endpoint }: Reachable['members'][number]): Promise<string | undefined> {
    let there: ReadonlyMap<string, string>;
    try {
      there = await withMember(this.#plane, endpoint, readAll);
    } catch (error) {
      return `${name} does not answer: ${describeError(error)}`;
    }
    const missing = this.#acknowledged.filter((number) => there.get(keyOf(number)) !== `${number}`);
    if (missing.length === 0) return undefined;
    const named = missing.slice(0, NAMED).join(', ');
    return `${name} lacks ${missing.length} of ${this.acknowledged} acknowledged writes: ${named}${missing.length > NAMED ? ', …' : ''}`;
  }
}

/** Of a width, so that keys sort as their numbers do. */
function keyOf(number: number): string {
  return `${PREFIX}${`${number}`.padStart(9, '0')}`;
}

async function readAll(client: Etcd3): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const end = Buffer.from(PREFIX.replace(/\/$/, '0'));
  for (let key = Buffer.from(PREFIX); ; ) {
    const { kvs, more } = await client.kv.range(
      { key, range_end: end, limit: PAGE, serializable: true },
      within(READ_TIMEOUT_MS),
    );
    for (const each of kvs) found.set(each.key.toString(), each.value.toString());
    const last = kvs.at(-1);
    if (!more || !last) return found;
    key = Buffer.concat([last.key, Buffer.alloc(1)]);
  }
}
