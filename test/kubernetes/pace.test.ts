import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { Pace } from '../../functions/kubernetes/pace.ts';

/** How many of `count` calls are under way at the same time; `each` is told after each of them. */
async function mostAtOnce(pace: Pace, count: number, each = () => {}): Promise<number> {
  let underWay = 0;
  let most = 0;
  const call = async () => {
    most = Math.max(most, ++underWay);
    await wait(1);
    underWay--;
    each();
  };
  await Promise.all(Array.from({ length: count }, () => pace.run(call)));
  return most;
}

describe('the pace of calls', () => {
  it('is few at first, and twice as many each time that as many went well, up to as many as allowed', async () => {
    using pace = new Pace(20);

    expect(await mostAtOnce(pace, 40)).toBe(8);
    for (let i = 0; i < 8; i++) pace.wentWell();
    expect(await mostAtOnce(pace, 40)).toBe(16);
    for (let i = 0; i < 16; i++) pace.wentWell();
    expect(await mostAtOnce(pace, 80)).toBe(20);
  });

  it('is half as many after a 429, however many calls heard it at the same time', async () => {
    using pace = new Pace(16);
    for (let i = 0; i < 5; i++) pace.tooMany(100);

    expect(await mostAtOnce(pace, 40)).toBe(4);
  });

  it('is never less than one', async () => {
    using pace = new Pace(2);
    for (let i = 0; i < 4; i++) {
      pace.tooMany(1);
      await wait(5);
    }

    expect(await mostAtOnce(pace, 5)).toBe(1);
  });

  it('lets none go before the pause that the server asked for is over', async () => {
    using pace = new Pace(16);
    const startedMs = performance.now();
    pace.tooMany(60);
    pace.tooMany(10);

    await pace.run(async () => {});

    // Timers may be early by a millisecond.
    expect(performance.now() - startedMs).toBeGreaterThan(58);
  });

  it('goes on after the pause where its timer is early', async () => {
    const real = globalThis.setTimeout;
    // Node's own are early by up to a millisecond, now and then.
    const early = vi
      .spyOn(globalThis, 'setTimeout')
      .mockImplementation((callback, ms = 0) => real(callback, Math.max(0, ms - 5)));
    using _ = { [Symbol.dispose]: () => early.mockRestore() };
    using pace = new Pace(2);
    pace.tooMany(30);

    const went = pace.run(async () => 'went');

    expect(await Promise.race([went, wait(5_000, 'hung')])).toBe('went');
  });

  it('grows again while calls go well, to just below what was too many', async () => {
    using pace = new Pace(16);
    pace.tooMany(1);
    await wait(5);
    pace.tooMany(1);

    await mostAtOnce(pace, 200, () => pace.wentWell());

    // 2 after two halvings; 4 was too many.
    expect(await mostAtOnce(pace, 40)).toBe(3);
  });

  it('goes on where a call failed', async () => {
    using pace = new Pace(1);

    await expect(pace.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await pace.run(async () => 'yes')).toBe('yes');
  });
});
