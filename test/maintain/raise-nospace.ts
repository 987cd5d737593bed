// A process of its own that raises NOSPACE for a member, so that a test can have it happen between two steps of a run:
// it waits for the process to end, and the run can't go on meanwhile.
import { spawnSync } from 'node:child_process';
import { raiseNospace } from '../../lab/control-plane/alarms.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';

type Arguments = Parameters<typeof raiseNospace>;

/** @throws Error with the process's words where it failed */
export function raiseNospaceMeanwhile({ members, credentials }: ControlPlane, memberId: string): void {
  const reachable = {
    members: members.map(({ name, id, endpoint, quotaBytes }) => ({ name, id, endpoint, quotaBytes })),
    credentials,
  };
  const args: Arguments = [reachable, memberId];
  const { status, stderr } = spawnSync(process.execPath, [import.meta.filename, JSON.stringify(args)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`NOSPACE could not be raised: ${stderr}`);
}

const [, script, given] = process.argv;
if (script === import.meta.filename && given !== undefined) {
  const [plane, memberId]: Arguments = JSON.parse(given);
  await raiseNospace(plane, memberId);
}
