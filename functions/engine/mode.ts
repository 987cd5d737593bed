// R16 in a run: reads the switch as a step of its own, before anything else.

import { readSwitch, switchWatch } from '../aws/switch.ts';
import { SWITCH_STEP } from '../contract/report.ts';
import type { Journal } from './journal.ts';

const READ_WITHIN_SECONDS = 75;
const READ_AGAIN_SECONDS = 5;

export interface ModeSource {
  readonly journal: Journal;
  /** Undefined: not configured, which counts as `auto`. */
  readonly switchParameter: string | undefined;
}

export interface Mode {
  /** `observe`: the run ends after *decide*. */
  readonly mode: 'auto' | 'observe';
  /** Why it does, for its reason. */
  readonly why: string;
}

/** @returns `observe` also where the switch could not be read for more than a minute, or not understood */
export async function readMode({ journal, switchParameter }: ModeSource): Promise<Mode> {
  const why = 'R16: the switch says observe';
  if (switchParameter === undefined) {
    journal.note(SWITCH_STEP, { outcome: 'not-configured', detail: 'no switch in Parameter Store: not configured' });
    return { mode: 'auto', why };
  }
  // One refused call is no reason to sleep through a night of NOSPACE; a switch that nobody can read for a minute is.
  const polling = { everySeconds: READ_AGAIN_SECONDS, withinSeconds: READ_WITHIN_SECONDS };
  const step = await journal.poll<{ done: Mode['mode'] }>(SWITCH_STEP, polling, async () => {
    const { mode, detail, isProblem, isUnread = false } = await readSwitch({ parameterName: switchParameter });
    if (isProblem) return { outcome: 'failed', detail, again: isUnread };
    return { outcome: 'done', detail, data: mode };
  });
  if (step.outcome !== 'done')
    return { mode: 'observe', why: `R16: the switch does not say what to do (${step.detail})` };
  // From here on a person who turns it ends the run before its next change.
  if (step.data === 'auto') journal.watchSwitch(switchWatch(switchParameter));
  return { mode: step.data, why };
}
