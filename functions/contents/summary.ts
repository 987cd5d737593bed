// The few lines of a database's contents that a report has room for.
import type { ReportContents } from '../contract/contents.ts';
import { bytesOf, type Contents, type Tally } from './types.ts';

const KINDS = 10;
const NAMESPACES = 3;

/** The largest kinds, and in each the largest namespaces; all sums are of everything. */
export function summarize({ bytes, revision, total, kinds, rest }: Contents): ReportContents {
  return {
    bytes,
    revision,
    ...short(total),
    freeBytes: rest.freePages,
    kinds: kinds.slice(0, KINDS).map(({ resource, namespaces, ...tally }) => ({
      resource,
      ...short(tally),
      namespaces: namespaces.length,
      largest: namespaces.slice(0, NAMESPACES).map((each) => ({ namespace: each.namespace, bytes: bytesOf(each) })),
    })),
    otherKinds: Math.max(0, kinds.length - KINDS),
  };
}

/** Tombstones are of the same use as history: none. */
function short({ keys, liveBytes, historyBytes, tombstoneBytes, revisions, tombstones }: Tally) {
  return { keys, liveBytes, revisions: revisions + tombstones, historyBytes: historyBytes + tombstoneBytes };
}
