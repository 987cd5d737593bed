// The checks that stand before a change, alone, on real etcd: they are asked again and again while a run goes on.
import { afterEach, describe, expect, it } from 'vitest';
import { loadTlsMaterial } from '../../functions/aws/credentials.ts';
import { CANARY_PREFIX, canary, deleteCanaries, disarm } from '../../functions/control-plane/disarm.ts';
import { checkOthersHealthy, connectAll } from '../../functions/control-plane/voters.ts';
import { discoverMembers } from '../../functions/etcd/discovery.ts';
import { listAlarms, raiseCorrupt } from '../../lab/control-plane/alarms.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';

const MiB = 1024 * 1024;

let plane: ControlPlane | undefined;
afterEach(async () => {
  await plane?.stop();
  plane = undefined;
});

async function open({ endpoints, credentials }: ControlPlane) {
  return discoverMembers({ endpoints, tls: await loadTlsMaterial(credentials) });
}

const votersOf = ({ members }: ControlPlane) => members.map(({ id, name }) => ({ id, name }));

describe('the checks before a change', () => {
  it('R2, R7: nothing is disarmed where a voter is there that was not observed', async () => {
    plane = await startControlPlane({ quotaBytes: 16 * MiB });
    await fillWithReports(plane, { reportBytes: 50_000 });
    await using cluster = await open(plane);
    const observed = votersOf(plane).slice(0, 1);

    await expect(disarm(async () => cluster, observed, undefined)).rejects.toThrow(/cp-2 came, cp-3 came/);

    expect(await listAlarms(plane)).toHaveLength(3);
  });

  it('R7: a member that stays above its quota keeps the alarm armed', async () => {
    plane = await startControlPlane({ quotaBytes: 16 * MiB });
    await fillWithReports(plane, { reportBytes: 50_000 });
    await using cluster = await open(plane);

    await expect(disarm(async () => cluster, votersOf(plane), undefined)).rejects.toThrow(/R7: cp-\d still has/);

    expect(await listAlarms(plane)).toHaveLength(3);
  });

  it('R1: no change is made once a member knows of CORRUPT', async () => {
    plane = await startControlPlane({ quotaBytes: 16 * MiB });
    await using cluster = await open(plane);
    const voters = votersOf(plane);
    await checkOthersHealthy(cluster, voters, voters[0]);
    await raiseCorrupt(plane, voters[1]?.id ?? '');

    await expect(checkOthersHealthy(cluster, voters, voters[0])).rejects.toThrow(/R1|CORRUPT/);
  });

  it('R2: a voter that is just restarting is waited for, one that stays away is named', async () => {
    plane = await startControlPlane({ quotaBytes: 16 * MiB });
    const voters = votersOf(plane);
    await plane.stopMember('cp-3');
    const back = setTimeout(() => plane?.startMember('cp-3'), 1500);
    const current = plane;
    try {
      await using cluster = await connectAll(() => open(current), voters);
      expect(cluster.client(voters[2]?.id ?? '')).toBeDefined();
    } finally {
      clearTimeout(back);
    }
    await plane.stopMember('cp-3');

    await expect(connectAll(() => open(current), voters)).rejects.toThrow(/cp-3 cannot be reached/);
  });

  it('a canary that a member has left behind is deleted through another', async () => {
    plane = await startControlPlane({ quotaBytes: 16 * MiB });
    const current = plane;
    await putCanary(plane);
    await using cluster = await open(current);
    await plane.stopMember('cp-1', 'SIGKILL');

    expect(await deleteCanaries(cluster, votersOf(plane))).toBe(1);

    expect(await canariesOf(plane)).toBe(0);
  });

  it('a canary that an earlier run has left behind goes with the next one', async () => {
    plane = await startControlPlane({ quotaBytes: 16 * MiB });
    await putCanary(plane);
    await using cluster = await open(plane);

    const { detail } = await canary(async () => cluster, votersOf(plane));

    expect(detail).toContain('1 left by an earlier one deleted');
    expect(await canariesOf(plane)).toBe(0);
  });
});

/** As a run leaves it whose member died before the delete. */
async function putCanary(plane: ControlPlane): Promise<void> {
  const key = Buffer.from(`${CANARY_PREFIX}8e9e05c52164694d`);
  await withMember(plane, plane.member('cp-2').endpoint, (client) =>
    client.kv.put({ key, value: Buffer.from('2026-01-01T00:00:00Z') }, within(10_000)),
  );
}

async function canariesOf(plane: ControlPlane): Promise<number> {
  const range = { key: Buffer.from('/etcd-medic/'), range_end: Buffer.from('/etcd-medic0'), count_only: true };
  return withMember(plane, plane.member('cp-2').endpoint, async (client) =>
    Number((await client.kv.range(range, within(10_000))).count),
  );
}
