// How many reports a second are deleted directly in etcd, as a recovery does where no API server answers, against
// etcd-medic's own pruning through a real API server, of the same ephemeral reports on the same three members, in
// turns; and how much memory it takes for ten times as many. Prints every run and the medians; asserts nothing.
import { execFile } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { formatBytes } from '../functions/contract/report.ts';
import { startControlPlane } from '../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../lab/control-plane/plane.ts';
import { putObjects } from '../lab/kubernetes/bulk.ts';
import { kindNamed } from '../lab/kubernetes/kinds.ts';
import type { NewObject } from '../lab/kubernetes/objects.ts';
import { startRealApiServer, whyNoRealApiServer } from '../lab/kubernetes/real-api-server.ts';
import { checkouts, inTurns, invoke } from './checkouts.ts';
import type { DeletedInProcess } from './delete-in-etcd.ts';
import { median } from './median.ts';

const MiB = 1024 * 1024;
const REPORT = kindNamed('EphemeralReport');
const KIND = 'ephemeralreports.reports.kyverno.io';
const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    reports: { type: 'string', default: '20000' },
    bytes: { type: 'string', default: '10000' },
    /** How many for the second look at memory; 0: none. */
    many: { type: 'string', default: '200000' },
    etcd: { type: 'string', default: '3.5.30' },
    'settle-seconds': { type: 'string', default: '5' },
  },
});
const runs = Number(options.runs);
const reports = Number(options.reports);

const missing = whyNoRealApiServer();
if (missing !== undefined) {
  console.error(missing);
  process.exit(1);
}

interface Run {
  readonly deleteMs: number;
  /** Undefined: not measured. */
  readonly peakRssBytes: number | undefined;
}

const [ours] = await checkouts(undefined);
await using plane = await startControlPlane({ version: options.etcd, members: 3, quotaBytes: 8192 * MiB });
await using api = await startRealApiServer({ plane });
const configuration = { name: 'bench', ...etcdOf(plane), kubernetes: api.configuration() };

const contestants: Readonly<Record<string, () => Promise<Run>>> = {
  'in etcd itself': inEtcd,
  'through the API server': throughApi,
};
console.log(`etcd ${options.etcd}, three members: ${reports} ephemeral reports of ${options.bytes} bytes`);
const results = new Map<string, Run[]>();
for (let turn = 1; turn <= runs; turn++) {
  for (const [name, contestant] of inTurns(Object.entries(contestants), turn)) {
    await fill(reports);
    const run = await contestant();
    results.set(name, [...(results.get(name) ?? []), run]);
    console.log(`  ${name}, run ${turn}: ${describe(run, reports)}`);
  }
}
const medians = [...results].map(([name, list]) => {
  const deleteMs = median(list.map((run) => run.deleteMs));
  console.log(`  median of ${list.length}: ${name}: ${describe({ deleteMs, peakRssBytes: undefined }, reports)}`);
  return deleteMs;
});
const [direct = 0, through = 0] = medians;
console.log(`  in etcd itself: ${(through / direct).toFixed(1)} × as fast`);

const many = Number(options.many);
if (many > 0) {
  await fill(many);
  console.log(`${many} of them: ${describe(await inEtcd(), many)}`);
}

function etcdOf({ endpoints, credentials }: ControlPlane) {
  return { etcd: { endpoints, ...(credentials && { credentials }) } };
}

/** Written three hours ago, by nobody who is still there. */
async function fill(count: number): Promise<void> {
  const at = `${new Date(Date.now() - 3 * 60 * 60 * 1000).toISOString().slice(0, 19)}Z`;
  const content = { spec: { filler: 'x'.repeat(Number(options.bytes)) } };
  await putObjects(plane, REPORT, all(count, { creationTimestamp: at, lastWrittenAt: at, content }));
  await wait(Number(options['settle-seconds']) * 1000);
}

function* all(count: number, of: Omit<NewObject, 'name'>): Generator<NewObject> {
  for (let i = 0; i < count; i++) yield { ...of, name: `report-${i}` };
}

async function inEtcd(): Promise<Run> {
  const child = new URL('delete-in-etcd.ts', import.meta.url).pathname;
  const env = { ...process.env, POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true' };
  const { stdout } = await promisify(execFile)(process.execPath, [child, JSON.stringify(configuration)], { env });
  const { durationMs, peakRssBytes }: DeletedInProcess = JSON.parse(stdout);
  await checkEmpty();
  return { deleteMs: durationMs, peakRssBytes };
}

/** The deletes alone: looking at all of them comes before. */
async function throughApi(): Promise<Run> {
  const report = await invoke(ours, 'prune', { ...configuration, prune: { maxDeletes: 1_000_000 } });
  const step = report.steps.find(({ name }) => name === `delete ${KIND}`);
  if (step === undefined) throw new Error(`nothing was deleted: ${report.reason}`);
  await checkEmpty();
  return { deleteMs: step.durationMs, peakRssBytes: undefined };
}

async function checkEmpty(): Promise<void> {
  const left = (await api.list(REPORT)).length;
  if (left > 0) throw new Error(`${left} reports are left`);
}

function describe({ deleteMs, peakRssBytes }: Run, count: number): string {
  const rate = `${(count / (deleteMs / 1000)).toFixed(0)} deletes a second`;
  return peakRssBytes === undefined ? rate : `${rate}, at most ${formatBytes(peakRssBytes)} of memory`;
}
