// A member that gets the processor only now and then: all that it does takes that much longer, and it does it as it
// always does.

/** How long a process runs and how long it stands still, in turns, in milliseconds. */
export interface Pace {
  readonly runsMs: number;
  readonly standsMs: number;
}

/** Slows a process down until it is disposed of. */
export class SlowedDown implements Disposable {
  readonly #pid: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(pid: number, { runsMs, standsMs }: Pace) {
    this.#pid = pid;
    const stand = () => {
      this.#signal('SIGSTOP');
      this.#timer = setTimeout(run, standsMs);
    };
    const run = () => {
      this.#signal('SIGCONT');
      this.#timer = setTimeout(stand, runsMs);
    };
    stand();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal('SIGCONT');
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(this.#pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}
