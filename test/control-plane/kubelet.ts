// What a kubelet does for one static pod: keeps its process running, with the kubelet's own back-off between restarts.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** The first wait after a crash, and the longest one: the kubelet's constants. */
const FIRST_BACK_OFF_MS = 10_000;
const LONGEST_BACK_OFF_MS = 300_000;
/** A process that ran for twice the longest wait counts as stable, and its next crash as its first. */
const STABLE_AFTER_MS = 2 * LONGEST_BACK_OFF_MS;
/** How long a process asked to stop has before it is killed (a pod's default grace period). */
const GRACE_MS = 30_000;

/** `CrashLoopBackOff`: it ended and waits for its next start. `Stopped`: the kubelet itself was stopped. */
export type PodState = 'Running' | 'CrashLoopBackOff' | 'Stopped';

export interface StaticPod {
  readonly command: string;
  readonly args: readonly string[];
  /** Standard output and standard error are appended to it. */
  readonly logFile: string;
}

export interface Exit {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not even be started. */
  readonly error: Error | undefined;
}

/**
 * How long the kubelet waits before it restarts a process: the first time not at all, then 10 s, then twice as long each time.
 * @param previousMs what it waited the last time; undefined where it hasn't restarted it yet
 * @param ranMs how long the process ran
 */
export function crashLoopBackOffMs(previousMs: number | undefined, ranMs: number): number {
  if (previousMs === undefined || ranMs > STABLE_AFTER_MS) return 0;
  return previousMs === 0 ? FIRST_BACK_OFF_MS : Math.min(previousMs * 2, LONGEST_BACK_OFF_MS);
}

export class Kubelet {
  readonly #pod: StaticPod;
  readonly #speed: number;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #on = false;
  /** Of the last crash; undefined where nothing has crashed since the kubelet was started. */
  #backOffMs: number | undefined;
  #startedAt = 0;
  #restartCount = 0;
  #lastExit: Exit | undefined;

  /** @param speed all times are divided by it: at 10, a back-off starts with one second. @default 1 */
  constructor(pod: StaticPod, speed = 1) {
    this.#pod = pod;
    this.#speed = speed;
  }

  get state(): PodState {
    if (!this.#on) return 'Stopped';
    return this.#process ? 'Running' : 'CrashLoopBackOff';
  }

  /** As `kubectl get pods` counts them: starts after the first one. */
  get restartCount(): number {
    return this.#restartCount;
  }

  get lastExit(): Exit | undefined {
    return this.#lastExit;
  }

  /** Undefined while the process isn't running. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Starts the process and keeps it running. Does nothing where it is on already. */
  start(): void {
    if (this.#on) return;
    this.#on = true;
    this.#backOffMs = undefined;
    this.#run();
  }

  /** `systemctl restart kubelet`: a process that waits is started at once, its back-off from zero; a running one runs on. */
  restart(): void {
    if (!this.#on) return;
    this.#backOffMs = undefined;
    if (!this.#process) this.#runAgain();
  }

  /** Ends the process and leaves it ended. SIGTERM is followed by SIGKILL after the pod's grace period. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#on = false;
    clearTimeout(this.#timer);
    this.#process?.kill(signal);
    // A paused process takes no SIGTERM.
    this.#process?.kill('SIGCONT');
    const killer = setTimeout(() => this.#process?.kill('SIGKILL'), GRACE_MS / this.#speed);
    await this.#ended;
    clearTimeout(killer);
  }

  /** Sends the process a signal and goes on supervising it: what it does about its end is the kubelet's business. */
  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Kills without waiting, for a process that is itself ending. */
  killNow(): void {
    this.#on = false;
    clearTimeout(this.#timer);
    this.#process?.kill('SIGKILL');
  }

  #runAgain(): void {
    clearTimeout(this.#timer);
    this.#restartCount++;
    this.#run();
  }

  #run(): void {
    this.#startedAt = Date.now();
    const log = openSync(this.#pod.logFile, 'a');
    // Detached: Ctrl-C in a terminal goes to the whole group, and a member that ends by it would be restarted.
    const child = spawn(this.#pod.command, [...this.#pod.args], { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    this.#process = child;
    this.#ended = new Promise((resolve) => {
      const end = (exit: Omit<Exit, 'at'>) => {
        this.#process = undefined;
        this.#lastExit = { at: Date.now(), ...exit };
        if (this.#on) this.#waitAndRunAgain(this.#lastExit.at);
        resolve();
      };
      child.once('exit', (code, signal) => end({ code, signal, error: undefined }));
      // Also emitted when a signal can't be sent; only a process that never started has no pid.
      child.on('error', (error) => child.pid === undefined && end({ code: null, signal: null, error }));
    });
  }

  #waitAndRunAgain(endedAt: number): void {
    this.#backOffMs = crashLoopBackOffMs(this.#backOffMs, (endedAt - this.#startedAt) * this.#speed);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#runAgain(), this.#backOffMs / this.#speed);
  }
}
