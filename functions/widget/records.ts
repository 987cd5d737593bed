// The state table's records as the page needs them, checked: they may have been written by an older or a newer version.
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import * as z from 'zod/mini';
import { type KeptContents, keptContentsSchema, newestWithHistory } from '../contract/contents.ts';
import { describeError, InvalidInputError } from '../contract/errors.ts';
import type { Immutable } from '../contract/immutable.ts';
import { tryJson } from '../contract/json.ts';
import { type ProbeLook, probeLookSchema } from '../contract/probe-record.ts';
import { prunedResourceSchema, reportMemberSchema, reportSchema } from '../contract/report.ts';
import { validate } from '../contract/validate.ts';

type Item = Readonly<Record<string, AttributeValue>>;

const runSchema = z.object({
  ...z.pick(reportSchema, {
    cluster: true,
    workflow: true,
    outcome: true,
    reason: true,
    dryRun: true,
    startedAt: true,
    finishedAt: true,
    raise: true,
    canWait: true,
  }).shape,
  members: z.array(z.pick(reportMemberSchema, { isLearner: true, quotaBytes: true, before: true, after: true })),
  pruned: z.optional(
    z.array(
      z.pick(prunedResourceSchema, {
        resource: true,
        stale: true,
        deleted: true,
        staleBytes: true,
        directly: true,
        note: true,
      }),
    ),
  ),
});

/** Of a finished run, what the page shows. */
export type PastRun = Immutable<z.output<typeof runSchema>>;

/**
 * @returns null where there is no such item yet
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function parseLook(item: Item | undefined): ProbeLook | null {
  return item === undefined ? null : validate(probeLookSchema, tryJson(item.look?.S ?? ''), "the probe's record");
}

/**
 * @param items the newest first
 * @returns the newest that had its history, or else the newest; null where none is understood
 */
export function parseContents(items: readonly Item[]): KeptContents | null {
  const kept = items.flatMap(({ contents }) => keptContentsSchema.safeParse(tryJson(contents?.S ?? '')).data ?? []);
  return newestWithHistory(kept) ?? kept[0] ?? null;
}

export function parseReport(item: Item): { readonly report: PastRun } | { readonly problem: string } {
  try {
    return { report: validate(runSchema, tryJson(item.report?.S ?? ''), 'its report') };
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    return { problem: `The run ${item.record?.S ?? '(unknown)'} could not be read: ${describeError(error)}` };
  }
}
