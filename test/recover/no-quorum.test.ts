// Without a quorum nothing can be done but to wait: every look takes as long as etcd lets a read wait, in real time.
import { expect, it } from 'vitest';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import { defragmentations, recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;

it('R2: without a quorum changes nothing, and says so', async () => {
  await using plane = await startControlPlane({ quotaBytes: 16 * MiB });
  await fillWithReports(plane, { reportBytes: 50_000 });
  await plane.stopMember('cp-2');
  await plane.stopMember('cp-3');

  const report = await recoverPlane(plane);

  expect(report.outcome).toBe('refused');
  expect(report.reason).toContain('No quorum');
  await plane.startMember('cp-2');
  await plane.startMember('cp-3');
  await plane.ready();
  expect(await defragmentations(plane)).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
  expect(await listAlarms(plane)).toHaveLength(3);
});
