// Which writes of a kind are looked into while they go by.
import { describe, expect, it } from 'vitest';
import { Samples, Wanted } from '../../functions/contents/samples.ts';

const KIND = '/registry/things/';

/** Writes go by, each by the manager that `by` says; all of them are in use but where `isFree` says otherwise. */
function pass(mains: readonly number[], by: (main: number) => string, isFree = (_row: number) => false) {
  const samples = new Samples();
  const kind = samples.kind(KIND);
  let looked = 0;
  for (const [row, main] of mains.entries()) {
    switch (samples.wants(kind, main)) {
      case Wanted.yes: {
        looked++;
        const value = Buffer.from(JSON.stringify({ metadata: { managedFields: [{ manager: by(main) }] } }));
        samples.take(kind, main, row, value, 0, value.length);
        break;
      }
      case Wanted.known:
        samples.again(kind, main, row);
        break;
    }
    if (!isFree(row)) samples.use(row);
  }
  return { looked, writers: samples.writersOf(KIND) };
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
/** Every number once, in an order that has nothing to do with them. */
const mixed = (count: number) => numbers(count).map((number) => ((number * 7_919) % 100_003) + 1);
const byAge = (newest: number) => (main: number) => (main > newest * 0.3 ? 'late' : 'early');

describe('the writes of a kind that are looked into', () => {
  it('are a few of the newest, in whatever order they come', () => {
    for (const mains of [numbers(100_000), mixed(100_000), numbers(100_000).reverse()]) {
      const { looked, writers } = pass(mains, byAge(100_000));

      expect(looked).toBeLessThan(250);
      expect(writers).toEqual({ writes: 16, encrypted: 0, managers: [{ manager: 'late', writes: 16 }] });
    }
  });

  it('are all, where there are only a few', () => {
    expect(pass([3, 1, 2], () => 'kubelet').writers).toMatchObject({ writes: 3 });
    expect(pass([], () => 'kubelet').writers).toBeUndefined();
  });

  it('count once, in whichever of its pages a write is in use, and not at all where in none', () => {
    const copied = [1, 2, 3, 1, 2, 3];

    expect(
      pass(
        copied,
        () => 'kubelet',
        (row) => row < 3,
      ).writers,
    ).toMatchObject({ writes: 3 });
    expect(
      pass(
        copied,
        () => 'kubelet',
        (row) => row > 3,
      ).writers,
    ).toMatchObject({ writes: 3 });
    expect(
      pass(
        copied,
        () => 'kubelet',
        (row) => row % 3 !== 0,
      ).writers,
    ).toMatchObject({ writes: 1 });
    expect(
      pass(
        copied,
        () => 'kubelet',
        () => true,
      ).writers,
    ).toBeUndefined();
  });

  it('are of a thousand kinds at most', () => {
    const samples = new Samples();
    const kinds = numbers(1_002).map((number) => samples.kind(`/registry/${number}/`));

    expect(kinds.slice(999)).toEqual([999, -1, -1]);
    expect(samples.kind('/registry/1/')).toBe(0);
    expect(samples.wants(-1, 5)).toBe(Wanted.no);
  });
});
