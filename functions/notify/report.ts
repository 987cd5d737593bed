// Reads a RunReport that comes from outside: from the bus, or from the table.
import * as z from 'zod/mini';
import { TRIGGER_KINDS } from '../contract/command.ts';
import { OUTCOMES, REPORTERS, type RunReport, STEP_OUTCOMES } from '../contract/report.ts';
import { validate } from '../contract/validate.ts';

const sizes = z.object({ dbSize: z.number(), dbSizeInUse: z.number(), alarms: z.array(z.string()) });

const member = z.object({
  id: z.string(),
  name: z.string(),
  endpoint: z.string(),
  version: z.optional(z.string()),
  isLeader: z.boolean(),
  isLearner: z.boolean(),
  quotaBytes: z.union([z.number(), z.literal('none'), z.null()], 'bytes, "none" or null'),
  before: z.optional(sizes),
  after: z.optional(sizes),
  defragmented: z.boolean(),
  durationMs: z.optional(z.number()),
  note: z.optional(z.string()),
});

const step = z.object({
  name: z.string(),
  startedAt: z.string(),
  durationMs: z.number(),
  outcome: z.enum(STEP_OUTCOMES),
  detail: z.string(),
});

const counts = z.record(z.string(), z.number());
const pruned = z.object({
  resource: z.string(),
  listed: z.number(),
  stale: z.number(),
  deleted: z.number(),
  skipped: z.number(),
  reasons: counts,
  kept: z.optional(counts),
  staleBytes: z.optional(z.number()),
  note: z.optional(z.string()),
});

const moment = z.iso.datetime({ offset: true });
const report = z.object({
  cluster: z.string(),
  workflow: z.enum(REPORTERS),
  outcome: z.enum(OUTCOMES),
  reason: z.string(),
  trigger: z.object({
    kind: z.enum(TRIGGER_KINDS),
    source: z.string(),
    at: z.optional(z.string()),
    rehearsal: z.optional(z.literal(true)),
  }),
  dryRun: z.boolean(),
  startedAt: moment,
  finishedAt: moment,
  members: z.array(member),
  steps: z.array(step),
  plan: z.optional(z.array(z.object({ name: z.string(), detail: z.string() }))),
  pruned: z.optional(z.array(pruned)),
});

/**
 * Fields that are not known here are passed over: the report of a newer version can still be told.
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function parseReport(input: unknown, source: string): RunReport {
  return validate(report, input, source);
}
