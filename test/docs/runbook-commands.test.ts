// Every command that the runbook tells somebody to type at night is run here, or named with why it can't be; a new one
// without a run fails.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request as requestTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { listAlarms, putThrough } from '../../lab/control-plane/alarms.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import { findEtcd } from '../../lab/control-plane/etcd-binaries.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { startRealApiServer, whyNoRealApiServer } from '../../lab/kubernetes/real-api-server.ts';
import { blocksOf, codeIn, readPage } from './page.ts';

const page = readPage('docs/runbook.md');
const VERSIONS = await versionsHere(['3.5.30', '3.7.3']);
const KEYS_BY_KIND = `e get /registry --prefix --keys-only | awk -F/ 'NF>2{print $3"/"$4}' | sort | uniq -c | sort -rn | head`;
const CHANGES_BY_KIND =
  'e watch /registry --prefix | grep -a ^/registry | head -200 | cut -d/ -f3,4 | sort | uniq -c | sort -rn';
const REVISION = `rev=$(e endpoint status -w json | grep -o '"revision":[0-9]*' | head -n 1 | cut -d: -f2)`;
const REPORTS_OF =
  'kubectl get <kind> -A -o custom-columns=NS:.metadata.namespace,NAME:.metadata.name,CREATED:.metadata.creationTimestamp,OWNER:.metadata.ownerReferences[0].name | head';
const DELETE_REPORTS = 'kubectl delete <report kind> --all -n <namespace>';
const DELETE_REPLICA_SETS = `kubectl get replicasets.apps -n <namespace> -o jsonpath='{range .items[?(@.spec.replicas==0)]}{.metadata.name}{"\\n"}{end}' | xargs -r kubectl delete replicasets.apps -n <namespace>`;
const READY = 'kubectl get --raw /readyz?verbose';

/** Of Kubernetes, what the API server of the tests does not serve: it has custom resources alone. */
const NOT_SERVED_HERE = [
  'kubectl get nodes',
  'kubectl create configmap etcd-medic-try -n default && kubectl delete configmap etcd-medic-try -n default',
  'kubectl delete events --all -n <namespace>',
  'kubectl delete secrets -n <namespace> -l owner=helm,status=superseded',
  'kubectl apply -f docs/rbac.yaml',
  'kubectl auth can-i list vulnerabilityreports.aquasecurity.github.io --as etcd-medic --as-group etcd-medic:pruner',
];
/** Of a node's own programs, which need a node: kubeadm, a container runtime, systemd, a disk of its own. */
const ON_A_NODE = /^(sudo|df|ls|iostat|kubeadm|timedatectl|chronyc|openssl|growpart|resize2fs|xfs_growfs)\b/;
/** Held against the API's models by pages.test.ts. */
const OF_AWS = /^aws /;

/** What the table of exit codes says: a row a command, by its first column. */
const EXITS = new Map(
  [...page.text.matchAll(/^\| (`[eu] [^|]+?) \| (\d)([^|]*) \| (\d)([^|]*) \|$/gm)].map(
    ([, command = '', well, wellText = '', full, fullText = '']) => [
      command.replaceAll('`', ''),
      { well: Number(well), full: Number(full), says: codeIn(`${wellText} ${fullText}`) },
    ],
  ),
);

/** As they stand on the page, without the remarks behind them. */
function commandsOn(): readonly string[] {
  const lines = blocksOf(page).flatMap(({ text }) =>
    text
      .replace(/\\\n\s*/g, ' ')
      .split('\n')
      .map((line) => line.replace(/\s{2,}# .*$/, '').trim()),
  );
  const spans = codeIn(page.text).filter((code) =>
    /^(e|u|kubectl|aws|sudo|df|ls|iostat|kubeadm|openssl|chronyc) \S/.test(code),
  );
  return [...new Set([...lines, ...spans])].filter((command) => command !== '');
}

const directory = mkdtempSync(join(tmpdir(), 'etcd-medic-runbook-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let plane: ControlPlane | undefined;
afterEach(async () => {
  await plane?.stop();
  plane = undefined;
});

describe('the commands of the runbook', () => {
  it('are all run below, or named with why they cannot be', () => {
    const run = [
      ...EXITS.keys(),
      KEYS_BY_KIND,
      CHANGES_BY_KIND,
      REVISION,
      REPORTS_OF,
      DELETE_REPORTS,
      DELETE_REPLICA_SETS,
      READY,
      ...NOT_SERVED_HERE,
    ].map((command) => command.replace(/, on .*/, ''));
    // What is short for one that is run.
    const isShort = (command: string) =>
      ['e endpoint health', 'e move-leader <id of another>'].includes(command) || /^[eu]\(\) \{/.test(command);

    const left = commandsOn().filter(
      (command) => !run.includes(command) && !ON_A_NODE.test(command) && !OF_AWS.test(command) && !isShort(command),
    );

    expect(left).toEqual([]);
    expect(EXITS.size).toBeGreaterThan(15);
    expect(NOT_SERVED_HERE.filter((command) => !commandsOn().includes(command))).toEqual([]);
  });

  it('delete no kind as a whole whose objects are in use', () => {
    const deletes = commandsOn().filter((command) => /kubectl delete/.test(command) && /--all\b/.test(command));

    expect(deletes).toEqual([DELETE_REPORTS, 'kubectl delete events --all -n <namespace>']);
  });

  describe.each(VERSIONS)('on etcd %s', (version) => {
    it.each(['well', 'full'] as const)('exit as the page says, %s', async (state) => {
      plane = await startControlPlane({ version, quotaBytes: 16 * 1024 * 1024 });
      if (state === 'full') await fillWithReports(plane, { reportBytes: 50_000 });
      const shell = await shellOf(plane, version);
      const [first, second] = plane.members;
      const { name: leads } = await leaderOf(plane);
      const follower = plane.members.find(({ name }) => name !== leads);
      await shell('e user add somebody:password; e role add root');
      const revision = (await shell(`${REVISION}; echo "$rev"`)).said.trim();
      let learnerId = '';
      const at: Record<string, string> = {
        '`e compact`, each other': second?.endpoint ?? '',
      };
      const told: Record<string, number | null> = {};
      const expected: Record<string, number> = {};
      for (const [command, exits] of EXITS) {
        const [typed = '', where = ''] = command.split(', on ');
        const endpoint = where.startsWith('each other')
          ? at['`e compact`, each other']
          : where.startsWith('the leader')
            ? plane.member(leads).endpoint
            : first?.endpoint;
        // With a learner the commands for the whole cluster exit 1, so there is one only where it is needed.
        if (typed.startsWith('e member promote')) learnerId = (await plane.addLearner()).id;
        const id = /member (promote|remove)/.test(typed) ? learnerId : (follower?.id ?? '');
        const filled = typed
          .replace('<common name>', 'somebody')
          .replace('<key>', '/registry/pods/default/a')
          .replace(/<id[^>]*>/, id)
          .replace('/var/lib/etcd/rescue.db', join(directory, `${version}-${state}.db`));
        // A member that has just joined is caught up a moment later: etcd says so, and the page to do it then.
        const again = /member promote/.test(typed);
        let result = await shell(filled, endpoint, revision);
        for (let tries = 0; again && result.exit !== 0 && tries < 50; tries++) {
          result = await shell(filled, endpoint, revision);
        }
        told[command] = result.exit;
        expected[command] = exits[state];
        if (exits[state] !== 0)
          for (const text of exits.says) if (!text.startsWith('e ')) expect(result.said).toContain(text);
      }

      expect(told).toEqual(expected);
      expect(await listAlarms(plane)).toEqual([]);
      expect(await shell(KEYS_BY_KIND)).toMatchObject({ exit: 0 });
    });

    it('recover it by hand, in the order of the page', async () => {
      plane = await startControlPlane({ version, quotaBytes: 16 * 1024 * 1024 });
      await fillWithReports(plane, { reportBytes: 50_000 });
      const shell = await shellOf(plane, version);
      const byHand = blocksOf(page).find(({ text }) => text.includes('e compact --physical'))?.text ?? '';
      expect(byHand.split('\n').filter((line) => line.startsWith('e ') || line.startsWith('rev='))).toHaveLength(7);

      const { said: revision } = await shell(`${REVISION}; echo "$rev"`);
      for (const [index, { endpoint }] of plane.members.entries()) {
        const compacted = await shell('e compact --physical "$rev"', endpoint, revision.trim());
        expect(compacted).toMatchObject({ exit: index === 0 ? 0 : 1 });
        if (index > 0) expect(compacted.said).toContain('required revision has been compacted');
      }
      const { name: leads } = await leaderOf(plane);
      const followers = plane.members.filter(({ name }) => name !== leads);
      for (const { endpoint } of followers) {
        expect(await shell('e defrag --command-timeout=600s', endpoint)).toMatchObject({ exit: 0 });
      }
      expect(await shell(`e move-leader ${followers[0]?.id}`, plane.member(leads).endpoint)).toMatchObject({ exit: 0 });
      expect(await shell('e defrag --command-timeout=600s', plane.member(leads).endpoint)).toMatchObject({ exit: 0 });
      expect(await shell('e alarm disarm')).toMatchObject({ exit: 0 });

      expect(await shell('e alarm list')).toEqual({ exit: 0, said: '' });
      for (const { endpoint } of plane.members) expect(await putThrough(plane, endpoint)).toMatchObject({ ok: true });
    });

    it('show what changes, while something does', async () => {
      plane = await startControlPlane({ version, members: 1 });
      const shell = await shellOf(plane, version);
      const [member] = plane.members;
      let isOver = false;
      const watching = shell(CHANGES_BY_KIND).finally(() => {
        isOver = true;
      });

      await withMember(plane, member?.endpoint ?? '', async ({ kv }) => {
        while (!isOver)
          await kv.put({ key: Buffer.from('/registry/pods/default/a'), value: Buffer.from('x') }, within(30_000));
      });

      expect(await watching).toMatchObject({ exit: 0, said: expect.stringContaining('200 pods/default') });
    });

    it('tell whether a snapshot is whole; etcdctl itself only says how it is used, from 3.6 on', async () => {
      plane = await startControlPlane({ version, members: 1 });
      const shell = await shellOf(plane, version);
      const file = join(directory, `${version}-whole.db`);
      writeFileSync(`${file}.broken`, 'no database');
      await shell(`e snapshot save ${file}`);

      expect(await shell(`u snapshot status ${file} -w table`)).toMatchObject({ exit: 0 });
      const broken = await shell(`e snapshot status ${file}.broken`);
      if (version.startsWith('3.5.')) expect(broken.exit).not.toBe(0);
      else expect(broken).toMatchObject({ exit: 0, said: expect.stringMatching(/USAGE|Usage/) });
    });
  });
});

const noServer = whyNoRealApiServer();
if (noServer !== undefined) console.warn(`the runbook's kubectl commands are LEFT OUT: ${noServer}`);

describe.runIf(noServer === undefined)('the kubectl commands of the runbook, on a real API server', () => {
  it('delete what nobody needs, and leave alone what is in use', async () => {
    await using api = await startRealApiServer();
    const reports = kindNamed('VulnerabilityReport');
    const replicaSets = kindNamed('ReplicaSet');
    await api.create(reports, [
      { namespace: 'shop', name: 'a' },
      { namespace: 'other', name: 'b' },
    ]);
    await api.create(replicaSets, [
      { namespace: 'shop', name: 'old', content: { spec: { replicas: 0 } } },
      { namespace: 'shop', name: 'current', content: { spec: { replicas: 3 } } },
    ]);
    await using proxy = await withGroups(api);
    const shell = kubectlShell(proxy.url);
    const typed = (command: string) =>
      shell(
        command
          .replace(/<(report )?kind>/, 'vulnerabilityreports.aquasecurity.github.io')
          .replaceAll('<namespace>', 'shop'),
      );

    expect(await typed(READY)).toMatchObject({ exit: 0, said: expect.stringContaining('[+]etcd ok') });
    expect(await typed(REPORTS_OF)).toMatchObject({ exit: 0, said: expect.stringMatching(/shop +a/) });
    expect(await typed(DELETE_REPORTS)).toMatchObject({ exit: 0, said: expect.stringContaining('deleted') });
    expect(await typed(DELETE_REPLICA_SETS)).toMatchObject({ exit: 0, said: expect.stringContaining('"old" deleted') });
    expect((await api.list(reports)).map(({ name }) => name)).toEqual(['b']);
    expect((await api.list(replicaSets)).map(({ name }) => name)).toEqual(['current']);
  });
});

interface Result {
  readonly exit: number | null;
  /** Both outputs. */
  readonly said: string;
}

/** A shell with the page's `e` and `u`, without the container that they look for. */
async function shellOf(
  { credentials, members }: ControlPlane,
  version: string,
): Promise<(line: string, endpoint?: string, rev?: string) => Promise<Result>> {
  const { etcdctl = 'etcdctl', etcdutl = 'etcdutl' } = await findEtcd(version);
  return (line, endpoint = members[0]?.endpoint ?? '', rev = '') =>
    bash(
      `e() { '${etcdctl}' --endpoints='${endpoint}' --cacert='${credentials?.caFile}' --cert='${credentials?.certFile}' --key='${credentials?.keyFile}' --dial-timeout=30s "$@"; }
u() { '${etcdutl}' "$@"; }
rev='${rev}'
${line}`,
      {},
    );
}

/**
 * The API server has everything but the list of all groups, without which kubectl finds no kind: here it is put before
 * it.
 */
async function withGroups({
  server,
  caFile,
}: {
  server: string;
  caFile: string;
}): Promise<AsyncDisposable & { url: string }> {
  const groups = [kindNamed('VulnerabilityReport'), kindNamed('ReplicaSet')].map(({ group: name, version }) => {
    const groupVersion = { groupVersion: `${name}/${version}`, version };
    return { name, versions: [groupVersion], preferredVersion: groupVersion };
  });
  const lists: Readonly<Record<string, unknown>> = {
    '/api': { kind: 'APIVersions', versions: [] },
    '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups },
  };
  const ca = readFileSync(caFile);
  const proxy = createServer((request, response) => {
    const list = lists[(request.url ?? '').split('?')[0] ?? ''];
    if (list !== undefined) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(list));
      return;
    }
    const { method, url, headers } = request;
    const passed = { method, headers: { ...headers, authorization: 'Bearer admin-token' }, ca };
    const onwards = requestTls(new URL(url ?? '/', server), passed, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onwards.on('error', () => response.destroy());
    response.on('close', () => onwards.destroy());
    request.pipe(onwards);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

function kubectlShell(server: string): (line: string) => Promise<Result> {
  const config = join(directory, 'kubeconfig.json');
  writeFileSync(
    config,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'here', cluster: { server } }],
      contexts: [{ name: 'here', context: { cluster: 'here' } }],
      'current-context': 'here',
    }),
  );
  return (line) => bash(line, { KUBECONFIG: config, HOME: directory });
}

function bash(script: string, environment: Readonly<Record<string, string>>): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  // Without the machine's own settings: bash reads them where its input is a socket, as Node's pipes are.
  const child = spawn('bash', ['--norc', '--noprofile', '-c', script], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  child.on('error', reject);
  child.on('close', (exit) => resolve({ exit, said }));
  return promise;
}
