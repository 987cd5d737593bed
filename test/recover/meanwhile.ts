// What somebody else does to a plane between two steps of a run, by a process of its own: it is waited for, and the run
// can't go on meanwhile.
import { spawnSync } from 'node:child_process';
import { type Reachable, within, withMember } from '../../lab/control-plane/client.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { reportMaker } from '../../lab/control-plane/reports.ts';
import { settled } from '../../lab/control-plane/settle.ts';

/** Small beside any quota, so that none of them is refused before the share is reached. */
const REPORT_BYTES = 20_000;
const CALL_TIMEOUT_MS = 10_000;

type Deed =
  | { readonly kind: 'write'; readonly share: number }
  | { readonly kind: 'defragment'; readonly names: readonly string[] };
type Arguments = readonly [Reachable, Deed];

/**
 * Writes reports until the largest file has that share of the first member's quota.
 * @throws Error with the process's words
 */
export function writeMeanwhile(plane: ControlPlane, share: number): void {
  meanwhile(plane, { kind: 'write', share });
}

/** `etcdctl defrag`, as somebody on call does it. @throws Error with the process's words */
export function defragmentMeanwhile(plane: ControlPlane, ...names: string[]): void {
  meanwhile(plane, { kind: 'defragment', names });
}

function meanwhile({ members, credentials }: ControlPlane, deed: Deed): void {
  const reachable = {
    members: members.map(({ name, id, endpoint, quotaBytes }) => ({ name, id, endpoint, quotaBytes })),
    credentials,
  };
  const args: Arguments = [reachable, deed];
  const { status, stderr } = spawnSync(process.execPath, [import.meta.filename, JSON.stringify(args)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${deed.kind} failed: ${stderr}`);
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

async function defragment(plane: Reachable, names: readonly string[]): Promise<void> {
  for (const { endpoint } of plane.members.filter(({ name }) => names.includes(name))) {
    await withMember(plane, endpoint, (client) => client.maintenance.defragment(within(CALL_TIMEOUT_MS)));
  }
}

const [, script, given] = process.argv;
if (script === import.meta.filename && given !== undefined) {
  const [plane, deed]: Arguments = JSON.parse(given);
  if (deed.kind === 'write') await write(plane, deed.share);
  else await defragment(plane, deed.names);
}
