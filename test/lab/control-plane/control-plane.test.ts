import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { parseCluster } from '../../../functions/contract/configuration.ts';
import { listAlarms, putThrough, raiseCorrupt, snapshotOfState } from '../../../lab/control-plane/alarms.ts';
import { createAuthority, openAuthority } from '../../../lab/control-plane/certificates.ts';
import { startControlPlane } from '../../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../../lab/control-plane/etcd-versions.ts';
import { fillWithReports } from '../../../lab/control-plane/fill.ts';
import { dieWithParent } from '../../../lab/control-plane/process-end.ts';

const MiB = 1024 * 1024;
/** What refuses as soon as possible; a report is a fortieth of it. */
const SMALL_BYTES = 8 * MiB;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe.each(await versionsHere(['3.4.23', '3.5.16', '3.5.30', '3.6.16', '3.7.3']))('etcd %s', (version) => {
  it('starts over TLS, is filled until every member raises NOSPACE, and refuses writes from then on', async () => {
    await using plane = await startControlPlane({ version, quotaBytes: SMALL_BYTES });
    const puts = await Promise.all(plane.endpoints.map((endpoint) => putThrough(plane, endpoint)));
    expect(puts).toMatchObject([{ ok: true }, { ok: true }, { ok: true }]);

    const filled = await fillWithReports(plane);

    const state = await snapshotOfState(plane);
    expect(plane.version).toBe(version);
    expect(filled.alarmed).toEqual(['cp-1', 'cp-2', 'cp-3']);
    expect(state.alarms.map(({ memberId }) => memberId).sort()).toEqual(plane.members.map(({ id }) => id).sort());
    expect(state.revision).toBeGreaterThanOrEqual(filled.acknowledgedRevision);
    expect(Object.values(state.dbSizeBytes).every((bytes) => bytes > SMALL_BYTES - 2 * MiB)).toBe(true);
    const refused = await putThrough(plane, plane.endpoints[1] ?? '');
    expect(refused.ok ? undefined : refused.error.message).toContain('database space exceeded');
    expect(await snapshotOfState(plane)).toEqual(state);
  });
});

it.each([1, 5])('starts %i members over http, and gives the configuration that reaches them', async (members) => {
  await using plane = await startControlPlane({ members, tls: false });

  const configuration = plane.configuration({ name: 'other', recover: { watchSeconds: 9 } });

  expect(plane.endpoints.filter((url) => url.startsWith('http:'))).toHaveLength(members);
  expect(configuration.etcd).toMatchObject({ endpoints: plane.endpoints });
  expect(configuration).toMatchObject({ name: 'other', recover: { watchSeconds: 9 } });
  expect(parseCluster(JSON.parse(JSON.stringify(configuration)))).toEqual(configuration);
  expect(await putThrough(plane, plane.endpoints.at(-1) ?? '')).toMatchObject({ ok: true });
});

it('raises NOSPACE on those members only whose own quota is small, also by live reports', async () => {
  await using plane = await startControlPlane({ memberQuotaBytes: { 'cp-2': SMALL_BYTES } });

  const filled = await fillWithReports(plane, { mode: 'live' });

  expect(filled.alarmed).toEqual(['cp-2']);
  expect(await listAlarms(plane)).toEqual([{ memberId: plane.member('cp-2').id, type: 'NOSPACE' }]);
  const keys = await plane.etcdctl(['get', '/registry/aquasecurity.github.io/', '--prefix', '--keys-only']);
  // etcd answers "no space" to a write that its members have room for, or applies it all the same.
  expect(keys.split('\n').filter(Boolean).length).toBeGreaterThanOrEqual(filled.puts);
});

it('restarts a killed member, keeps a stopped one down, and lets a paused one hang until it is resumed', async () => {
  await using plane = await startControlPlane({ kubeletSpeed: 100 });
  const [first, second, third] = plane.members;
  if (!first || !second || !third) throw new Error('a plane has three members by default');
  const { pid } = first;

  plane.kill(first.name);
  await vi.waitFor(() => expect(first.kubelet.restartCount).toBe(1), 30_000);
  await plane.ready();
  await plane.stopMember(second.name);
  const whileStopped = await snapshotOfState(plane);
  plane.startMember(second.name);
  plane.pause(third.name);
  const hanging = await Promise.race([putThrough(plane, third.endpoint), wait(500)]);
  plane.resume(third.name);
  await plane.ready();

  expect(first.pid).not.toBe(pid);
  expect(Object.keys(whileStopped.dbSizeBytes)).toEqual([first.name, third.name]);
  expect(hanging).toBe('still waiting');
  expect(Object.keys((await snapshotOfState(plane)).dbSizeBytes)).toHaveLength(3);
});

function wait(ms: number): Promise<'still waiting'> {
  return new Promise((resolve) => setTimeout(() => resolve('still waiting'), ms));
}

it('adds a learner that stays one, and raises CORRUPT for a given member', async () => {
  await using plane = await startControlPlane({ members: 1 });

  const learner = await plane.addLearner();
  await raiseCorrupt(plane, plane.member('cp-1').id);

  const list = await plane.etcdctl(['--endpoints', plane.endpoints[0] ?? '', 'member', 'list', '-w', 'json']);
  expect(JSON.parse(list).members).toContainEqual(expect.objectContaining({ name: 'learner-1', isLearner: true }));
  expect([learner.isLearner, learner.id]).toEqual([true, expect.stringMatching(/^[0-9a-f]+$/)]);
  expect(await listAlarms(plane)).toEqual([{ memberId: plane.member('cp-1').id, type: 'CORRUPT' }]);
});

it('starts again from the folder of an earlier plane, with its data and its members', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-test-'));
  try {
    const before = await startControlPlane({ directory, members: 1 });
    const put = await putThrough(before, before.endpoints[0] ?? '');
    await before.stop();

    await using plane = await startControlPlane({ directory });

    expect(plane.endpoints).toEqual(before.endpoints);
    expect(plane.members.map(({ id }) => id)).toEqual(before.members.map(({ id }) => id));
    expect((await snapshotOfState(plane)).revision).toBe(put.ok ? put.revision : undefined);
  } finally {
    await rm(directory, { recursive: true });
  }
});

it('refuses clients with an expired certificate or one of another authority', async () => {
  await using plane = await startControlPlane({ members: 1 });
  const own = await openAuthority(join(plane.directory, 'pki'));
  const other = await createAuthority(join(plane.directory, 'other'));
  const [endpoint = ''] = plane.endpoints;

  const good = await own.issue({ name: 'good', usages: ['client'] });
  const expired = await own.issue({ name: 'expired', usages: ['client'], expired: true });
  const stranger = { ...(await other.issue({ name: 'stranger' })), caFile: own.caFile };
  const distrusting = { ...good, caFile: other.caFile };

  expect((await stat(good.keyFile)).mode & 0o777).toBe(0o600);
  expect(await putThrough({ credentials: good }, endpoint)).toMatchObject({ ok: true });
  for (const credentials of [expired, stranger, distrusting]) {
    expect(await putThrough({ credentials }, endpoint)).toMatchObject({ ok: false });
  }
});

it('says what the log says where a member does not start, and leaves no folder', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'etcd medic test-'));
  vi.stubEnv('TMPDIR', temporary);
  try {
    const starting = startControlPlane({ members: 1, flags: ['--no-such-flag'] });

    await expect(starting).rejects.toThrow(/cp-1 ended with code \d+; its log ends: .*no-such-flag/);
    expect(await readdir(temporary)).toEqual([]);
  } finally {
    vi.unstubAllEnvs();
    await rm(temporary, { recursive: true });
  }
});

it('tries again with other ports where one was taken meanwhile, and works in a folder with spaces', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'etcd medic test-'));
  const directory = join(temporary, 'plane');
  const thief = createServer();
  const ports: number[] = [];
  const steal = (message: string) => {
    if (!message.startsWith('starting')) return;
    const { members } = JSON.parse(readFileSync(join(directory, 'control-plane.json'), 'utf8'));
    ports.push(members[0].peerPort);
    // Without a host, the port is taken when this returns.
    if (!thief.listening) thief.listen(ports[0]);
  };
  try {
    await using plane = await startControlPlane({ directory, members: 1, onProgress: steal });

    expect(new Set(ports).size).toBe(2);
    expect(await putThrough(plane, plane.endpoints[0] ?? '')).toMatchObject({ ok: true });
  } finally {
    thief.close();
    await rm(temporary, { recursive: true });
  }
});

describe('at its end', () => {
  it('leaves no process and no folder, however often it is stopped', async () => {
    const plane = await startControlPlane({ members: 1 });
    const [member] = plane.members;
    const pid = member?.pid ?? 0;
    expect(isAlive(pid)).toBe(true);

    await Promise.all([plane.stop(), plane.stop()]);
    await plane.stop();

    expect(isAlive(pid)).toBe(false);
    expect(existsSync(plane.directory)).toBe(false);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('leaves no process when its own ends by %s', async (signal) => {
    const module = JSON.stringify(
      fileURLToPath(new URL('../../../lab/control-plane/control-plane.ts', import.meta.url)),
    );
    const code = `const { startControlPlane } = await import(${module});
      const plane = await startControlPlane({ members: 1, tls: false });
      console.log(JSON.stringify({ pid: plane.members[0].pid, directory: plane.directory }));`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = new Promise((resolve) => child.once('exit', (_, by) => resolve(by)));
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await vi.waitFor(() => expect(output).toContain('\n'), 60_000);
    const { pid, directory } = JSON.parse(output);

    child.kill(signal);

    expect(await ended).toBe(signal);
    if (signal === 'SIGKILL') {
      // Only the kernel can do something then, where setpriv is there to ask it.
      if ((await dieWithParent()).length > 0) await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 30_000);
      else process.kill(pid, 'SIGKILL');
      await rm(directory, { recursive: true, maxRetries: 5 });
    } else {
      await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 30_000);
      expect(existsSync(directory)).toBe(false);
    }
  });
});
