// Whether a report is stale (R12), from its metadata alone. What cannot be told for sure is kept.

import type { PruningPolicy, StaleReason } from '../contract/configuration.ts';
import { MANAGED_BY, MERGED, PRODUCERS, type Producer, type ReportKind } from '../contract/kinds.ts';
import type { ObjectMetadata, OwnerReference } from '../kubernetes/types.ts';
import { parseGoDuration } from './duration.ts';

/** What a reason's evidence is, beside the kind itself. */
export type Evidence =
  /** What the report says of itself: nobody else's list can be wrong about it. */
  | 'object'
  /** That an operator is not there, by a list of Deployments. */
  | 'producer'
  /** That another report has taken its place, which is seen itself: a list that lacks something keeps more. */
  | 'successor'
  /** Lists of owners. */
  | 'owners';

export const EVIDENCE: Readonly<Record<StaleReason, Evidence>> = {
  /** Written for the moment, without an owner, and the moment is over. */
  'unowned-ephemeral': 'object',
  /** Written for the moment, and not written again: its operator has merged it, and never looks at it again. */
  'idle-ephemeral': 'object',
  /** Of a kind that its operator has given up for another one. */
  leftover: 'object',
  /** Worked off, given up or passed over an hour ago: Kyverno deletes it in that moment, or never. */
  'finished-request': 'object',
  /** Of Kyverno up to 1.10, one for each policy: later ones report on each owner, and know only those. */
  'unowned-policy-report': 'object',
  /** Its operator was switched to `openreports.io`, and has written that report there since. */
  'moved-to-openreports': 'successor',
  /** Its operator was uninstalled, and nobody writes it any more. */
  'producer-gone': 'producer',
  /** Nobody has any of its owners' uids any more; another object of the same name does not count. */
  'owner-gone': 'owners',
  /** Its owner is a ReplicaSet with 0 replicas of a revision before its Deployment's: Trivy does not scan it again. */
  'owner-superseded': 'owners',
  /** Its owner is the current one, and has had 0 replicas for as many days as the configuration says. */
  'owner-scaled-to-zero': 'owners',
  /** It has outlived its TTL, and whoever should delete it evidently does not. */
  'ttl-passed': 'owners',
};

/** All of them, the surest evidence first. */
export const STALE_REASONS: readonly StaleReason[] = Object.keys(EVIDENCE).filter(isStaleReason);

export const EVIDENCES: readonly Evidence[] = [...new Set(Object.values(EVIDENCE))];

function isStaleReason(name: string): name is StaleReason {
  return Object.hasOwn(EVIDENCE, name);
}

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
  readonly atZero: ReadonlyMap<string, AtZero>;
}

/** A workload without replicas. */
export interface AtZero {
  /** Its revision is lower than its Deployment's: a rollout has left it behind, and only a rollback brings it back. */
  readonly superseded: boolean;
  /** When somebody last wrote it, in ms since 1970: it has had no replicas for no longer than since then. */
  readonly writtenMs: number;
}

/** By `ownerKind`. A kind that is not in it could not be listed. */
export type Owners = ReadonlyMap<string, OwnersOfKind>;

/** When somebody last wrote each, in ms since 1970, by `placeOf`. */
export type Successors = ReadonlyMap<string, number>;

/** An object's place in its kind. */
export function placeOf({ namespace, name }: Pick<ObjectMetadata, 'namespace' | 'name'>): string {
  return `${namespace ?? ''}/${name}`;
}

export type Presence = 'there' | 'gone' | 'unknown';

export interface Producers extends Readonly<Record<Producer, Presence>> {
  /** The cluster serves `reports.kyverno.io`, with which Kyverno gave up its older kinds. */
  readonly hasEphemeralReports: boolean;
}

export type StaleRules = Pick<PruningPolicy, 'reasons' | 'ephemeralHours' | 'scaledToZeroDays'>;

export interface Circumstances {
  readonly kind: ReportKind;
  readonly rules: StaleRules;
  readonly owners: Owners;
  readonly producers: Producers;
  /** The operator's own in the kind that comes after this one. */
  readonly successors: Successors;
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
/** Kyverno deletes a request as soon as it is completed, and tries one that failed again within seconds. */
const FINISHED_MS = HOUR_MS;
/** Kyverno's words for a request that it has worked off, given up or passed over. */
const FINISHED: ReadonlySet<string | undefined> = new Set(['Completed', 'Failed', 'Skip']);
/**
 * Kyverno's own names for reports of a policy: up to 1.7 by namespace, up to 1.10 by policy. Later ones are called by
 * their owner's uid.
 */
const BY_POLICY = /^(c?pol-|polr-ns-|clusterpolicyreport)/;

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
  circumstances: Circumstances,
  writtenMs: number,
  ttlMs: number | undefined,
): Verdict {
  const { kind, owners, nowMs, rules } = circumstances;
  const owner = ownerState(report.ownerReferences, writtenMs, owners, sinceMs(rules, nowMs));
  const idleMs = nowMs - writtenMs;
  const age = { idleMs, ttl: ttlState(kind, ttlMs, owner, idleMs) };
  for (const reason of reasonsFor(report, circumstances, owner, age)) {
    if (rules.reasons[reason]) return { stale: reason };
  }
  if (owner === 'unknown') return { keep: 'owner-unknown' };
  return { keep: age.ttl === 'kept' ? 'kept-by-operator' : 'fresh' };
}

/**
 * All that hold, the one with the surest evidence first: a report whose own dates say enough must not be held back by a
 * guard on lists of owners.
 */
function* reasonsFor(
  report: ObjectMetadata,
  { kind, producers, rules, successors, nowMs }: Circumstances,
  owner: OwnerState,
  { idleMs, ttl }: { readonly idleMs: number; readonly ttl: TtlState },
): Generator<StaleReason> {
  const abandoned = idleMs > ABANDONED_MS && ttl !== 'within';
  if (kind.ephemeral) {
    if (owner === 'none' && idleMs > EPHEMERAL_GRACE_MS) yield 'unowned-ephemeral';
    const inUse = isMergedAgain(report, kind, producers) && owner !== 'gone' && owner !== 'none';
    if (idleMs > rules.ephemeralHours * HOUR_MS && !inUse) yield 'idle-ephemeral';
  }
  if (producers.hasEphemeralReports) {
    if (abandoned && kind.leftover) yield 'leftover';
    if (kind.request && idleMs > FINISHED_MS && FINISHED.has(report.state)) yield 'finished-request';
    if (abandoned && kind.perOwner && owner === 'none' && BY_POLICY.test(report.name)) yield 'unowned-policy-report';
  }
  const succeededMs = successors.get(placeOf(report)) ?? Number.NEGATIVE_INFINITY;
  if (abandoned && kind.successor !== undefined && succeededMs > nowMs - idleMs) yield 'moved-to-openreports';

  if (owner === 'gone') yield 'owner-gone';
  if (kind.producer !== undefined && PRODUCERS[kind.producer].passesOverOwnersAtZero) {
    if (owner === 'superseded') yield 'owner-superseded';
    if (owner === 'long-at-zero') yield 'owner-scaled-to-zero';
  }
  if (ttl === 'passed') yield 'ttl-passed';
  const isGone = kind.producer !== undefined && producers[kind.producer] === 'gone';
  if (abandoned && isGone && isOwn(report, kind)) yield 'producer-gone';
}

type TtlState =
  | 'none'
  | 'within'
  | 'passed'
  /** It has passed, and its operator keeps such a report all the same. */
  | 'kept';

/**
 * Counted from the last write, which is never before the creation: a report that is still being written has not
 * outlived anything.
 */
function ttlState(kind: ReportKind, ttlMs: number | undefined, owner: OwnerState, idleMs: number): TtlState {
  // Trivy marks the reports of a superseded ReplicaSet with it, and leaves the mark where a rollback makes that one the
  // current one again.
  if (ttlMs === 0 && owner !== 'gone' && owner !== 'superseded') {
    return configuredTtl(kind, idleMs);
  }
  if (ttlMs === undefined) return 'none';
  if (idleMs <= ttlMs + TTL_GRACE_MS) return 'within';
  return operatorKeeps(kind, ttlMs, idleMs) ? 'kept' : 'passed';
}

function configuredTtl({ ttlHours }: ReportKind, idleMs: number): TtlState {
  if (ttlHours === undefined) return 'none';
  return idleMs <= ttlHours * HOUR_MS + TTL_GRACE_MS ? 'within' : 'passed';
}

/**
 * Before Kyverno 1.12, background scans' reports and those of admission that are labelled so are not for the moment: it
 * merges them into a policy report anew each time, and would make them again.
 */
function isMergedAgain({ labels }: ObjectMetadata, { leftover, merged }: ReportKind, producers: Producers): boolean {
  return leftover && !producers.hasEphemeralReports && (merged || MERGED in labels);
}

/**
 * Whether the operator means to keep a report whose TTL has passed; where it is gone, that is a reason of its own. Not
 * one with a TTL of 0, which is how Trivy marks the reports of a superseded ReplicaSet, and not one that has outlived
 * the configuration's TTL as well.
 */
function operatorKeeps(kind: ReportKind, ttlMs: number, idleMs: number): boolean {
  if (kind.deletesByTtl || ttlMs === 0) return false;
  return configuredTtl(kind, idleMs) !== 'passed';
}

export function isOwn({ labels }: Pick<ObjectMetadata, 'labels'>, { producer }: Pick<ReportKind, 'producer'>): boolean {
  return producer !== undefined && labels[MANAGED_BY] === PRODUCERS[producer].managedBy;
}

function annotatedTtl(
  { annotations }: Pick<ObjectMetadata, 'annotations'>,
  { ttlAnnotation }: ReportKind,
): string | undefined {
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
export function lastWrittenMs({
  creationTimestamp,
  lastWrittenAt,
}: Pick<ObjectMetadata, 'creationTimestamp' | 'lastWrittenAt'>): number | undefined {
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

/** `at-zero`: without replicas, and the current one as far as is known. */
type OwnerState = 'none' | 'alive' | 'at-zero' | 'long-at-zero' | 'superseded' | 'gone' | 'unknown';

/** What was last written before this has been at zero for long. */
function sinceMs({ scaledToZeroDays }: StaleRules, nowMs: number): number {
  return scaledToZeroDays === undefined ? Number.NEGATIVE_INFINITY : nowMs - scaledToZeroDays * 24 * HOUR_MS;
}

const BY_OWNERS: Readonly<Partial<Record<StaleReason, readonly OwnerState[]>>> = {
  'owner-gone': ['gone'],
  'owner-superseded': ['superseded', 'gone'],
  'owner-scaled-to-zero': ['long-at-zero', 'superseded', 'gone'],
  'ttl-passed': ['superseded', 'gone'],
};

/** Whether a report that was stale for its owners' sake still is, by owners that were listed since. */
export function isStillWithoutOwner(
  reason: StaleReason,
  references: readonly OwnerReference[],
  owners: Owners,
  rules: StaleRules,
  nowMs: number,
): boolean {
  // The report has not been written since it was judged, or its delete is refused: it is older than any list.
  const state = ownerState(references, Number.NEGATIVE_INFINITY, owners, sinceMs(rules, nowMs));
  return BY_OWNERS[reason]?.includes(state) ?? false;
}

/** Only a Kyverno that has its new kind has given up, or deletes, what they are about. */
const RESTS_ON_VERSION: ReadonlySet<StaleReason> = new Set(['leftover', 'finished-request', 'unowned-policy-report']);

/** Whether one that was stale for its operator's sake still is. What is not known any more is kept. */
export function isStillAbandoned(reason: StaleReason, producers: Producers, { producer }: ReportKind): boolean {
  if (RESTS_ON_VERSION.has(reason)) return producers.hasEphemeralReports;
  return producer !== undefined && producers[producer] === 'gone';
}

/** Whom a reason rests on, beside the report itself, which is only deleted as it was judged. */
export function restsOn(
  reason: StaleReason,
  report: ObjectMetadata,
  { kind, nowMs }: Pick<Circumstances, 'kind' | 'nowMs'>,
): Exclude<Evidence, 'object'> | undefined {
  switch (reason) {
    case 'owner-gone':
    case 'owner-superseded':
    case 'owner-scaled-to-zero':
      return 'owners';
    case 'producer-gone':
    case 'leftover':
    case 'finished-request':
    case 'unowned-policy-report':
      return 'producer';
    case 'moved-to-openreports':
      return 'successor';
    case 'ttl-passed': {
      // Of any other TTL, owners say nothing; and where the configuration's has passed, neither do they of this one.
      const idleMs = nowMs - (lastWrittenMs(report) ?? nowMs);
      return isZero(annotatedTtl(report, kind)) && configuredTtl(kind, idleMs) !== 'passed' ? 'owners' : undefined;
    }
    case 'unowned-ephemeral':
    case 'idle-ephemeral':
      return undefined;
  }
}

function isZero(ttl: string | undefined): boolean {
  return ttl !== undefined && parseGoDuration(ttl) === 0;
}

/** Of all owners together: one that lives is enough to keep a report, and so is one that nobody knows of. */
function ownerState(
  references: readonly OwnerReference[],
  writtenMs: number,
  owners: Owners,
  zeroBeforeMs: number,
): OwnerState {
  if (references.length === 0) return 'none';
  const states = new Set(references.map((reference) => stateOfOne(reference, writtenMs, owners, zeroBeforeMs)));
  const order = ['alive', 'unknown', 'at-zero', 'long-at-zero', 'superseded'] as const;
  return order.find((state) => states.has(state)) ?? 'gone';
}

function stateOfOne(
  reference: OwnerReference,
  writtenMs: number,
  owners: Owners,
  zeroBeforeMs: number,
): Exclude<OwnerState, 'none'> {
  const listed = owners.get(ownerKind(reference));
  if (listed === undefined || reference.uid === '') return 'unknown';
  // Written about when the owners were listed: the list may be older than the owner, or than its scaling up.
  if (!(writtenMs <= listed.listedAtMs - OWNER_RACE_MS)) return 'alive';
  if (!listed.uids.has(reference.uid)) return 'gone';
  const zero = listed.atZero.get(reference.uid);
  if (zero === undefined) return 'alive';
  if (zero.superseded) return 'superseded';
  return zero.writtenMs < zeroBeforeMs ? 'long-at-zero' : 'at-zero';
}
