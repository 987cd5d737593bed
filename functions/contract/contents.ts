// What a database was full of at the moment of its copy, as reports and the history have it.
import * as z from 'zod/mini';
import type { Immutable } from './immutable.ts';

const tally = {
  keys: z.number(),
  liveBytes: z.number(),
  /** What newer writes have replaced, and what deletions have left. */
  revisions: z.number(),
  historyBytes: z.number(),
  /** How often the keys that are there were written, each since it came into being. Left out by an older version. */
  versions: z.optional(z.number()),
};

/** Since an earlier copy. */
const growthSchema = z.object({
  /** A day; negative where it shrinks. */
  keysPerDay: z.number(),
  liveBytesPerDay: z.number(),
  /** At least: of keys that came and went in between nobody knows. */
  writesPerMinute: z.number(),
  /** ISO 8601: in no interval between copies from then on was it written less than half as often. */
  since: z.string(),
});

/** Of a kind's newest writes, as far as a few of them say. */
const writersSchema = z.object({
  /** How many were looked into. */
  writes: z.number(),
  /** Of these, whose values are encrypted. */
  encrypted: z.number(),
  /** As `metadata.managedFields` names them; the busiest first, three at most. */
  managers: z.array(z.object({ manager: z.string(), writes: z.number() })),
});

export const contentsSchema = z.object({
  /** Of the file. */
  bytes: z.number(),
  /** ISO 8601, UTC: when it was begun. Left out by an older version. */
  at: z.optional(z.string()),
  /** How long the copy took; left out by an older version. */
  tookMs: z.optional(z.number()),
  /** The copy was taken behind a compaction: what history it has came later. */
  isCompacted: z.optional(z.literal(true)),
  /** Decimal. */
  revision: z.string(),
  ...tally,
  /** Pages that hold nothing: a defragmentation gives them back. */
  freeBytes: z.number(),
  /** The largest first, a few. */
  kinds: z.array(
    z.object({
      /** `<plural>.<group>`, `pods`. */
      resource: z.string(),
      ...tally,
      /** In how many it is; 0 for what has none. */
      namespaces: z.number(),
      largest: z.array(z.object({ namespace: z.string(), bytes: z.number() })),
      /** Left out where there is no earlier copy, or this kind was not among its largest. */
      growth: z.optional(growthSchema),
      /** Who made its newest writes; left out where none was looked into. */
      writers: z.optional(writersSchema),
    }),
  ),
  /** How many more there are. */
  otherKinds: z.number(),
  /** The copy that growth is counted from; left out where there was none. */
  earlier: z.optional(
    z.object({
      at: z.string(),
      /** Of the whole database, exactly: each transaction of etcd's is one. */
      revisionsPerMinute: z.number(),
    }),
  ),
});
export type ReportContents = Immutable<z.output<typeof contentsSchema>>;
/** What the history keeps of a copy, by its time. */
export const keptContentsSchema = z.object({
  ...contentsSchema.shape,
  at: z.iso.datetime({ offset: true, error: 'a time in ISO 8601' }),
});
export type KeptContents = Immutable<z.output<typeof keptContentsSchema>>;
export type ContentsGrowth = Immutable<z.output<typeof growthSchema>>;

type Held = Pick<ReportContents['kinds'][number], 'liveBytes' | 'historyBytes'>;

/** Of the file, what is live and what is not. */
export function heldBytes({ liveBytes, historyBytes }: Held): number {
  return liveBytes + historyBytes;
}

/** @param copies newest first. @returns the newest that was taken before its history was compacted away */
export function newestWithHistory(copies: readonly KeptContents[]): KeptContents | undefined {
  return copies.find(({ isCompacted }) => !isCompacted);
}

/** Below this many writes a minute nobody is to be asked about them. */
export const WORTH_A_MINUTE = 0.1;

/** "0.25", "310", "1,200". */
export function formatPerMinute(perMinute: number): string {
  return perMinute < 10 ? perMinute.toPrecision(2) : Math.round(perMinute).toLocaleString('en-US');
}
