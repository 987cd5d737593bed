// A member that nobody has ever seen answer, on real etcd: on the way to 3.6 it may be one that was removed.
import { afterEach, expect, it, vi } from 'vitest';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { recordOf, reportOf, runHandler } from './harness.ts';

let plane: ControlPlane | undefined;
let aws: AwsStandIn | undefined;
afterEach(async () => {
  await aws?.stop();
  await plane?.stop();
  aws = undefined;
  plane = undefined;
});

/** A voter that never starts. Right after their start the members refuse one: they have not seen each other for 5 s. */
async function addMember(to: ControlPlane): Promise<void> {
  const add = ['member', 'add', 'cp-9', '--peer-urls', 'https://127.0.0.9:1'];
  const added = () => to.etcdctl(add).then(String, (error: unknown) => String(error));
  await expect.poll(added, { timeout: 60_000, interval: 1_000 }).toContain('added to cluster');
}

it.each(await versionsHere(['3.5.30', '3.6.16']))(
  'R17: etcd %s: it is named where the way leads to 3.6',
  async (version) => {
    plane = await startControlPlane({ version });
    aws = await startAws();
    aws.enter();
    const configuration = plane.configuration();
    const probe = async () => reportOf(await runHandler(configuration));

    const well = await probe();
    await addMember(plane);
    const added = await probe();
    // As in Lambda once the process is gone: only the record knows who has answered.
    vi.resetModules();
    const [first, second] = [await probe(), await probe()];

    expect(well.outcome, well.reason).toBe('healthy');
    const words =
      /has never answered the probe: an etcd from 3\.5\.1 to before 3\.5\.26 may bring members back.*etcdctl member remove [0-9a-f]+/;
    for (const { outcome, reason } of [added, second]) {
      expect(outcome).toBe('escalated');
      if (version === '3.6.16') expect(reason).toMatch(words);
      else expect(reason).not.toContain('R17');
    }
    expect(first.reason).not.toContain('R17');
    expect((await recordOf(aws))?.look.answered).toEqual(plane.members.map(({ id }) => id).sort());
  },
);

it.runIf((await versionsHere(['3.6.16'])).length > 0)('R17: one that has answered before is only away', async () => {
  plane = await startControlPlane({ version: '3.6.16' });
  aws = await startAws();
  aws.enter();
  const configuration = plane.configuration();
  await runHandler(configuration);
  plane.kill('cp-3');

  const report = reportOf(await runHandler(configuration));

  expect(report.reason).toContain('cp-3 is away');
  expect(report.reason).not.toContain('R17');
});
