// etcd's own authorization is on, and the client certificate's user lacks a right: it is told by day and before any
// change, on every version.
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { takeTurn } from '../../functions/control-plane/defragmentation.ts';
import { HEALTHY_WITHIN_MS } from '../../functions/control-plane/voters.ts';
import { discoverMembers } from '../../functions/etcd/discovery.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { tryRights } from '../../functions/etcd/rights.ts';
import type { MemberClient } from '../../functions/etcd/types.ts';
import { listAlarms, raiseNospace, snapshotOfState } from '../../lab/control-plane/alarms.ts';
import { type CredentialFiles, openAuthority } from '../../lab/control-plane/certificates.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { maintainPlane } from '../../lab/runs/maintain.ts';
import { defragmentations, metricsOf, outcomes, recoverPlane } from '../../lab/runs/recover.ts';
import { readMaterial } from '../etcd/material.ts';
import { reportOf, runHandler } from '../probe/harness.ts';

/** Of the plane's own client certificate, and of the two that are issued here. */
const USERS = ['client', 'reader', 'rooted'];

let plane: ControlPlane | undefined;
afterEach(async () => {
  await plane?.stop();
  plane = undefined;
});

/**
 * `reader` may read and write every key, as somebody does who means well and gives no more than that; `stranger` is no
 * user at all.
 */
async function guardedPlane(version: string, members: number): Promise<ControlPlane> {
  plane = await startControlPlane({ version, members });
  const commands = [
    'user add root:password',
    'user grant-role root root',
    ...USERS.map((user) => `user add ${user}:password`),
    'user grant-role client root',
    'user grant-role rooted root',
    'role add keys',
    // The empty argument at the end is the first key of all.
    'role grant-permission --prefix=true keys readwrite ',
    'user grant-role reader keys',
  ];
  for (const command of commands) await plane.etcdctl(command.split(' '));
  return plane;
}

async function certificateOf(plane: ControlPlane, name: string): Promise<CredentialFiles> {
  const authority = await openAuthority(join(plane.directory, 'pki'));
  return authority.issue({ name, usages: ['client'] });
}

async function materialAs(plane: ControlPlane, name: string): Promise<TlsMaterial> {
  return readMaterial(await certificateOf(plane, name));
}

async function clientAs(plane: ControlPlane, name: string): Promise<MemberClient> {
  return connectMember({ endpoint: plane.endpoints[0] ?? '', tls: await materialAs(plane, name) });
}

describe.each(await versionsHere(['3.4.23', '3.5.16', '3.5.30', '3.6.16', '3.7.3']))('etcd %s', (version) => {
  it('tells who may not work on it by calls that change nothing, and whoever may is let through', async () => {
    const plane = await guardedPlane(version, 1);
    await raiseNospace(plane, plane.member('cp-1').id);
    await plane.etcdctl(['auth', 'enable']);
    const before = await snapshotOfState(plane);
    await using reader = await clientAs(plane, 'reader');
    await using rooted = await clientAs(plane, 'rooted');
    await using stranger = await clientAs(plane, 'stranger');

    const letThrough = await tryRights(rooted);
    const turnedAway = [await tryRights(reader), await tryRights(stranger)];

    expect(letThrough).toEqual({ refused: [], untold: [] });
    for (const { refused, untold } of turnedAway) {
      expect(untold).toEqual([]);
      expect(refused[0]).toMatch(
        /^HashKV at .*etcd's authorization refused it.*inferred from it: Defragment, Snapshot/,
      );
      // Until 3.5.16 nobody asks who compacts or disarms.
      expect(refused).toHaveLength(/^3\.(4|5\.16)/.test(version) ? 1 : 3);
    }
    expect(await snapshotOfState(plane)).toEqual(before);
    expect(await listAlarms(plane)).toHaveLength(1);
  });

  it('is not touched by a run whose user has no root: escalated, dry or not, with what to do', async () => {
    const plane = await guardedPlane(version, 3);
    await raiseNospace(plane, plane.member('cp-1').id);
    await plane.etcdctl(['auth', 'enable']);
    const before = await snapshotOfState(plane);
    const configuration = { etcd: { credentials: await certificateOf(plane, 'reader') } };

    const reports = [
      await recoverPlane(plane, { dryRun: true, configuration }),
      await recoverPlane(plane, { configuration }),
    ];

    for (const { outcome, reason, steps } of reports) {
      expect(['escalated', 'refused', 'failed'], reason).toContain(outcome);
      expect(reason).toContain("etcd's authorization refused it");
      expect(reason).toContain('the role `root`');
      expect(reason).toMatch(/othing (in it )?was changed/);
      expect(steps.map(({ name }) => name)).not.toContain('compact');
    }
    expect(await snapshotOfState(plane)).toEqual(before);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
  });

  it('is judged in health too: the dry run and the probe say what a recovery would be refused', async () => {
    const plane = await guardedPlane(version, 1);
    await plane.etcdctl(['auth', 'enable']);
    const configuration = { etcd: { credentials: await certificateOf(plane, 'reader') } };

    const rehearsals = [
      await recoverPlane(plane, { dryRun: true, configuration }),
      await maintainPlane(plane, { dryRun: true, configuration }),
    ];
    const well = await recoverPlane(plane, { dryRun: true });
    const probed = reportOf(await runHandler(plane.configuration(configuration), { inLambda: false }));

    for (const { outcome, reason } of rehearsals) {
      expect(['escalated', 'refused', 'failed'], reason).toContain(outcome);
      expect(reason).toContain("etcd's authorization refused it");
    }
    expect(well.outcome, well.reason).toBe('nothing-to-do');
    expect(outcomes(well)).toMatchObject({ rights: 'done' });
    expect(well.steps.find(({ name }) => name === 'rights')?.detail).toMatch(
      /^HashKV, Compact, Alarm tried .* Defragment, Snapshot, MoveLeader inferred$/,
    );
    expect(probed.outcome, probed.reason).not.toBe('healthy');
    expect(probed.reason).toContain("etcd's authorization refused it");
  });
});

it('R2: on etcd 3.4.23, a read that is refused is not waited for as if the member were silent', async () => {
  const plane = await guardedPlane('3.4.23', 1);
  await plane.etcdctl(['auth', 'enable']);
  const tls = await materialAs(plane, 'stranger');
  await using cluster = await discoverMembers({ endpoints: plane.endpoints, tls });
  const voter = { id: plane.member('cp-1').id, name: 'cp-1' };

  const attempt = { memory: undefined, patienceMs: HEALTHY_WITHIN_MS, confirm: async () => false };
  const turn = { dbSizeBefore: 0, mayLead: true, heldLooks: 0 };
  const sweeping = takeTurn(async () => cluster, [voter], voter, turn, attempt);

  await expect(sweeping).rejects.toThrow("etcd's authorization refused it");
  const page = await metricsOf(plane, plane.endpoints[0] ?? '');
  const refused = /^grpc_server_handled_total\{grpc_code="PermissionDenied",grpc_method="Range".*\} (\d+)$/m.exec(page);
  expect(refused?.[1]).toBe('1');
});
