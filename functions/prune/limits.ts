// R12: how many reports one run may delete, and for how long: a night's budget, or in an emergency what has to go.
import { MOST_DELETES, MOST_PRUNE_MINUTES, type PruningPolicy } from '../contract/configuration.ts';

export interface Limits {
  readonly maxDeletes: number;
  readonly maxMinutes: number;
  /** They are the configuration's own, and not what an emergency needs. */
  readonly configured: boolean;
}

/**
 * A quarter of what a common disk takes (bench:prune: 742 a second on two cores), for a disk and a network that are
 * worse.
 */
const DELETES_A_MINUTE = 10_000;
/** Looking again after an interruption, and a server that is away for a while. */
const SPARE_MINUTES = 15;

/** @param toDelete how many stale reports may go, of all kinds */
export function limitsOf(
  { maxDeletes, maxMinutes }: Pick<PruningPolicy, 'maxDeletes' | 'maxMinutes'>,
  toDelete: number,
  emergency: boolean,
): Limits {
  if (!emergency) return { maxDeletes, maxMinutes, configured: true };
  const minutes = Math.ceil(toDelete / DELETES_A_MINUTE) + SPARE_MINUTES;
  return {
    maxDeletes: Math.min(Math.max(maxDeletes, toDelete), MOST_DELETES),
    maxMinutes: Math.min(Math.max(maxMinutes, minutes), MOST_PRUNE_MINUTES),
    configured: false,
  };
}
