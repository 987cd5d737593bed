// R12, the blast radius: where more of a kind seems stale than one run may delete unasked, a person has to look first.
import type { PruningPolicy } from '../contract/configuration.ts';
import type { ReportKind } from '../contract/kinds.ts';
import type { KeepReason, StaleReason } from './stale.ts';

/** What one look at a kind has counted. */
export interface Counts {
  readonly listed: number;
  readonly stale: number;
  readonly reasons: Readonly<Partial<Record<StaleReason, number>>>;
  readonly kept: Readonly<Partial<Record<KeepReason, number>>>;
}

export type GuardPolicy = Pick<PruningPolicy, 'maxStaleShare' | 'maxStaleCount'>;

/** Below this a share says nothing: two of three stale reports are a small cluster's ordinary Tuesday. */
const SHARE_COUNTS_FROM = 50;

/**
 * @param when `half-way`: asked again, so that this run may have deleted some already
 * @returns why this kind must not be touched, and what to set if it is right all the same; undefined where it may be
 *   pruned
 */
export function guard(
  kind: ReportKind,
  counts: Counts,
  policy: GuardPolicy,
  when: 'before' | 'half-way' = 'before',
): string | undefined {
  const { stale, reasons } = counts;
  // Other tools' reports are none of this kind's own: they must not make the share look small.
  const own = counts.listed - (counts.kept.foreign ?? 0);
  const maxStaleShare = kind.maxStaleShare ?? policy.maxStaleShare;
  const seem = `${format(stale)} of ${format(own)} ${kind.name} (${percent(stale / own)}) seem stale: ${describeReasons(reasons)}`;
  const so = when === 'before' ? 'none was deleted' : 'no more are deleted';
  if (stale > policy.maxStaleCount) {
    return `${seem}. That is more than prune.maxStaleCount (${format(policy.maxStaleCount)}), so ${so}: look at some of them, and if that is right set prune.maxStaleCount to ${stale} or more and run again`;
  }
  if (stale < SHARE_COUNTS_FROM || stale / own <= maxStaleShare) return undefined;
  const enough = Math.ceil((100 * stale) / own) / 100;
  return `${seem}. That is a larger share than maxStaleShare allows (${percent(maxStaleShare)}), so ${so}: look at some of them, and if that is right set prune.kinds["${kind.name}"].maxStaleShare to ${enough < 1 ? `${enough} or more` : enough} and run again`;
}

/** "300 owner-gone, 112 ttl-passed". */
export function describeReasons(reasons: Readonly<Record<string, number>>): string {
  const entries = Object.entries(reasons).filter(([, count]) => count > 0);
  return (
    entries
      .sort(([, a], [, b]) => b - a)
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
