import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestPrefixes, OUTSIDE_REGISTRY, prefixOf } from '../../functions/etcd/keyspace.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import type { MemberClient } from '../../functions/etcd/types.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { materialOf } from './material.ts';

const REPORTS = '/registry/aquasecurity.github.io/vulnerabilityreports/';

describe('the prefix that a key counts for', () => {
  it.each([
    [`${REPORTS}default/replicaset-nginx`, REPORTS],
    ['/registry/aquasecurity.github.io/clustersbomreports/x', '/registry/aquasecurity.github.io/clustersbomreports/'],
    ['/registry/pods/kube-system/coredns', '/registry/pods/'],
    ['/registry/services/specs/default/kubernetes', '/registry/services/'],
    ['/registry/minions/node-1.example.com', '/registry/minions/'],
    ['/registry/masterleases/10.0.0.1', '/registry/masterleases/'],
    ['/registry/health', '/registry/health'],
  ])('of %s is %s', (key, prefix) => {
    expect(prefixOf(key)).toBe(prefix);
  });
});

describe('what fills the database', () => {
  let plane: ControlPlane;
  let client: MemberClient;

  beforeAll(async () => {
    plane = await startControlPlane({ version: '3.5.30', members: 1 });
    client = connectMember({ endpoint: plane.endpoints[0] ?? '', tls: await materialOf(plane) });
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await plane?.stop();
  });

  it('is nothing in an empty database', async () => {
    expect(await largestPrefixes(client, { limit: 5 })).toEqual([]);
  });

  it('is told under NOSPACE too: the largest first, with the number of keys and about their bytes', async () => {
    for (const name of ['a', 'b', 'c']) await client.put(`/registry/pods/default/${name}`, 'x'.repeat(2_000));
    await client.put('/registry/health', 'ok');
    await client.put('/registry/healthz/one', 'ok');
    await client.put('/canary', 'x'.repeat(100));
    await client.put('/zebra', 'x'.repeat(100));
    const { puts, bytes } = await fillWithReports(plane, { mode: 'live' });

    const all = await largestPrefixes(client, { limit: 100 });
    const largest = await largestPrefixes(client, { limit: 2 });

    expect((await client.alarms()).map(({ type }) => type)).toEqual(['NOSPACE']);
    expect(all.map(({ prefix, keys }) => [prefix, keys])).toEqual([
      [REPORTS, expect.any(Number)],
      ['/registry/pods/', 3],
      [OUTSIDE_REGISTRY, 2],
      ['/registry/healthz/', 1],
      ['/registry/health', 1],
    ]);
    expect(largest).toEqual(all.slice(0, 2));
    const [reports, pods] = all;
    expect(reports?.keys).toBeGreaterThanOrEqual(puts);
    // The values that were acknowledged, and those that etcd stored though it refused them; keys are not counted in
    // `bytes`.
    expect(reports?.bytes).toBeGreaterThanOrEqual(bytes);
    expect(reports?.bytes).toBeLessThan(bytes * 1.3);
    expect(reports).toMatchObject({ errorBytes: 0, measuredKeys: reports?.keys });
    expect(pods?.bytes).toBe(3 * (2_000 + '/registry/pods/default/a'.length));
  });
});

/**
 * What stands under NOSPACE in the worst case: a kind whose first objects are tiny, one whose first are huge, and a
 * small one that fills little.
 */
describe('what fills the database, where the first objects of a kind are not like the others', () => {
  const TINY_FIRST = '/registry/aquasecurity.github.io/configauditreports/';
  const HUGE_FIRST = '/registry/aquasecurity.github.io/vulnerabilityreports/';
  const EVEN = '/registry/secrets/';
  const written: Record<string, { keys: number; bytes: number }> = {};
  let plane: ControlPlane;
  let client: MemberClient;

  async function write(prefix: string, keys: number, sizeOf: (index: number) => number): Promise<void> {
    const told = { keys, bytes: 0 };
    for (let index = 0; index < keys; index++) {
      const key = `${prefix}ns-${index % 7}/replicaset-${String(index).padStart(5, '0')}-7c9f`;
      await client.put(key, 'x'.repeat(sizeOf(Math.floor(index / 7))));
      told.bytes += key.length + sizeOf(Math.floor(index / 7));
    }
    written[prefix] = told;
  }

  beforeAll(async () => {
    plane = await startControlPlane({ version: '3.5.30', members: 1, quotaBytes: 256 * 1024 * 1024 });
    client = connectMember({ endpoint: plane.endpoints[0] ?? '', tls: await materialOf(plane) });
    await write(TINY_FIRST, 420, (index) => (index < 3 ? 20 : 95_000));
    await write(HUGE_FIRST, 2_100, (index) => (index < 2 ? 300_000 : 1_600));
    await write(EVEN, 700, () => 20_000);
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await plane?.stop();
  });

  it('is told exactly, in the right order', async () => {
    const all = await largestPrefixes(client, { limit: 3 });

    expect(all).toEqual(
      [TINY_FIRST, EVEN, HUGE_FIRST].map((prefix) => ({
        prefix,
        ...written[prefix],
        errorBytes: 0,
        measuredKeys: written[prefix]?.keys,
      })),
    );
  });

  it.each([4, 8, 16, 24])(
    'is right within the error that is told, where no more than %i MiB may be read',
    async (mebibytes) => {
      const all = await largestPrefixes(client, { limit: 3, withinMs: 600_000, withinBytes: mebibytes * 1024 * 1024 });

      expect(all).toHaveLength(3);
      for (const { prefix, keys, bytes, errorBytes, measuredKeys } of all) {
        const truth = written[prefix];
        expect(keys).toBe(truth?.keys);
        expect(measuredKeys).toBeLessThanOrEqual(keys);
        if (errorBytes === undefined) expect(bytes).toBeLessThan(truth?.bytes ?? 0);
        else expect(Math.abs(bytes - (truth?.bytes ?? 0))).toBeLessThanOrEqual(errorBytes);
      }
      const told = all.filter(({ errorBytes }) => errorBytes !== undefined);
      // Cut into parts, what is told is of use: it is better than "somewhere in the file".
      if (mebibytes >= 16) expect(told).toHaveLength(3);
    },
  );

  it('concludes nothing where there is no time at all, and leaves nobody out', async () => {
    const all = await largestPrefixes(client, { limit: 3, withinMs: 0 });

    const keys = Object.values(written).reduce((sum, told) => sum + told.keys, 0);
    expect(all).toEqual([
      {
        prefix: expect.stringContaining('not told apart in time'),
        keys,
        bytes: 0,
        errorBytes: undefined,
        measuredKeys: 0,
      },
    ]);
  });
});
