// How long a function's code takes to import, as at a cold start: the bundle that is deployed against the same code unbundled (TypeScript
// by type stripping, packages from node_modules), each in a fresh Node process, in turns. Prints medians and ratios; asserts nothing.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import * as z from 'zod/mini';
import { packFunction } from '../lib/pack.ts';
import { functionNames } from '../lib/third-party-page.ts';
import { median } from './median.ts';

const MB = 1_000_000;
const { values: options, positionals: chosen } = parseArgs({
  options: { runs: { type: 'string', default: '11' } },
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

const folder = await mkdtemp(path.join(os.tmpdir(), 'etcd-medic-cold-'));
try {
  console.log(`Medians of ${options.runs} imports each, in turns. CPU is that of all of the process's threads.`);
  for (const name of chosen.length > 0 ? chosen : functionNames()) await compare(name);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function compare(name: string): Promise<void> {
  await packFunction(name, path.join(folder, name));
  const bundled = path.join(folder, name, 'index.mjs');
  const unbundled = path.resolve(import.meta.dirname, '../functions', name, 'handler.ts');
  const imports: { readonly bundled: Import[]; readonly unbundled: Import[] } = { bundled: [], unbundled: [] };
  // The first of each only brings the files into the system's memory.
  for (let turn = 0; turn <= Number(options.runs); turn++) {
    const pair = [
      await evaluate(IMPORT, bundled, importSchema),
      await evaluate(IMPORT, unbundled, importSchema),
    ] as const;
    if (turn === 0) continue;
    imports.bundled.push(pair[0]);
    imports.unbundled.push(pair[1]);
  }
  const [ours, theirs] = [medians(imports.bundled), medians(imports.unbundled)];
  console.log(
    `\n${name}: bundled takes ${ratio(ours.wallMs, theirs.wallMs)} of the time, ${ratio(ours.cpuMs, theirs.cpuMs)} of the CPU`,
  );
  console.log(`  bundled    ${describe(ours)}; ${await loaded(bundled)}`);
  console.log(`  unbundled  ${describe(theirs)}; ${await loaded(unbundled)}`);
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

/** Of each figure by itself. */
function medians(imports: readonly Import[]): Import {
  const of = (figure: keyof Import) => median(imports.map((each) => each[figure]));
  return { wallMs: of('wallMs'), cpuMs: of('cpuMs'), rssBytes: of('rssBytes') };
}
