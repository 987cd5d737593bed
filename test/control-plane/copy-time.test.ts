import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { copyNeedsMs, inTime, SnapshotTooSlowError, willNotFit } from '../../functions/control-plane/copy-time.ts';

const MiB = 1024 * 1024;
const MINUTE_MS = 60_000;
const copy = (mib: number, seconds?: number) => ({ bytes: mib * MiB, tookMs: seconds && seconds * 1000 });

describe('whether a copy will be through in time', () => {
  it.each<[string, number, ReturnType<typeof copy>[], RegExp | undefined]>([
    ['nobody knows without earlier ones', 8000, [], undefined],
    ['as fast as it was, it will', 600, [copy(500, 600)], undefined],
    [
      'twice as large as what just fitted',
      1200,
      [copy(600, 720)],
      /^1\.17 GiB take 24 min at 853 KiB a second, and there are 12 /,
    ],
    // A slow night is no reason: the next one may be another.
    ['the fastest of the last ones counts', 1200, [copy(600, 720), copy(600, 60)], undefined],
    [
      'but none of weeks ago',
      1200,
      [...Array.from({ length: 5 }, () => copy(600, 720)), copy(600, 6)],
      /last 5 copies/,
    ],
    ['small ones tell nothing', 1200, [copy(1, 60)], undefined],
    ['nor do those of an older version', 1200, [copy(600)], undefined],
  ])('%s', (_name, mib, nights, expected) => {
    const why = willNotFit(mib * MiB, 12 * MINUTE_MS, nights);

    if (expected === undefined) expect(why).toBeUndefined();
    else expect(why).toMatch(expected);
  });

  it('is asked of an invocation by its size, and never more than all of it', () => {
    expect(copyNeedsMs(0, 12 * MINUTE_MS)).toBe(0);
    expect(copyNeedsMs(100 * MiB, 12 * MINUTE_MS)).toBeLessThan(20_000);
    expect(copyNeedsMs(8192 * MiB, 12 * MINUTE_MS)).toBe(12 * MINUTE_MS);
  });
});

describe('a copy under way', () => {
  async function* pieces(count: number, everyMs: number) {
    for (let piece = 0; piece < count; piece++) {
      await wait(everyMs);
      yield Buffer.alloc(1000, piece);
    }
  }

  async function read(source: AsyncIterable<Buffer>): Promise<number> {
    let bytes = 0;
    for await (const piece of source) bytes += piece.length;
    return bytes;
  }

  it('goes on where its rate will do, and all of it is passed on', async () => {
    expect(await read(inTime(pieces(20, 5), 20_000, 5_000, 20))).toBe(20_000);
  });

  it('is given up as soon as its rate tells, in words', async () => {
    const beganMs = performance.now();

    const reading = read(inTime(pieces(1000, 5), 1_000_000, 1_000, 50));

    await expect(reading).rejects.toThrow(SnapshotTooSlowError);
    await expect(reading).rejects.toThrow(
      /^the copy was given up after 0 s: 977 KiB take 1 min at .* a second, and there are 1$/,
    );
    expect(performance.now() - beganMs).toBeLessThan(1_000);
  });

  it('is not judged by its first moments', async () => {
    expect(await read(inTime(pieces(10, 5), 1_000_000, 100, 10_000))).toBe(10_000);
  });
});
