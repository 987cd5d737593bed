import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { writeAllAlong } from '../../../lab/control-plane/acknowledged.ts';
import { raiseNospace } from '../../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../../lab/control-plane/plane.ts';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane({ kubeletSpeed: 100 });
});

afterAll(async () => {
  await plane?.stop();
});

it('finds every acknowledged write on every member, also after one was killed while it wrote', async () => {
  await using writer = writeAllAlong(plane, { pauseMs: 5 });
  await vi.waitFor(() => expect(writer.acknowledged).toBeGreaterThan(20), 30_000);

  plane.kill('cp-2');
  const before = writer.acknowledged;
  await vi.waitFor(() => expect(writer.acknowledged).toBeGreaterThan(before + 20), 30_000);
  const { acknowledged, losses } = await writer.verify();

  expect(losses).toEqual([]);
  expect(acknowledged).toBeGreaterThan(40);
});

it('says which member lacks what, and which does not answer', async () => {
  const writer = writeAllAlong(plane, { pauseMs: 5 });
  await vi.waitFor(() => expect(writer.acknowledged).toBeGreaterThan(10), 30_000);
  await writer.stop();
  const [lost = -1] = writer.acknowledgedNumbers;
  const key = `/etcd-medic-test/acknowledged/${`${lost}`.padStart(9, '0')}`;
  await plane.etcdctl([`--endpoints=${plane.endpoints[0]}`, 'del', key]);
  // Without a quorum a member still says what it has itself.
  const gone = ['cp-2', 'cp-3'];
  await Promise.all(gone.map((name) => plane.stopMember(name)));

  const { acknowledged, losses } = await writer.verify({ withinMs: 500 });

  for (const name of gone) plane.startMember(name);
  await plane.ready();
  expect(losses).toEqual([
    `cp-1 lacks 1 of ${acknowledged} acknowledged writes: ${lost}`,
    expect.stringMatching(/^cp-2 does not answer: /),
    expect.stringMatching(/^cp-3 does not answer: /),
  ]);
});

it('counts what NOSPACE refuses, and loses nothing by it', async () => {
  await using writer = writeAllAlong(plane, { pauseMs: 5 });
  await vi.waitFor(() => expect(writer.acknowledged).toBeGreaterThan(5), 30_000);
  await raiseNospace(plane, plane.member('cp-1').id);
  await vi.waitFor(() => expect(writer.refused).toBeGreaterThan(0), 30_000);

  const { refused, losses } = await writer.verify();

  await plane.etcdctl([`--endpoints=${plane.endpoints[0]}`, 'alarm', 'disarm']);
  expect(refused).toBeGreaterThan(0);
  expect(losses).toEqual([]);
});
