// What can go wrong on the way to the stand-in, on demand.

export interface Fault {
  /** Of which requests. @default all */
  readonly method?: 'GET' | 'DELETE';
  /** Looked for in path and query. @default all */
  readonly path?: RegExp;
  /** How many requests it befalls. @default 1 */
  readonly times?: number;
  /**
   * `hang`: no answer. `reset`: the connection breaks. Both before anything is done, or with `done-then-` after it was
   * done. Or an answer without anything being done.
   */
  readonly effect: 'hang' | 'reset' | 'done-then-hang' | 'done-then-reset' | FaultyAnswer;
}

export interface FaultyAnswer {
  readonly status: number;
  readonly message?: string;
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly details?: Readonly<Record<string, unknown>>;
  /** Sent as it is instead of a Status. */
  readonly text?: string;
}

/** A request as it arrived. */
export interface RecordedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Without `authorization`. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export class Faults {
  #faults: { readonly fault: Fault; left: number }[] = [];

  add(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#faults = [];
  }

  /** The effect on this request, the oldest fault first; it counts as having happened. */
  next({ method, path }: Pick<RecordedRequest, 'method' | 'path'>): Fault['effect'] | undefined {
    const found = this.#faults.find(
      ({ fault, left }) =>
        left > 0 && (fault.method ?? method) === method && (fault.path === undefined || fault.path.test(path)),
    );
    if (!found) return undefined;
    found.left--;
    return found.fault.effect;
  }
}
