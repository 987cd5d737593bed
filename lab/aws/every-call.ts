// A run again and again, each time with all of AWS out of order for two seconds from another of its calls on.
import type { RunReport } from '../../functions/contract/report.ts';
import type { Call, Hiccups } from './hiccup.ts';

/** With ETCD_MEDIC_EVERY_CALL=1 each of a run's calls has its turn: many of them are the same look, made again. */
const ALL = process.env.ETCD_MEDIC_EVERY_CALL === '1';
/** What changes something: it may have been done before the service answers 500. */
const CHANGES = / (Put|Update|Delete|Send|Create|Upload|Complete|Abort|POST)/;
/**
 * Where fewer looks are needed than before, the trouble that was to begin at the last one never comes: then once more,
 * a little earlier.
 */
const TRIES = 3;
const NEAR_THE_END = 0.75;

export interface EveryCall {
  readonly hiccups: Hiccups;
  /** Makes the world as it is before a run. */
  readonly prepare: () => Promise<unknown>;
  readonly run: () => Promise<Pick<RunReport, 'outcome' | 'reason'>>;
  /** After a run, with AWS well again: what is not as it should be, in a sentence each. */
  readonly check: () => Promise<readonly string[]>;
  /** Of which actions each call has its turn. @default of all that are called */
  readonly of?: RegExp;
}

/**
 * Without the trouble first, then with it at the first and the last call of each action that was called, or at all of
 * them. Of an action that changes something the first call has a second turn, with the change made and its answer lost.
 * @returns which calls were hit, which first ones never came, and what was other than without the trouble after which
 *   of them
 */
export async function troubleAtEveryCall({ hiccups, prepare, run, check, of = /^/ }: EveryCall) {
  const trial = async (call?: Call) => {
    hiccups.heal();
    await prepare();
    hiccups.arm(call);
    const report = await run();
    hiccups.heal();
    return { ...report, wrong: await check() };
  };
  const undisturbed = await trial();
  const calls = [...hiccups.calls];
  const hit: string[] = [];
  const missed: string[] = [];
  const different: string[] = [];
  const actions = [...new Set(calls)].sort().filter((action) => of.test(action));
  for (const call of actions.flatMap((action) => turnsOf(action, calls))) {
    let { number } = call;
    for (let tries = 1; ; tries++) {
      const { outcome, reason, wrong } = await trial({ ...call, number });
      const count = hiccups.calls.filter((action) => action === call.action).length;
      const said = `${call.action} ${number}${call.done ? ', done' : ''}`;
      if (outcome !== undisturbed.outcome) different.push(`${said}, ${hiccups.refused} refused: ${outcome}: ${reason}`);
      different.push(...wrong.map((each) => `${said}, ${hiccups.refused} refused: ${each}`));
      if (hiccups.refused > 0) hit.push(said);
      else if (number === 1) missed.push(said);
      if (hiccups.refused > 0 || number === 1 || tries === TRIES) break;
      number = Math.ceil(count * NEAR_THE_END);
    }
  }
  return { undisturbed, calls, hit, missed, different };
}

function turnsOf(action: string, calls: readonly string[]): Call[] {
  const count = calls.filter((each) => each === action).length;
  const numbers = ALL ? Array.from({ length: count }, (_, index) => index + 1) : [...new Set([1, count])];
  const lost = !CHANGES.test(action) ? [] : ALL ? numbers : [1];
  return [...numbers.map((number) => ({ action, number })), ...lost.map((number) => ({ action, number, done: true }))];
}
