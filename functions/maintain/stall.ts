// How long a defragmentation would keep a member from answering, from what earlier ones took: pure functions.

/** One member's defragmentation in an earlier run: how many bytes of its new file were written a millisecond. */
export interface SeenRate {
  /** Hexadecimal. */
  readonly memberId: string;
  readonly bytesPerMs: number;
}

/**
 * For a cluster that was never seen defragmenting. Measured: 0.21 GB of live data stall their member for 1.7 to 1.9 s
 * on a quiet disk, 120 kB a millisecond; a tenth of that is slower than any disk that etcd does well on.
 */
export const UNSEEN_BYTES_PER_MS = 12_000;

/**
 * What was measured for the guess above. A member that would stall for too long even at this rate is not tried: the
 * answer is known.
 */
export const MEASURED_BYTES_PER_MS = 120_000;

/** A slow night some weeks ago says little about the disk of today; one slow night among the last few says enough. */
const RATES_LOOKED_AT = 5;

/**
 * R3: so long a leader may be silent. Nobody stands for election before etcd's election timeout (1 s unless it was
 * changed) has passed without a word from it, however busy its disk is; and a lease that is kept alive in time has
 * longer than that left.
 */
export const LEADER_STALL_MS = 1000;

export interface StallEstimate {
  readonly ms: number;
  readonly bytesPerMs: number;
  /** Whose defragmentations it is taken from. */
  readonly from: 'this member' | 'other members' | 'a cautious guess';
}

/**
 * The live data is what is written anew, so it is what takes the time.
 * @param rates newest first
 */
export function estimateStall(memberId: string, liveBytes: number, rates: readonly SeenRate[]): StallEstimate {
  const own = rates.filter((rate) => rate.memberId === memberId);
  const [seen, from] = own.length > 0 ? [own, 'this member' as const] : [rates, 'other members' as const];
  const last = seen.slice(0, RATES_LOOKED_AT).map(({ bytesPerMs }) => bytesPerMs);
  if (last.length === 0) {
    return { ms: liveBytes / UNSEEN_BYTES_PER_MS, bytesPerMs: UNSEEN_BYTES_PER_MS, from: 'a cautious guess' };
  }
  const bytesPerMs = Math.min(...last);
  return { ms: liveBytes / bytesPerMs, bytesPerMs, from };
}

/**
 * Whether the leader may lead on while it is defragmented, rather than hand over first, which costs a write now and
 * then.
 * @param tonight of the members before it. They have written the same live data, so theirs count as its own
 * @param rates of earlier nights, newest first
 */
export function mayDefragmentAsLeader(
  memberId: string,
  liveBytes: number,
  tonight: readonly SeenRate[],
  rates: readonly SeenRate[],
): boolean {
  const own = tonight.map(({ bytesPerMs }) => ({ memberId, bytesPerMs }));
  return estimateStall(memberId, liveBytes, [...own, ...rates]).ms <= LEADER_STALL_MS;
}
