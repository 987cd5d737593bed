// bin/invoke.ts as a person at a terminal uses it: one JSON document on standard output, an exit code, and clear words.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { listAlarms, putThrough, snapshotOfState } from '../../lab/control-plane/alarms.ts';
import { createAuthority, openAuthority } from '../../lab/control-plane/certificates.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { smallSnapshot } from '../contents/small.ts';

const MiB = 1024 * 1024;
const root = new URL('../..', import.meta.url).pathname;

let directory: string;
let plane: ControlPlane;
let silent: Server;
let web: HttpServer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'etcd-medic-invoke '));
  plane = await startControlPlane({ quotaBytes: 16 * MiB });
  await fillWithReports(plane, { reportBytes: 50_000 });
  silent = createServer(() => {}).listen(0, '127.0.0.1');
  web = createHttpServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  await Promise.all([once(silent, 'listening'), once(web, 'listening')]);
});
afterAll(async () => {
  silent?.close();
  web?.close();
  await plane?.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Invocation {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function invoke(...args: string[]): Promise<Invocation> {
  const { AWS_ENDPOINT_URL: _endpoint, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'bin/invoke.ts'), ...args],
      { cwd: directory, env: { ...env, VITEST: undefined, POWERTOOLS_LOG_LEVEL: undefined } },
      (error, stdout, stderr) =>
        resolve({ exitCode: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

async function file(name: string, content: unknown): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const report = ({ stdout }: Invocation): RunReport => JSON.parse(stdout);
const port = (server: Server | HttpServer) => (server.address() as AddressInfo).port;

describe('invoke recover, where nothing can be done', () => {
  it.each([[['--help']], [['prune', '-h']]])('%j: says how it is called, exit code 0', async (args) => {
    const invocation = await invoke(...args);

    expect(invocation).toMatchObject({ exitCode: 0, stderr: '' });
    expect(invocation.stdout).toContain('--event FILE');
  });

  it.each([
    ['no function', []],
    ['a function that there is not', ['repair']],
    ['no configuration', ['recover']],
    ['an option that there is not', ['recover', '--force']],
    ['a configuration file that is not there', ['recover', '--config', 'nowhere.json']],
  ])('%s: says what was expected, exit code 1', async (_name, args) => {
    const invocation = await invoke(...args);

    expect(invocation).toMatchObject({ exitCode: 1, stdout: '' });
    expect(invocation.stderr).toContain('expected');
  });

  it.each([
    [
      'an unknown field',
      { name: 'a', etcd: { endpoints: ['http://127.0.0.1:1'], endpoint: 'x' } },
      'etcd.endpoint: found a field that is not known',
    ],
    [
      'no endpoints',
      { name: 'a', etcd: { endpoints: [] } },
      'etcd.endpoints: found [], expected at least one client URL',
    ],
    [
      'https without credentials',
      { name: 'a', etcd: { endpoints: ['https://127.0.0.1:1'] } },
      'etcd.credentials: found nothing',
    ],
    ['text that is not JSON', 'name: a', 'found text that is not JSON'],
  ])('a configuration with %s: names the field, exit code 1', async (_name, content, words) => {
    const config = await file('broken.json', content);

    const invocation = await invoke('recover', '--config', config);

    expect(invocation).toMatchObject({ exitCode: 1, stdout: '' });
    expect(invocation.stderr).toContain(words);
  });

  it('a configuration with a field by its old name: is read, and says what it is called now', async () => {
    const etcd = { endpoints: ['http://127.0.0.1:1'] };
    const config = await file('old.json', { name: 'a', etcd, maintain: { usageShare: 0.7 } });

    const { stdout, stderr } = await invoke('recover', '--config', config, '--dry-run');

    expect(stdout).toContain('"outcome":');
    expect(stderr).toContain(
      `${config}: maintain.usageShare is called maintain.quotaShareAbove now; it is read as before`,
    );
  });

  it.each([
    ['a certificate that is not PEM', { certFile: 'garbage.pem' }, {}, 'cert: found a text that is not PEM'],
    ['a certificate file that is not there', { certFile: 'nowhere.pem' }, {}, "nowhere.pem can't be read"],
    ['an expired certificate', { certFile: 'expired.crt', keyFile: 'expired.key' }, {}, /expired/],
    ["another authority's CA", { caFile: 'other/ca.crt' }, {}, /CA|certificate/],
    ['an endpoint where nothing listens', {}, { endpoints: ['https://127.0.0.1:1'] }, 'refused'],
    ['an endpoint that hangs', {}, { endpoints: ['https://127.0.0.1:SILENT'] }, /time out/],
    ['an endpoint that is not etcd', {}, { endpoints: ['http://127.0.0.1:WEB'], credentials: undefined }, /not etcd/],
  ])('%s: outcome failed, exit code 1, nothing changed', async (_name, credentials, etcd, words) => {
    // Prepare
    const authority = await openAuthority(join(plane.directory, 'pki'));
    const expired = await authority.issue({ name: 'expired', usages: ['client'], expired: true });
    await file('expired.crt', await readFile(expired.certFile, 'utf8'));
    await file('expired.key', await readFile(expired.keyFile, 'utf8'));
    await createAuthority(join(directory, 'other'));
    await file('garbage.pem', 'not a certificate');
    const before = await snapshotOfState(plane);
    const endpoints = (etcd as { endpoints?: string[] }).endpoints?.map((url) =>
      url.replace('SILENT', String(port(silent))).replace('WEB', String(port(web))),
    );
    const { credentials: good, ...rest } = plane.configuration().etcd;
    const withCredentials = 'credentials' in etcd ? {} : { credentials: { ...good, ...credentials } };
    const config = await file('cluster.json', {
      name: 'a',
      etcd: { ...rest, ...withCredentials, ...(endpoints && { endpoints }) },
    });

    // Act
    const invocation = await invoke('recover', '--config', config);

    // Assess
    expect(invocation.exitCode, invocation.stderr).toBe(1);
    expect(report(invocation)).toMatchObject({ outcome: 'failed', members: [] });
    expect(report(invocation).reason).toMatch(words);
    expect(await snapshotOfState(plane)).toEqual(before);
  });
});

describe('invoke, on a cluster in NOSPACE', () => {
  it('plans in a dry run, then recovers by the alarm event, then has nothing to do: always one JSON document', async () => {
    const config = await file('cluster.json', { ...plane.configuration(), name: 'demo' });
    const before = await snapshotOfState(plane);

    const probed = await invoke('probe', '--config', config);
    expect(probed.exitCode, probed.stderr).toBe(2);
    expect(report(probed)).toMatchObject({ workflow: 'probe', outcome: 'escalated' });
    expect(report(probed).reason).toContain('NOSPACE on cp-1');

    const planned = await invoke('recover', '--config', config, '--dry-run');
    expect(planned.exitCode, planned.stderr).toBe(0);
    expect(report(planned)).toMatchObject({ outcome: 'planned', dryRun: true, cluster: 'demo' });
    expect(report(planned).plan?.length).toBeGreaterThan(5);
    expect(planned.stderr.trimEnd().split('\n').slice(-4)).toEqual([
      expect.stringMatching(/^not configured, and done without: prune, switch, nodes, history, bus, snapshot$/),
      'outcome: planned',
      `reason: ${report(planned).reason}`,
      expect.stringMatching(/^plan: compact .*; defragment /),
    ]);
    expect(planned.stderr.match(/not.configured/g)).toHaveLength(1);
    expect(await snapshotOfState(plane)).toEqual(before);

    const ignored = await invoke(
      'dispatch',
      '--config',
      config,
      '--event',
      join(root, 'events/alarm-eventbridge-ok.json'),
    );
    expect(ignored.exitCode, ignored.stderr).toBe(0);
    expect(report(ignored)).toMatchObject({ outcome: 'nothing-to-do' });
    expect(await snapshotOfState(plane)).toEqual(before);

    const recovered = await invoke('dispatch', '--config', config, '--event', join(root, 'events/alarm-sns.json'));
    expect(recovered.exitCode, recovered.stderr).toBe(0);
    expect(report(recovered)).toMatchObject({ outcome: 'recovered', trigger: { kind: 'alarm' } });
    expect(recovered.stderr).toMatch(/defragment [0-9a-f]+: cp-1: /);
    expect(await listAlarms(plane)).toEqual([]);
    expect(await putThrough(plane, plane.endpoints[0] ?? '')).toMatchObject({ ok: true });

    const healthy = await invoke('probe', '--config', config);
    expect(healthy.exitCode, healthy.stderr).toBe(0);
    expect(report(healthy)).toMatchObject({ workflow: 'probe', outcome: 'healthy' });

    const again = await invoke('recover', '--config', config);
    expect(again.exitCode, again.stderr).toBe(0);
    expect(report(again)).toMatchObject({ outcome: 'nothing-to-do' });
  });

  // A run that may act waits ten minutes for the member (test/chaos/away.test.ts); one that may not says at once what
  // it sees.
  it('a member away: exit code 2', async () => {
    await fillWithReports(plane, { reportBytes: 50_000 });
    await plane.stopMember('cp-3');
    const config = await file('cluster.json', plane.configuration());

    const invocation = await invoke('recover', '--config', config, '--dry-run');

    expect(invocation.exitCode, invocation.stderr).toBe(2);
    expect(report(invocation)).toMatchObject({ outcome: 'refused' });
  });
});

describe('invoke contents', () => {
  it('tells what a snapshot is full of: one JSON document, and a table beside it', async () => {
    const snapshot = join(directory, 'small.db');
    await writeFile(snapshot, smallSnapshot());

    const { exitCode, stdout, stderr } = await invoke('contents', '--file', 'small.db');

    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      file: 'small.db',
      bytes: smallSnapshot().length,
      kinds: [{ resource: 'configmaps', keys: 30, revisions: 60 }, {}, {}, {}, {}, {}],
    });
    expect(stderr).toMatch(/^configmaps +30 +89\.5 KiB +179 KiB +43\.3 %$/m);
    expect(stderr).toMatch(/^free pages +132 KiB +21\.3 %$/m);
  });

  it('asks a member for its stream, and tells of it what is told of the same as a file', async () => {
    const config = await file('contents.json', plane.configuration({ name: 'demo' }));
    const before = await snapshotOfState(plane);

    const streamed = await invoke('contents', '--config', config);
    const { cluster, member, ...contents } = JSON.parse(streamed.stdout);
    const itsFile = plane.members.find(({ id }) => id === member.id)?.dbFile ?? '';
    const fromFile = await invoke('contents', '--file', itsFile);

    const { kinds, total, bytes } = JSON.parse(fromFile.stdout);
    expect(cluster).toBe('demo');
    expect({ kinds: contents.kinds, total: contents.total }).toEqual({ kinds, total });
    expect(contents.bytes).toBeLessThanOrEqual(bytes);
    expect(total.keys).toBeGreaterThan(0);
    expect(await snapshotOfState(plane)).toEqual(before);
  });

  it.each([
    ['neither a file nor a configuration', [], 'found none; expected'],
    ['both', ['--file', 'small.db', '--config', 'x.json'], 'found both; expected'],
    ['a file that is not there', ['--file', 'nowhere.db'], 'found no file that can be read'],
    ['a text', ['--file', 'text.db'], 'found no valid meta page'],
    ['a snapshot with one wrong byte', ['--file', 'flipped.db'], 'the SHA-256 behind it is not that of the bytes'],
    ['a snapshot that is cut short', ['--file', 'cut.db'], 'the file is cut short: found 200000 bytes'],
  ])('says what is wrong with %s, exit code 1', async (_name, args, words) => {
    const flipped = smallSnapshot();
    flipped[400_000] = 1;
    await writeFile(join(directory, 'flipped.db'), flipped);
    await writeFile(join(directory, 'cut.db'), flipped.subarray(0, 200_000));
    await writeFile(join(directory, 'text.db'), 'no database');

    const { exitCode, stdout, stderr } = await invoke('contents', ...args);

    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain(words);
  });

  it('says how it is called', async () => {
    const { exitCode, stdout } = await invoke('contents', '--help');

    expect(exitCode).toBe(0);
    expect(stdout).toContain('--file SNAPSHOT');
  });
});
