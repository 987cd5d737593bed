// What a database was full of at the moment of its copy, as a report has it.
import * as z from 'zod/mini';
import type { Immutable } from './immutable.ts';

const tally = {
  keys: z.number(),
  liveBytes: z.number(),
  /** What newer writes have replaced, and what deletions have left. */
  revisions: z.number(),
  historyBytes: z.number(),
};

export const contentsSchema = z.object({
  /** Of the file. */
  bytes: z.number(),
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
    }),
  ),
  /** How many more there are. */
  otherKinds: z.number(),
});
export type ReportContents = Immutable<z.output<typeof contentsSchema>>;
