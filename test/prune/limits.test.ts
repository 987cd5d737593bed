// What one run may delete: a night's budget, or in an emergency what has to go.
import { describe, expect, it } from 'vitest';
import { MOST_DELETES, MOST_PRUNE_MINUTES } from '../../functions/contract/configuration.ts';
import { limitsOf } from '../../functions/prune/limits.ts';

const NIGHT = { maxDeletes: 20_000, maxMinutes: 30 };

describe('R12: what one run may delete', () => {
  it('is the configuration’s at night, however much there is', () => {
    expect(limitsOf(NIGHT, 800_000, false)).toEqual({ ...NIGHT, configured: true });
  });

  it.each([
    ['all that is stale, where the night’s is too little', 181_000, 181_000, 34],
    ['no less than the night’s', 300, 20_000, 30],
    ['no more than a run can do', 1_600_000, MOST_DELETES, 175],
  ])('is in an emergency %s', (_name, stale, maxDeletes, maxMinutes) => {
    expect(limitsOf(NIGHT, stale, true)).toEqual({ maxDeletes, maxMinutes, configured: false });
    expect(maxMinutes).toBeLessThanOrEqual(MOST_PRUNE_MINUTES);
  });
});
