// R16 in a run: reads the switch as a step of its own, before anything else.
import type { Journal } from '../run/journal.ts';
import { readSwitch, switchWatch } from './switch.ts';

export interface ModeSource {
  readonly journal: Journal;
  /** Undefined: not configured, which counts as `auto`. */
  readonly switchParameter: string | undefined;
}

/** @returns `observe`: the run ends after *decide*; also where the switch could not be read or understood */
export async function readMode({ journal, switchParameter }: ModeSource): Promise<'auto' | 'observe'> {
  if (switchParameter === undefined) {
    journal.missing('switch', 'no switch in Parameter Store: not configured');
    return 'auto';
  }
  const step = await journal.step('switch', async () => {
    const { mode, detail, isProblem } = await readSwitch({ parameterName: switchParameter });
    return { outcome: isProblem ? 'failed' : 'done', detail, data: mode };
  });
  const mode = step.data ?? 'observe';
  // From here on a person who turns it ends the run before its next change.
  if (mode === 'auto') journal.heed(switchWatch(switchParameter));
  return mode;
}
