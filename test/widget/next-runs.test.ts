import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextRun } from '../../functions/widget/next-runs.ts';

/** Sunday. */
const from = Date.parse('2026-03-01T12:00:00Z');

function next(cron: string, timeZone = 'UTC', after = from): string {
  const found = nextRun({ cron, timeZone }, after);
  return typeof found === 'string' ? found : new Date(found).toISOString().replace(':00.000Z', 'Z');
}

describe('the next scheduled run', () => {
  it.each([
    ['30 2 * * ? *', '2026-03-02T02:30Z', 'every night'],
    ['30 14 * * ? *', '2026-03-01T14:30Z', 'later today'],
    ['0 12 * * ? *', '2026-03-02T12:00Z', 'not now, but the next time'],
    ['0/20 12 * * ? *', '2026-03-01T12:20Z', 'steps from a number'],
    ['*/15 * * * ? *', '2026-03-01T12:15Z', 'steps from a star'],
    ['10-30/10 13 * * ? *', '2026-03-01T13:10Z', 'steps in a range'],
    ['0 1 ? * MON-FRI *', '2026-03-02T01:00Z', 'a range of names'],
    ['0 1 ? * sat *', '2026-03-07T01:00Z', 'a name in lower case'],
    ['0 1 ? * 1 *', '2026-03-08T01:00Z', '1 is Sunday'],
    ['0 3,1 ? * 3,5 *', '2026-03-03T01:00Z', 'lists, in any order'],
    ['0 1 31 * ? *', '2026-03-31T01:00Z', 'a day that not every month has'],
    ['0 1 31 APR-JUL ? *', '2026-05-31T01:00Z', 'months by name'],
    ['0 1 29 2 ? *', '2028-02-29T01:00Z', 'a leap day'],
    ['0 1 1 1 ? 2030', '2030-01-01T01:00Z', 'a year'],
    ['0 1 1 1 ? 2020-2025', 'never', 'years that have passed'],
    ['0 1 31 2 ? *', 'never', 'a day that no year has'],
  ])('%s: %s (%s)', (cron, expected) => {
    expect(next(cron)).toBe(expected);
  });

  it.each([
    ['30 2 * * ? *', 'Europe/Berlin', '2026-03-02T01:30Z'],
    ['30 2 * * ? *', 'America/New_York', '2026-03-02T07:30Z'],
    ['30 2 * * ? *', 'Asia/Kolkata', '2026-03-01T21:00Z'],
    ['30 2 * * ? *', 'Australia/Lord_Howe', '2026-03-01T15:30Z'],
    ['0 1 ? * MON *', 'Pacific/Kiritimati', '2026-03-08T11:00Z'],
  ])('%s in %s is %s', (cron, timeZone, expected) => {
    expect(next(cron, timeZone)).toBe(expected);
  });

  it.each([
    ['2026-03-28T12:00:00Z', '30 2 * * ? *', '2026-03-30T00:30Z', 'spring: 02:30 does not come on the 29th'],
    ['2026-03-28T12:00:00Z', '30 1,3 * * ? *', '2026-03-29T00:30Z', 'spring: the hours around it do'],
    ['2026-03-29T00:30:00Z', '30 1,3 * * ? *', '2026-03-29T01:30Z', 'spring: an hour apart in the world'],
    ['2026-10-24T12:00:00Z', '30 2 * * ? *', '2026-10-25T00:30Z', 'autumn: 02:30 comes twice, the first counts'],
    ['2026-10-25T00:30:00Z', '30 2 * * ? *', '2026-10-26T01:30Z', 'autumn: and the second does not'],
  ])('after %s, %s in Europe/Berlin is %s (%s)', (after, cron, expected) => {
    expect(next(cron, 'Europe/Berlin', Date.parse(after))).toBe(expected);
  });

  it.each([
    '0 1 L * ? *',
    '0 1 15W * ? *',
    '0 1 ? * 6#3 *',
    '0 1 ? * 5L *',
    '0 1 * * * *',
    '0 1 ? * ? *',
    '60 1 * * ? *',
    '0 24 * * ? *',
    '0 1 0 * ? *',
    '0 1 ? * 8 *',
    '5-1 1 * * ? *',
    '*/0 1 * * ? *',
    '1/2/3 1 * * ? *',
    '1-2-3 1 * * ? *',
    ', 1 * * ? *',
    '0 1 * MON ? *',
    '0 1 * * ?',
    '0 1 * * ? * *',
    '',
  ])('says nothing of %j, rather than something wrong', (cron) => {
    expect(next(cron)).toBe('unknown');
  });

  it('is always later than now, and at a time that the clocks in its zone show', () => {
    const zones = [
      'UTC',
      'Europe/Berlin',
      'America/St_Johns',
      'Asia/Kathmandu',
      'America/Santiago',
      'Africa/Casablanca',
    ];
    const year2026 = { min: Date.parse('2026-01-01T00:00:00Z'), max: Date.parse('2027-01-01T00:00:00Z') };
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.integer(year2026),
        fc.nat(23),
        fc.nat(59),
        (timeZone, after, hour, minute) => {
          const found = nextRun({ cron: `${minute} ${hour} * * ? *`, timeZone }, after);

          const clock = new Intl.DateTimeFormat('en-GB', { timeZone, timeStyle: 'short' }).format(Number(found));
          expect(Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3))).toBe(hour * 60 + minute);
          expect(Number(found)).toBeGreaterThan(after);
          // Two days: the night on which this time of day is jumped over.
          expect(Number(found) - after).toBeLessThanOrEqual(49 * 60 * 60_000);
        },
      ),
      { numRuns: 300, seed: 5 },
    );
  });
});
