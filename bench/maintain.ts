// How long writers stall while a cluster is defragmented: etcd-medic's maintenance against `etcdctl defrag --cluster`,
// and etcd-defrag where `ETCD_DEFRAG` names it, or, with `--baseline DIR`, against another checkout's, on copies of the
// same data directories, in turns. One writer per member; each stalls at least for its own member's defragmentation, so
// the sum of what the servers log is what nobody can do better than. Prints every run; asserts nothing.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { formatBytes, type RunReport } from '../functions/contract/report.ts';
import { startControlPlane } from '../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../lab/control-plane/plane.ts';
import { churn, compactByHand, sizesOf } from '../lab/runs/maintain.ts';
import { BASELINE_OPTION, type Checkout, checkouts, compare, inTurns, invoke } from './checkouts.ts';
import { findEtcdDefrag } from './etcd-defrag.ts';
import { median } from './median.ts';
import type { TimedPut } from './put-writers.ts';
import { logEnds, serverTimes } from './server-times.ts';

const MiB = 1024 * 1024;
const { values: options } = parseArgs({
  options: {
    ...BASELINE_OPTION,
    runs: { type: 'string', default: '3' },
    etcd: { type: 'string', default: '3.5.30' },
    'file-mib': { type: 'string', default: '512' },
    'live-mib': { type: 'string', default: '64' },
    'interval-ms': { type: 'string', default: '10' },
    'settle-seconds': { type: 'string', default: '10' },
    // All runs are watched for as long, so that their quantiles are of as many puts.
    'watch-seconds': { type: 'string', default: '15' },
    keep: { type: 'boolean', default: false },
  },
});
const fileBytes = Number(options['file-mib']) * MiB;
const liveBytes = Number(options['live-mib']) * MiB;
const intervalMs = Number(options['interval-ms']);
const watchMs = Number(options['watch-seconds']) * 1000;
const settleMs = Number(options['settle-seconds']) * 1000;

const REPORT_BYTES = 12_000;
/** A put that takes longer has met something: a write takes a few milliseconds. */
const STALL_MS = 100;
/** The first ones make the connections. */
const WARM_UP_PUTS = 10;
/** Before a run, to see what a write takes when nothing happens: with a busy disk no two runs can be compared. */
const QUIET_MS = 2_000;

const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
const saved = join(
  cache,
  'etcd-medic',
  'bench',
  `history-${options.etcd}-${options['file-mib']}-${options['live-mib']}`,
);

type Contestant = (plane: ControlPlane) => Promise<RunReport | undefined>;
/** All of it: the looks, the compaction, the canary and the sweep. */
const medic =
  (checkout: Checkout): Contestant =>
  (plane) =>
    invoke(checkout, 'maintain', plane.setting({ maintain: { revisionAgeSeconds: 1 } }));
const etcdctl: Contestant = async (plane) => {
  await plane.etcdctl(['--command-timeout=300s', 'defrag', '--cluster']);
  return undefined;
};
const [ours, baseline] = await checkouts(options.baseline);
const contestants: Readonly<Record<string, Contestant>> = {
  'etcd-medic': medic(ours),
  ...(baseline === undefined ? await peers() : { baseline: medic(baseline) }),
};

interface Result {
  readonly ratio: number;
  readonly maximumMs: number;
  readonly failed: number;
}

await prepare();
const results = new Map<string, Result[]>();
for (let turn = 1; turn <= Number(options.runs); turn++) {
  for (const [name, contestant] of inTurns(Object.entries(contestants), turn)) {
    results.set(name, [...(results.get(name) ?? []), await contest(name, contestant, turn)]);
  }
}
for (const [name, list] of results) {
  const ratios = list.map(({ ratio }) => ratio);
  const failed = list.reduce((sum, each) => sum + each.failed, 0);
  console.log(
    `${list.length} runs: ${name}: ${median(ratios).toFixed(3)} × the servers' own time (${ratios.map((ratio) => ratio.toFixed(3)).join(' ')}), maximum ${Math.max(...list.map(({ maximumMs }) => maximumMs)).toFixed(0)} ms (median ${median(list.map(({ maximumMs }) => maximumMs)).toFixed(0)}), ${failed} failed writes`,
  );
}
const [ourRuns, theirs] = [results.get('etcd-medic') ?? [], results.get('baseline') ?? []];
if (baseline !== undefined) {
  const longest = ({ maximumMs }: Result) => maximumMs;
  const share = ({ ratio }: Result) => ratio;
  console.log(compare("× the servers' own time", ourRuns.map(share), theirs.map(share), (ratio) => ratio.toFixed(3)));
  console.log(compare('longest put', ourRuns.map(longest), theirs.map(longest), (ms) => `${ms.toFixed(0)} ms`));
}
if (!options.keep) await rm(saved, { recursive: true, force: true });

async function peers(): Promise<Readonly<Record<string, Contestant>>> {
  const defrag = await findEtcdDefrag();
  const contestants: Record<string, Contestant> = { 'etcdctl defrag --cluster': etcdctl };
  for (const args of [[], ['--move-leader']]) {
    if (defrag === undefined) continue;
    contestants[['etcd-defrag', ...args].join(' ')] = async (plane) => {
      await defrag(plane, args);
      return undefined;
    };
  }
  return contestants;
}

/** Writes the data once, compacted but never defragmented, and keeps its folder for the next time. */
async function prepare(): Promise<void> {
  if (existsSync(join(saved, 'ready'))) return;
  await rm(saved, { recursive: true, force: true });
  console.log(`writing ${formatBytes(fileBytes)} of which ${formatBytes(liveBytes)} stay live …`);
  const plane = await startControlPlane({
    version: options.etcd,
    quotaBytes: 2 * fileBytes,
    directory: saved,
    flags: ['--snapshot-count=500'],
  });
  try {
    const reports = Math.round(liveBytes / REPORT_BYTES);
    await churn(plane, { reports, reportBytes: REPORT_BYTES, rewrites: Math.round(fileBytes / liveBytes) });
    await compactByHand(plane);
    // What the compaction made free is counted only after the next writes.
    for (let i = 0; i < 2; i++) await churn(plane, { reports: 1, reportBytes: REPORT_BYTES, rewrites: 1 });
    const [sizes] = Object.values(await sizesOf(plane));
    console.log(`each file ${formatBytes(sizes?.dbSize ?? 0)}, ${formatBytes(sizes?.dbSizeInUse ?? 0)} in use`);
  } finally {
    for (const { name } of plane.members) await plane.stopMember(name);
    await plane.stop({ keep: true });
  }
  await mkdir(join(saved, 'ready'));
}

async function contest(name: string, run: Contestant, turn: number): Promise<Result> {
  const directory = `${saved}-run`;
  await rm(directory, { recursive: true, force: true });
  await promisify(execFile)('cp', ['-a', '--reflink=auto', saved, directory]);
  const plane = await startControlPlane({ version: options.etcd, directory });
  try {
    await promisify(execFile)('sync');
    await wait(settleMs);
    const ends = await logEnds(plane);
    const writers = await startWriters(plane);
    await wait(QUIET_MS);
    const startedAt = Date.now();
    const report = await run(plane);
    const endsAt = Math.max(Date.now() + STALL_MS, startedAt + watchMs);
    await wait(endsAt - Date.now());
    const all = await writers.end();
    const quiet = all.filter(({ at, ms }) => at + ms < startedAt).slice(WARM_UP_PUTS);
    const puts = all.filter(({ at, ms }) => at + ms >= startedAt && at <= endsAt);
    const { defragmentationMs } = await serverTimes(plane, ends);
    return print(name, turn, { quiet, puts, defragmentationMs, report });
  } finally {
    await plane.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function startWriters(plane: ControlPlane): Promise<{ readonly end: () => Promise<readonly TimedPut[]> }> {
  const script = new URL('put-writers.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, JSON.stringify(plane.configuration()), String(intervalMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  while (!output.startsWith('ready')) await wait(5);
  const end = async () => {
    child.stdin.end();
    await closed;
    return JSON.parse(output.slice('ready\n'.length)) as TimedPut[];
  };
  return { end };
}

interface Watched {
  /** Before the run. */
  readonly quiet: readonly TimedPut[];
  readonly puts: readonly TimedPut[];
  /** By the servers' logs. */
  readonly defragmentationMs: readonly number[];
  readonly report: RunReport | undefined;
}

function print(name: string, turn: number, { quiet, puts, defragmentationMs, report }: Watched): Result {
  const latencies = sorted(puts);
  const stalls = latencies.filter((ms) => ms > STALL_MS);
  const failures = puts.flatMap(({ problem, ms }) =>
    problem === undefined ? [] : [`${problem} after ${ms.toFixed(0)} ms`],
  );
  const stalledMs = sum(stalls);
  const serverMs = sum(defragmentationMs);
  const result = { ratio: stalledMs / serverMs, maximumMs: latencies.at(-1) ?? 0, failed: failures.length };
  const seconds = (ms: number) => (ms / 1000).toFixed(2);
  console.log(
    [
      `${name}, run ${turn}: ${seconds(stalledMs)} s in puts over ${STALL_MS} ms = ${result.ratio.toFixed(3)} × the servers' ${seconds(serverMs)} s (${defragmentationMs.map(seconds).join(' ')})`,
      `  maximum ${result.maximumMs.toFixed(0)} ms, p99 ${quantile(latencies, 0.99).toFixed(1)} ms, corrected ${quantile(corrected(latencies), 0.99).toFixed(0)} ms; ${puts.length} puts, ${stalls.length} over ${STALL_MS} ms (${stalls.map((ms) => ms.toFixed(0)).join(' ')}), ${failures.length} failed; before it p99 ${quantile(sorted(quiet), 0.99).toFixed(0)} ms`,
      ...failures.map((failure) => `  failed: ${failure}`),
      ...(report === undefined ? [] : [`  ${report.outcome}: ${report.reason}`]),
    ].join('\n'),
  );
  return result;
}

function sorted(puts: readonly TimedPut[]): number[] {
  return puts.map(({ ms }) => ms).sort((a, b) => a - b);
}

/**
 * With the puts that a stalled writer would have sent meanwhile, one every interval, each waiting for what was left of
 * the stall.
 */
function corrected(latencies: readonly number[]): number[] {
  return latencies
    .flatMap((ms) => [
      ms,
      ...Array.from({ length: Math.max(0, Math.ceil(ms / intervalMs) - 1) }, (_, i) => ms - (i + 1) * intervalMs),
    ])
    .sort((a, b) => a - b);
}

function quantile(values: readonly number[], q: number): number {
  return values[Math.min(values.length - 1, Math.floor(q * values.length))] ?? Number.NaN;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
