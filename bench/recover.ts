// How long until a cluster whose 2 GiB are full takes writes again: etcd-medic's recovery against the classical script,
// and etcd-defrag where `ETCD_DEFRAG` names it, or, with `--baseline DIR`, against another checkout's, on copies of the
// same data directories, in turns. Prints every run; asserts nothing. With `--copy` each run of etcd-medic takes its
// snapshot, into a bucket on this machine, and the others begin with `etcdctl snapshot save`.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { formatBytes, type RunReport } from '../functions/contract/report.ts';
import { startAws } from '../lab/aws/stand-in.ts';
import { listAlarms } from '../lab/control-plane/alarms.ts';
import { within, withMember } from '../lab/control-plane/client.ts';
import { startControlPlane } from '../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../lab/control-plane/fill.ts';
import type { ControlPlane } from '../lab/control-plane/plane.ts';
import { BASELINE_OPTION, type Checkout, checkouts, compare, inTurns, invoke } from './checkouts.ts';
import { findEtcdDefrag } from './etcd-defrag.ts';
import { median } from './median.ts';
import { logEnds, type ServerTimes, serverTimes } from './server-times.ts';

const MiB = 1024 * 1024;
const { values: options } = parseArgs({
  options: {
    ...BASELINE_OPTION,
    runs: { type: 'string', default: '3' },
    etcd: { type: 'string', default: '3.5.30' },
    'quota-mib': { type: 'string', default: '2048' },
    'settle-seconds': { type: 'string', default: '20' },
    copy: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});
const quotaBytes = Number(options['quota-mib']) * MiB;
const runs = Number(options.runs);
const settleMs = Number(options['settle-seconds']) * 1000;

/** A report of the Trivy Operator is about this large; a tenth of the quota is live, the rest is their history. */
const REPORT_BYTES = 12_000;
const LIVE_SHARE = 0.1;
const PROBE_WRITES = 200;
const PROBE_WRITE_BYTES = 100_000;

const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
const saved = join(cache, 'etcd-medic', 'bench', `nospace-${options.etcd}-${options['quota-mib']}`);

interface Result {
  readonly firstWriteMs: number;
  readonly boundMs: number;
}

type Contestant = { readonly name: string; readonly run: (plane: ControlPlane) => Promise<RunReport | undefined> };

/** To a file, before anything else, where ours takes a copy. */
async function saveSnapshot(plane: ControlPlane): Promise<void> {
  const [first = ''] = plane.endpoints;
  const file = join(plane.directory, 'snapshot.db');
  if (options.copy) await plane.etcdctl([`--endpoints=${first}`, '--command-timeout=600s', 'snapshot', 'save', file]);
}

/** The classical script, command by command, with nothing between them. */
const classical = (physical: boolean) => async (plane: ControlPlane) => {
  await saveSnapshot(plane);
  const status: { Status: { header: { revision: number } } }[] = JSON.parse(
    await plane.etcdctl(['endpoint', 'status', '--write-out=json']),
  );
  const revision = Math.max(...status.map(({ Status }) => Status.header.revision));
  await plane.etcdctl(['compact', ...(physical ? ['--physical'] : []), String(revision)]);
  for (const endpoint of plane.endpoints) {
    await plane.etcdctl([`--endpoints=${endpoint}`, '--command-timeout=120s', 'defrag']);
  }
  await plane.etcdctl(['alarm', 'disarm']);
  return undefined;
};

const medic = (checkout: Checkout): Contestant => ({
  name: checkout.name,
  run: (plane) => {
    const snapshot = aws && { snapshot: { bucket: aws.s3.bucket } };
    return invoke(checkout, 'recover', plane.setting({ recover: { watchSeconds: 1 }, ...snapshot }));
  },
});
await using cleanUp = new AsyncDisposableStack();
const aws = options.copy ? cleanUp.use(await startAws()) : undefined;
aws?.enter();
const [ours, baseline] = await checkouts(options.baseline);
// The script is no part of the question whether one checkout is faster than another, and would take half of the time.
const contestants: readonly Contestant[] =
  baseline === undefined ? [medic(ours), ...(await peers())] : [medic(ours), medic(baseline)];

await prepare();
console.log(`etcd ${options.etcd}, quota ${formatBytes(quotaBytes)}; the start of etcd-medic's process is not counted`);
const results = new Map<string, Result[]>();
for (let turn = 1; turn <= runs; turn++) {
  for (const contestant of inTurns(contestants, turn)) {
    const result = await contest(contestant, turn);
    results.set(contestant.name, [...(results.get(contestant.name) ?? []), result]);
  }
}
for (const [name, list] of results) {
  const over = median(list.map(({ firstWriteMs, boundMs }) => firstWriteMs - boundMs));
  const ratio = median(list.map(({ firstWriteMs, boundMs }) => firstWriteMs / boundMs));
  const first = median(list.map(({ firstWriteMs }) => firstWriteMs));
  console.log(
    `median of ${list.length}: ${name}: first write after ${(first / 1000).toFixed(2)} s, ${ratio.toFixed(3)} × its own bound (${(over / 1000).toFixed(2)} s over it)`,
  );
}
const [ourRuns, theirs] = [results.get('etcd-medic') ?? [], results.get('baseline') ?? []];
if (baseline !== undefined) {
  const figures = {
    'first write': ({ firstWriteMs }: Result) => firstWriteMs,
    'over the own bound': ({ firstWriteMs, boundMs }: Result) => firstWriteMs - boundMs,
  };
  for (const [what, figure] of Object.entries(figures)) {
    console.log(compare(what, ourRuns.map(figure), theirs.map(figure), (ms) => `${(ms / 1000).toFixed(3)} s`));
  }
}
if (!options.keep) await rm(saved, { recursive: true, force: true });

async function peers(): Promise<readonly Contestant[]> {
  const defrag = await findEtcdDefrag();
  const run = defrag && {
    name: 'etcd-defrag --auto-disalarm',
    run: async (plane: ControlPlane) => {
      await saveSnapshot(plane);
      await defrag(plane, ['--auto-disalarm', `--etcd-storage-quota-bytes=${quotaBytes}`]);
      return undefined;
    },
  };
  return [
    { name: 'etcdctl', run: classical(false) },
    { name: 'etcdctl --physical', run: classical(true) },
    ...(run ? [run] : []),
  ];
}

/** Fills a plane once, and keeps its folder for the next time. */
async function prepare(): Promise<void> {
  if (existsSync(join(saved, 'ready'))) return;
  await rm(saved, { recursive: true, force: true });
  console.log('filling three members until NOSPACE …');
  const started = performance.now();
  const plane = await startControlPlane({
    version: options.etcd,
    quotaBytes,
    directory: saved,
    flags: ['--snapshot-count=500'],
  });
  try {
    const reports = Math.round((LIVE_SHARE * quotaBytes) / REPORT_BYTES);
    const { puts } = await fillWithReports(plane, { reportBytes: REPORT_BYTES, reports });
    console.log(`${puts} reports written in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  } finally {
    for (const { name } of plane.members) await plane.stopMember(name);
    await plane.stop({ keep: true });
  }
  await mkdir(join(saved, 'ready'));
}

async function contest({ name, run }: Contestant, turn: number): Promise<Result> {
  const directory = `${saved}-run`;
  await rm(directory, { recursive: true, force: true });
  await promisify(execFile)('cp', ['-a', '--reflink=auto', saved, directory]);
  const plane = await startControlPlane({ version: options.etcd, directory });
  try {
    await promisify(execFile)('sync');
    await wait(settleMs);
    const ends = await logEnds(plane);
    const writer = await startWriter(plane);
    const begun = Date.now();
    const report = await run(plane);
    const startedAt = report === undefined ? begun : Date.parse(report.startedAt);
    const firstWriteMs = (await writer.firstWriteAt) - startedAt;
    const times = await serverTimes(plane, ends);
    const sizes = await memberSizes(plane);
    const again = await alarmComesBack(plane);
    print(name, turn, firstWriteMs, times, sizes, again, report);
    return { firstWriteMs, boundMs: times.boundMs };
  } finally {
    await plane.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function startWriter(plane: ControlPlane) {
  const child = spawn(
    process.execPath,
    [new URL('first-write.ts', import.meta.url).pathname, JSON.stringify(plane.configuration())],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const firstWriteAt = once(child, 'close').then(() => Number(output.split('\n')[1]));
  while (!output.startsWith('ready')) await wait(5);
  return { firstWriteAt };
}

async function memberSizes(plane: ControlPlane) {
  return Promise.all(
    plane.members.map(({ name, endpoint }) =>
      withMember(plane, endpoint, async (client) => {
        const { dbSize, dbSizeInUse } = await client.maintenance.status(within(10_000));
        return { name, dbSize: Number(dbSize), dbSizeInUse: Number(dbSizeInUse) };
      }),
    ),
  );
}

async function alarmComesBack(plane: ControlPlane): Promise<boolean> {
  const value = Buffer.alloc(PROBE_WRITE_BYTES, 'x');
  for (let i = 0; i < PROBE_WRITES; i++) {
    const { endpoint } = plane.members[i % plane.members.length] ?? { endpoint: '' };
    try {
      await withMember(plane, endpoint, (client) =>
        client.kv.put({ key: Buffer.from(`/bench/probe/${i}`), value }, within(10_000)),
      );
    } catch (error) {
      if (String(error).includes('database space exceeded')) return true;
      throw error;
    }
  }
  return (await listAlarms(plane)).length > 0;
}

function print(
  name: string,
  turn: number,
  firstWriteMs: number,
  { compactionMs, defragmentationMs, boundMs }: ServerTimes,
  sizes: Awaited<ReturnType<typeof memberSizes>>,
  again: boolean,
  report: RunReport | undefined,
): void {
  const seconds = (ms: number) => (ms / 1000).toFixed(2);
  console.log(
    [
      `${name}, run ${turn}: first write after ${seconds(firstWriteMs)} s = ${(firstWriteMs / boundMs).toFixed(3)} × the bound of ${seconds(boundMs)} s`,
      `  compactions ${compactionMs.map(seconds).join(' ')} s side by side, defragmentations ${defragmentationMs.map(seconds).join(' ')} s`,
      `  ${sizes.map((size) => `${size.name} ${formatBytes(size.dbSize)} (in use ${formatBytes(size.dbSizeInUse)})`).join(', ')}; alarm back after ${PROBE_WRITES} writes: ${again ? 'YES' : 'no'}`,
      ...(report
        ? [
            `  ${report.outcome}; ${report.steps
              .filter(({ durationMs }) => durationMs > 0)
              .map((step) => `${step.name} ${step.durationMs} ms`)
              .join(', ')}`,
          ]
        : []),
    ].join('\n'),
  );
}
