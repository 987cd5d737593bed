// Keeps what was read last, for the next minutes and for when it can't be read: a probe must not go blind with another
// service.
import { describeError, EtcdMedicError } from '../contract/errors.ts';

/** A service has not answered in the time that a probe has, and there is nothing older to go on with. */
export class NoAnswerYetError extends EtcdMedicError {
  override readonly name = 'NoAnswerYetError';
}

export interface Known<Value> {
  readonly value: Value;
  /** Why it is an older one than it should be; undefined: it is not. */
  readonly problem: string | undefined;
}

export interface LastKnownOptions {
  /** For the error: what is read. */
  readonly what: string;
  /** How old the value may be before it is read again. */
  readonly maxAgeMs: number;
  /** How long a reading may take before the older value has to do. */
  readonly patienceMs: number;
}

/** One value that a service has; lives as long as the process, so that in Lambda warm invocations share it. */
export class LastKnown<Value> {
  readonly #options: LastKnownOptions;
  #known: { readonly key: string; readonly value: Value; readonly readAtMs: number } | undefined;
  #expired = false;

  constructor(options: LastKnownOptions) {
    this.#options = options;
  }

  /**
   * @param key what the value is of; one of something else is not used
   * @param read asks the service. Where it takes too long, its answer is kept for the next time
   * @throws what `read` throws, or NoAnswerYetError, where there is no older value
   */
  async get(key: string, read: () => Promise<Value>): Promise<Known<Value>> {
    const known = this.#known?.key === key ? this.#known : undefined;
    if (known !== undefined && !this.#expired && Date.now() - known.readAtMs < this.#options.maxAgeMs) {
      return { value: known.value, problem: undefined };
    }
    try {
      return { value: await this.#within(this.#read(key, read)), problem: undefined };
    } catch (error) {
      if (known === undefined) throw error;
      return { value: known.value, problem: describeError(error) };
    }
  }

  /** Something is wrong that a newer value may put right: it is read again the next time. */
  expire(): void {
    this.#expired = true;
  }

  async #read(key: string, read: () => Promise<Value>): Promise<Value> {
    const value = await read();
    this.#known = { key, value, readAtMs: Date.now() };
    this.#expired = false;
    return value;
  }

  async #within(reading: Promise<Value>): Promise<Value> {
    const { what, patienceMs } = this.#options;
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new NoAnswerYetError(`${what}: no answer within ${patienceMs} ms`)),
      patienceMs,
    );
    try {
      return await Promise.race([reading, promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
