// What a kubelet does for one static pod: keeps its process running, probes it, and backs off between restarts.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { type PodProbes, Prober } from './probes.ts';

/** The first wait after a crash, and the longest one: the kubelet's constants. */
const FIRST_BACK_OFF_MS = 10_000;
const LONGEST_BACK_OFF_MS = 300_000;
/** A process that ran for twice the longest wait counts as stable, and its next crash as its first. */
const STABLE_AFTER_MS = 2 * LONGEST_BACK_OFF_MS;
/** How long a process asked to stop has before it is killed (a pod's default grace period). */
const GRACE_MS = 30_000;
/**
 * A process's own pace isn't sped up with the kubelet's clock: etcd takes a second to hand its leadership on and end.
 */
const LEAST_GRACE_MS = 2_000;
/** Of the first kubelet; each of its restarts has a pid of its own. */
const FIRST_PID = 1_000;

/** `CrashLoopBackOff`: it ended and waits for its next start. `Stopped`: the pod was taken away. */
export type PodState = 'Running' | 'CrashLoopBackOff' | 'Stopped';

/**
 * The kubelet's own service, as systemd calls it. Where it isn't `active`, a running process runs on, unprobed, and
 * nothing is restarted.
 */
export type UnitState = 'active' | 'inactive' | 'failed';

export interface StaticPod {
  readonly command: string;
  readonly args: readonly string[];
  /** Standard output and standard error are appended to it. */
  readonly logFile: string;
  /** Left out: it is never probed. */
  readonly probes?: { readonly url: string; readonly probes: PodProbes } | undefined;
}

export interface Exit {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not even be started. */
  readonly error: Error | undefined;
}

export interface KubeletEvent {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The kubelet's own names where it has one; `Signalled` is somebody else's doing. */
  readonly event:
    | 'Started'
    | 'Exited'
    | 'BackOff'
    | 'Unhealthy'
    | 'Killing'
    | 'Signalled'
    | 'KubeletRestarted'
    | 'KubeletStopped';
  readonly detail: string;
}

/**
 * How long the kubelet waits before it restarts a process: the first time not at all, then 10 s, then twice as long
 * each time.
 * @param previousMs what it waited the last time; undefined where it hasn't restarted it yet
 * @param ranMs how long the process ran
 */
export function crashLoopBackOffMs(previousMs: number | undefined, ranMs: number): number {
  if (previousMs === undefined || ranMs > STABLE_AFTER_MS) return 0;
  return previousMs === 0 ? FIRST_BACK_OFF_MS : Math.min(previousMs * 2, LONGEST_BACK_OFF_MS);
}

export class Kubelet {
  /**
   * How the next `systemctl restart kubelet` goes wrong, until it is set to undefined: it fails, or the unit is gone
   * right after it.
   */
  breakRestart: 'fails' | 'stays-inactive' | undefined;
  #pod: StaticPod;
  #speed: number;
  readonly #prober: Prober | undefined;
  readonly #events: KubeletEvent[] = [];
  #unit: UnitState = 'active';
  #mainPid = FIRST_PID;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #on = false;
  #waitsLongest = false;
  #probes = true;
  /** Of the last crash; undefined where nothing has crashed since the kubelet was started. */
  #backOffMs: number | undefined;
  #backOffUntil: number | undefined;
  #startedAt = 0;
  #restartCount = 0;
  #lastExit: Exit | undefined;

  /** @param speed all times are divided by it: at 10, a back-off starts with one second. @default 1 */
  constructor(pod: StaticPod, speed = 1) {
    this.#pod = pod;
    this.#speed = speed;
    this.#prober =
      pod.probes &&
      new Prober(pod.probes.url, pod.probes.probes, speed, {
        unhealthy: (message) => this.#record('Unhealthy', message),
        failed: (message) => this.#kill(message),
      });
  }

  /** What its process is from its next start on, as where somebody writes another image into the pod's manifest. */
  replaceCommand(command: string, args: readonly string[]): void {
    this.#pod = { ...this.#pod, command, args };
  }

  get state(): PodState {
    if (!this.#on) return 'Stopped';
    return this.#process ? 'Running' : 'CrashLoopBackOff';
  }

  get unit(): UnitState {
    return this.#unit;
  }

  /** The kubelet's own; 0 while it isn't active. */
  get mainPid(): number {
    return this.#unit === 'active' ? this.#mainPid : 0;
  }

  /** As `kubectl get pods` counts them: starts after the first one. */
  get restartCount(): number {
    return this.#restartCount;
  }

  get lastExit(): Exit | undefined {
    return this.#lastExit;
  }

  /** Milliseconds since the epoch; 0 until the process has been started once. */
  get startedAt(): number {
    return this.#startedAt;
  }

  /**
   * What the kubelet waited or waits after the last crash, in its own time: not divided by the speed. Undefined where
   * it has no back-off.
   */
  get backOffMs(): number | undefined {
    return this.#backOffMs;
  }

  /** When the process is started next, in milliseconds since the epoch; undefined unless it waits for that. */
  get backOffUntil(): number | undefined {
    return this.#backOffUntil;
  }

  /** Everything since it was made, oldest first. */
  get events(): readonly KubeletEvent[] {
    return this.#events;
  }

  /** Its startup probe has succeeded: from now on only the liveness probe counts. */
  get isStarted(): boolean {
    return this.#process !== undefined && this.#prober?.succeeded === true;
  }

  /** Undefined while the process isn't running. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get speed(): number {
    return this.#speed;
  }

  /**
   * Its clock goes on at another speed, also where it is in the middle of a back-off: what is left of that is as long
   * as before in its own time.
   */
  changeSpeed(speed: number): void {
    const leftMs = Math.max(0, (this.#backOffUntil ?? 0) - Date.now()) * this.#speed;
    this.#speed = speed;
    this.#prober?.changeSpeed(speed);
    if (this.#backOffUntil === undefined) return;
    clearTimeout(this.#timer);
    this.#backOffUntil = Date.now() + leftMs / speed;
    this.#timer = setTimeout(() => this.#runAgain(), leftMs / speed);
  }

  /**
   * Starts the process and keeps it running. Does nothing where it is on already.
   * @param probes whether it is probed from the start, or only once `probe` is called. @default true
   */
  start({ probes = true }: { readonly probes?: boolean } = {}): void {
    if (this.#on) return;
    this.#on = true;
    this.#probes = probes;
    this.#unit = 'active';
    this.#backOffMs = undefined;
    this.#run();
  }

  /** Begins the probes that `start` has put off. */
  probe(): void {
    if (this.#probes) return;
    this.#probes = true;
    if (this.#process) this.#prober?.start(this.#startedAt);
  }

  /**
   * `systemctl restart kubelet`: a process that waits is started at once, its back-off from zero; a running one runs
   * on, probed from zero. A pod that was taken away stays away.
   * @returns the unit's state after it
   */
  restart(): UnitState {
    this.#backOffMs = undefined;
    if (this.breakRestart !== undefined) {
      this.#unit = this.breakRestart === 'fails' ? 'failed' : 'inactive';
      this.#stopWaiting();
      this.#prober?.stop();
      this.#record('KubeletStopped', `the unit is ${this.#unit}`);
      return this.#unit;
    }
    this.#unit = 'active';
    this.#probes = true;
    this.#mainPid++;
    this.#record('KubeletRestarted', `pid ${this.#mainPid}`);
    if (!this.#on) return this.#unit;
    if (this.#process) this.#prober?.start(this.#startedAt);
    else this.#runAgain();
    return this.#unit;
  }

  /** Ends the process and leaves it ended. SIGTERM is followed by SIGKILL after the pod's grace period. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.#on = false;
    this.#stopWaiting();
    this.#prober?.stop();
    this.#process?.kill(signal);
    // A paused process takes no SIGTERM.
    this.#process?.kill('SIGCONT');
    const killer = setTimeout(() => this.#process?.kill('SIGKILL'), this.#graceMs());
    await this.#ended;
    clearTimeout(killer);
  }

  /** Sends the process a signal and goes on supervising it: what it does about its end is the kubelet's business. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#process) return;
    this.#record('Signalled', signal);
    this.#process.kill(signal);
  }

  /**
   * Kills the process as if it were one crash of many: it is started again only after the longest back-off there is.
   */
  crashOnceMore(): void {
    this.#waitsLongest = true;
    this.signal('SIGKILL');
  }

  /** Kills without waiting, for a process that is itself ending. */
  killNow(): void {
    this.#on = false;
    this.#stopWaiting();
    this.#prober?.stop();
    this.#process?.kill('SIGKILL');
  }

  #runAgain(): void {
    this.#stopWaiting();
    this.#restartCount++;
    this.#run();
  }

  #run(): void {
    this.#startedAt = Date.now();
    const log = openSync(this.#pod.logFile, 'a');
    // Detached: Ctrl-C in a terminal goes to the whole group, and a member that ends by it would be restarted.
    const child = spawn(this.#pod.command, [...this.#pod.args], {
      stdio: ['ignore', log, log],
      detached: true,
      env: withoutOurs(process.env),
    });
    closeSync(log);
    this.#process = child;
    this.#record('Started', `pid ${child.pid}`);
    if (this.#probes) this.#prober?.start(this.#startedAt);
    this.#ended = new Promise((resolve) => {
      const end = (exit: Omit<Exit, 'at'>) => {
        this.#process = undefined;
        this.#prober?.stop();
        this.#lastExit = { at: Date.now(), ...exit };
        this.#record('Exited', exit.error?.message ?? exit.signal ?? `code ${exit.code}`);
        if (this.#on && this.#unit === 'active') this.#waitAndRunAgain(this.#lastExit.at);
        resolve();
      };
      child.once('exit', (code, signal) => end({ code, signal, error: undefined }));
      // Also emitted when a signal can't be sent; only a process that never started has no pid.
      child.on('error', (error) => child.pid === undefined && end({ code: null, signal: null, error }));
    });
  }

  #kill(why: string): void {
    const child = this.#process;
    if (!child) return;
    this.#record('Killing', why);
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), this.#graceMs());
    child.once('exit', () => clearTimeout(killer));
  }

  #waitAndRunAgain(endedAt: number): void {
    const ranMs = (endedAt - this.#startedAt) * this.#speed;
    this.#backOffMs = this.#waitsLongest ? LONGEST_BACK_OFF_MS : crashLoopBackOffMs(this.#backOffMs, ranMs);
    this.#waitsLongest = false;
    const waitMs = this.#backOffMs / this.#speed;
    this.#stopWaiting();
    this.#backOffUntil = endedAt + waitMs;
    if (this.#backOffMs > 0) this.#record('BackOff', `back-off ${this.#backOffMs / 1000}s restarting failed container`);
    this.#timer = setTimeout(() => this.#runAgain(), waitMs);
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer);
    this.#backOffUntil = undefined;
  }

  #graceMs(): number {
    return Math.max(GRACE_MS / this.#speed, LEAST_GRACE_MS);
  }

  #record(event: KubeletEvent['event'], detail: string): void {
    this.#events.push({ at: Date.now(), event, detail });
  }
}

/**
 * etcd takes its settings from ETCD_… too, as 3.4 does `--version` from ETCD_VERSION, and writes those that it doesn't
 * know into its log: etcd-medic's whole configuration.
 */
function withoutOurs(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('ETCD_')));
}
