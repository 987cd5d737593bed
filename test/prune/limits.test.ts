// What one run may delete: a night's budget, or in an emergency what has to go.
import { describe, expect, it } from 'vitest';
import { MOST_DELETES, MOST_PRUNE_MINUTES } from '../../functions/contract/policies.ts';
import { describeRaised, limitsOf } from '../../functions/prune/limits.ts';

const NIGHT = { maxDeletes: 20_000, maxMinutes: 30 };

describe('R12: what one run may delete', () => {
  it('is the configuration’s at night, however much there is', () => {
    expect(limitsOf(NIGHT, 800_000, false)).toEqual({ ...NIGHT, configured: true, ofKind: {} });
  });

  it.each([
    ['all that is stale, where the night’s is too little', 181_000, 181_000, 34],
    ['no less than the night’s', 300, 20_000, 30],
    ['no more than a run can do', 1_600_000, MOST_DELETES, 175],
  ])('is in an emergency %s', (_name, stale, maxDeletes, maxMinutes) => {
    expect(limitsOf(NIGHT, stale, true)).toEqual({ maxDeletes, maxMinutes, configured: false, ofKind: {} });
    expect(maxMinutes).toBeLessThanOrEqual(MOST_PRUNE_MINUTES);
  });

  it('is what a person allows of the kinds that they name, the night’s of all others, and as long as that takes', () => {
    const raised = { 'sbomreports.aquasecurity.github.io': { maxStaleShare: 1, maxDeletes: 300_000 } };

    expect(limitsOf(NIGHT, 320_000, false, raised)).toEqual({
      maxDeletes: 20_000,
      maxMinutes: 47,
      configured: true,
      ofKind: { 'sbomreports.aquasecurity.github.io': 300_000 },
    });
  });

  it('is no more than a run can do, with what a person allows', () => {
    const raised = { 'sbomreports.aquasecurity.github.io': { maxDeletes: MOST_DELETES } };

    expect(limitsOf(NIGHT, 2_000_000, false, raised)).toMatchObject({ maxDeletes: 0, maxMinutes: MOST_PRUNE_MINUTES });
  });

  it.each([
    [{ kind: 'manual', source: 'dashboard', requestId: 'r-1' }, 'a person from the dashboard (request r-1)'],
    [
      { kind: 'manual', source: 'manual', requestId: 'r-2', saidBy: 'Ada' },
      'a person by invoking dispatch (request r-2), who calls themselves "Ada" (not checked)',
    ],
    [{ kind: 'manual', source: 'invoke' }, 'a person at a terminal'],
  ] as const)('R12: says whose yes it goes by: %j', (trigger, who) => {
    const raised = { 'sbomreports.aquasecurity.github.io': { maxStaleShare: 1, maxDeletes: 5_000 } };

    expect(describeRaised({ raised, trigger })).toBe(
      `The limits of sbomreports.aquasecurity.github.io (maxStaleShare 1, maxDeletes 5,000) were raised for this run by ${who}`,
    );
    expect(describeRaised({ raised: {}, trigger })).toBeUndefined();
  });
});
