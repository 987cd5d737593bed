// The probes that kubeadm gives etcd, by its generations, and how a kubelet goes by them.
import { get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { describeError } from '../../functions/contract/errors.ts';

/**
 * What kubeadm of these Kubernetes versions writes into etcd.yaml. `>=1.31` needs an etcd with /livez and /readyz:
 * 3.4.29, 3.5.11 or later.
 */
export type KubeadmGeneration = '<=1.24' | '1.25-1.30' | '>=1.31';

export interface HttpProbe {
  /** With its query. */
  readonly path: string;
  readonly initialDelaySeconds: number;
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  /** So many failures in a row end the container. */
  readonly failureThreshold: number;
}

export interface PodProbes {
  readonly startup: HttpProbe;
  readonly liveness: HttpProbe;
}

export type ProbeKind = keyof PodProbes;

/** What becomes of a container's probes. */
export interface ProbeListener {
  /** One probe failed; in the words of the kubelet's event. */
  unhealthy(message: string): void;
  /** The threshold is reached, and this container isn't probed any more. */
  failed(message: string): void;
}

/** A process's own pace isn't sped up with the kubelet's clock: a probe waits this long at least for an answer. */
const LEAST_TIMEOUT_MS = 1_000;

const LIVENESS = { initialDelaySeconds: 10, periodSeconds: 10, timeoutSeconds: 15, failureThreshold: 8 };
/** kubeadm waits 4 minutes for a control plane: 24 times its period. */
const STARTUP = { ...LIVENESS, failureThreshold: 24 };

const PATHS: Readonly<Record<KubeadmGeneration, Readonly<Record<ProbeKind, string>>>> = {
  '<=1.24': { liveness: '/health', startup: '/health' },
  '1.25-1.30': { liveness: '/health?exclude=NOSPACE&serializable=true', startup: '/health?serializable=false' },
  '>=1.31': { liveness: '/livez', startup: '/readyz' },
};

export function kubeadmProbes(generation: KubeadmGeneration): PodProbes {
  const { liveness, startup } = PATHS[generation];
  return { liveness: { ...LIVENESS, path: liveness }, startup: { ...STARTUP, path: startup } };
}

/** Probes one container after the other: the startup probe until it succeeds once, then the liveness probe. */
export class Prober {
  readonly #url: string;
  readonly #probes: PodProbes;
  #speed: number;
  readonly #listener: ProbeListener;
  #stop = new AbortController();
  #succeeded = false;

  /** @param url where etcd serves its health without TLS, as kubeadm has it: `http://127.0.0.1:2381` */
  constructor(url: string, probes: PodProbes, speed: number, listener: ProbeListener) {
    this.#url = url;
    this.#probes = probes;
    this.#speed = speed;
    this.#listener = listener;
  }

  /**
   * Begins from zero, startup probe first. A restarted kubelet does so too for a container that has run for long,
   * because it keeps no result (kubelet, `isContainerStarted`; until Kubernetes 1.34).
   * @param startedAt when the container started, which the initial delay counts from
   */
  start(startedAt: number): void {
    this.stop();
    this.#succeeded = false;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.#run(startedAt, signal).catch((error: unknown) => {
      // Stopped while it waited; anything else is a mistake of ours, and must be seen.
      if (!signal.aborted) throw error;
    });
  }

  stop(): void {
    this.#stop.abort();
  }

  /** From the next pause on. */
  changeSpeed(speed: number): void {
    this.#speed = speed;
  }

  /** Whether the startup probe has succeeded since it was begun: `started` in a container's status. */
  get succeeded(): boolean {
    return this.#succeeded;
  }

  async #run(startedAt: number, signal: AbortSignal): Promise<void> {
    if (!(await this.#probe('startup', startedAt, signal))) return;
    await this.#probe('liveness', startedAt, signal);
  }

  /** @returns whether a startup probe succeeded; a liveness probe goes on until it fails for good */
  async #probe(kind: ProbeKind, startedAt: number, signal: AbortSignal): Promise<boolean> {
    const probe = this.#probes[kind];
    const timeoutMs = Math.max(this.#ms(probe.timeoutSeconds), LEAST_TIMEOUT_MS);
    const name = kind === 'startup' ? 'Startup' : 'Liveness';
    await wait(Math.max(0, startedAt + this.#ms(probe.initialDelaySeconds) - Date.now()), undefined, { signal });
    for (let failures = 0; ; ) {
      const askedAt = Date.now();
      const problem = await ask(`${this.#url}${probe.path}`, timeoutMs, signal);
      signal.throwIfAborted();
      if (problem === undefined) {
        failures = 0;
        this.#succeeded = true;
      } else {
        this.#listener.unhealthy(`${name} probe failed: ${problem}`);
        failures++;
        if (failures >= probe.failureThreshold) {
          this.#listener.failed(`Container etcd failed ${kind} probe, will be restarted`);
          return false;
        }
      }
      // A probe that outlasts the period is followed by the next one at once.
      await wait(Math.max(0, askedAt + this.#ms(probe.periodSeconds) - Date.now()), undefined, { signal });
      if (problem === undefined && kind === 'startup') return true;
    }
  }

  #ms(seconds: number): number {
    return (seconds * 1000) / this.#speed;
  }
}

/** @returns undefined for an answer from 200 to 399, as the kubelet takes it, or else what is wrong */
function ask(url: string, timeoutMs: number, stop: AbortSignal): Promise<string | undefined> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]);
  return new Promise((resolve) => {
    const request = get(url, { agent: false, signal }, (response) => {
      const status = response.statusCode ?? 0;
      response.resume();
      resolve(status >= 200 && status < 400 ? undefined : `HTTP probe failed with statuscode: ${status}`);
    });
    request.on('error', (error) => {
      const late = signal.aborted && !stop.aborted;
      resolve(late ? 'context deadline exceeded (Client.Timeout exceeded)' : describeError(error));
    });
  });
}

/** @throws RangeError where this etcd has no such endpoints: kubeadm refuses it too */
export function assertHasProbes(generation: KubeadmGeneration, version: string): void {
  if (generation !== '>=1.31') return;
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const since = minor === 4 ? 29 : minor === 5 ? 11 : 0;
  if (major > 3 || (major === 3 && minor >= 4 && patch >= since)) return;
  throw new RangeError(
    `etcd ${version} has no /livez and /readyz, which kubeadm ${generation} probes: take 3.4.29, 3.5.11 or later`,
  );
}
