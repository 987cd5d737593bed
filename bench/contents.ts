// What it costs to tell a database's contents, and to hash them as etcd does, while its Snapshot stream is read anyway:
// the same member's stream with and without it, in turns, each in a process of its own. Prints every run; asserts
// nothing.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { formatBytes } from '../functions/contract/report.ts';
import { startControlPlane } from '../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../lab/control-plane/fill.ts';
import type { ReadInProcess } from '../lab/runs/read-contents.ts';
import { inTurns } from './checkouts.ts';
import { median } from './median.ts';

const MiB = 1024 * 1024;
const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    etcd: { type: 'string', default: '3.5.30' },
    'quota-mib': { type: 'string', default: '2048' },
    // As Trivy's are; smaller ones make more revisions of the same file.
    'report-bytes': { type: 'string', default: '12000' },
    reports: { type: 'string', default: '17500' },
  },
});
const script = join(import.meta.dirname, '../lab/runs/read-contents.ts');

console.log('filling one member until NOSPACE …');
await using plane = await startControlPlane({
  version: options.etcd,
  members: 1,
  quotaBytes: Number(options['quota-mib']) * MiB,
});
await fillWithReports(plane, { reportBytes: Number(options['report-bytes']), reports: Number(options.reports) });
const setting = JSON.stringify(plane.setting());
const results = new Map<string, ReadInProcess[]>();
// The first turn brings the file into memory, and does not count.
for (let turn = 0; turn <= Number(options.runs); turn++) {
  for (const [name] of inTurns([['stream'], ['contents']] as const, turn)) {
    const { stdout } = await promisify(execFile)(process.execPath, [script, setting, name]);
    const run: ReadInProcess = JSON.parse(stdout);
    if (turn > 0) results.set(name, [...(results.get(name) ?? []), run]);
    const found = run.keys === undefined ? '' : `, ${run.keys} keys and ${run.revisions} revisions of history`;
    const cpu = `${(run.cpuMs / 1000).toFixed(2)} s of the processor`;
    const took = `${formatBytes(run.bytes)} in ${(run.durationMs / 1000).toFixed(2)} s, ${cpu}`;
    console.log(`${name}, run ${turn}: ${took}, at most ${formatBytes(run.peakRssBytes)} of memory${found}`);
  }
}
for (const [what, of] of [
  ['', (run: ReadInProcess) => run.durationMs],
  [' of the processor', (run: ReadInProcess) => run.cpuMs],
] as const) {
  const [plain = Number.NaN, told = Number.NaN] = ['stream', 'contents'].map((name) =>
    median((results.get(name) ?? []).map(of)),
  );
  const ratio = (told / plain).toFixed(3);
  console.log(`medians of ${options.runs}: ${told.toFixed(0)} ms${what} beside ${plain.toFixed(0)} ms: ${ratio} ×`);
}
