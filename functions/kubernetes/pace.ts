// How many calls are under way at the same time, and when none may be sent: what the server's 429 asks of a client as a
// whole.

/** So many at first: a server that has little to spare is not met by all at once. */
const FIRST = 8;
/** After a 429 so many calls in a row have to go well before one more is tried at the same time. */
const CALLS_BEFORE_MORE = 20;
/** How long a number that was too many isn't tried again. */
const REMEMBER_MS = 30_000;

/**
 * Lets a few calls be under way at first, and twice as many each time that as many have gone well, up to `most` (as
 * TCP's slow start). A 429 stops all of them for as long as the server says and halves their number, which from then on
 * grows one by one, to just below what was too many. One call's 429 would otherwise leave the others hammering on.
 */
export class Pace implements Disposable {
  readonly #most: number;
  #allowed: number;
  #tooMany: number | undefined;
  #tooManyAtMs = 0;
  #wentWell = 0;
  #underWay = 0;
  #pausedUntilMs = 0;
  #pause: NodeJS.Timeout | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
    this.#allowed = Math.min(FIRST, most);
  }

  /** Runs `call` when it is its turn. */
  async run<Result>(call: () => Promise<Result>): Promise<Result> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#admit();
    });
    try {
      return await call();
    } finally {
      this.#underWay--;
      this.#admit();
    }
  }

  /** To be told of each change that wasn't refused for being too many. */
  wentWell(): void {
    this.#wentWell++;
    const starting = this.#tooMany === undefined;
    if (this.#wentWell < (starting ? this.#allowed : CALLS_BEFORE_MORE) || this.#allowed >= this.#most) return;
    if (this.#allowed + 1 === this.#tooMany && performance.now() < this.#tooManyAtMs + REMEMBER_MS) return;
    this.#wentWell = 0;
    this.#allowed = starting ? Math.min(2 * this.#allowed, this.#most) : this.#allowed + 1;
    this.#admit();
  }

  /** To be told of each 429. */
  tooMany(pauseMs: number): void {
    const nowMs = performance.now();
    // What was sent before the pause began says nothing new.
    if (nowMs >= this.#pausedUntilMs) {
      this.#tooMany = this.#allowed;
      this.#tooManyAtMs = nowMs;
      this.#allowed = Math.max(1, Math.floor(this.#allowed / 2));
      this.#wentWell = 0;
    }
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + pauseMs);
    this.#admitAfterPause();
  }

  /** Ends the pause: whoever waits is let through, to find that the connections have been closed. */
  [Symbol.dispose](): void {
    clearTimeout(this.#pause);
    this.#pausedUntilMs = 0;
    this.#allowed = Number.POSITIVE_INFINITY;
    this.#admit();
  }

  #admitAfterPause(): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(
      () => {
        // A timer may be early, by up to a millisecond: nobody else would let those in who wait.
        if (performance.now() < this.#pausedUntilMs) this.#admitAfterPause();
        else this.#admit();
      },
      this.#pausedUntilMs - performance.now() + 1,
    );
  }

  #admit(): void {
    while (this.#underWay < this.#allowed && performance.now() >= this.#pausedUntilMs) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#underWay++;
      next();
    }
  }
}
