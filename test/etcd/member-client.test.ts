import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import type { MemberClient } from '../../functions/etcd/types.ts';
import { raiseCorrupt, raiseNospace } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { materialOf, rejection } from './material.ts';

const MiB = 1024 * 1024;
/** What another member was told, or what goes into a file at the next commit: soon, but not on a busy machine. */
const SOON = { timeout: 30_000 };

describe.each(['3.4.23', '3.5.16', '3.5.30'])('a member of etcd %s, over mutual TLS', (version) => {
  let plane: ControlPlane;
  let tls: TlsMaterial | undefined;
  const clients: MemberClient[] = [];

  beforeAll(async () => {
    plane = await startControlPlane({ version, members: 3, memberQuotaBytes: { 'cp-2': -1 } });
    tls = await materialOf(plane);
    clients.push(...plane.endpoints.map((endpoint) => connectMember({ endpoint, tls })));
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    await plane?.stop();
  });

  function client(i = 0): MemberClient {
    const found = clients[i];
    if (!found) throw new RangeError(`no client ${i}`);
    return found;
  }

  async function leaderAndFollower(): Promise<readonly [MemberClient, MemberClient]> {
    const statuses = await Promise.all(clients.map(async (each) => ({ each, status: await each.status() })));
    const leader = statuses.find(({ status }) => status.memberId === status.leaderId)?.each;
    const follower = clients.find((each) => each !== leader);
    if (!leader || !follower) throw new Error('no leader');
    return [leader, follower];
  }

  it('tells who it is, how large it is and who leads', async () => {
    const statuses = await Promise.all(clients.map((each) => each.status()));

    expect(statuses.map(({ memberId }) => memberId)).toEqual(plane.members.map(({ id }) => id));
    expect(new Set(statuses.map(({ leaderId }) => leaderId)).size).toBe(1);
    for (const status of statuses) {
      expect(status).toMatchObject({ version, isLearner: false, dbSizeQuota: undefined, alarms: [], errors: [] });
      expect(status.dbSize).toBeGreaterThanOrEqual(status.dbSizeInUse);
      expect(status.dbSizeInUse).toBeGreaterThan(0);
      expect(status.raftIndex).toBeGreaterThan(0n);
      expect(status.raftTerm).toBeGreaterThan(0n);
      expect(status.revision).toBeGreaterThan(0n);
    }
  });

  it('tells the members of its cluster', async () => {
    const { clusterId, members } = await client().memberList();

    expect((await client(1).identify()).clusterId).toBe(clusterId);
    expect(members.map(({ name }) => name).sort()).toEqual(['cp-1', 'cp-2', 'cp-3']);
    for (const { id, name, clientUrls, isLearner } of members) {
      expect({ id, clientUrls, isLearner }).toEqual({
        id: plane.member(name).id,
        clientUrls: [plane.member(name).endpoint],
        isLearner: false,
      });
    }
  });

  it('R8: tells its own quota, and that it has none', async () => {
    expect(await client(0).quota()).toEqual({ kind: 'limit', bytes: 32 * MiB, source: 'metrics' });
    expect(await client(1).quota()).toEqual({ kind: 'none', source: 'metrics' });
  });

  it('is healthy, serves, and takes a write and a delete', async () => {
    await client().put('/etcd-medic/canary', 'x');
    // keyRange reads a member's own data, and another member may be a moment behind: a linearizable read makes it catch
    // up.
    await Promise.all(clients.map((each) => each.checkHealth()));
    const written = await client(1).keyRange({
      from: '/etcd-medic/',
      to: '/etcd-medic0',
      limit: 5,
      measureValues: true,
    });
    await Promise.all(clients.map((each) => each.checkServing()));

    expect(written.count).toBe(1);
    expect(written.keys).toEqual([{ key: '/etcd-medic/canary', valueBytes: 1 }]);
    expect(await client().delete('/etcd-medic/canary')).toBe(1);
    expect(await client().delete('/etcd-medic/canary')).toBe(0);
  });

  it('R4: compacts, takes "already compacted" as success, and refuses a revision that is yet to come', async () => {
    for (let i = 0; i < 20; i++) await client().put('/rewritten', 'x'.repeat(50_000));
    // A file grows up to 100 ms after the write; what is compacted before that never gets into it, and the next test
    // makes it smaller.
    await expect.poll(async () => (await client().status()).dbSize, SOON).toBeGreaterThan(900_000);
    const { revision } = await client().status();

    const outcomes = [await client(0).compact(revision), await client(1).compact(revision)];
    const error = await rejection(client().compact(revision + 1000n));

    expect(outcomes).toEqual(['compacted', 'already-compacted']);
    expect(error).toMatchObject({ name: 'EtcdError', outcome: 'not-done', method: 'Compact' });
    expect(error.message).toContain('future revision');
  });

  it('gives back the room of what was compacted when it is defragmented', async () => {
    const before = await client().status();

    await client().defragment();

    const after = await client().status();
    expect(after.dbSize).toBeLessThan(before.dbSize);
  });

  it('hands over the leadership, and only the leader can', async () => {
    const [leader, follower] = await leaderAndFollower();
    const { memberId: to } = await follower.status();

    const refused = await rejection(follower.moveLeader(to));
    await leader.moveLeader(to);

    await expect.poll(async () => (await follower.status()).leaderId, SOON).toBe(to);
    expect(refused).toMatchObject({ name: 'NotLeaderError', outcome: 'not-done' });
  });

  it('R7: disarms NOSPACE of exactly the member it is told, and never CORRUPT', async () => {
    const [first, second] = plane.members.map(({ id }) => id);
    if (first === undefined || second === undefined) throw new RangeError('fewer members than asked for');
    await raiseNospace(plane, first);
    await raiseNospace(plane, second);
    const both = await client().alarms();
    const refused = await rejection(client().put('/refused', 'x'));
    await expect.poll(async () => (await client(2).status()).alarms.length, SOON).toBe(2);

    await client().disarmNospace(first);
    const left = await client().alarms();
    await client().disarmNospace(second);
    await client().disarmNospace(second);

    expect(both).toHaveLength(2);
    expect(refused).toMatchObject({ name: 'NoSpaceError', outcome: 'not-done', method: 'Put' });
    expect(left).toEqual([{ memberId: second, type: 'NOSPACE' }]);
    expect(await client().alarms()).toEqual([]);
  });

  // The last one: nothing else works once CORRUPT stands.
  it('R1: sees CORRUPT in the list and in its status, and cannot take it away', async () => {
    const [first] = plane.members;
    if (!first) throw new RangeError('no member');
    await raiseCorrupt(plane, first.id);

    await client().disarmNospace(first.id);

    const corrupt = [{ memberId: first.id, type: 'CORRUPT' }];
    expect(await client().alarms()).toEqual(corrupt);
    await expect.poll(async () => (await client(1).status()).alarms, SOON).toEqual(corrupt);
    expect(await rejection(client().put('/refused', 'x'))).toMatchObject({ name: 'CorruptError', outcome: 'not-done' });
  });
});

describe.each(['3.4.23', '3.5.30'])('a single member of etcd %s, in plain text', (version) => {
  let plane: ControlPlane;
  let client: MemberClient;

  beforeAll(async () => {
    plane = await startControlPlane({ version, members: 1, tls: false });
    client = connectMember({ endpoint: plane.endpoints[0] ?? '' });
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await plane?.stop();
  });

  it('is talked to without certificates, /metrics too', async () => {
    await client.checkHealth();
    await client.put('/a', 'b');
    await client.compact((await client.status()).revision);
    await client.defragment();

    expect(await client.quota()).toEqual({ kind: 'limit', bytes: 32 * MiB, source: 'metrics' });
    expect(await client.alarms()).toEqual([]);
    const { leaderId, memberId } = await client.status();
    expect(leaderId).toBe(memberId);
  });

  it('has a learner that tells its status and refuses the rest', async () => {
    const { endpoint } = await plane.addLearner();
    await using learner = connectMember({ endpoint });

    const status = await learner.status();
    await learner.checkServing();
    const refusals = [
      await rejection(learner.checkHealth()),
      await rejection(learner.alarms()),
      await rejection(learner.memberList()),
      await rejection(learner.compact(1n)),
      await rejection(learner.defragment()),
    ];

    expect(status.isLearner).toBe(true);
    expect(await learner.quota()).toMatchObject({ kind: 'limit' });
    expect(refusals.map(({ name }) => name)).toEqual(Array(5).fill('LearnerError'));
  });
});
