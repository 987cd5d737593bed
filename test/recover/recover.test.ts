// The main job, on real etcd: a cluster in NOSPACE comes back, and what must not be touched isn't.
import { afterEach, describe, expect, it } from 'vitest';
import { listAlarms, putThrough, raiseCorrupt, raiseNospace, snapshotOfState } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlaneOptions } from '../../lab/control-plane/options.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { settled } from '../../lab/control-plane/settle.ts';
import { defragmentations, outcomes, recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
const QUOTA_BYTES = 16 * MiB;
const VERSIONS = await versionsHere(['3.4.23', '3.5.16', '3.5.30', '3.6.16', '3.7.3']);
/** Where it counts who leads: a machine that stands still for a second or two has no election by itself. */
const SLOW_ELECTIONS = ['--election-timeout=3000'];

let plane: ControlPlane | undefined;
afterEach(async () => {
  await plane?.stop();
  plane = undefined;
});

async function fullPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  plane = await startControlPlane({ quotaBytes: QUOTA_BYTES, ...options });
  await fillWithReports(plane, { reportBytes: 50_000 });
  return plane;
}

async function expectWritable(plane: ControlPlane): Promise<void> {
  expect(await listAlarms(plane)).toEqual([]);
  for (const { endpoint, isLearner } of plane.members) {
    if (!isLearner) expect(await putThrough(plane, endpoint)).toMatchObject({ ok: true });
  }
}

describe('recover, on a cluster in NOSPACE', () => {
  it.each(VERSIONS)('brings etcd %s back: small, writable, disarmed', async (version) => {
    const plane = await fullPlane({ version, flags: SLOW_ELECTIONS });
    expect((await listAlarms(plane)).map(({ type }) => type)).toEqual(['NOSPACE', 'NOSPACE', 'NOSPACE']);

    const report = await recoverPlane(plane);

    expect(report.outcome, report.reason).toBe('recovered');
    await expectWritable(plane);
    const { dbSizeBytes } = await snapshotOfState(plane);
    for (const size of Object.values(dbSizeBytes)) expect(size).toBeLessThan(0.25 * QUOTA_BYTES);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 1, 'cp-2': 1, 'cp-3': 1 });
    for (const member of report.members) {
      expect(member).toMatchObject({
        defragmented: true,
        quotaBytes: QUOTA_BYTES,
        version,
        before: { alarms: ['NOSPACE'] },
      });
      expect(member.after?.alarms).toEqual([]);
      expect(member.after?.dbSize).toBeLessThan(0.25 * QUOTA_BYTES);
    }
    expect(outcomes(report)).toMatchObject({
      lease: 'not-configured',
      switch: 'not-configured',
      nodes: 'not-configured',
      snapshot: 'not-configured',
      prune: 'not-configured',
      compact: 'done',
      'move leader': 'done',
      disarm: 'done',
      canary: 'done',
      watch: 'done',
      verify: 'done',
      history: 'not-configured',
      bus: 'not-configured',
    });
  });

  it.each([1, 5])('brings a cluster of %i back', async (members) => {
    const plane = await fullPlane({ members });

    const report = await recoverPlane(plane);

    expect(report.outcome, report.reason).toBe('recovered');
    await expectWritable(plane);
    expect(Object.values(await defragmentations(plane))).toEqual(Array(members).fill(1));
  });

  it('works over plain http', async () => {
    const plane = await fullPlane({ tls: false, members: 1 });

    const report = await recoverPlane(plane);

    expect(report.outcome, report.reason).toBe('recovered');
    await expectWritable(plane);
  });

  it('finds all members from one endpoint', async () => {
    const plane = await fullPlane();

    const report = await recoverPlane(plane, { configuration: { etcd: { endpoints: [plane.endpoints[1]] } } });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(report.members.map(({ name, defragmented }) => [name, defragmented])).toEqual([
      ['cp-1', true],
      ['cp-2', true],
      ['cp-3', true],
    ]);
  });

  it.each([
    ['one member', { 'cp-2': 256 * MiB, 'cp-3': 256 * MiB }, ['cp-1']],
    ['two members', { 'cp-3': 256 * MiB }, ['cp-1', 'cp-2']],
  ])(
    'disarms what %s raised, and leaves members alone whose own quota is far away',
    async (_name, memberQuotaBytes, raised) => {
      const plane = await fullPlane({ memberQuotaBytes });
      expect(await listAlarms(plane)).toHaveLength(raised.length);

      const report = await recoverPlane(plane);

      expect(report.outcome, report.reason).toBe('recovered');
      await expectWritable(plane);
      expect(report.members.filter(({ defragmented }) => defragmented).map(({ name }) => name)).toEqual(raised);
    },
  );

  it('only disarms where everything else was done already, as after a night of work by hand', async () => {
    plane = await startControlPlane({ quotaBytes: 64 * MiB });
    for (const { id } of plane.members) await raiseNospace(plane, id);

    const report = await recoverPlane(plane);

    expect(report.outcome, report.reason).toBe('recovered');
    await expectWritable(plane);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
  });

  it('R3: leaves a learner alone and names it', async () => {
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
    const learner = await plane.addLearner(256 * MiB);
    await fillWithReports(plane, { reportBytes: 50_000 });

    const report = await recoverPlane(plane);

    expect(report.outcome, report.reason).toBe('recovered');
    await expectWritable(plane);
    expect(report.members.find(({ name }) => name === learner.name)).toMatchObject({
      isLearner: true,
      defragmented: false,
      note: expect.stringContaining('learner'),
    });
    expect((await defragmentations(plane))[learner.name]).toBe(0);
  });

  it('R7: does not disarm while a learner is full that would raise the alarm again, and says how to help it', async () => {
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
    const learner = await plane.addLearner();
    await fillWithReports(plane, { reportBytes: 50_000 });

    const armed = await listAlarms(plane);

    const report = await recoverPlane(plane);

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain(`etcdctl member promote ${learner.id}`);
    expect(await listAlarms(plane)).toEqual(armed);
  });
});

describe('recover, where it must not act', () => {
  it('changes nothing on a healthy cluster, and says so', async () => {
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
    await settled(plane);
    const before = await snapshotOfState(plane);

    const report = await recoverPlane(plane);

    expect(report.outcome).toBe('nothing-to-do');
    expect(report.members).toHaveLength(3);
    expect(await snapshotOfState(plane)).toEqual(before);
  });

  it('plans in a dry run, and leaves revision, sizes and alarms as they were', async () => {
    const plane = await fullPlane();
    const before = await snapshotOfState(plane);

    const report = await recoverPlane(plane, { dryRun: true });

    expect(report.outcome).toBe('planned');
    expect(report.plan?.map(({ name }) => name.replace(/cp-\d/, 'member'))).toEqual([
      ...['prune', 'snapshot'],
      ...[
        'compact',
        'defragment member',
        'defragment member',
        'move leader',
        'defragment member',
        'disarm',
        'canary',
        'watch',
      ],
    ]);
    expect(await snapshotOfState(plane)).toEqual(before);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
  });

  it.each([
    ['before', true],
    ['after', false],
  ])('R1: escalates and changes nothing where CORRUPT was raised %s NOSPACE', async (_when, corruptFirst) => {
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
    const [first] = plane.members;
    if (!corruptFirst) await fillWithReports(plane, { reportBytes: 50_000 });
    await raiseCorrupt(plane, first?.id ?? '');
    if (corruptFirst) await raiseNospace(plane, first?.id ?? '');
    await settled(plane);
    const before = await snapshotOfState(plane);

    const report = await recoverPlane(plane);

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toMatch(/^R1: CORRUPT on cp-1/);
    expect(await snapshotOfState(plane)).toEqual(before);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
  });

  it('R2, R7: with one of three members down neither defragments nor disarms, and says who and why', async () => {
    const plane = await fullPlane();
    await plane.stopMember('cp-2');
    const before = await snapshotOfState(plane);

    const report = await recoverPlane(plane);

    expect(report.outcome).toBe('refused');
    expect(report.reason).toContain('cp-2');
    expect(report.reason).toContain('R7');
    expect(await snapshotOfState(plane)).toEqual(before);
    expect(report.members.find(({ name }) => name === 'cp-2')?.note).toContain('does not answer');
  });

  it('tells "full of live data" from "full of history", and escalates with sizes and names', async () => {
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
    await fillWithReports(plane, { mode: 'live', reportBytes: 50_000 });

    const report = await recoverPlane(plane);

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toMatch(/^Full of live data: .*\b16777216 bytes\b/);
    expect(report.reason).toContain('/registry/aquasecurity.github.io/vulnerabilityreports/');
    expect(await listAlarms(plane)).toHaveLength(3);
  });
});
