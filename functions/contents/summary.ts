// The few lines of a database's contents that a report has room for.
import type { KeptContents, ReportContents } from '../contract/contents.ts';
import { redact } from '../contract/errors.ts';
import { growthOf, growthOfAll } from './growth.ts';
import { bytesOf, type Contents, type KindWriters, type Tally } from './types.ts';

const KINDS = 10;
const NAMESPACES = 3;
const MANAGERS = 3;

export interface Told {
  /** ISO 8601: when the copy was begun. */
  readonly at: string;
  /** Of `earlierThan`; the contents were counted with `since` at the first one's revision. @default none */
  readonly nights?: readonly KeptContents[];
}

/** The largest kinds, and in each the largest namespaces; all sums are of everything. */
export function summarize(
  { bytes, revision, total, kinds, rest }: Contents,
  { at, nights = [] }: Told,
): ReportContents {
  const earlier = growthOfAll({ revision, at }, nights);
  return {
    bytes,
    at,
    revision,
    ...short(total),
    freeBytes: rest.freePages,
    kinds: kinds.slice(0, KINDS).map((kind) => {
      const growth = growthOf(kind, at, nights);
      return {
        resource: kind.resource,
        ...short(kind),
        namespaces: kind.namespaces.length,
        largest: kind.namespaces
          .slice(0, NAMESPACES)
          .map((each) => ({ namespace: each.namespace, bytes: bytesOf(each) })),
        ...(growth && { growth }),
        ...(kind.writers && { writers: shortWriters(kind.writers) }),
      };
    }),
    otherKinds: Math.max(0, kinds.length - KINDS),
    ...(earlier && { earlier }),
  };
}

/** R15: a manager calls itself what it likes. */
function shortWriters({ managers, ...writers }: KindWriters): KindWriters {
  const shown = managers.slice(0, MANAGERS).map(({ manager, writes }) => ({ manager: redact(manager), writes }));
  return { ...writers, managers: shown };
}

/** Tombstones are of the same use as history: none. */
function short({ keys, liveBytes, historyBytes, tombstoneBytes, revisions, tombstones, versions }: Tally) {
  return {
    keys,
    liveBytes,
    revisions: revisions + tombstones,
    historyBytes: historyBytes + tombstoneBytes,
    versions,
  };
}
