// Keys that are deleted by what their values say, on a real etcd: exactly those, each exactly as it was read.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectMember, MAX_DELETES } from '../../functions/etcd/member-client.ts';
import { type KeySweep, sweepKeys } from '../../functions/etcd/sweep-keys.ts';
import type { MemberClient } from '../../functions/etcd/types.ts';
import { raiseNospace } from '../../lab/control-plane/alarms.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { materialOf } from './material.ts';

const RANGE = { from: '/sweep/', to: '/sweep0' };
const KEYS = 1_250;

describe.each(await versionsHere(['3.4.23', '3.5.30', '3.7.3']))('on etcd %s', (version) => {
  let plane: ControlPlane;
  let client: MemberClient;
  beforeAll(async () => {
    plane = await startControlPlane({ version, members: 1 });
    client = connectMember({ endpoint: plane.endpoints[0] ?? '', tls: await materialOf(plane) });
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await plane?.stop();
  });
  beforeEach(async () => {
    await withMember(plane, plane.endpoints[0] ?? '', async ({ kv }) => {
      for (let first = 0; first < KEYS; first += 125) {
        const success = Array.from({ length: 125 }, (_, i) =>
          put(`/sweep/${String(first + i).padStart(5, '0')}`, `${first + i}`),
        );
        await kv.txn({ compare: [], success, failure: [] }, within(20_000));
      }
      // Around the range, where nothing is to be touched.
      await kv.txn({ compare: [], success: [put('/sweep', '0'), put('/sweep0', '0')], failure: [] }, within(20_000));
    });
  });

  function sweep(
    options: Partial<KeySweep<'even'>> = {},
    through: Pick<MemberClient, 'values' | 'deleteUnchanged'> = client,
  ) {
    const all = { limit: 1_000_000, untilMs: Date.now() + 60_000, confirm: async () => undefined, judge: evenness };
    return sweepKeys(through, { ...RANGE, ...all, ...options });
  }

  async function left(): Promise<readonly string[]> {
    const found = await client.values({ from: '/sweep', to: '/sweep1', limit: 10_000 });
    return found.map(({ value }) => value.toString());
  }

  it('goes through the whole range, and what is to stay stays', async () => {
    const odd = Array.from({ length: KEYS / 2 }, (_, i) => `${2 * i + 1}`);

    const swept = await sweep();

    expect(swept).toMatchObject({
      listed: KEYS,
      deleted: KEYS / 2,
      changed: 0,
      reasons: { even: KEYS / 2 },
      next: undefined,
    });
    expect(await left()).toEqual(['0', ...odd, '0']);
  });

  it('R12: what is written again between being read and being deleted is left, and all others go', async () => {
    const written = ['/sweep/00000', '/sweep/00044', '/sweep/00046', '/sweep/01248'];
    const rewriting: Pick<MemberClient, 'values' | 'deleteUnchanged'> = {
      deleteUnchanged: (keys) => client.deleteUnchanged(keys),
      values: async (request) => {
        const page = await client.values(request);
        for (const { key } of page) if (written.includes(key)) await client.put(key, 'written again');
        return page;
      },
    };

    const swept = await sweep({}, rewriting);

    expect(swept).toMatchObject({ deleted: KEYS / 2 - written.length, changed: written.length });
    expect((await left()).filter((value) => value === 'written again')).toHaveLength(written.length);
  });

  it('ends at its limit, and goes on where it ended', async () => {
    const first = await sweep({ limit: 10 });
    const second = await sweep({ from: first.next ?? '', limit: 10 });

    expect([first, second]).toMatchObject([{ deleted: 10 }, { deleted: 10 }]);
    expect((await left()).slice(0, 23)).toEqual([
      '0',
      ...Array.from({ length: 20 }, (_, i) => `${2 * i + 1}`),
      '40',
      '41',
    ]);
  });

  it('asks before each page, and ends with what it is told, after what was begun', async () => {
    let asked = 0;
    const confirm = async () => {
      if (++asked > 2) throw new Error('the lease is lost');
    };

    await expect(sweep({ confirm })).rejects.toThrow('the lease is lost');

    const gone = KEYS + 2 - (await left()).length;
    expect(gone).toBeGreaterThan(0);
    expect(gone).toBeLessThan(KEYS / 2);
  });

  it('ends with what etcd refuses, counts what was done, and would begin again', async () => {
    let batches = 0;
    const breaking: Pick<MemberClient, 'values' | 'deleteUnchanged'> = {
      values: (request) => client.values(request),
      deleteUnchanged: async (keys) =>
        ++batches === 3 ? client.deleteUnchanged([...keys, ...keys]) : client.deleteUnchanged(keys),
    };

    const swept = await sweep({}, breaking);

    expect(swept).toMatchObject({ next: RANGE.from, problem: expect.any(RangeError) });
    expect(swept.deleted).toBe(KEYS + 2 - (await left()).length);
    expect([swept.listed, swept.reasons]).toEqual([swept.deleted, { even: swept.deleted }]);
  });

  it('asks for no page when its time is over', async () => {
    expect(await sweep({ untilMs: 0 })).toMatchObject({ listed: 0, deleted: 0, next: RANGE.from });
  });

  it('takes no more keys at once than etcd does', async () => {
    const keys = Array.from({ length: MAX_DELETES + 1 }, (_, i) => ({ key: `/sweep/${i}`, modRevision: '1' }));

    await expect(client.deleteUnchanged(keys)).rejects.toThrow('found 101 keys, expected at most 100');
  });

  it('works under NOSPACE, which takes deletes', async () => {
    await raiseNospace(plane, plane.members[0]?.id ?? '');

    expect(await sweep()).toMatchObject({ deleted: KEYS / 2, next: undefined });

    await client.disarmNospace(plane.members[0]?.id ?? '');
  });
});

function evenness({ value }: { readonly value: Buffer }): 'even' | undefined {
  return Number(value.toString()) % 2 === 0 ? 'even' : undefined;
}

function put(key: string, value: string) {
  return { request_put: { key: Buffer.from(key), value: Buffer.from(value) } };
}
