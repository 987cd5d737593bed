// What the members' own logs say about how long they compacted and defragmented: nobody can be faster than that.
import { readFile, stat } from 'node:fs/promises';
import type { ControlPlane } from '../lab/control-plane/plane.ts';

export interface ServerTimes {
  /** Milliseconds of each member's longest compaction. */
  readonly compactionMs: readonly number[];
  /** Milliseconds of each defragmentation, all members'. */
  readonly defragmentationMs: readonly number[];
  /**
   * The members compact side by side and defragment one after the other: the longest compaction and all
   * defragmentations.
   */
  readonly boundMs: number;
}

/** Where each member's log ends now. */
export async function logEnds(plane: ControlPlane): Promise<ReadonlyMap<string, number>> {
  const ends = plane.members.map(async ({ name, logFile }) => [name, (await stat(logFile)).size] as const);
  return new Map(await Promise.all(ends));
}

/** @param from what `logEnds` said before the run */
export async function serverTimes(plane: ControlPlane, from: ReadonlyMap<string, number>): Promise<ServerTimes> {
  const compactionMs: number[] = [];
  const defragmentationMs: number[] = [];
  for (const { name, logFile } of plane.members) {
    const lines = (await readFile(logFile))
      .subarray(from.get(name) ?? 0)
      .toString()
      .split('\n');
    const took = (message: string) =>
      lines.filter((line) => line.includes(message)).map((line) => duration(JSON.parse(line).took));
    compactionMs.push(Math.max(0, ...took('finished scheduled compaction')));
    defragmentationMs.push(...took('finished defragmenting directory'));
  }
  const boundMs = Math.max(...compactionMs) + defragmentationMs.reduce((sum, ms) => sum + ms, 0);
  return { compactionMs, defragmentationMs, boundMs };
}

/** Go's durations: "1.234567s", "12.3ms", "1m2.5s". */
export function duration(text: string): number {
  const units: Readonly<Record<string, number>> = {
    h: 3_600_000,
    m: 60_000,
    s: 1000,
    ms: 1,
    µs: 0.001,
    us: 0.001,
    ns: 0.000_001,
  };
  let ms = 0;
  for (const [, number, unit = ''] of text.matchAll(/([\d.]+)(h|ms|m|s|µs|us|ns)/g))
    ms += Number(number) * (units[unit] ?? Number.NaN);
  return ms;
}
