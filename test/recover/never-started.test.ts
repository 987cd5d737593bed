// A member that somebody added and never started has no name and no client URL: it is told by its id, with what to do.
import { expect, it } from 'vitest';
import { raiseNospace } from '../../lab/control-plane/alarms.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { recoverPlane } from '../../lab/runs/recover.ts';

it('R2: a voter that was never started is named by its id, with the command that takes it out again', async () => {
  await using plane = await startControlPlane({ members: 1 });
  const [member] = plane.members;
  await raiseNospace(plane, member?.id ?? '');
  const id = await withMember(plane, member?.endpoint ?? '', async ({ cluster }) => {
    const { member: added } = await cluster.memberAdd({ peerURLs: ['https://127.0.0.1:1'] }, within(10_000));
    return BigInt(added.ID).toString(16);
  });

  const report = await recoverPlane(plane);

  expect(report.outcome).toBe('refused');
  expect(report.reason).toContain(
    `${id} ((never started)) does not answer: it was added to the cluster and has never been`,
  );
  expect(report.reason).toContain(`etcdctl member remove ${id}`);
  expect(report.members.find((each) => each.id === id)?.note).toContain('never been started');
});
