// How long things may take: what the stack sets for its functions, and what the functions count on.

/**
 * The most that Lambda lets an invocation take. One that is at work when its execution is ended from outside may go on
 * for that long.
 */
export const LONGEST_INVOCATION_MS = 15 * 60_000;

/**
 * How long a lease holds without a renewal. It is renewed at the beginning of every step that changes something, and no
 * step can outlive its invocation; a minute more for starting up.
 */
export const LEASE_TTL_MS = LONGEST_INVOCATION_MS + 60_000;

/**
 * Maintenance stops before its next change when it sees an alarm, but a pruning goes on for as long as it may: 3 hours,
 * and its lists.
 */
export const WAIT_FOR_TURN_HOURS = 4;
