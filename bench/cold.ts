// How long a function's code takes to import, as at a cold start: the bundle that is deployed against the same code
// unbundled (TypeScript by type stripping, packages from node_modules), each in a fresh Node process, in turns; and how
// long it takes the bundle to send etcd its first RPC. With `--baseline DIR` another checkout's beside them. Prints
// medians and ratios; asserts nothing.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import * as z from 'zod/mini';
import { functionNames } from '../lib/third-party-page.ts';
import { BASELINE_OPTION, type Checkout, checkouts, compare, inTurns } from './checkouts.ts';
import { ASKS_ETCD, startFirstRpc } from './first-rpc.ts';
import { median } from './median.ts';

const MB = 1_000_000;
const { values: options, positionals: chosen } = parseArgs({
  options: { ...BASELINE_OPTION, runs: { type: 'string', default: '11' } },
  // Names of functions.
  allowPositionals: true,
});

const importSchema = z.object({ wallMs: z.number(), cpuMs: z.number(), rssBytes: z.number() });
type Import = z.output<typeof importSchema>;
const loadedSchema = z.object({ files: z.number(), bytes: z.number() });

const IMPORT = `
  const [, file] = process.argv;
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  await import(file);
  const wallMs = performance.now() - before;
  const { user, system } = process.cpuUsage(cpuBefore);
  console.log(JSON.stringify({ wallMs, cpuMs: (user + system) / 1000, rssBytes: process.memoryUsage().rss }));
`;

/** Counting takes time itself, so that it is done in a process of its own. */
const COUNT = `
  import { statSync } from 'node:fs';
  import { registerHooks } from 'node:module';
  const [, file] = process.argv;
  const sizes = new Map();
  registerHooks({
    load(url, context, next) {
      if (url.startsWith('file:')) sizes.set(url, statSync(new URL(url)).size);
      return next(url, context);
    },
  });
  await import(file);
  console.log(JSON.stringify({ files: sizes.size, bytes: [...sizes.values()].reduce((a, b) => a + b, 0) }));
`;

/** Each checkout packs its own functions, as its synth does. */
const PACK = `
  const [, pack, name, into] = process.argv;
  const { packFunction } = await import(pack);
  await packFunction(name, into);
`;

/** One function of one checkout, either way. */
interface Candidate {
  readonly checkout: Checkout;
  readonly packing: 'bundled' | 'unbundled';
  readonly file: string;
}

const [ours, baseline] = await checkouts(options.baseline);
const folder = await mkdtemp(path.join(os.tmpdir(), 'etcd-medic-cold-'));
try {
  await using firstRpc = await startFirstRpc(folder);
  console.log(`Medians of ${options.runs} imports each, in turns. CPU is that of all of the process's threads.`);
  for (const name of chosen.length > 0 ? chosen : functionNames()) {
    const own = await candidates(name, ours);
    const others = baseline === undefined ? [] : await candidates(name, baseline);
    await compareImports(name, own, others);
    if (ASKS_ETCD.includes(name)) await compareFirstRpc(name, own, others, (file) => firstRpc.measure(name, file));
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** None where that checkout does not have the function. */
async function candidates(name: string, checkout: Checkout): Promise<readonly Candidate[]> {
  const unbundled = path.join(checkout.directory, 'functions', name, 'handler.ts');
  if (!existsSync(unbundled)) return [];
  const packed = path.join(folder, checkout.name, name);
  const pack = [path.join(checkout.directory, 'lib/pack.ts'), name, packed];
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PACK, ...pack], {
    cwd: checkout.directory,
  });
  return [
    { checkout, packing: 'bundled', file: path.join(packed, 'index.mjs') },
    { checkout, packing: 'unbundled', file: unbundled },
  ];
}

async function compareImports(name: string, own: readonly Candidate[], others: readonly Candidate[]): Promise<void> {
  const imports = await measured([...own, ...others], ({ file }) => evaluate(IMPORT, file, importSchema));
  const of = (candidate: Candidate | undefined) => (candidate && imports.get(candidate)) ?? [];
  const [bundled, unbundled] = own;
  const [packed, whole] = [medians(of(bundled)), medians(of(unbundled))];
  console.log(
    `\n${name}: bundled takes ${ratio(packed.wallMs, whole.wallMs)} of the time, ${ratio(packed.cpuMs, whole.cpuMs)} of the CPU`,
  );
  for (const { packing, file } of own) {
    const figures = packing === 'bundled' ? packed : whole;
    console.log(`  ${packing.padEnd(9)}  ${describe(figures)}; ${await loaded(file)}`);
  }
  if (baseline === undefined) return;
  if (others.length === 0) console.log('  the baseline does not have it');
  for (const [index, candidate] of others.entries()) {
    const wall = ({ wallMs }: Import) => wallMs;
    console.log(`  ${compare(`${candidate.packing}, time`, of(own[index]).map(wall), of(candidate).map(wall), inMs)}`);
  }
}

async function compareFirstRpc(
  name: string,
  [own]: readonly Candidate[],
  [other]: readonly Candidate[],
  measure: (file: string) => Promise<number>,
): Promise<void> {
  const bundles = [own, other].filter((candidate) => candidate !== undefined);
  const figures = await measured(bundles, ({ file }) => measure(file));
  const of = (candidate: Candidate | undefined) => (candidate && figures.get(candidate)) ?? [];
  if (other !== undefined) console.log(`  ${compare('first RPC to etcd', of(own), of(other), inMs)}`);
  else {
    console.log(`  first RPC of ${name} to etcd ${inMs(median(of(own)))} after its process began`);
  }
}

/** In turns. The first of each only brings the files into the system's memory. */
async function measured<Figure>(
  all: readonly Candidate[],
  measure: (candidate: Candidate) => Promise<Figure>,
): Promise<ReadonlyMap<Candidate, readonly Figure[]>> {
  const figures = new Map<Candidate, Figure[]>(all.map((candidate) => [candidate, []]));
  for (let turn = 0; turn <= Number(options.runs); turn++) {
    for (const candidate of inTurns(all, turn + 1)) {
      const figure = await measure(candidate);
      if (turn > 0) figures.get(candidate)?.push(figure);
    }
  }
  return figures;
}

/** Nothing of this process's environment, as little is set in Lambda. */
async function evaluate<Schema extends z.ZodMiniType>(
  script: string,
  file: string,
  schema: Schema,
): Promise<z.output<Schema>> {
  const child = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script, file], {
    env: {},
  });
  return z.parse(schema, JSON.parse(child.stdout));
}

async function loaded(file: string): Promise<string> {
  const { files, bytes } = await evaluate(COUNT, file, loadedSchema);
  return `${(bytes / MB).toFixed(2)} MB of code in ${files} files`;
}

function describe({ wallMs, cpuMs, rssBytes }: Import): string {
  return `${wallMs.toFixed(0)} ms, CPU ${cpuMs.toFixed(0)} ms, ${(rssBytes / MB).toFixed(0)} MB resident`;
}

function ratio(ours: number, theirs: number): string {
  return `${((100 * ours) / theirs).toFixed(0)} %`;
}

function inMs(ms: number): string {
  return `${ms.toFixed(0)} ms`;
}

/** Of each figure by itself. */
function medians(imports: readonly Import[]): Import {
  const of = (figure: keyof Import) => median(imports.map((each) => each[figure]));
  return { wallMs: of('wallMs'), cpuMs: of('cpuMs'), rssBytes: of('rssBytes') };
}
