// A process of its own that writes reports until the largest file has a given share of its quota, so that a test can have it happen
// between two steps of a run: it waits for the process to end, and the run can't go on meanwhile.
import { spawnSync } from 'node:child_process';
import { type Reachable, within, withMember } from '../control-plane/client.ts';
import type { ControlPlane } from '../control-plane/plane.ts';
import { reportMaker } from '../control-plane/reports.ts';
import { settled } from '../control-plane/settle.ts';

/** Small beside any quota, so that none of them is refused before the share is reached. */
const REPORT_BYTES = 20_000;
const CALL_TIMEOUT_MS = 10_000;

type Arguments = readonly [Reachable, number];

/** @param share of the first member's quota. @throws Error with the process's words where it failed */
export function writeMeanwhile({ members, credentials }: ControlPlane, share: number): void {
  const reachable = {
    members: members.map(({ name, id, endpoint, quotaBytes }) => ({ name, id, endpoint, quotaBytes })),
    credentials,
  };
  const args: Arguments = [reachable, share];
  const { status, stderr } = spawnSync(process.execPath, [import.meta.filename, JSON.stringify(args)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`nothing could be written: ${stderr}`);
}

async function write(plane: Reachable, share: number): Promise<void> {
  const [first] = plane.members;
  if (first === undefined) throw new Error('there is no member to write to');
  const report = reportMaker(REPORT_BYTES);
  for (let number = 0; ; ) {
    const largest = Math.max(...(await settled(plane)).values());
    const missing = share * first.quotaBytes - largest;
    if (missing <= 0) return;
    // Half of what is missing, so that it comes close without going over.
    const batch = Math.ceil(missing / 2 / REPORT_BYTES);
    await withMember(plane, first.endpoint, async (client) => {
      for (const last = number + batch; number < last; number++) {
        const { key, value } = report(1_000_000 + number, 0);
        await client.kv.put({ key: Buffer.from(key), value }, within(CALL_TIMEOUT_MS));
      }
    });
  }
}

const [, script, given] = process.argv;
if (script === import.meta.filename && given !== undefined) {
  const args: Arguments = JSON.parse(given);
  await write(...args);
}
