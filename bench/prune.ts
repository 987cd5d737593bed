// How many reports a second are deleted: etcd-medic's pruning against `kubectl delete` of the same list, where kubectl
// is on PATH, and against the plainest loop over the API (one connection, one DELETE after the other) or, with
// `--baseline DIR`, against another checkout's, in turns; then with a server that allows few changes at the same time
// and says 429. On a real API server and three real etcd members. Prints every run and the medians; asserts nothing.
import { execFile } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { Agent } from 'undici';
import { startControlPlane } from '../lab/control-plane/control-plane.ts';
import type { TestApiServer } from '../lab/kubernetes/api-server.ts';
import { kindNamed } from '../lab/kubernetes/kinds.ts';
import { startRealApiServer, whyNoRealApiServer } from '../lab/kubernetes/real-api-server.ts';
import { createOwners, staleReports } from '../lab/kubernetes/sample-cluster.ts';
import { createAll } from '../lab/runs/prune.ts';
import { BASELINE_OPTION, type Checkout, checkouts, compare, inTurns, invoke } from './checkouts.ts';
import { median } from './median.ts';

const MiB = 1024 * 1024;
const REPORT = kindNamed('VulnerabilityReport');
const KIND = 'vulnerabilityreports.aquasecurity.github.io';
const { values: options } = parseArgs({
  options: {
    ...BASELINE_OPTION,
    runs: { type: 'string', default: '5' },
    reports: { type: 'string', default: '3000' },
    bytes: { type: 'string', default: '12000' },
    'in-flight': { type: 'string', default: '4' },
    'settle-seconds': { type: 'string', default: '3' },
    // What lies between a function and an API server in another zone; without it both share this machine's cores and
    // nothing waits.
    'rtt-ms': { type: 'string', default: '0' },
  },
});
const runs = Number(options.runs);
const reports = Number(options.reports);
const inFlight = Number(options['in-flight']);

const missing = whyNoRealApiServer();
if (missing !== undefined) {
  console.error(missing);
  process.exit(1);
}

/** How often a server has said 429 to this process since it was last asked. */
let refusals = 0;
subscribe('undici:request:headers', (message) => {
  const response: unknown = Reflect.get(Object(message), 'response');
  if (Reflect.get(Object(response), 'statusCode') === 429) refusals++;
});

interface Run {
  /** From the first delete to the last. */
  readonly deleteMs: number;
  /** With the list, and for ours with all that a run does besides. */
  readonly wholeMs: number;
  readonly refusals: number;
}

/** What is left out is measured around it. */
type Contestant = (api: TestApiServer) => Promise<Pick<Run, 'deleteMs'> & Partial<Run>>;

const execute = promisify(execFile);
const [ours, baseline] = await checkouts(options.baseline);
const contestants: Readonly<Record<string, Contestant>> = {
  'etcd-medic': medic(ours),
  ...(baseline === undefined ? await others() : { baseline: medic(baseline) }),
};

await using plane = await startControlPlane({ members: 3, quotaBytes: 2048 * MiB });
await contest('the server’s own limits', {});
await contest(`at most ${inFlight} changes at the same time`, { maxMutatingInFlight: inFlight });

async function contest(title: string, limits: { readonly maxMutatingInFlight?: number }): Promise<void> {
  await using direct = await startRealApiServer({ plane, ...limits });
  await using distance = await startDistance(direct.server, Number(options['rtt-ms']) / 2);
  const api = away(direct, distance.server);
  await createOwners(api);
  console.log(`${title}, ${options['rtt-ms']} ms away: ${reports} reports of ${options.bytes} bytes`);
  const results = new Map<string, Run[]>();
  for (let turn = 1; turn <= runs; turn++) {
    for (const [name, contestant] of inTurns(Object.entries(contestants), turn)) {
      const content = { report: { text: 'x'.repeat(Number(options.bytes)) } };
      await createAll(api, REPORT, staleReports(reports, content));
      // What was written is still on its way through the server's caches.
      await wait(Number(options['settle-seconds']) * 1000);
      refusals = 0;
      const started = performance.now();
      const own = await contestant(api);
      const run = { wholeMs: performance.now() - started, refusals, ...own };
      const left = (await api.list(REPORT)).length;
      if (left > 0) throw new Error(`${name} has left ${left} reports`);
      results.set(name, [...(results.get(name) ?? []), run]);
      console.log(`  ${name}, run ${turn}: ${describe(run)}`);
    }
  }
  for (const [name, list] of results) console.log(`  median of ${list.length}: ${name}: ${describe(medianRun(list))}`);
  if (baseline !== undefined) {
    const [ourRuns, theirs] = [results.get('etcd-medic') ?? [], results.get('baseline') ?? []];
    const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`;
    const deletes = ({ deleteMs }: Run) => deleteMs;
    const whole = ({ wholeMs }: Run) => wholeMs;
    console.log(`  ${compare('deleting', ourRuns.map(deletes), theirs.map(deletes), seconds)}`);
    console.log(`  ${compare('from begin to end', ourRuns.map(whole), theirs.map(whole), seconds)}`);
  }
  for (const other of results.keys()) {
    if (other === 'etcd-medic') continue;
    const ratio = (of: (run: Run) => number) =>
      median((results.get(other) ?? []).map(of)) / median((results.get('etcd-medic') ?? []).map(of));
    const [deletes, whole] = [ratio(({ deleteMs }) => deleteMs), ratio(({ wholeMs }) => wholeMs)];
    console.log(
      `  against ${other}, etcd-medic is ${deletes.toFixed(2)} × as fast at deleting, ${whole.toFixed(2)} × from begin to end`,
    );
  }
}

async function others(): Promise<Readonly<Record<string, Contestant>>> {
  const version = await execute('kubectl', ['version', '--client']).then(
    ({ stdout }) => stdout.split('\n')[0],
    () => undefined,
  );
  console.log(version === undefined ? 'kubectl is not on PATH: without it' : `kubectl: ${version}`);
  return { 'plain loop': plainLoop, ...(version !== undefined && { 'kubectl delete': kubectlDelete }) };
}

/** From the run's own begin to its end: the start of its process is not counted. */
function medic(checkout: Checkout): Contestant {
  return async (api) => {
    const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-bench-'));
    try {
      const file = join(folder, 'refusals');
      process.env.ETCD_MEDIC_BENCH_REFUSALS = file;
      const configuration = {
        name: 'bench',
        etcd: { endpoints: plane.endpoints, ...(plane.credentials && { credentials: plane.credentials }) },
        kubernetes: api.configuration(),
        prune: { maxStaleShare: 1, maxDeletes: 1_000_000 },
      };
      const counting = ['--import', new URL('count-refusals.ts', import.meta.url).href];
      const report = await invoke(checkout, 'prune', configuration, counting);
      const step = report.steps.find(({ name }) => name === `delete ${KIND}`);
      if (step === undefined) throw new Error(`nothing was deleted: ${report.reason}`);
      const wholeMs = Date.parse(report.finishedAt) - Date.parse(report.startedAt);
      return { deleteMs: step.durationMs, wholeMs, refusals: Number(await readFile(file, 'utf8')) };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

async function plainLoop(api: TestApiServer): Promise<{ deleteMs: number }> {
  const { credentials, server } = api.configuration();
  const names = (await api.list(REPORT)).map(({ namespace, name }) => ({ namespace, name }));
  const agent = new Agent({ connections: 1, pipelining: 1, connect: { ca: readFileSync(credentials.caFile) } });
  const authorization = `Bearer ${readFileSync(credentials.tokenFile, 'utf8').trim()}`;
  const headers = { authorization, 'content-type': 'application/json' };
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' });
  const started = performance.now();
  for (const { namespace, name } of names) {
    const path = `/apis/aquasecurity.github.io/v1alpha1/namespaces/${namespace}/vulnerabilityreports/${name}`;
    for (;;) {
      const answer = await agent.request({ origin: server, path, method: 'DELETE', headers, body });
      await answer.body.dump();
      if (answer.statusCode !== 429) break;
      await wait(Number(answer.headers['retry-after'] ?? 1) * 1000);
    }
  }
  const deleteMs = performance.now() - started;
  await agent.close();
  return { deleteMs };
}

/** By a list of their names, and without waiting for each to be gone, which would take it longer still. */
async function kubectlDelete(api: TestApiServer): Promise<{ deleteMs: number }> {
  const { credentials, server } = api.configuration('admin');
  const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-kubectl-'));
  try {
    const items = (await api.list(REPORT)).map(({ namespace, name }) => ({
      apiVersion: 'aquasecurity.github.io/v1alpha1',
      kind: 'VulnerabilityReport',
      metadata: { namespace, name },
    }));
    const list = join(folder, 'list.json');
    await writeFile(list, items.map((item) => JSON.stringify(item)).join('\n'));
    await tellKinds(join(folder, 'cache', 'discovery', new URL(server).host.replace(':', '_')));
    const token = readFileSync(credentials.tokenFile, 'utf8').trim();
    const connection = [
      '--cache-dir',
      join(folder, 'cache'),
      '--server',
      server,
      '--certificate-authority',
      credentials.caFile,
      '--token',
      token,
    ];
    const started = performance.now();
    await execute('kubectl', [...connection, 'delete', '--wait=false', '-o', 'name', '-f', list], {
      env: { ...process.env, HOME: folder, KUBECONFIG: '/dev/null' },
      maxBuffer: 64 * MiB,
    });
    return { deleteMs: performance.now() - started };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What kubectl would have asked for and kept: the server that the tests have doesn't tell its groups. */
async function tellKinds(cache: string): Promise<void> {
  const [name, version] = ['aquasecurity.github.io', 'v1alpha1'];
  const groupVersion = { groupVersion: `${name}/${version}`, version };
  const groups = {
    apiVersion: 'v1',
    kind: 'APIGroupList',
    groups: [{ name, versions: [groupVersion], preferredVersion: groupVersion }],
  };
  const resources = {
    apiVersion: 'v1',
    kind: 'APIResourceList',
    groupVersion: groupVersion.groupVersion,
    resources: [
      {
        name: 'vulnerabilityreports',
        singularName: 'vulnerabilityreport',
        namespaced: true,
        kind: 'VulnerabilityReport',
        verbs: ['delete', 'get', 'list', 'watch'],
      },
    ],
  };
  await mkdir(join(cache, name, version), { recursive: true });
  await writeFile(join(cache, 'servergroups.json'), JSON.stringify(groups));
  await writeFile(join(cache, name, version, 'serverresources.json'), JSON.stringify(resources));
}

/** The same server as it is reached over the distance: the contestants' calls go there, all else does not. */
function away(api: TestApiServer, server: string): TestApiServer {
  const configuration: TestApiServer['configuration'] = (user) => ({ ...api.configuration(user), server });
  return new Proxy(api, {
    get: (target, field) => {
      if (field === 'configuration') return configuration;
      const value: unknown = Reflect.get(target, field);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Passes bytes on, each later by `oneWayMs`. */
async function startDistance(server: string, oneWayMs: number): Promise<{ server: string } & AsyncDisposable> {
  const { hostname, port } = new URL(server);
  const sockets = new Set<Socket>();
  const pass = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.setNoDelay();
    from.on('data', (bytes) => setTimeout(() => to.destroyed || to.write(bytes), oneWayMs));
    from.on('close', () => {
      sockets.delete(from);
      setTimeout(() => to.destroy(), oneWayMs);
    });
    from.on('error', () => {}); // it closes, which is passed on
  };
  const listener = createServer((near) => {
    const far = connect(Number(port), hostname);
    pass(near, far);
    pass(far, near);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const own = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    server: oneWayMs > 0 ? `https://127.0.0.1:${own}` : server,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function describe({ deleteMs, wholeMs, refusals: refused }: Run): string {
  const rate = (reports / (deleteMs / 1000)).toFixed(0);
  const whole = (reports / (wholeMs / 1000)).toFixed(0);
  return `${rate} deletes a second, ${whole} reports a second from begin to end; 429 said ${refused} times`;
}

function medianRun(list: readonly Run[]): Run {
  return {
    deleteMs: median(list.map(({ deleteMs }) => deleteMs)),
    wholeMs: median(list.map(({ wholeMs }) => wholeMs)),
    refusals: median(list.map((run) => run.refusals)),
  };
}
