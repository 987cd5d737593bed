import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestPrefixes, OUTSIDE_REGISTRY, prefixOf } from '../../functions/etcd/keyspace.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import type { MemberClient } from '../../functions/etcd/types.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { fillWithReports } from '../control-plane/fill.ts';
import type { ControlPlane } from '../control-plane/plane.ts';
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
    expect(reports?.estimatedBytes).toBeGreaterThan(bytes * 0.8);
    expect(reports?.estimatedBytes).toBeLessThan(bytes * 1.3);
    expect(pods?.estimatedBytes).toBeGreaterThan(6_000);
    expect(pods?.estimatedBytes).toBeLessThan(6_500);
  });
});
