// Growth and rates between nights, by hand.
import { describe, expect, it } from 'vitest';
import { earlierThan, growthOf, growthOfAll } from '../../functions/contents/growth.ts';
import type { KindContents } from '../../functions/contents/types.ts';
import type { KeptContents } from '../../functions/contract/contents.ts';

const night = (day: number, hour = 2) => new Date(Date.UTC(2026, 2, day, hour)).toISOString();

function kept(
  at: string,
  changes: Partial<KeptContents> & { readonly versions?: number; readonly rate?: number } = {},
) {
  const { versions = 1000, rate, ...rest } = changes;
  const growth =
    rate === undefined ? {} : { growth: { keysPerDay: 0, liveBytesPerDay: 0, writesPerMinute: rate, since: at } };
  const tally = { keys: 10, liveBytes: 5000, revisions: 0, historyBytes: 0 };
  const kinds = [{ resource: 'reports', ...tally, versions, namespaces: 0, largest: [], ...growth }];
  return {
    at,
    bytes: 1,
    revision: '100',
    ...tally,
    freeBytes: 0,
    kinds,
    otherKinds: 0,
    ...rest,
  } satisfies KeptContents;
}

function kind(changes: Partial<KindContents> = {}): KindContents {
  const nothing = { leased: 0, revisions: 0, historyBytes: 0, tombstones: 0, tombstoneBytes: 0, namespaces: [] };
  const now = { keys: 12, liveBytes: 8000, versions: 3880, newVersions: 0 };
  return { prefix: '/registry/reports/', resource: 'reports', ...nothing, ...now, ...changes };
}

describe('the night that growth is counted from', () => {
  it('is the newest that is an hour old, of a database that was not replaced since', () => {
    const nights = [kept(night(3, 1)), kept(night(2)), kept(night(1))];

    expect(earlierThan(nights, night(3, 1.5)).map(({ at }) => at)).toEqual([night(2), night(1)]);
    expect(earlierThan(nights, night(3, 2))).toHaveLength(3);
    expect(earlierThan(nights, night(4), 100n)).toHaveLength(3);
    expect(earlierThan(nights, night(4), 99n)).toEqual([]);
    expect(earlierThan([], night(4))).toEqual([]);
  });

  it("tells the whole database's revisions exactly", () => {
    const all = growthOfAll({ revision: '1540', at: night(2) }, [kept(night(1))]);

    expect(all).toEqual({ at: night(1), revisionsPerMinute: 1 });
    expect(growthOfAll({ revision: '1540', at: night(2) }, [])).toBeUndefined();
  });
});

describe('the growth of a kind', () => {
  it('is what came, a day; and its writes are by what the versions of its keys have grown', () => {
    expect(growthOf(kind(), night(2), [kept(night(1))])).toEqual({
      keysPerDay: 2,
      liveBytesPerDay: 3000,
      writesPerMinute: 2,
      since: night(1),
    });
  });

  it.each([
    ['counts a new key by all of its writes', { versions: 3880, newVersions: 2880 }, 2],
    ['is at least what new keys tell, where old ones went', { versions: 1540, newVersions: 1440 }, 1],
    ['is nothing where all went and nothing came', { versions: 0 }, 0],
  ])('%s', (_name, changes, writesPerMinute) => {
    expect(growthOf(kind(changes), night(2), [kept(night(1))])).toMatchObject({ writesPerMinute });
  });

  it('counts from nothing for a kind that was not there, and tells none for one that may have been too small', () => {
    const stranger = kind({ resource: 'new', newVersions: 1440, versions: 1440, keys: 3 });

    expect(growthOf(stranger, night(2), [kept(night(1))])).toMatchObject({ keysPerDay: 3, writesPerMinute: 1 });
    expect(growthOf(stranger, night(2), [kept(night(1), { otherKinds: 1 })])).toBeUndefined();
    expect(growthOf(kind(), night(2), [])).toBeUndefined();
  });

  it('goes back to the night from which on it was never less than half as much', () => {
    const at = (day: number, rate: number) =>
      kept(night(day), { rate, earlier: { at: night(day - 1), revisionsPerMinute: 9 } });

    const sinceDay3 = growthOf(kind(), night(6), [at(5, 1.5), at(4, 1), at(3, 0.9), at(2, 5)]);
    const onlyNow = growthOf(kind(), night(6), [at(5, 0.1), at(4, 5)]);

    expect(sinceDay3).toMatchObject({ writesPerMinute: 2, since: night(3) });
    expect(onlyNow).toMatchObject({ since: night(5) });
  });
});
