import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../functions/contract/errors.ts';
import { readEvent } from '../../functions/widget/event.ts';
import { formatAge, formatOffset, formatTime } from '../../functions/widget/time.ts';

/** As CloudWatch sends it. */
const event = {
  widgetContext: {
    dashboardName: 'etcd-medic-production',
    widgetId: 'widget-16',
    domain: 'https://eu-central-1.console.aws.amazon.com',
    accountId: '111122223333',
    locale: 'en',
    timezone: { label: 'Local', offsetISO: '+02:00', offsetInMinutes: 120 },
    period: 300,
    isAutoPeriod: true,
    timeRange: { mode: 'relative', start: 1627236199729, end: 1627322599729, relativeStart: 86400012 },
    theme: 'dark',
    linkCharts: true,
    title: 'production',
    forms: { all: {} },
    params: {},
    width: 588,
    height: 369,
  },
};

const withContext = (changes: object) => ({ widgetContext: { ...event.widgetContext, ...changes } });

describe('the widget event', () => {
  it('tells theme, width and time zone', () => {
    expect(readEvent(event)).toEqual({ theme: 'dark', width: 588, offsetMinutes: 120 });
  });

  it.each([{}, null, undefined])('%j, as from a person who presses Test, is drawn all the same', (given) => {
    expect(readEvent(given)).toEqual({ theme: 'light', width: 800, offsetMinutes: 0 });
  });

  it('may ask for the documentation', () => {
    expect(readEvent({ describe: true })).toBe('describe');
  });

  it.each([
    [{ theme: 'sepia' }, { theme: 'light' }],
    [{ width: 12 }, { width: 280 }],
    [{ width: 99_999 }, { width: 2_400 }],
    [{ width: 400.6 }, { width: 401 }],
    [{ timezone: { label: 'Local', offsetISO: '-03:30' } }, { offsetMinutes: -210 }],
    [{ timezone: { label: 'UTC', offsetISO: 'Z' } }, { offsetMinutes: 0 }],
    [{ timezone: { label: 'UTC', offsetISO: '+99:00' } }, { offsetMinutes: 0 }],
  ])('with %j is drawn with %j', (changes, expected) => {
    expect(readEvent(withContext(changes))).toMatchObject(expected);
  });

  it.each([
    [withContext({ width: '100%' }), 'widgetContext.width'],
    ['hello', 'widget event'],
  ])('%j is refused with a word on what is wrong', (given, word) => {
    expect(() => readEvent(given)).toThrow(InvalidInputError);
    expect(() => readEvent(given)).toThrow(word);
  });
});

describe('times', () => {
  const at = Date.parse('2026-12-31T23:30:00Z');

  it.each([
    [0, '31 Dec 23:30', 'UTC'],
    [60, '1 Jan 00:30', 'UTC+01:00'],
    [-210, '31 Dec 20:00', 'UTC-03:30'],
  ])('with the clocks at %d minutes: %s, %s', (offset, time, name) => {
    expect(formatTime(at, offset)).toBe(time);
    expect(formatOffset(offset)).toBe(name);
  });

  it.each([
    [0, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [119 * 60_000, '119 min'],
    [120 * 60_000, '2 h'],
    [47 * 3_600_000, '47 h'],
    [48 * 3_600_000, '2 days'],
  ])('%d ms are %s', (ms, expected) => {
    expect(formatAge(ms)).toBe(expected);
  });
});
