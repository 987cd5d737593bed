// The plain data that the etcd room hands out. Ids are hexadecimal as etcdctl prints them, sizes are bytes,
// revisions and raft numbers are bigint (decimal strings where JSON goes).
import type { Alarm } from '../contract/alarm.ts';

/** One member as the cluster's member list has it. Two client URLs are one member. */
export interface Member {
  readonly id: string;
  /** Empty while the member was never started. */
  readonly name: string;
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export interface MemberStatus {
  readonly memberId: string;
  readonly version: string;
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  /** From etcd 3.6 on, as the wire has it; undefined before. */
  readonly dbSizeQuota: number | undefined;
  /** The leader in this member's eyes; undefined when it sees none. */
  readonly leaderId: string | undefined;
  readonly isLearner: boolean;
  readonly raftTerm: bigint;
  readonly raftIndex: bigint;
  readonly raftAppliedIndex: bigint;
  readonly revision: bigint;
  /** All members' alarms in this member's own (local) view, parsed from Status.errors. */
  readonly alarms: readonly Alarm[];
  /** What Status.errors has beside alarms, such as "etcdserver: no leader". */
  readonly errors: readonly string[];
}

export type Quota =
  | { readonly kind: 'limit'; readonly bytes: number; readonly source: 'status' | 'metrics' }
  /** `--quota-backend-bytes` is negative: this member never raises NOSPACE. */
  | { readonly kind: 'none'; readonly source: 'metrics' };

/** Where a member was reached, or why it was not. */
export interface DiscoveredMember extends Member {
  /** The client URL of its own that it answered at; undefined when none did. */
  readonly endpoint: string | undefined;
  /** Why it can't be reached: one sentence per client URL tried. */
  readonly problem: string | undefined;
  /**
   * Nothing at all came back from any of its client URLs, each asked for a full time of its own: refused, no route, not
   * a byte. A TLS handshake is an answer; a name that does not resolve says nothing.
   */
  readonly silent: boolean;
  /**
   * It may be there, but every address that it is known by leads to others as well, so that it can't be worked with
   * (R19).
   */
  readonly shared?: boolean | undefined;
  /** What it said of itself at an address that leads to others as well: of use to know, of none to work with. */
  readonly seen?: MemberStatus | undefined;
}

export interface Discovery {
  readonly clusterId: string;
  readonly members: readonly DiscoveredMember[];
}

/**
 * How long each kind of call may take, in milliseconds. A call that takes longer throws EtcdTimeoutError: unknown, not
 * failed.
 */
export interface Deadlines {
  readonly statusMs: number;
  readonly healthMs: number;
  readonly compactMs: number;
  readonly defragmentMs: number;
  readonly moveLeaderMs: number;
  readonly alarmMs: number;
  readonly writeMs: number;
  /** A member reads all that it keeps for it. */
  readonly hashMs: number;
  /** How long a member may stay silent in the middle of a snapshot; the whole of it takes as long as it takes. */
  readonly snapshotSilenceMs: number;
}

/** A piece of a snapshot's stream: first the database file in order, then 32 bytes, the SHA-256 of all before them. */
export interface SnapshotChunk {
  readonly bytes: Buffer;
  /** How many bytes of the database file come after this piece, the SHA-256 not counted. */
  readonly remainingBytes: number;
}

/** What a member's contents come to, by HashKV. */
export interface ContentHash {
  /** Hexadecimal, 32 bits. */
  readonly hash: string;
  /** What it was compacted to: only hashes with the same one can be compared. */
  readonly compactRevision: bigint;
}

/** What a member has to do with snapshots that members send each other, as to one that has fallen far behind. */
export interface RaftSnapshots {
  /** Hexadecimal ids of the members that it sends one to. */
  readonly sendingTo: readonly string[];
  /** It receives one, or applies it. */
  readonly takesOne: boolean;
}

/** What stands in a member's part of the key space. Never the values: they may be secrets. */
export interface KeyRange {
  /** How many keys there are in the range, whatever the limit. */
  readonly count: number;
  /** The first keys, in order; at most the limit. */
  readonly keys: readonly { readonly key: string; readonly valueBytes: number | undefined }[];
}

export interface KeyRangeRequest {
  /** The first key; `'\0'` is the first of all. */
  readonly from: string;
  /** The key after the last; `'\0'` is the end of all. */
  readonly to: string;
  readonly limit: number;
  /** Transfers the values to measure them; otherwise `valueBytes` is undefined. */
  readonly measureValues?: boolean;
}

/** A key with its value. Only of kinds that hold no secrets. */
export interface StoredValue {
  readonly key: string;
  readonly value: Buffer;
  /** The revision of its last write, in decimal: of what Kubernetes keeps there, the resourceVersion. */
  readonly modRevision: string;
}

/** A key as it was read. */
export type ReadKey = Pick<StoredValue, 'key' | 'modRevision'>;

/** A call whose right can be tried without changing anything. */
export type Right = 'HashKV' | 'Compact' | 'Alarm';

/**
 * One connection to one member; every call is sent exactly once. Another member's answer is a WrongMemberError, and
 * what changes something is sent only over a connection on which the member has proven directly before that it is the
 * one that is meant (R19).
 */
export interface MemberClient extends AsyncDisposable {
  readonly endpoint: string;
  /**
   * Whether the other end has ever said anything, be it the first bytes of a handshake: then it is not silent, whatever
   * a call ended with.
   */
  readonly heard: boolean;
  /** The IP address that the last connection was made to; undefined while there was none. */
  readonly remoteAddress: string | undefined;
  status(): Promise<MemberStatus>;
  /**
   * From Status where it is right (3.6.6 and later), else from /metrics of the client URL. Throws QuotaUnreadableError.
   */
  quota(): Promise<Quota>;
  /**
   * How many Snapshot streams this member has open, somebody's backups: a defragmentation would wait for their end,
   * with the member answering nothing meanwhile. From /metrics, which answers at once. Throws EtcdError where it can't
   * be told.
   */
  openSnapshots(): Promise<number>;
  /** Between members, not to clients. From /metrics. Throws EtcdError where it can't be told. */
  raftSnapshots(): Promise<RaftSnapshots>;
  /** Whether a feature gate is on, by the name that /metrics has for it. Throws EtcdError where it can't be told. */
  hasFeature(name: string): Promise<boolean>;
  /** A linearizable read through this member: it is healthy and sees a quorum. Throws otherwise. */
  checkHealth(): Promise<void>;
  /** A read of this member's own data: answers without a quorum, but not while the member is being defragmented. */
  checkServing(): Promise<void>;
  /** The cluster's alarm list (needs a quorum). */
  alarms(): Promise<readonly Alarm[]>;
  /**
   * Asks for what can't be done, so that nothing changes: etcd's authorization judges first. Returns where it let the
   * call through. Throws PermissionDeniedError where it did not.
   */
  tryRight(right: Right): Promise<void>;
  /** Physical compaction: returns when this member's own is through. "Already compacted" is success. */
  compact(revision: bigint): Promise<'compacted' | 'already-compacted'>;
  /** Rewrites this member's file. EtcdTimeoutError means that the server goes on with it. */
  defragment(): Promise<void>;
  /** To be called on the leader. */
  moveLeader(toMemberId: string): Promise<void>;
  /** Disarms NOSPACE of exactly this member; there is no way to disarm anything else. */
  disarmNospace(memberId: string): Promise<void>;
  /**
   * The member list as this member has it, who it is itself, and the cluster it belongs to. Answered without a quorum,
   * and at once also while the member is being defragmented. Learners refuse.
   */
  memberList(): Promise<{ readonly clusterId: string; readonly memberId: string; readonly members: readonly Member[] }>;
  /** Which cluster and which member this endpoint is; learners answer too. */
  identify(): Promise<{ readonly clusterId: string; readonly status: MemberStatus }>;
  /** Keys of this member's own data: works under NOSPACE and without a quorum. */
  keyRange(request: KeyRangeRequest): Promise<KeyRange>;
  /** The first keys of a range with their values, in order: works under NOSPACE and without a quorum. */
  values(request: Omit<KeyRangeRequest, 'measureValues'>): Promise<readonly StoredValue[]>;
  /**
   * Of all keys of this member's own data up to `revision`, as it keeps them; from 3.5 on, at the revision of a
   * compaction or an older one, as it remembers it from that compaction.
   */
  contentHash(revision: bigint): Promise<ContentHash>;
  /** Whether this member still reads at that revision: nothing newer was compacted on it. */
  canReadAt(revision: bigint): Promise<boolean>;
  put(key: string, value: string): Promise<void>;
  delete(key: string): Promise<number>;
  /**
   * Deletes all of these keys, at most MAX_DELETES, or none: where each is as it was read, in one transaction, which
   * NOSPACE lets through. Safe to repeat: what is gone is not as it was read.
   * @returns false where one is not as it was read, and nothing was deleted
   */
  deleteUnchanged(keys: readonly ReadKey[]): Promise<boolean>;
  /**
   * This member's own database file, as it is when the first piece is asked for: works under NOSPACE and without a
   * quorum. The member reads on only as fast as the pieces are taken, and stops when nobody takes them any more. Throws
   * at the first piece that doesn't come.
   */
  snapshot(): AsyncIterable<SnapshotChunk>;
}
