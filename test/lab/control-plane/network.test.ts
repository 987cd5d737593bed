import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { describeError } from '../../../functions/contract/errors.ts';
import { listAlarms, putThrough } from '../../../lab/control-plane/alarms.ts';
import { hexId, within, withMember } from '../../../lab/control-plane/client.ts';
import { startControlPlane } from '../../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../../lab/control-plane/plane.ts';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane({ proxies: true, nodes: true });
});

afterEach(async () => {
  for (const { name } of plane.members) plane.heal(name);
  await plane.ready();
});

afterAll(async () => {
  await plane?.stop();
});

/** The name of the member that this one takes for the leader; empty where it knows of none. */
async function leaderBy(name: string): Promise<string> {
  const { leader } = await withMember(plane, plane.member(name).endpoint, (client) =>
    client.maintenance.status(within(2_000)),
  );
  return plane.members.find(({ id }) => id === hexId(leader))?.name ?? '';
}

async function followerAndLeader(): Promise<{ follower: string; leader: string }> {
  const leader = await leaderOfAll();
  const follower = plane.members.find(({ name }) => name !== leader)?.name ?? '';
  return { follower, leader };
}

/** Whom all members take for the leader: on a slow machine they elect one now and then. */
function leaderOfAll(): Promise<string> {
  return vi.waitFor(
    async () => {
      const [leader = '', ...others] = await Promise.all(plane.members.map(({ name }) => leaderBy(name)));
      expect(leader).not.toBe('');
      expect(others).toEqual(others.map(() => leader));
      return leader;
    },
    { timeout: 30_000, interval: 100 },
  );
}

/** What is wrong with a read of a member; undefined where it answers. */
function problemOf(name: string, withinMs = 1_500): Promise<string | undefined> {
  return withMember(plane, plane.member(name).endpoint, (client) =>
    client.kv.range({ key: Buffer.from('/'), serializable: true }, within(withinMs)),
  ).then(
    () => undefined,
    (error: unknown) => describeError(error),
  );
}

/** A number from a member's own metrics, which are not cut off. */
async function metricOf(name: string, line: RegExp): Promise<string | undefined> {
  const response = await fetch(`${plane.member(name).metricsUrl}/metrics`);
  return line.exec(await response.text())?.[1];
}

it.each([
  { how: 'hangs', problem: /deadline/i },
  { how: 'refused', problem: /^(?!.*deadline)/i },
] as const)(
  'cut off from its clients, a member does not answer them, and stays with its peers: $how',
  async ({ how, problem }) => {
    const { follower, leader } = await followerAndLeader();
    // So that without it there would be no quorum.
    const other = plane.members.find(({ name }) => name !== leader && name !== follower)?.name ?? '';
    await plane.stopMember(other);

    await plane.cut(follower, { how });

    expect(await problemOf(follower, how === 'hangs' ? 1_500 : 20_000)).toMatch(problem);
    expect(await putThrough(plane, plane.member(leader).endpoint)).toMatchObject({ ok: true });
    plane.heal(follower);
    expect(await problemOf(follower, 20_000)).toBeUndefined();
    plane.startMember(other);
  },
);

it('cut off from its peers too, a leader is replaced by one of the others, and joins them again when healed', async () => {
  const { follower, leader } = await followerAndLeader();

  await plane.cut(leader, { peers: true });

  await vi.waitFor(async () => expect(['', leader]).not.toContain(await leaderBy(follower)), {
    timeout: 30_000,
    interval: 100,
  });
  // What it still wants to say would be votes for itself.
  const heard = () =>
    metricOf(
      follower,
      new RegExp(`^etcd_network_peer_received_bytes_total.From="${plane.member(leader).id}". (.+)$`, 'm'),
    );
  const heardBefore = await heard();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect([heardBefore, await heard()]).toEqual([expect.any(String), heardBefore]);
  const put = await putThrough(plane, plane.member(follower).endpoint);
  const problem = await problemOf(leader);
  plane.heal(leader);
  await plane.ready();
  expect([put.ok, problem]).toEqual([true, expect.stringMatching(/deadline/i)]);
  expect(plane.members.map(({ name }) => name)).toContain(await leaderOfAll());
  expect(await listAlarms(plane)).toEqual([]);
});

it('cut off from its peers too, a follower hears of no leader, by its own metrics, until it is healed', async () => {
  const { follower } = await followerAndLeader();
  const hasLeader = () => metricOf(follower, /^etcd_server_has_leader (\d)$/m);
  const before = await hasLeader();

  await plane.cut(follower, { peers: true });

  await vi.waitFor(async () => expect(await hasLeader()).toBe('0'), { timeout: 30_000, interval: 100 });
  plane.heal(follower);
  await vi.waitFor(async () => expect(await hasLeader()).toBe('1'), { timeout: 30_000, interval: 100 });
  expect(before).toBe('1');
});

it('healed before the cut was everywhere, it is not cut off at all', async () => {
  const { follower, leader } = await followerAndLeader();

  const cutting = plane.cut(follower, { peers: true });
  plane.heal(follower);
  await cutting;

  const put = await putThrough(plane, plane.member(leader).endpoint);
  const raftIndex = (name: string) =>
    withMember(plane, plane.member(name).endpoint, async (client) => {
      const { raftIndex } = await client.maintenance.status(within(20_000));
      return Number(raftIndex);
    });
  const index = await raftIndex(leader);
  await vi.waitFor(async () => expect(await raftIndex(follower)).toBeGreaterThanOrEqual(index), { timeout: 30_000 });
  expect(put).toMatchObject({ ok: true });
});

it("leaves the connections of the other members' clients as they are", async () => {
  const { follower, leader } = await followerAndLeader();
  const answers = await withMember(plane, plane.member(leader).endpoint, async (client) => {
    const read = () => client.kv.range({ key: Buffer.from('/') }, within(5_000));
    await read();

    await plane.cut(follower);
    const whileCut = await read();
    plane.heal(follower);
    return [whileCut, await read()];
  });

  expect(answers).toHaveLength(2);
});

it('keeps what a client said meanwhile, and answers it when healed', async () => {
  const { follower } = await followerAndLeader();
  const { endpoint } = plane.member(follower);

  const said = await withMember(plane, endpoint, async (client) => {
    await client.kv.range({ key: Buffer.from('/') }, within(5_000));
    await plane.cut(follower);
    const put = client.kv.put({ key: Buffer.from('/said'), value: Buffer.from('x') }, within(30_000));
    await new Promise((resolve) => setTimeout(resolve, 200));
    plane.heal(follower);
    return put;
  });

  expect(Number(said.header.revision)).toBeGreaterThan(1);
});

it('remembers when a member was cut off', async () => {
  const before = plane.cuts.length;

  await plane.cut('cp-3');
  plane.heal('cp-3');
  plane.heal('cp-3');

  const [cut, ...more] = plane.cuts.slice(before);
  expect(more).toEqual([]);
  expect(cut).toMatchObject({ name: 'cp-3', peers: false, how: 'hangs' });
  expect(cut?.until).toBeGreaterThanOrEqual(cut?.from ?? Number.POSITIVE_INFINITY);
});

it("can't be cut without proxies", async () => {
  await using other = await startControlPlane({ members: 1, tls: false });

  await expect(other.cut('cp-1')).rejects.toThrow(/cp-1 has no proxies/);
});
