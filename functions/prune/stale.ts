// Whether a report is stale (R12), from its metadata alone. What cannot be told for sure is kept.

import { MANAGED_BY, PRODUCERS, type Producer, type ReportKind } from '../contract/kinds.ts';
import type { ObjectMetadata, OwnerReference } from '../kubernetes/types.ts';
import { parseGoDuration } from './duration.ts';

export type StaleReason =
  /** Nobody has any of its owners' uids any more; another object of the same name does not count. */
  | 'owner-gone'
  /** Its owner is a ReplicaSet with 0 replicas: Trivy does not scan it again. */
  | 'owner-scaled-to-zero'
  /** It has outlived its TTL, and whoever should delete it evidently does not. */
  | 'ttl-passed'
  /** Its operator was uninstalled, and nobody writes it any more. */
  | 'producer-gone'
  /** Of a kind that its operator has given up for another one. */
  | 'leftover'
  /** Written for the moment, without an owner, and the moment is over. */
  | 'unowned-ephemeral';

export type KeepReason =
  | 'fresh'
  /** Stale, but somebody wants to do something before it goes. */
  | 'finalizers'
  | 'being-deleted'
  /** Another tool's. */
  | 'foreign'
  /** Its owners' kind could not be listed. */
  | 'owner-unknown'
  /** It has outlived its TTL, but its operator keeps this kind of report for as long as its policies stay the same. */
  | 'kept-by-operator'
  /** A time or a TTL in it can't be read. */
  | 'unreadable';

export type Verdict = { readonly stale: StaleReason } | { readonly keep: KeepReason };

/** All owners of one kind at one moment. */
export interface OwnersOfKind {
  /** The server's own clock when the list began, in ms since 1970. */
  readonly listedAtMs: number;
  readonly uids: ReadonlySet<string>;
  /** Those of `uids` that are there with 0 replicas. */
  readonly scaledToZero: ReadonlySet<string>;
}

/** By `ownerKind`. A kind that is not in it could not be listed. */
export type Owners = ReadonlyMap<string, OwnersOfKind>;

export type Presence = 'there' | 'gone' | 'unknown';

export interface Producers extends Readonly<Record<Producer, Presence>> {
  /** The cluster serves `reports.kyverno.io`, with which Kyverno gave up its older kinds. */
  readonly hasEphemeralReports: boolean;
}

export interface Circumstances {
  readonly kind: ReportKind;
  readonly owners: Owners;
  readonly producers: Producers;
  /** The server's own clock, in ms since 1970. */
  readonly nowMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/**
 * A report written later than this before its owners were listed is taken to have an owner: the owner may be younger
 * than the list. It covers the time from the server's read to its answer's date, and clocks of several API servers.
 */
const OWNER_RACE_MS = MINUTE_MS;
/**
 * An operator that deletes by TTL does so within seconds; after a restart of it, within minutes. An hour later it isn't
 * doing it.
 */
const TTL_GRACE_MS = HOUR_MS;
/**
 * Trivy scans once a day by default, Kyverno once an hour: who has not written for so long is not between two rounds.
 */
const ABANDONED_MS = 24 * HOUR_MS;
/** What Kyverno's own controller gives an ephemeral report to find its owner. */
const EPHEMERAL_GRACE_MS = 2 * MINUTE_MS;

/** Pure: the same report in the same circumstances is judged the same. */
export function judge(report: ObjectMetadata, circumstances: Circumstances): Verdict {
  const { kind } = circumstances;
  if (report.deletionTimestamp !== undefined) return { keep: 'being-deleted' };
  if (kind.shared && !isOwn(report, kind)) return { keep: 'foreign' };
  const writtenMs = lastWrittenMs(report);
  const ttlMs = timeToLive(report, kind);
  if (writtenMs === undefined || ttlMs === 'unreadable' || Number.isNaN(circumstances.nowMs)) {
    return { keep: 'unreadable' };
  }
  const verdict = judgeReadable(report, circumstances, writtenMs, ttlMs);
  return 'stale' in verdict && report.finalizers.length > 0 ? { keep: 'finalizers' } : verdict;
}

function judgeReadable(
  report: ObjectMetadata,
  { kind, owners, producers, nowMs }: Circumstances,
  writtenMs: number,
  ttlMs: number | undefined,
): Verdict {
  const idleMs = nowMs - writtenMs;
  const owner = ownerState(report.ownerReferences, writtenMs, owners);
  if (owner === 'gone') return { stale: 'owner-gone' };
  // Kyverno reports on what has no replicas as well, and would write it again.
  if (owner === 'scaled-to-zero' && kind.producer === 'trivy') return { stale: 'owner-scaled-to-zero' };
  if (kind.ephemeral && owner === 'none' && idleMs > EPHEMERAL_GRACE_MS) return { stale: 'unowned-ephemeral' };

  const kept: Verdict = { keep: owner === 'unknown' ? 'owner-unknown' : 'fresh' };
  const producer = kind.producer === undefined ? 'unknown' : producers[kind.producer];
  // Since the last write, which is never before the creation: a report that is still being written has not outlived
  // anything.
  if (ttlMs !== undefined && idleMs <= ttlMs + TTL_GRACE_MS) return kept;
  const keeps = ttlMs !== undefined && producer !== 'gone' && operatorKeeps(kind, ttlMs, idleMs);
  if (ttlMs !== undefined && !keeps) return { stale: 'ttl-passed' };
  if (idleMs > ABANDONED_MS) {
    if (kind.leftover && producers.hasEphemeralReports) return { stale: 'leftover' };
    if (producer === 'gone' && isOwn(report, kind)) return { stale: 'producer-gone' };
  }
  return keeps ? { keep: 'kept-by-operator' } : kept;
}

/**
 * Whether the operator, where it is there, means to keep a report whose TTL has passed. Not one with a TTL of 0, which
 * is how Trivy marks the reports of a superseded ReplicaSet, and not one that has outlived the configuration's TTL as
 * well.
 */
function operatorKeeps(kind: ReportKind, ttlMs: number, idleMs: number): boolean {
  if (kind.endsByTtl || ttlMs === 0) return false;
  return kind.ttlHours === undefined || idleMs <= kind.ttlHours * HOUR_MS + TTL_GRACE_MS;
}

function isOwn({ labels }: ObjectMetadata, { producer }: ReportKind): boolean {
  return producer !== undefined && labels[MANAGED_BY] === PRODUCERS[producer].managedBy;
}

function annotatedTtl({ annotations }: ObjectMetadata, { ttlAnnotation }: ReportKind): string | undefined {
  return ttlAnnotation === undefined ? undefined : annotations[ttlAnnotation];
}

/** Milliseconds; undefined: it has none. A report's own TTL comes before the configuration's. */
function timeToLive(report: ObjectMetadata, kind: ReportKind): number | undefined | 'unreadable' {
  const annotated = annotatedTtl(report, kind);
  if (annotated === undefined) return kind.ttlHours === undefined ? undefined : kind.ttlHours * HOUR_MS;
  const ttlMs = parseGoDuration(annotated);
  return ttlMs === undefined || ttlMs < 0 ? 'unreadable' : ttlMs;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** The later of creation and last write; undefined where one of them can't be read. */
function lastWrittenMs({ creationTimestamp, lastWrittenAt }: ObjectMetadata): number | undefined {
  const [createdMs, writtenMs] = [creationTimestamp, lastWrittenAt].map((time) =>
    RFC_3339.test(time) ? Date.parse(time) : Number.NaN,
  );
  const latest = Math.max(createdMs ?? Number.NaN, writtenMs ?? Number.NaN);
  return Number.isNaN(latest) ? undefined : latest;
}

/** What an owner's kind is called in `Owners`. */
export function ownerKind({ apiVersion, kind }: Pick<OwnerReference, 'apiVersion' | 'kind'>): string {
  return `${kind} (${apiVersion})`;
}

type OwnerState = 'none' | 'alive' | 'scaled-to-zero' | 'gone' | 'unknown';

/** Whether a report that was stale for its owners' sake still is, by owners that were listed since. */
export function isStillWithoutOwner(
  references: readonly OwnerReference[],
  owners: Owners,
  { producer }: Pick<ReportKind, 'producer'>,
): boolean {
  // The report has not been written since it was judged, or its delete is refused: it is older than any list.
  const state = ownerState(references, Number.NEGATIVE_INFINITY, owners);
  return state === 'gone' || (state === 'scaled-to-zero' && producer === 'trivy');
}

/** Whether one that was stale for its operator's sake still is. What is not known any more is kept. */
export function isStillAbandoned(reason: StaleReason, producers: Producers, { producer }: ReportKind): boolean {
  if (reason === 'leftover') return producers.hasEphemeralReports;
  return producer !== undefined && producers[producer] === 'gone';
}

/** Whom a reason rests on, beside the report itself, which is only deleted as it was judged. */
export function restsOn(
  reason: StaleReason,
  { producer, endsByTtl }: Pick<ReportKind, 'producer' | 'endsByTtl'>,
  producers: Producers,
): 'owners' | 'producer' | undefined {
  switch (reason) {
    case 'owner-gone':
    case 'owner-scaled-to-zero':
      return 'owners';
    case 'producer-gone':
    case 'leftover':
      return 'producer';
    case 'ttl-passed':
      // An operator that is there may mean to keep it: then its TTL says nothing.
      return producer !== undefined && !endsByTtl && producers[producer] === 'gone' ? 'producer' : undefined;
    case 'unowned-ephemeral':
      return undefined;
  }
}

/** Of all owners together: one that lives is enough to keep a report, and so is one that nobody knows of. */
function ownerState(references: readonly OwnerReference[], writtenMs: number, owners: Owners): OwnerState {
  if (references.length === 0) return 'none';
  const states = new Set(references.map((reference) => stateOfOne(reference, writtenMs, owners)));
  for (const state of ['alive', 'unknown', 'scaled-to-zero'] as const) if (states.has(state)) return state;
  return 'gone';
}

function stateOfOne(reference: OwnerReference, writtenMs: number, owners: Owners): OwnerState {
  const listed = owners.get(ownerKind(reference));
  if (listed === undefined || reference.uid === '') return 'unknown';
  // Written about when the owners were listed: the list may be older than the owner, or than its scaling up.
  if (!(writtenMs <= listed.listedAtMs - OWNER_RACE_MS)) return 'alive';
  if (!listed.uids.has(reference.uid)) return 'gone';
  return listed.scaledToZero.has(reference.uid) ? 'scaled-to-zero' : 'alive';
}
