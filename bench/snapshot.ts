// How long a snapshot of a full database takes: etcd-medic's step into an S3 endpoint on this machine against
// `etcdctl snapshot save` to its disk or, with `--baseline DIR`, against another checkout's step, of the same member,
// in turns. Prints every run and the memory of ours; asserts nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { formatBytes } from '../functions/contract/report.ts';
import { startS3 } from '../lab/aws/s3.ts';
import { startControlPlane } from '../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../lab/control-plane/fill.ts';
import type { ControlPlane } from '../lab/control-plane/plane.ts';
import type { TakenInProcess } from '../lab/runs/take-snapshot.ts';
import { BASELINE_OPTION, type Checkout, checkouts, compare, inTurns } from './checkouts.ts';
import { median } from './median.ts';

const MiB = 1024 * 1024;
const { values: options } = parseArgs({
  options: {
    ...BASELINE_OPTION,
    runs: { type: 'string', default: '5' },
    etcd: { type: 'string', default: '3.5.30' },
    'quota-mib': { type: 'string', default: '2048' },
    'settle-seconds': { type: 'string', default: '10' },
  },
});
/** Where the script that takes one snapshot is in a checkout: the step has no entry of its own. */
const SCRIPTS = ['lab/runs/take-snapshot.ts', 'test/snapshot/take-snapshot.ts'];

/** What one run took: of the work alone, and of the whole process with its start. */
interface Run {
  readonly workMs: number;
  readonly processMs: number;
  readonly bytes: number;
  readonly peakRssBytes?: number;
}

const [ours, baseline] = await checkouts(options.baseline);
const contestants: Readonly<Record<string, (of: ControlPlane) => Promise<Run>>> = {
  'etcd-medic': medic(ours),
  ...(baseline === undefined ? { etcdctl } : { baseline: medic(baseline) }),
};
console.log('filling one member until NOSPACE …');
await using plane = await startControlPlane({
  version: options.etcd,
  members: 1,
  quotaBytes: Number(options['quota-mib']) * MiB,
});
await fillWithReports(plane);
const results = new Map<string, Run[]>();
for (let turn = 1; turn <= Number(options.runs); turn++) {
  for (const [name, contestant] of inTurns(Object.entries(contestants), turn)) {
    // What the run before has written is still on its way to the disk.
    const sync = spawn('sync');
    await once(sync, 'close');
    await wait(Number(options['settle-seconds']) * 1000);
    const run = await contestant(plane);
    results.set(name, [...(results.get(name) ?? []), run]);
    console.log(`${name}, run ${turn}: ${describe(run)}`);
  }
}
const [ourRuns = [], others = []] = ['etcd-medic', baseline === undefined ? 'etcdctl' : 'baseline'].map((name) =>
  results.get(name),
);
if (baseline === undefined) {
  const [medicMs, classicalMs] = [medianOf(ourRuns), medianOf(others)];
  console.log(
    `medians of ${options.runs}: etcd-medic ${seconds(medicMs)}, etcdctl ${seconds(classicalMs)}: ${(medicMs / classicalMs).toFixed(3)} ×`,
  );
} else {
  const memory = ({ peakRssBytes = Number.NaN }: Run) => peakRssBytes;
  console.log(compare('time', ourRuns.map(workOf), others.map(workOf), seconds));
  console.log(compare('memory', ourRuns.map(memory), others.map(memory), formatBytes));
}

/**
 * In a process of its own. S3 is in this one, and throws away what it gets: in earnest it is on no disk of this
 * machine.
 */
function medic({ directory }: Checkout): (of: ControlPlane) => Promise<Run> {
  const script = SCRIPTS.map((path) => join(directory, path)).find((path) => existsSync(path));
  if (script === undefined) throw new Error(`found none of ${SCRIPTS.join(', ')} in ${directory}`);
  return async (of) => {
    await using s3 = await startS3([], { discard: true });
    const startedMs = performance.now();
    const child = spawn(process.execPath, [script, JSON.stringify(of.setting()), s3.bucket], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        PATH: process.env.PATH,
        AWS_ENDPOINT_URL_S3: s3.url,
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'bench',
        AWS_SECRET_ACCESS_KEY: 'bench',
      },
    });
    const taken: TakenInProcess = JSON.parse(await text(child.stdout));
    const processMs = performance.now() - startedMs;
    return { workMs: taken.durationMs, processMs, bytes: taken.bytes, peakRssBytes: taken.peakRssBytes };
  };
}

async function etcdctl(of: ControlPlane): Promise<Run> {
  const file = join(of.directory, 'snapshot.db');
  const startedMs = performance.now();
  await of.etcdctl(['--command-timeout=600s', 'snapshot', 'save', file]);
  const processMs = performance.now() - startedMs;
  const { size } = await stat(file);
  await rm(file);
  return { workMs: processMs, processMs, bytes: size };
}

function describe({ workMs, processMs, bytes, peakRssBytes }: Run): string {
  const whole = processMs === workMs ? '' : ` (${seconds(processMs)} with the start of its process)`;
  const memory = peakRssBytes === undefined ? '' : `, at most ${formatBytes(peakRssBytes)} of memory`;
  return `${formatBytes(bytes)} in ${seconds(workMs)}${whole}${memory}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function workOf({ workMs }: Run): number {
  return workMs;
}

function medianOf(runs: readonly Run[]): number {
  return median(runs.map(workOf));
}
