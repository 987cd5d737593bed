// R12: how many reports one run may delete, and for how long: a night's budget, or in an emergency what has to go.
import { describeSender, type RaisedLimits, type Trigger } from '../contract/command.ts';
import type { PruningPolicy } from '../contract/configuration.ts';
import { MOST_DELETES, MOST_PRUNE_MINUTES } from '../contract/policies.ts';
import { format } from './guard.ts';

export interface Limits {
  readonly maxDeletes: number;
  readonly maxMinutes: number;
  /** They are the configuration's own, and not what an emergency needs. */
  readonly configured: boolean;
  /** Deletes of these kinds alone, which a person has allowed this run; `maxDeletes` is for all others then. */
  readonly ofKind: Readonly<Record<string, number>>;
}

/**
 * A quarter of what a common disk takes (bench:prune: 742 a second on two cores), for a disk and a network that are
 * worse.
 */
const DELETES_A_MINUTE = 10_000;
/** Looking again after an interruption, and a server that is away for a while. */
const SPARE_MINUTES = 15;

/**
 * @param toDelete how many stale reports may go, of all kinds
 * @param raised what a person has allowed this run
 */
export function limitsOf(
  { maxDeletes, maxMinutes }: Pick<PruningPolicy, 'maxDeletes' | 'maxMinutes'>,
  toDelete: number,
  emergency: boolean,
  raised: RaisedLimits = {},
): Limits {
  const ofKind = Object.fromEntries(Object.entries(raised).map(([name, limits]) => [name, limits.maxDeletes]));
  const allowed = Object.values(ofKind).reduce((sum, deletes) => sum + deletes, 0);
  if (!emergency && allowed === 0) return { maxDeletes, maxMinutes, configured: true, ofKind };
  const minutes = Math.ceil(toDelete / DELETES_A_MINUTE) + SPARE_MINUTES;
  const most = Math.min(Math.max(maxMinutes, minutes), MOST_PRUNE_MINUTES);
  // All together no more than a run has durable operations for.
  if (!emergency) {
    return { maxDeletes: Math.min(maxDeletes, MOST_DELETES - allowed), maxMinutes: most, configured: true, ofKind };
  }
  return {
    maxDeletes: Math.min(Math.max(maxDeletes, toDelete), MOST_DELETES),
    maxMinutes: most,
    configured: false,
    ofKind,
  };
}

/** Whose yes a run goes by, and for what; undefined: nobody has raised a limit. */
export function describeRaised({
  raised,
  trigger,
}: {
  readonly raised: RaisedLimits;
  readonly trigger: Trigger;
}): string | undefined {
  const kinds = Object.entries(raised).map(([name, { maxStaleShare, maxDeletes }]) => {
    const share = maxStaleShare === undefined ? '' : `maxStaleShare ${maxStaleShare}, `;
    return `${name} (${share}maxDeletes ${format(maxDeletes)})`;
  });
  if (kinds.length === 0) return undefined;
  return `The limits of ${kinds.join(', ')} were raised for this run by ${describeSender(trigger)}`;
}
