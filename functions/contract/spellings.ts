// Fields of the configuration that were once called otherwise: what people have written stays readable, with a note.
import type * as z from 'zod/mini';

/** Of `maintain`, by what they were called until 0.1: thresholds say their direction now. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['freeShare', 'freeShareAbove'],
  ['reclaimBytes', 'minReclaimBytes'],
  ['usageShare', 'quotaShareAbove'],
  ['stallSeconds', 'maxStallSeconds'],
]);

/** A zod check of `maintain` as it is written: nobody could say which of both spellings counts. */
export function writtenOnce({ value, issues }: z.core.ParsePayload<object>): void {
  for (const [old, now] of RENAMED) {
    if (Reflect.get(value, old) === undefined || Reflect.get(value, now) === undefined) continue;
    issues.push({ code: 'custom', message: `one of both: it is ${now} by its old name`, path: [old], input: value });
  }
}

/**
 * One sentence for each field that is written by its old name.
 * @param cluster a cluster's configuration as a person has written it, valid
 */
export function oldSpellings(cluster: unknown): readonly string[] {
  const maintain: unknown = isObject(cluster) ? Reflect.get(cluster, 'maintain') : undefined;
  if (!isObject(maintain)) return [];
  return [...RENAMED]
    .filter(([old]) => Reflect.get(maintain, old) !== undefined)
    .map(([old, now]) => `maintain.${old} is called maintain.${now} now; it is read as before`);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
