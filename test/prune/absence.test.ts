// When it counts that an operator is gone: by earlier looks, and by nothing else.
import { describe, expect, it } from 'vitest';
import { type EarlierLooks, whatIsMissing } from '../../functions/prune/absence.ts';
import { HOUR_MS, MINUTE_MS, NOW_MS } from './samples.ts';

const at = (ms: number) => new Date(NOW_MS - ms).toISOString();
const gone = (ms: number) => ({ at: at(ms), producers: { trivy: 'gone', kyverno: 'there' } }) as const;
const there = (ms: number) => ({ at: at(ms), producers: { trivy: 'there', kyverno: 'there' } }) as const;
const missing = (earlier: EarlierLooks) => whatIsMissing('trivy', earlier, NOW_MS);

describe('R12: that an operator is gone', () => {
  it.each([
    ['an hour ago', [gone(HOUR_MS)]],
    ['last night', [gone(24 * HOUR_MS)]],
    ['eight days ago', [gone(8 * 24 * HOUR_MS)]],
    ['a minute ago and last night', [gone(MINUTE_MS), gone(24 * HOUR_MS)]],
    ['last night, after it was there', [gone(24 * HOUR_MS), there(48 * HOUR_MS)]],
  ])('counts where nobody found it %s', (_when, records) => {
    expect(missing({ records })).toBeUndefined();
  });

  it.each([
    ['nobody has looked', [], 'nobody has looked before, within eight days'],
    ['the last look is too long ago', [gone(8 * 24 * HOUR_MS + 1)], 'nobody has looked before'],
    ['the last look is too near', [gone(59 * MINUTE_MS)], `of ${at(59 * MINUTE_MS)}, is less than an hour old`],
    ['it was there in between', [there(2 * HOUR_MS), gone(24 * HOUR_MS)], `still there at ${at(2 * HOUR_MS)}`],
    ['it was there just before', [gone(MINUTE_MS), there(2 * HOUR_MS), gone(24 * HOUR_MS)], 'still there'],
  ])('does not where %s', (_why, records, words) => {
    expect(missing({ records })).toContain(words);
  });

  it('does not where earlier looks could not be read, and says why', () => {
    expect(missing({ why: 'the table did not answer' })).toBe('the table did not answer');
  });
});
