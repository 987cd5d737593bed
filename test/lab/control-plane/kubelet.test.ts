import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { crashLoopBackOffMs, Kubelet } from '../../../lab/control-plane/kubelet.ts';

let directory = '';
let kubelet: Kubelet | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'etcd-medic-test-'));
});

afterEach(async () => {
  await kubelet?.stop('SIGKILL');
  await rm(directory, { recursive: true });
});

function run(script: string, speed: number): Kubelet {
  kubelet = new Kubelet({ command: 'sh', args: ['-c', script], logFile: join(directory, 'log') }, speed);
  kubelet.start();
  return kubelet;
}

it('restarts a process at once when it ends for the first time, then after 10 s, 20 s, 40 s', async () => {
  const speed = 200;
  const crashing = run('date +%s%3N; exit 1', speed);

  const lines = async () => (await readFile(join(directory, 'log'), 'utf8')).trim().split('\n');
  // A process that is only just started hasn't said when.
  await vi.waitFor(async () => expect((await lines()).length).toBeGreaterThanOrEqual(5), 60_000);
  await crashing.stop();

  const starts = (await lines()).map(Number);
  const waits = starts.slice(1, 5).map((start, i) => (start - (starts[i] ?? 0)) * speed);
  // A slow machine makes waits longer, never shorter; a millisecond is lost to rounding at either end.
  const rounding = 2 * speed;
  expect(waits[1]).toBeGreaterThanOrEqual(10_000 - rounding);
  expect(waits[2]).toBeGreaterThanOrEqual(20_000 - rounding);
  expect(waits[3]).toBeGreaterThanOrEqual(40_000 - rounding);
});

it('starts a waiting process at once when the kubelet is restarted, and begins the back-off anew', async () => {
  const crashing = run('exit 3', 1);
  await vi.waitFor(() => expect([crashing.state, crashing.restartCount]).toEqual(['CrashLoopBackOff', 1]), 30_000);
  expect(crashing.lastExit).toMatchObject({ code: 3, signal: null });

  crashing.restart();

  expect(crashing.restartCount).toBe(2);
  // From zero: its next restart is at once again, where the old back-off had 20 s.
  await vi.waitFor(() => expect([crashing.state, crashing.restartCount]).toEqual(['CrashLoopBackOff', 3]), 8_000);
});

it('goes on at another speed in the middle of a back-off, with what is left of it in its own time', async () => {
  const crashing = run('exit 3', 100);
  await vi.waitFor(() => expect(crashing.backOffMs).toBeGreaterThanOrEqual(40_000), 30_000);
  const before = { at: Date.now(), until: crashing.backOffUntil ?? 0 };

  crashing.changeSpeed(1);

  const leftMs = (crashing.backOffUntil ?? 0) - Date.now();
  expect(leftMs).toBeLessThanOrEqual((before.until - before.at) * 100);
  expect(leftMs).toBeGreaterThan((before.until - Date.now()) * 100 - 1_000);
  expect(crashing.state).toBe('CrashLoopBackOff');
  crashing.changeSpeed(1_000);
  await vi.waitFor(() => expect(crashing.restartCount).toBeGreaterThan(3), 30_000);
});

it('leaves a running process alone when the kubelet is restarted', async () => {
  const running = run('exec sleep 600', 1);
  const { pid } = running;

  running.restart();

  expect(running.pid).toBe(pid);
  expect([running.state, running.restartCount]).toEqual(['Running', 0]);
});

it.each([
  { previousMs: undefined, ranMs: 1, expectedMs: 0 },
  { previousMs: 0, ranMs: 1, expectedMs: 10_000 },
  { previousMs: 10_000, ranMs: 1, expectedMs: 20_000 },
  { previousMs: 160_000, ranMs: 1, expectedMs: 300_000 },
  { previousMs: 300_000, ranMs: 600_000, expectedMs: 300_000 },
  { previousMs: 300_000, ranMs: 600_001, expectedMs: 0 },
])('waits $expectedMs ms after $previousMs ms when the process ran $ranMs ms', ({ previousMs, ranMs, expectedMs }) => {
  const waitMs = crashLoopBackOffMs(previousMs, ranMs);

  expect(waitMs).toBe(expectedMs);
});

it('keeps a stopped process stopped, and kills one that ignores SIGTERM', async () => {
  const stubborn = run('trap "" TERM; echo ready; while :; do sleep 0.05; done', 100);
  await vi.waitFor(async () => expect(await readFile(join(directory, 'log'), 'utf8')).toContain('ready'), 30_000);

  await stubborn.stop();

  expect([stubborn.state, stubborn.pid, stubborn.restartCount]).toEqual(['Stopped', undefined, 0]);
  expect(stubborn.lastExit?.signal).toBe('SIGKILL');
});

it('says why a process could not be started', async () => {
  kubelet = new Kubelet({ command: join(directory, 'missing'), args: [], logFile: join(directory, 'log') });

  kubelet.start();

  await vi.waitFor(() => expect(kubelet?.lastExit?.error?.message).toMatch(/ENOENT/), 30_000);
});
