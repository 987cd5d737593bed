// What is told of an etcd database's contents: plain data.

/** Of a kind, a namespace or all keys. Bytes are those of names and values in the file, without what lies around. */
export interface Tally {
  /** Those that are there now. */
  readonly keys: number;
  readonly liveBytes: number;
  /** Of `keys`, those that a lease will take away. */
  readonly leased: number;
  /** How often those keys were written since each of them came into being. */
  readonly versions: number;
  /** Of `versions`, those of keys that came after the earlier look; 0 where none was named. */
  readonly newVersions: number;
  /** Revisions that a newer one has replaced, and no compaction has removed yet. */
  readonly revisions: number;
  readonly historyBytes: number;
  /** What deletions have left until the next compaction. */
  readonly tombstones: number;
  readonly tombstoneBytes: number;
}

interface NamespaceContents extends Tally {
  readonly namespace: string;
}

export interface KindContents extends Tally {
  /** What its keys begin with: `/registry/pods/`. */
  readonly prefix: string;
  /** `<plural>.<group>`, `pods`; where it is not Kubernetes', the prefix. */
  readonly resource: string;
  /** The largest first; empty for what has none. */
  readonly namespaces: readonly NamespaceContents[];
  /** Left out where none of its writes was looked into. */
  readonly writers?: KindWriters;
}

/** Who made a kind's newest writes, as far as a few of them say. */
export interface KindWriters {
  /** How many were looked into. */
  readonly writes: number;
  /** Of these, whose values are encrypted: nothing of them is known. */
  readonly encrypted: number;
  /** By `metadata.managedFields`, who wrote last; the busiest first. Writes of nobody in particular are left out. */
  readonly managers: readonly { readonly manager: string; readonly writes: number }[];
}

export interface LargeObject {
  /** Undefined: there were thousands of larger ones that are no longer there, and so it was not kept. */
  readonly key: string | undefined;
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly bytes: number;
}

export interface BucketContents {
  readonly name: string;
  readonly keys: number;
  readonly bytes: number;
}

/** What is no data, in bytes. */
export interface Rest {
  /** Pages that nothing leads to: what was compacted away, until a defragmentation. */
  readonly freePages: number;
  readonly branchPages: number;
  readonly metaPages: number;
  readonly freelistPages: number;
  /** Of leaf pages, their elements and buckets. */
  readonly headers: number;
  /** Behind the last element of leaf pages. */
  readonly slack: number;
  /** Behind the last page: a member's own file grows in large steps. */
  readonly unused: number;
  /** The SHA-256 behind a snapshot. */
  readonly trailer: number;
}

export interface Contents {
  /** Of the file: the sum of all that follows. */
  readonly bytes: number;
  readonly pageSize: number;
  /** The newest one, in decimal; `0` where no key was ever written. */
  readonly revision: string;
  readonly total: Tally;
  /** The largest first. */
  readonly kinds: readonly KindContents[];
  /** The largest live ones, the largest first. */
  readonly largest: readonly LargeObject[];
  /** Leases, members, users and the like; of the file's own order by name. */
  readonly buckets: readonly BucketContents[];
  readonly rest: Rest;
}

/** Of all that a tally counts. */
export function bytesOf({ liveBytes, historyBytes, tombstoneBytes }: Tally): number {
  return liveBytes + historyBytes + tombstoneBytes;
}
