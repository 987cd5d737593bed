// What a configuration says of each workflow: when it runs by itself, and its limits.
import * as z from 'zod/mini';
import { bytes, share, wholeNumber } from './fields.ts';
import { writtenOnce } from './spellings.ts';
import type { WorkflowName } from './workflows.ts';

/** The most that a configuration may say; a run's durable operations are counted with them. */
export const MOST_REVISION_AGE_SECONDS = 3_600;
export const MOST_PRUNE_MINUTES = 180;
export const MOST_DELETES = 1_000_000;
export const MOST_STALE_COUNT = 10_000_000;

const recover = z.strictObject({
  /** How long the alarms are watched after they were disarmed. */
  watchSeconds: z._default(
    z.number().check(z.int('whole seconds'), z.gte(1, 'at least 1 second'), z.lte(3600, 'at most 3600 seconds')),
    120,
  ),
  /**
   * Whether kubelets may be restarted where etcd does not answer (R11). Left out: where that helps, which the preset
   * knows.
   */
  restartKubelets: z.optional(z.boolean()),
});

const timeZone = z
  .string()
  .check(z.refine(isTimeZone, 'a time zone of the IANA database, such as "Europe/Berlin" or "UTC"'));

/** `false`: never by itself; a person and other workflows can still start it. */
export const schedule = z.union(
  [
    z.literal(false),
    z.strictObject({
      /** EventBridge Scheduler's six fields: minute, hour, day of month, month, day of week, year. */
      cron: z.string().check(z.regex(/^\S+( \S+){5}$/, 'six fields of EventBridge Scheduler, such as "30 2 * * ? *"')),
      timeZone: z._default(timeZone, 'UTC'),
    }),
  ],
  'false or { "cron", "timeZone" }',
);

const freeShareAbove = share;
const minReclaimBytes = bytes;
const quotaShareAbove = share;
const maxStallSeconds = wholeNumber(1, 3600, 'seconds');

const maintain = z.pipe(
  z
    .strictObject({
      schedule: z._default(schedule, { cron: '30 2 * * ? *', timeZone: 'UTC' }),
      /** Nothing new is begun later than this after a scheduled start. */
      windowMinutes: z._default(wholeNumber(10, 720, 'minutes'), 120),
      /** Delete stale reports first, in the same run; needs `kubernetes`. */
      prune: z._default(z.boolean(), false),
      /**
       * The voters' contents are compared before anything is changed, where less than so many bytes of a file are in
       * use: each reads all of that, and takes in no write meanwhile. `false`: never.
       */
      compareBelowBytes: z._default(
        z.union([z.literal(false), bytes], 'false or a number of bytes'),
        512 * 1024 * 1024,
      ),
      /**
       * On a night without a snapshot what fills the database is told all the same: a follower's Snapshot stream is
       * read for it and stored nowhere.
       */
      contents: z._default(z.boolean(), true),
      /** The compaction is to a revision that is this old, so that no watch or list in flight loses its place. */
      revisionAgeSeconds: z._default(wholeNumber(1, MOST_REVISION_AGE_SECONDS, 'seconds'), 300),
      /** A member is defragmented where at least this share of its file is free… */
      freeShareAbove: z.optional(freeShareAbove),
      /** …and at least so many bytes come back… */
      minReclaimBytes: z.optional(minReclaimBytes),
      /** …or where its file fills at least this share of its quota. */
      quotaShareAbove: z.optional(quotaShareAbove),
      /**
       * A member whose defragmentation would stall it for longer is not touched: the kubelet's probe would kill it
       * half-way.
       */
      maxStallSeconds: z.optional(maxStallSeconds),
      // As these were written until 0.1.
      freeShare: z.optional(freeShareAbove),
      reclaimBytes: z.optional(minReclaimBytes),
      usageShare: z.optional(quotaShareAbove),
      stallSeconds: z.optional(maxStallSeconds),
    })
    .check(writtenOnce),
  z.transform(({ freeShare, reclaimBytes, usageShare, stallSeconds, ...written }) => ({
    ...written,
    freeShareAbove: written.freeShareAbove ?? freeShare ?? 0.45,
    minReclaimBytes: written.minReclaimBytes ?? reclaimBytes ?? 100 * 1024 * 1024,
    quotaShareAbove: written.quotaShareAbove ?? usageShare ?? 0.8,
    maxStallSeconds: written.maxStallSeconds ?? stallSeconds ?? 80,
  })),
);

export const kindName = z
  .string()
  .check(z.regex(/^[a-z0-9]+(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/, '"<plural>.<group>"'));

const pruneKind = z.strictObject({
  /** `false`: this kind is not touched. */
  prune: z._default(z.boolean(), true),
  /** Needed for a kind that etcd-medic does not know by itself. */
  version: z.optional(z.string().check(z.regex(/^v[0-9]+((alpha|beta)[0-9]+)?$/, 'an API version such as "v1"'))),
  /** Stale once nobody has written it for so long, whoever owns it; a report's own TTL annotation comes first. */
  ttlHours: z.optional(z.number().check(z.positive('more than 0 hours'))),
  /** Overrides `prune.maxStaleShare` for this kind. */
  maxStaleShare: z.optional(share),
});

const counts = z._default(z.boolean(), true);
/** Why a report is stale; docs/pruning.md says what each means. `false`: that is no reason here. */
const reasons = z.strictObject({
  'owner-gone': counts,
  'owner-superseded': counts,
  'owner-scaled-to-zero': counts,
  'ttl-passed': counts,
  'producer-gone': counts,
  leftover: counts,
  'unowned-ephemeral': counts,
  'idle-ephemeral': counts,
  'finished-request': counts,
  'unowned-policy-report': counts,
  'moved-to-openreports': counts,
});

const prune = z.strictObject({
  schedule: z._default(schedule, { cron: '30 1 * * ? *', timeZone: 'UTC' }),
  reasons: z._default(reasons, () => reasons.parse({})),
  /** An ephemeral report that nobody has written for so long is stale, whoever owns it. */
  ephemeralHours: z._default(z.number().check(z.gte(1, 'at least 1 hour')), 1),
  /**
   * Where a workload has no replicas, though its revision is the current one: after so many days its reports are stale.
   * Left out: never, since it may be back in the morning.
   */
  scaledToZeroDays: z.optional(z.number().check(z.gte(1, 'at least 1 day'))),
  /**
   * Whether a recovery may delete reports directly in etcd, of what is stale by the report itself: never, where no API
   * server answers, or also where that one has not come through with all that is stale.
   */
  direct: z._default(z.enum(['never', 'when-the-api-is-down', 'always']), 'when-the-api-is-down'),
  /** By `<plural>.<group>`, such as `vulnerabilityreports.aquasecurity.github.io`. */
  kinds: z._default(z.record(kindName, pruneKind), {}),
  /**
   * How many reports one run may delete, and for how long it may go on. While etcd refuses writes, a recovery takes as
   * many and as long as what is stale needs, where that is more.
   */
  maxDeletes: z._default(wholeNumber(1, MOST_DELETES, 'reports'), 20_000),
  maxMinutes: z._default(wholeNumber(1, MOST_PRUNE_MINUTES, 'minutes'), 30),
  /**
   * Where a larger share of a kind seems stale by its owners, or more reports than `maxStaleCount` by owners or by the
   * absence of an operator, a person has to look first. What a report itself says has no such limit.
   */
  maxStaleShare: z._default(share, 0.5),
  maxStaleCount: z._default(wholeNumber(1, MOST_STALE_COUNT, 'reports'), 200_000),
});

/** What is configured of each workflow. One with a `schedule` of its own is started by it. */
export const POLICIES = {
  recover: z._default(recover, () => recover.parse({})),
  maintain: z._default(maintain, () => maintain.parse({})),
  prune: z._default(prune, () => prune.parse({})),
} satisfies Readonly<Record<WorkflowName, z.ZodMiniType>>;

/** Offsets such as "+01:00" are none: they know no daylight saving, and EventBridge Scheduler takes only names. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z_]+(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** What a cluster's configuration has of each. */
type Policies = { readonly [Name in keyof typeof POLICIES]: z.output<(typeof POLICIES)[Name]> };

/** When it starts by itself: `false` is never. */
export type Schedule = z.output<typeof schedule>;

/** Undefined: a workflow without a schedule of its own, which something else starts. */
export function scheduleOf(cluster: Policies, workflow: WorkflowName): Nightly | undefined {
  const policy = cluster[workflow];
  return 'schedule' in policy ? policy : undefined;
}

interface Nightly {
  readonly schedule: Schedule;
  /** Nothing new is begun later than this after its start. */
  readonly windowMinutes?: number;
}
