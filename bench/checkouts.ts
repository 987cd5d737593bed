// What is measured: this checkout and, with `--baseline DIR`, another one of etcd-medic, in turns in the same run. Each
// is started as a process of its own from its own sources and packages, by what every version has (`bin/invoke.ts`), so
// that its layout does not matter.
import { execFile } from 'node:child_process';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { RunReport } from '../functions/contract/report.ts';
import { median } from './median.ts';

export interface Checkout {
  readonly name: 'etcd-medic' | 'baseline';
  /** Absolute. */
  readonly directory: string;
}

/** For `parseArgs`. */
export const BASELINE_OPTION = { baseline: { type: 'string' } } as const;

const OURS: Checkout = { name: 'etcd-medic', directory: resolve(import.meta.dirname, '..') };
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * @returns this checkout, and the baseline where there is one.
 * @throws Error where that is no checkout with its packages
 */
export async function checkouts(baseline: string | undefined): Promise<readonly [Checkout, Checkout?]> {
  if (baseline === undefined) return [OURS];
  const directory = resolve(baseline);
  for (const path of ['bin/invoke.ts', 'node_modules']) {
    await access(join(directory, path)).catch((cause: unknown) => {
      const expected = 'expected another checkout of etcd-medic in which npm ci was run';
      throw new Error(`--baseline: found ${directory} without ${path}, ${expected}`, { cause });
    });
  }
  return [OURS, { name: 'baseline', directory }];
}

/** Each turn begins with another one: who comes second finds the machine as the first has left it. */
export function inTurns<Contestant>(contestants: readonly Contestant[], turn: number): readonly Contestant[] {
  const first = (turn - 1) % contestants.length;
  return [...contestants.slice(first), ...contestants.slice(0, first)];
}

/**
 * Runs a workflow of that checkout. Of the report, `startedAt` is when the run itself began: the process was up by
 * then.
 * @param node further arguments of the Node that it runs on
 * @throws Error with what it said on standard error, where it ended without a report
 */
export async function invoke(
  { directory }: Checkout,
  workflow: 'recover' | 'maintain' | 'prune',
  configuration: unknown,
  node: readonly string[] = [],
): Promise<RunReport> {
  const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-bench-'));
  try {
    const config = join(folder, 'cluster.json');
    await writeFile(config, JSON.stringify(configuration));
    const args = [...node, join(directory, 'bin/invoke.ts'), workflow, '--config', config];
    const env = { ...process.env, POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true' };
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((done) => {
      // Its exit code says how the run ended, which the report says as well.
      execFile(process.execPath, args, { cwd: directory, env, maxBuffer: MAX_OUTPUT_BYTES }, (_, out, err) =>
        done({ stdout: out, stderr: err }),
      );
    });
    if (stdout === '') throw new Error(`${workflow} of ${directory} ended without a report: ${stderr}`);
    const report: RunReport = JSON.parse(stdout);
    return report;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * One line that sets two checkouts' figures side by side: medians, from the least to the most, and their ratio.
 * @param ours one figure a run, all of the same kind
 */
export function compare(
  what: string,
  ours: readonly number[],
  baseline: readonly number[],
  format: (figure: number) => string,
): string {
  const side = (figures: readonly number[]) =>
    `${format(median(figures))} (${format(Math.min(...figures))} to ${format(Math.max(...figures))})`;
  const ratio = (median(ours) / median(baseline)).toFixed(3);
  return `${what}: etcd-medic ${side(ours)}, baseline ${side(baseline)}: ${ratio} × the baseline, medians of ${ours.length} and ${baseline.length}`;
}
