// What earlier runs on this cluster tell of how fast its members are defragmented: read from the reports in the state
// table.
import * as z from 'zod/mini';
import { newestRecords } from '../aws/records.ts';
import { InvalidInputError } from '../contract/errors.ts';
import { memberSizesSchema, reportMemberSchema, stepSchema } from '../contract/report.ts';
import { validate } from '../contract/validate.ts';
import type { SeenRate } from './stall.ts';

/** A month of nights with pruning before each. */
const REPORTS_READ = 60;
/**
 * Of a file below this most of the time goes into everything but writing it, so that it tells nothing of a large one.
 */
const MEASURABLE_BYTES = 16 * 1024 * 1024;
/** What a sweep's step is called, with its member's name behind it. */
const STEP = 'defragment ';
/** No disk writes 1 GB a second: such a step was resumed after a crash, and found its work done. */
const PLAUSIBLE_BYTES_PER_MS = 1_000_000;

const { id, name, defragmented, durationMs } = reportMemberSchema.shape;
const { dbSize, dbSizeInUse } = memberSizesSchema.shape;

/** What is asked of a report here, and no more: one that lacks the rest of it is read, too. */
const measuresSchema = z.object({
  members: z.array(
    z.object({
      id,
      name: z.optional(name),
      defragmented,
      durationMs,
      before: z.optional(z.object({ dbSizeInUse })),
      after: z.optional(z.object({ dbSize, dbSizeInUse: z.optional(dbSizeInUse) })),
    }),
  ),
  steps: z.optional(z.array(z.pick(stepSchema, { name: true, outcome: true, durationMs: true }))),
});
type Report = z.output<typeof measuresSchema>;

export interface SeenRates {
  /** Newest first. */
  readonly rates: readonly SeenRate[];
  /** How many runs' reports were read. */
  readonly reports: number;
  /** Reports that could not be understood: another version's, or shortened too much. */
  readonly unreadable: number;
}

/**
 * @throws SetupError when there is no such table or it must not be read
 * @throws HistoryError when the table did not answer
 */
export async function readRates({
  table,
  cluster,
}: {
  readonly table: string;
  readonly cluster: string;
}): Promise<SeenRates> {
  const reports = await readReports(table, cluster);
  const read = reports.map(ratesOf);
  return {
    rates: read.flatMap((rates) => rates ?? []),
    reports: reports.length,
    unreadable: read.filter((rates) => rates === undefined).length,
  };
}

/** @returns the newest reports' JSON, newest first */
async function readReports(table: string, cluster: string): Promise<string[]> {
  const items = await newestRecords(
    table,
    { cluster, prefix: 'run#', attributes: ['report'], most: REPORTS_READ },
    `history of ${cluster} in table ${table}: earlier reports could not be read`,
  );
  return items.map(({ report }) => report?.S ?? '');
}

/** @returns undefined where the report could not be understood */
function ratesOf(json: string): readonly SeenRate[] | undefined {
  let report: Report;
  try {
    report = validate(measuresSchema, JSON.parse(json), 'report');
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof InvalidInputError) return undefined;
    throw error;
  }
  return report.members.flatMap((member) => {
    const { id: memberId, defragmented } = member;
    const { bytes, durationMs } = defragmented ? written(member) : inVain(member, report);
    if (durationMs <= 0 || bytes < MEASURABLE_BYTES) return [];
    const bytesPerMs = bytes / durationMs;
    return bytesPerMs > PLAUSIBLE_BYTES_PER_MS ? [] : [{ memberId, bytesPerMs }];
  });
}

interface Measured {
  readonly bytes: number;
  readonly durationMs: number;
}

/**
 * After a recovery the file may have grown again by the last look; but what was live before is all that can have been
 * written.
 */
function written({ durationMs = 0, before, after }: Report['members'][number]): Measured {
  const live = before?.dbSizeInUse ?? Number.POSITIVE_INFINITY;
  return { bytes: Math.min(live, after?.dbSize ?? 0), durationMs };
}

/**
 * One that was sent and never came to its end, as where the kubelet kills the member half-way: its rate was lower than
 * this.
 */
function inVain({ name, after }: Report['members'][number], { steps = [] }: Report): Measured {
  const step = steps.find((each) => each.name === `${STEP}${name}` && each.outcome === 'unknown');
  return { bytes: after?.dbSizeInUse ?? 0, durationMs: step?.durationMs ?? 0 };
}
