import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { raiseNospace } from '../../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../../lab/control-plane/control-plane.ts';
import { Kubelet } from '../../../lab/control-plane/kubelet.ts';
import type { ControlPlane } from '../../../lab/control-plane/plane.ts';
import { kubeadmProbes } from '../../../lab/control-plane/probes.ts';

/** Of the kubelet's clock. */
const MINUTE_MS = 60_000;
/** Elections are not what is measured here, and the default takes up to 2 s. */
const QUICK_ELECTIONS = ['--heartbeat-interval=20', '--election-timeout=200'];

function killings({ events }: Kubelet): string[] {
  return events.filter(({ event }) => event === 'Killing').map(({ detail }) => detail);
}

describe('a probed process', () => {
  const probes = kubeadmProbes('1.25-1.30');
  let directory = '';
  let health: Server;
  let url = '';
  let kubelet: Kubelet | undefined;
  /** What the process answers: status codes by path. */
  let answers: Record<string, number> = {};
  let asked: string[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'etcd-medic-test-'));
    asked = [];
    health = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(answers[request.url ?? ''] ?? 404).end();
    });
    health.listen(0, '127.0.0.1');
    await once(health, 'listening');
    const address = health.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    url = `http://127.0.0.1:${address.port}`;
  });

  afterEach(async () => {
    await kubelet?.stop('SIGKILL');
    health.closeAllConnections();
    health.close();
    await rm(directory, { recursive: true });
  });

  function run(speed: number): Kubelet {
    const pod = { command: 'sleep', args: ['600'], logFile: join(directory, 'log'), probes: { url, probes } };
    kubelet = new Kubelet(pod, speed);
    kubelet.start();
    return kubelet;
  }

  it('is asked by the startup probe until that succeeds, and by the liveness probe from then on', async () => {
    answers = { [probes.startup.path]: 503, [probes.liveness.path]: 200 };
    const running = run(500);

    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(3), 30_000);
    const before = new Set(asked);
    answers = { ...answers, [probes.startup.path]: 200 };
    await vi.waitFor(
      () => expect(asked.filter((path) => path === probes.liveness.path).length).toBeGreaterThan(3),
      30_000,
    );

    expect(before).toEqual(new Set([probes.startup.path]));
    expect(asked.at(-1)).toBe(probes.liveness.path);
    expect([running.restartCount, killings(running)]).toEqual([0, []]);
  });

  it('is killed after 8 failures of its liveness probe in a row, and restarted', async () => {
    answers = { [probes.startup.path]: 200, [probes.liveness.path]: 503 };
    const running = run(200);

    await vi.waitFor(() => expect(running.restartCount).toBe(1), 30_000);

    const names = running.events.map(({ event }) => event);
    expect(names.slice(0, 12)).toEqual(['Started', ...Array(8).fill('Unhealthy'), 'Killing', 'Exited', 'Started']);
    expect(killings(running)[0]).toBe('Container etcd failed liveness probe, will be restarted');
    expect(running.lastExit?.signal).toBe('SIGTERM');
  });

  it('is not killed for failures with successes between them', async () => {
    let liveness = 0;
    const flapping = { get: () => (++liveness % 8 === 0 ? 200 : 503), enumerable: true };
    answers = Object.defineProperty({ [probes.startup.path]: 200 }, probes.liveness.path, flapping);
    const running = run(1000);

    await vi.waitFor(() => expect(liveness).toBeGreaterThan(24), 30_000);

    expect(running.events.filter(({ event }) => event === 'Unhealthy').length).toBeGreaterThan(14);
    expect(killings(running)).toEqual([]);
  });

  it('is asked by the startup probe anew when the kubelet is restarted, and killed by it where that fails now', async () => {
    answers = { [probes.startup.path]: 200, [probes.liveness.path]: 200 };
    const running = run(500);
    await vi.waitFor(() => expect(asked).toContain(probes.liveness.path), 30_000);
    const { pid } = running;

    answers = { ...answers, [probes.startup.path]: 503 };
    running.restart();
    expect(running.pid).toBe(pid);
    await vi.waitFor(() => expect(killings(running)).toHaveLength(1), 30_000);

    expect(killings(running)[0]).toBe('Container etcd failed startup probe, will be restarted');
    const names = running.events.map(({ event }) => event);
    const before = names.slice(0, names.indexOf('Killing')).filter((name) => name === 'Unhealthy');
    expect(before).toHaveLength(24);
  });

  it.each(['fails', 'stays-inactive'] as const)(
    'is neither probed nor restarted while the kubelet is gone: %s',
    async (how) => {
      answers = { [probes.startup.path]: 200, [probes.liveness.path]: 200 };
      const running = run(500);
      await vi.waitFor(() => expect(asked).toContain(probes.liveness.path), 30_000);
      running.breakRestart = how;

      const unit = running.restart();
      const runsOn = running.state;
      running.signal('SIGKILL');
      await vi.waitFor(() => expect(running.lastExit).toBeDefined(), 30_000);
      const gone = [running.state, running.restartCount, running.backOffUntil, running.mainPid];
      running.breakRestart = undefined;
      const repaired = running.restart();

      expect([unit, runsOn]).toEqual([how === 'fails' ? 'failed' : 'inactive', 'Running']);
      expect(gone).toEqual(['CrashLoopBackOff', 0, undefined, 0]);
      expect([repaired, running.state, running.restartCount]).toEqual(['active', 'Running', 1]);
    },
  );
});

describe('etcd under NOSPACE', () => {
  /** Waits on the kubelet's clock. */
  async function letPass({ kubelet }: ControlPlane['members'][number], ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms / kubelet.speed));
  }

  async function startupProbesOver({ members }: ControlPlane): Promise<void> {
    await vi.waitFor(() => expect(members.every(({ kubelet }) => kubelet.isStarted)).toBe(true), 30_000);
  }

  // They come to wait at the same time by chance: mostly within half a minute.
  const BY_CHANCE_MS = 300_000;

  it('by kubeadm <= 1.24: is killed on all nodes until the back-off is at minutes; restarted kubelets bring it up together', {
    timeout: BY_CHANCE_MS + 120_000,
  }, async () => {
    await using plane = await startControlPlane({
      probes: '<=1.24',
      kubeletSpeed: 100,
      tls: false,
      flags: QUICK_ELECTIONS,
    });
    const kubelets = plane.members.map(({ kubelet }) => kubelet);
    await startupProbesOver(plane);
    await raiseNospace(plane, plane.member('cp-1').id);

    const waiting = { state: 'CrashLoopBackOff', isLong: true };
    await vi.waitFor(
      () =>
        expect(kubelets.map(({ state, backOffMs = 0 }) => ({ state, isLong: backOffMs > MINUTE_MS }))).toEqual([
          waiting,
          waiting,
          waiting,
        ]),
      { timeout: BY_CHANCE_MS, interval: 20 },
    );
    for (const kubelet of kubelets) kubelet.restart();

    expect(kubelets.map(({ state, backOffMs }) => ({ state, backOffMs }))).toEqual(
      kubelets.map(() => ({ state: 'Running', backOffMs: undefined })),
    );
    for (const kubelet of kubelets) {
      expect(killings(kubelet)[0]).toContain('failed liveness probe');
      expect(killings(kubelet).at(-1)).toContain('failed startup probe');
    }
    await plane.ready();
  });

  it('by kubeadm 1.25 to 1.30: runs on, but once restarted is killed when the startup probe gives up', async () => {
    await using plane = await startControlPlane({ probes: '1.25-1.30', kubeletSpeed: 100, tls: false, members: 1 });
    const member = plane.member('cp-1');
    await startupProbesOver(plane);
    await raiseNospace(plane, member.id);
    await letPass(member, 2 * MINUTE_MS);
    const untouched = [member.kubelet.restartCount, killings(member.kubelet)];

    plane.kill('cp-1');
    await vi.waitFor(() => expect(killings(member.kubelet)).toHaveLength(1), 30_000);

    expect(untouched).toEqual([0, []]);
    expect(killings(member.kubelet)).toEqual(['Container etcd failed startup probe, will be restarted']);
  });

  it('by kubeadm >= 1.31: runs on, also once restarted', async () => {
    await using plane = await startControlPlane({ probes: '>=1.31', kubeletSpeed: 50, tls: false, members: 1 });
    const member = plane.member('cp-1');
    await raiseNospace(plane, member.id);

    plane.kill('cp-1');
    await plane.ready();
    await letPass(member, 5 * MINUTE_MS);

    expect(killings(member.kubelet)).toEqual([]);
    expect([member.kubelet.state, member.kubelet.restartCount]).toEqual(['Running', 1]);
  });
});

it('refuses an etcd without /livez where kubeadm probes that', async () => {
  const starting = startControlPlane({ version: '3.4.23', probes: '>=1.31' });

  await expect(starting).rejects.toThrow(/etcd 3\.4\.23 has no \/livez and \/readyz/);
});
