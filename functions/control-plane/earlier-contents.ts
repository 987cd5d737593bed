// What earlier copies were full of, for growth to be counted from.
import type { KeptContents } from '../contract/contents.ts';
import { describeError } from '../contract/errors.ts';

export interface EarlierContents {
  /** Newest first. */
  readonly nights: readonly KeptContents[];
  /** What to add to a step's words; empty where all is well. */
  readonly untold: string;
}

/**
 * Not worth a failure: growth is not told then.
 * @param table undefined: not configured
 * @param cluster its name
 */
export async function earlierContents(table: string | undefined, cluster: string): Promise<EarlierContents> {
  if (table === undefined) return { nights: [], untold: '' };
  try {
    const { readContentsHistory } = await import('../aws/contents-history.ts');
    const { nights, unreadable } = await readContentsHistory(table, cluster);
    const untold = unreadable === 0 ? '' : `; of what earlier copies were full of, ${unreadable} could not be read`;
    return { nights, untold };
  } catch (error) {
    return { nights: [], untold: `; growth was not told: ${describeError(error)}` };
  }
}
