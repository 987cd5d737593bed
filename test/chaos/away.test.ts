// Every member of three killed once at every step, and away for 13 s: a kubelet's first back-off is 10 s. It is waited
// for, and the run ends as if nothing had been. Real time, real members, a process a case: much of it is waiting, so
// that many run at a time.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { AwayCase, AwayOutcome } from './away-run.ts';

const RECOVERY: readonly (readonly [string, string, number])[] = [
  ['observe', '^observe$', 1],
  ['snapshot', '^snapshot$', 1],
  ['compact', '^compact$', 1],
  ['the first defragmentation', '^defragment ', 1],
  ['the second defragmentation', '^defragment ', 2],
  ['moving the leader', '^move leader', 1],
  ['the last defragmentation', '^defragment ', 3],
  ['disarm', '^disarm$', 1],
  ['canary', '^canary$', 1],
  ['the watch', '^watch$', 1],
  ['verify', '^verify$', 1],
];

const NIGHT: readonly (readonly [string, string, number])[] = [
  ['observe', '^observe$', 1],
  ['snapshot', '^snapshot$', 1],
  ['revision', '^revision$', 1],
  ['the second look', '^observe again$', 1],
  ['compact', '^compact$', 1],
  ['canary', '^canary$', 1],
  ['sizes', '^sizes$', 1],
  ['the check before the first', '^check before ', 1],
  ['the second defragmentation', '^defragment ', 2],
  ['the last defragmentation', '^defragment ', 3],
  ['verify', '^verify$', 1],
];

const VICTIMS = ['the leader', 'a follower', 'the other follower'];

const cases: readonly (readonly [string, AwayCase])[] = [
  ...VICTIMS.flatMap((who, victim) =>
    RECOVERY.map(([words, step, occurrence]) => {
      const given: AwayCase = { workflow: 'recover', step, occurrence, victim };
      return [`recover: ${who} at ${words}`, given] as const;
    }),
  ),
  // A night has the same steps of the same sweep: each member in turn.
  ...NIGHT.map(([words, step, occurrence], i) => {
    const victim = i % VICTIMS.length;
    const given: AwayCase = { workflow: 'maintain', step, occurrence, victim };
    return [`maintain: ${VICTIMS[victim]} at ${words}`, given] as const;
  }),
];

describe('R2, R10: away for 13 s', () => {
  it.concurrent.each(cases)('%s', async (_name, given) => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(import.meta.dirname, 'away-run.ts'), JSON.stringify(given)],
      { maxBuffer: 16 * 1024 * 1024 },
    );
    const { waits, reason, ...outcome }: AwayOutcome = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');

    expect(outcome, `${reason} (${waits.join('; ')})`).toEqual({
      killed: true,
      outcome: given.workflow === 'recover' ? 'recovered' : 'maintained',
      violations: [],
      alarms: 0,
      unwritable: [],
    });
  });
});
