// Go's durations as Go reads them.
import { describe, expect, it } from 'vitest';
import { parseGoDuration } from '../../functions/reports/duration.ts';

const HOUR_MS = 3_600_000;

describe('parseGoDuration', () => {
  it.each([
    ['24h0m0s', 24 * HOUR_MS],
    ['1.5h', 1.5 * HOUR_MS],
    ['0s', 0],
    ['0', 0],
    ['-0s', 0],
    ['2h45m30.5s', 2 * HOUR_MS + 45 * 60_000 + 30_500],
    ['.5s', 500],
    ['1.s', 1_000],
    ['+90m', 1.5 * HOUR_MS],
    ['-1h', -HOUR_MS],
    ['100ms', 100],
    ['250us', 0.25],
    ['250µs', 0.25],
    ['250μs', 0.25],
    ['5ns', 0.000005],
    ['1h1h', 2 * HOUR_MS],
    ['2562047h47m16s', 2562047 * HOUR_MS + 47 * 60_000 + 16_000],
  ])('reads %s', (text, expectedMs) => {
    expect(parseGoDuration(text)).toBeCloseTo(expectedMs, 9);
  });

  it.each([
    ...['', '+', '-', '.', 'h', '24', '1d', '1w', '24 h', ' 24h', '24h ', '1,5h', '1e3s', '--1h', '1H', 's1', '1h2'],
    '2562048h', // more than Go's int64 of nanoseconds
    'Infinity',
    'NaNs',
    `${'9'.repeat(400)}s`,
  ])('does not read %j', (text) => {
    expect(parseGoDuration(text)).toBeUndefined();
  });
});
