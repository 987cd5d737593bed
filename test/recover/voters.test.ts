// The checks that stand before a change, alone, on real etcd: they are asked again and again while a run goes on.
import { afterEach, describe, expect, it } from 'vitest';
import { discoverMembers } from '../../functions/etcd/discovery.ts';
import { disarm } from '../../functions/recover/disarm.ts';
import { loadTlsMaterial } from '../../functions/run/credentials.ts';
import { checkOthersHealthy, reach } from '../../functions/sweep/voters.ts';
import { listAlarms, raiseCorrupt } from '../control-plane/alarms.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { fillWithReports } from '../control-plane/fill.ts';
import type { ControlPlane } from '../control-plane/plane.ts';

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
      await using cluster = await reach(() => open(current), voters);
      expect(cluster.client(voters[2]?.id ?? '')).toBeDefined();
    } finally {
      clearTimeout(back);
    }
    await plane.stopMember('cp-3');

    await expect(reach(() => open(current), voters)).rejects.toThrow(/cp-3 cannot be reached/);
  });
});
