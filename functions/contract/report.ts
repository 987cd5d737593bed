// The one document every run ends in: what was found, what was done, what it led to. Written for a person at breakfast.
import * as z from 'zod/mini';
import { triggerSchema } from './command.ts';
import { contentsSchema } from './contents.ts';
import type { Immutable } from './immutable.ts';
import { validate } from './validate.ts';
import { WORKFLOW_NAMES, type WorkflowName } from './workflows.ts';

const OUTCOMES = [
  'recovered',
  'maintained',
  'pruned',
  'nothing-to-do',
  'planned',
  'healthy',
  'refused',
  'escalated',
  'skipped',
  'failed',
] as const;
/** What a run came to. */
export type Outcome = (typeof OUTCOMES)[number];

/** Whose reports there are: the probe's, which is no workflow, goes to whoever calls it. */
export const REPORTERS: readonly Reporter[] = [...WORKFLOW_NAMES, 'probe'];
export type Reporter = WorkflowName | 'probe';

const STEP_OUTCOMES = ['done', 'nothing-to-do', 'not-configured', 'refused', 'failed', 'unknown', 'skipped'] as const;
/** How one step of a run ended. `not-configured`: what the step needs isn't in the configuration. */
export type StepOutcome = (typeof STEP_OUTCOMES)[number];

/** The step that reads the switch (R16); `failed` where nobody can tell what it says. */
export const SWITCH_STEP = 'switch';

export const stepSchema = z.object({
  name: z.string(),
  /** ISO 8601, UTC. */
  startedAt: z.string(),
  durationMs: z.number(),
  outcome: z.enum(STEP_OUTCOMES),
  /** One sentence. */
  detail: z.string(),
});

/** One member's database file at one moment. Sizes in bytes. */
export const memberSizesSchema = z.object({
  dbSize: z.number(),
  dbSizeInUse: z.number(),
  /** Alarms raised by this member: `NOSPACE`, `CORRUPT`. */
  alarms: z.array(z.string()),
});

export const reportMemberSchema = z.object({
  /** Hexadecimal, as etcdctl prints it. */
  id: z.string(),
  name: z.string(),
  endpoint: z.string(),
  version: z.optional(z.string()),
  isLeader: z.boolean(),
  isLearner: z.boolean(),
  /** `null`: could not be read; `"none"`: the member has no quota. */
  quotaBytes: z.union([z.number(), z.literal('none'), z.null()], 'bytes, "none" or null'),
  /** Left out where the member did not answer. */
  before: z.optional(memberSizesSchema),
  after: z.optional(memberSizesSchema),
  defragmented: z.boolean(),
  /** How long its defragmentation took; left out where it was not defragmented. */
  durationMs: z.optional(z.number()),
  /** Why it could not be read or was left alone. */
  note: z.optional(z.string()),
});

const plannedStepSchema = z.object({ name: z.string(), detail: z.string() });

const counts = z.record(z.string(), z.number());
export const prunedResourceSchema = z.object({
  /** `<plural>.<group>`. */
  resource: z.string(),
  listed: z.number(),
  stale: z.number(),
  deleted: z.number(),
  /** Stale, but left alone: rewritten, gone, given a finalizer or its owner scaled up in the meantime. */
  skipped: z.number(),
  /**
   * Stale at first, and not stale or not there any more when the kind was looked at again. After an interruption it is
   * most likely this run that had deleted them, with the record of it lost. Left out where there were none.
   */
  missing: z.optional(z.number()),
  /** They were deleted directly in etcd, because the API server could not. Left out where it did. */
  directly: z.optional(z.literal(true)),
  /**
   * The API server answers, and does not let them go, by admission or by RBAC: that is somebody's will. Left out where
   * it does.
   */
  refused: z.optional(z.literal(true)),
  /** Why they are stale: how many for each reason. */
  reasons: counts,
  /**
   * Of `reasons`, those that no report was deleted for, since a person has to look first; left out where there are
   * none.
   */
  held: z.optional(counts),
  /** Why others were kept, where that is worth knowing: how many for each reason. */
  kept: z.optional(counts),
  /** About how many bytes the stale ones take in etcd; measured on a few of them. */
  staleBytes: z.optional(z.number()),
  /** Why this kind was passed over or stopped at. */
  note: z.optional(z.string()),
});

const moment = z.iso.datetime({ offset: true, error: 'a time in ISO 8601' });

/** Everybody's who reads one; who needs less of it picks that. Fields that are not known here are passed over. */
export const reportSchema = z.object({
  cluster: z.string(),
  workflow: z.enum(REPORTERS),
  outcome: z.enum(OUTCOMES),
  /** One or two sentences: what happened and, where somebody must act, what to do now. */
  reason: z.string(),
  // As it was taken: what it may be is asked of a command.
  trigger: z.object({ ...triggerSchema.shape, source: z.string(), at: z.optional(z.string()) }),
  dryRun: z.boolean(),
  startedAt: moment,
  finishedAt: moment,
  members: z.array(reportMemberSchema),
  steps: z.array(stepSchema),
  /** Only in a dry run. */
  plan: z.optional(z.array(plannedStepSchema)),
  pruned: z.optional(z.array(prunedResourceSchema)),
  /** The copy; left out where none was made. */
  snapshot: z.optional(
    z.object({
      /** `s3://…` */
      object: z.string(),
      bytes: z.number(),
      /** Hexadecimal; whose it is. */
      memberId: z.string(),
      /** Whether its contents were found to be those that its member says it has. */
      proven: z.boolean(),
      /** What that rests on; or why it is not known, or not so. */
      proof: z.string(),
      /** HashKV, as the member had it and the copy has it; left out where it is not proven. Decimal revisions. */
      contentHash: z.optional(z.object({ revision: z.string(), hash: z.string(), compactRevision: z.string() })),
    }),
  ),
  /** What the copy was full of, with the history that it still had; left out where none was made. */
  contents: z.optional(contentsSchema),
  /**
   * What the newest copy before was full of that still had its history, for a recovery, whose own has none. Left out
   * where there is none, and by other workflows.
   */
  lastNight: z.optional(contentsSchema),
  /** What was held back may be deleted by one run that is given these limits, once a person has looked (R12). */
  raise: z.optional(z.record(z.string(), z.object({ maxStaleShare: z.optional(z.number()), maxDeletes: z.number() }))),
  /**
   * A guard alone kept it from more, in no emergency: a person should look at that by day. Left out where there is more
   * to it, or nothing.
   */
  canWait: z.optional(z.literal(true)),
  /** Nobody answered there, which is why the run could not do its work, or not all of it. */
  unavailable: z.optional(z.literal('kubernetes')),
});

export type ReportStep = Immutable<z.output<typeof stepSchema>>;
export type MemberSizes = Immutable<z.output<typeof memberSizesSchema>>;
export type ReportMember = Immutable<z.output<typeof reportMemberSchema>>;
export type PlannedStep = Immutable<z.output<typeof plannedStepSchema>>;
export type ReportSnapshot = Immutable<NonNullable<z.output<typeof reportSchema>['snapshot']>>;
export type PrunedResource = Immutable<z.output<typeof prunedResourceSchema>>;
export type RunReport = Immutable<z.output<typeof reportSchema>>;

/**
 * Reads one that comes from outside: from the bus, or from the table. That of a newer version can still be told.
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function parseReport(input: unknown, source: string): RunReport {
  return validate(reportSchema, input, source);
}

/** The contract of `npm run invoke`: 0 done, 2 a person should look, 1 failed. */
export function exitCode(outcome: Outcome): 0 | 1 | 2 {
  if (outcome === 'failed') return 1;
  return outcome === 'refused' || outcome === 'escalated' || outcome === 'skipped' ? 2 : 0;
}

/** The note on a kind of report that the cluster does not have: nothing that anybody has to be told. */
export const NOT_SERVED = 'not served by this cluster';

/** The kinds of reports of which there is something to say, the largest first. */
export function worthTelling<Kind extends Pick<PrunedResource, 'stale' | 'deleted' | 'staleBytes' | 'note'>>(
  pruned: readonly Kind[],
): readonly Kind[] {
  return pruned
    .filter(({ stale, deleted, note }) => stale > 0 || deleted > 0 || (note !== undefined && note !== NOT_SERVED))
    .toSorted((a, b) => (b.staleBytes ?? 0) - (a.staleBytes ?? 0) || b.stale - a.stale || b.deleted - a.deleted);
}

/** The event that says yes to what was held back, to be pasted as it stands. */
export function yesTo(raise: NonNullable<RunReport['raise']>): string {
  return JSON.stringify({ workflow: 'prune', limits: raise });
}

/** What a person does about what was held back, in the report's words. */
export function adviceOn(raise: NonNullable<RunReport['raise']>): string {
  return `Look at some of them; if they are stale indeed, allow it for one run: give dispatch ${yesTo(raise)}`;
}

/** The reason where the advice stands elsewhere, with its event in a shape to be pasted or pressed. */
export function reasonWithoutAdvice({ reason, raise }: Pick<RunReport, 'reason' | 'raise'>): string {
  return raise === undefined ? reason : reason.replace(`${adviceOn(raise)}. `, '');
}

/** Bytes for a person: 2147483648 is "2.00 GiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${units[power]}`;
}
