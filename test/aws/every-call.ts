// A run again and again, with all of AWS out of order for two seconds from its first call on, from its second, and so on.
import type { RunReport } from '../../functions/run/report.ts';
import type { Hiccups } from './hiccup.ts';

export interface EveryCall {
  readonly hiccups: Hiccups;
  /** Makes the world as it is before a run. */
  readonly prepare: () => Promise<void>;
  readonly run: () => Promise<Pick<RunReport, 'outcome' | 'reason'>>;
  /** After a run, with AWS well again: what is not as it should be, in a sentence each. */
  readonly check: () => Promise<readonly string[]>;
  /** Of so many workers, which all have a world of their own, one that takes each such call. @default all calls */
  readonly share?: { readonly worker: number; readonly of: number };
}

/**
 * @returns how many calls were hit, and what came of those after which something was other than without the trouble; the run without it
 * comes first
 */
export async function troubleAtEveryCall({ hiccups, prepare, run, check, share = { worker: 0, of: 1 } }: EveryCall) {
  const trial = async (n?: number) => {
    hiccups.heal();
    await prepare();
    hiccups.arm(n);
    const report = await run();
    hiccups.heal();
    return { ...report, wrong: await check() };
  };
  const undisturbed = await trial();
  const calls = [...hiccups.calls];
  const different: string[] = [];
  let hit = 0;
  for (const [index, call] of calls.entries()) {
    if (index % share.of !== share.worker) continue;
    const { outcome, reason, wrong } = await trial(index + 1);
    if (hiccups.refused > 0) hit++;
    const said = `call ${index + 1} of ${calls.length}, ${call}, ${hiccups.refused} refused`;
    if (outcome !== undisturbed.outcome) different.push(`${said}: ${outcome}: ${reason}`);
    different.push(...wrong.map((each) => `${said}: ${each}`));
  }
  return { undisturbed, calls, hit, different };
}
