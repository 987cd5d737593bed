// R12, the blast radius: what evidence may be wrong for a whole kind at once, a person has to look at first.
import type { Raised, RaisedLimits } from '../contract/command.ts';
import type { PruningPolicy, StaleReason } from '../contract/configuration.ts';
import type { ReportKind } from '../contract/kinds.ts';
import { MOST_DELETES } from '../contract/policies.ts';
import { adviceOn } from '../contract/report.ts';
import { EVIDENCE, type Evidence, type KeepReason, STALE_REASONS } from '../reports/stale.ts';

/** What one look at a kind has counted. */
export interface Counts {
  readonly listed: number;
  readonly stale: number;
  readonly reasons: Readonly<Partial<Record<StaleReason, number>>>;
  readonly kept: Readonly<Partial<Record<KeepReason, number>>>;
}

export type GuardPolicy = Pick<PruningPolicy, 'maxStaleShare' | 'maxStaleCount'>;

/** What of a kind must not be touched; all else may. */
export interface Guarded {
  /** Reports whose reason rests on one of these. */
  readonly held: readonly Extract<Evidence, 'producer' | 'owners'>[];
  /** All that speaks against it, with numbers and reasons. */
  readonly why: string;
  /** The limits with which one run may delete them; undefined: no limit would help. */
  readonly raise: Raised | undefined;
}

/** Below this a share says nothing: two of three stale reports are a small cluster's ordinary Tuesday. */
const SHARE_COUNTS_FROM = 50;

export interface GuardOptions {
  /** What is missing to know that the kind's producer is gone; undefined: that it is gone counts. */
  readonly unconfirmed?: string | undefined;
  /** What a person allows this run. */
  readonly raised?: Raised | undefined;
  /** `half-way`: asked again, so that this run may have deleted some already. @default 'before' */
  readonly when?: 'before' | 'half-way';
}

/**
 * What a report says of itself is not held back, however much it is, nor what another one says that has taken its
 * place: no list can be wrong about it. Lists of owners,
 * where they are wrong, are wrong about most of a kind; so a large share that rests on them is held.
 * @returns undefined where all of the kind's stale reports may be deleted
 */
export function guard(
  kind: ReportKind,
  counts: Counts,
  policy: GuardPolicy,
  { unconfirmed, raised, when = 'before' }: GuardOptions = {},
): Guarded | undefined {
  const of = (evidence: Evidence) => countOf(counts, evidence);
  const byOwners = of('owners');
  const byProducer = of('producer');
  // Neither other tools' reports nor those that say enough of themselves: they must not make the share look small.
  const judged = counts.listed - (counts.kept.foreign ?? 0) - of('object') - of('successor') - byProducer;
  const share = byOwners / judged;
  const maxStaleShare = raised?.maxStaleShare ?? kind.maxStaleShare ?? policy.maxStaleShare;
  const missing = byProducer > 0 ? unconfirmed : undefined;
  // Whoever has said how many may go has said that it may be many.
  const tooMany = raised === undefined && byOwners + byProducer > policy.maxStaleCount;
  const tooLarge = byOwners >= SHARE_COUNTS_FROM && share > maxStaleShare;
  if (missing === undefined && !tooMany && !tooLarge) return undefined;

  const isHeld = {
    owners: byOwners > 0 && (tooLarge || tooMany),
    producer: byProducer > 0 && (tooMany || missing !== undefined),
  };
  const held = (['owners', 'producer'] as const).filter((evidence) => isHeld[evidence]);
  const heldCounts = only(counts.reasons, held);
  const heldCount = held.reduce((sum, evidence) => sum + of(evidence), 0);
  const enough = Math.ceil((100 * byOwners) / judged) / 100;
  const maxDeletes = Math.min(counts.stale - (missing === undefined ? 0 : byProducer), MOST_DELETES);
  const raise = tooLarge ? { maxStaleShare: enough, maxDeletes } : { maxDeletes };
  const own = counts.listed - (counts.kept.foreign ?? 0);
  const why = [
    `${format(heldCount)} of ${format(own)} ${kind.name} (${percent(heldCount / own)}) seem stale by lists that may be wrong: ${describeReasons(heldCounts)}`,
    ...(tooMany ? [`That is more than prune.maxStaleCount (${format(policy.maxStaleCount)})`] : []),
    ...(tooLarge
      ? [
          `Of ${format(judged)} that are judged by their owners it is ${percent(share)}, a larger share than maxStaleShare allows (${percent(maxStaleShare)})`,
        ]
      : []),
    ...(missing === undefined
      ? []
      : [
          `That an operator is gone counts only where two looks, an hour to eight days apart, find no Deployment of it, and ${missing}: the nightly pruning and each rehearsal look; see whether ${kind.producer} is really uninstalled, and run again in an hour or more`,
        ]),
    `So ${when === 'before' ? 'none of them was deleted' : 'no more of them are deleted'}`,
  ].join('. ');
  return { held, why, raise: tooMany || tooLarge ? raise : undefined };
}

/** What is said of one kind: why it is held back, and how one run may delete it. */
export function wordsOf({ name }: ReportKind, { why, raise }: Guarded): string {
  return raise === undefined ? why : `${why}. ${adviceOn({ [name]: raise })}`;
}

/** The limits of several kinds that fit into one run, the most deletes first; undefined: none would help. */
export function raiseOf(all: readonly (readonly [name: string, raise: Raised])[]): RaisedLimits | undefined {
  let left = MOST_DELETES;
  const fitting = all
    .toSorted(([, a], [, b]) => b.maxDeletes - a.maxDeletes)
    .filter(([, { maxDeletes }]) => {
      if (maxDeletes > left) return false;
      left -= maxDeletes;
      return true;
    });
  return fitting.length === 0 ? undefined : Object.fromEntries(fitting);
}

/** How many of the stale ones may be deleted. */
export function letThrough(counts: Counts, guarded: Pick<Guarded, 'held'> | undefined): number {
  return counts.stale - (guarded?.held ?? []).reduce((sum, evidence) => sum + countOf(counts, evidence), 0);
}

/** Whether a report that is stale for this reason may be deleted. */
export function isHeld(reason: StaleReason, held: readonly Evidence[]): boolean {
  return held.includes(EVIDENCE[reason]);
}

function countOf({ reasons }: Counts, evidence: Evidence): number {
  return Object.values(only(reasons, [evidence])).reduce((sum, count) => sum + count, 0);
}

/** Those that rest on one of these. */
export function only(reasons: Counts['reasons'], evidence: readonly Evidence[]): Partial<Record<StaleReason, number>> {
  const entries = entriesOf(reasons).filter(([reason]) => evidence.includes(EVIDENCE[reason]));
  return Object.fromEntries(entries);
}

function entriesOf(reasons: Counts['reasons']): readonly (readonly [StaleReason, number])[] {
  return STALE_REASONS.flatMap((reason) => {
    const count = reasons[reason] ?? 0;
    return count > 0 ? [[reason, count] as const] : [];
  });
}

/** "300 owner-gone, 112 ttl-passed". */
export function describeReasons(reasons: Counts['reasons']): string {
  return (
    entriesOf(reasons)
      .toSorted(([, a], [, b]) => b - a)
      .map(([reason, count]) => `${format(count)} ${reason}`)
      .join(', ') || 'none'
  );
}

/** 12345 is "12,345". */
export function format(count: number): string {
  return count.toLocaleString('en-US');
}

/** Never rounded to all or to none. */
function percent(share: number): string {
  const rounded = Math.round(share * 100);
  if (rounded === 100 && share < 1) return 'over 99 %';
  return rounded === 0 && share > 0 ? 'under 1 %' : `${rounded} %`;
}
