// A real Kubernetes API server for custom resources, from ../shared/kube-apiserver beside the project, on a real etcd.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { EtcdMedicError } from '../../functions/contract/errors.ts';
import type { Reachable } from '../control-plane/client.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { freePorts } from '../control-plane/ports.ts';
import { onProcessEnd } from '../control-plane/process-end.ts';
import type { ApiServerOptions } from './api-server.ts';
import { inItsGroup, putDefinitions } from './bulk.ts';
import { CORE_GROUP, KINDS } from './kinds.ts';
import { RealServer, type RealSetting } from './real-server.ts';
import { rulesByUser, tokenOf, writeTokenFiles } from './users.ts';

const MiB = 1024 * 1024;
const START_SCRIPT = resolve(
  import.meta.dirname,
  '../..',
  process.env.ETCD_MEDIC_KUBE_APISERVER ?? '../shared/kube-apiserver/start.mjs',
);
const READY_MS = 60_000;
/** A port that was free a moment ago is hardly ever taken twice in a row. */
const ATTEMPTS = 3;

/** Why `startRealApiServer` would fail here; undefined where it works. */
export function whyNoRealApiServer(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the real API server is for Linux on x86-64';
  return existsSync(START_SCRIPT) ? undefined : `${START_SCRIPT} is not there: set ETCD_MEDIC_KUBE_APISERVER`;
}

export async function startRealApiServer(options: ApiServerOptions = {}): Promise<RealApiServer> {
  await using started = new AsyncDisposableStack();
  const plane = options.plane ?? started.use(await startControlPlane({ members: 1, quotaBytes: 512 * MiB }));
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-kube-apiserver-'));
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const forget = onProcessEnd(remove);
  started.defer(() => {
    forget();
    remove();
  });
  const users = rulesByUser(options);
  writeTokenFiles(directory, users.keys());
  const policyFile = join(directory, 'pruner-policy.json');
  writeFileSync(policyFile, JSON.stringify(policy(users)));
  const flags = [
    // Without it a list's next page may come from the server's memory, whatever etcd has compacted; as in 1.33 and
    // before.
    `--feature-gates=ListFromCacheSnapshot=false,AllowUnsafeMalformedObjectDeletion=${options.unsafeDeletion ?? false}`,
    `--policy-file=${policyFile}`,
    ...(options.clientCaFile === undefined ? [] : [`--client-ca=${options.clientCaFile}`]),
    ...(options.maxMutatingInFlight === undefined
      ? []
      : [`--max-mutating-requests-inflight=${options.maxMutatingInFlight}`]),
  ];
  await putDefinitions(
    plane,
    KINDS.filter(({ columns }) => columns !== undefined),
  );
  const { server, caFile, pid } = await start(plane, directory, flags);
  const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').filter(Boolean);
  const api = new RealApiServer(
    { plane, directory, server, caFile, command, storageOf: inItsGroup },
    pid,
    started.move(),
  );
  await api.ready();
  return api;
}

/** By the script that comes with it, which registers the kinds, starts the server and leaves it running. */
async function start(plane: Reachable, directory: string, flags: readonly string[]) {
  const etcd = plane.members.map(({ endpoint }) => endpoint).join(',');
  const { credentials } = plane;
  const tls = credentials
    ? ['--etcd-ca', credentials.caFile, '--etcd-cert', credentials.certFile, '--etcd-key', credentials.keyFile]
    : [];
  for (let attempt = 1; ; attempt++) {
    const [port] = await freePorts(1);
    const args = [START_SCRIPT, '--etcd', etcd, ...tls, '--port', `${port}`, '--dir', directory, '--', ...flags];
    try {
      const { stdout } = await promisify(execFile)(process.execPath, args);
      return JSON.parse(stdout) as { server: string; caFile: string; pid: number };
    } catch (cause) {
      const log = await readFile(join(directory, 'api.log'), 'utf8').catch(() => '');
      if (attempt < ATTEMPTS && /address already in use/.test(log)) continue;
      throw new EtcdMedicError(`the API server did not start: ${log.slice(-2_000)}`, { cause });
    }
  }
}

/** As the server's flag --policy-file takes it. */
function policy(users: ReturnType<typeof rulesByUser>) {
  return {
    users: [...users].map(([user, rules]) => ({
      user,
      token: tokenOf(user),
      groups: rules === undefined ? ['system:masters'] : [],
    })),
    rules: [...users].flatMap(([user, rules = []]) =>
      rules.map((rule) => ({ user, ...rule, apiGroups: rule.apiGroups.map((group) => group || CORE_GROUP) })),
    ),
  };
}

interface Setting extends RealSetting {
  /** What was started, word by word. */
  readonly command: readonly string[];
}

export class RealApiServer extends RealServer {
  readonly #setting: Setting;
  readonly #rest: AsyncDisposableStack;
  #pid: number | undefined;
  #guards: readonly (() => void)[] = [];

  constructor(setting: Setting, pid: number, rest: AsyncDisposableStack) {
    super(setting);
    this.#setting = setting;
    this.#rest = rest;
    this.#guard(pid);
  }

  async kill(): Promise<void> {
    const pid = this.#pid;
    if (pid === undefined) return;
    for (const guard of this.#guards) guard();
    this.#pid = undefined;
    if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    while (isRunning(pid)) await wait(10);
  }

  async restart(): Promise<void> {
    await this.kill();
    const [program = '', ...args] = this.#setting.command;
    const log = openSync(join(this.#setting.directory, 'api.log'), 'a');
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    child.unref();
    if (child.pid === undefined) throw new EtcdMedicError(`${program} did not start`);
    this.#guard(child.pid);
    await this.ready();
  }

  /** Waits until it serves; right after a start a kind's first list may be answered by 429. */
  async ready(): Promise<void> {
    const giveUpAt = Date.now() + READY_MS;
    for (;;) {
      const path = '/apis/aquasecurity.github.io/v1alpha1/vulnerabilityreports?limit=1';
      const answer = await this.ask('GET', path, [404, 429, 500, 503]).catch(() => undefined);
      if (answer?.status === 200) return;
      const ended = this.#pid === undefined || !isRunning(this.#pid);
      if (ended || Date.now() > giveUpAt) {
        const log = readFileSync(join(this.#setting.directory, 'api.log'), 'utf8').slice(-2_000);
        throw new EtcdMedicError(`the API server ${ended ? 'has ended' : 'does not serve'}: ${log}`);
      }
      await wait(50);
    }
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#rest.disposeAsync();
  }

  /** The server goes when this process does, by whatever end. */
  #guard(pid: number): void {
    this.#pid = pid;
    const forget = onProcessEnd(() => isRunning(pid) && process.kill(pid, 'SIGKILL'));
    const script = 'tail --pid="$0" -f /dev/null; kill -9 "$1"; rm -rf "$2"';
    const args = ['-c', script, `${process.pid}`, `${pid}`, this.#setting.directory];
    const watchdog: ChildProcess = spawn('sh', args, { detached: true, stdio: 'ignore' });
    watchdog.unref();
    const stop = () => {
      // The shell and its tail, which are a group of their own.
      if (watchdog.pid !== undefined) process.kill(-watchdog.pid, 'SIGKILL');
    };
    this.#guards = [forget, stop];
  }
}

function isRunning(pid: number): boolean {
  try {
    // A zombie still takes signals; it has ended all the same, and its port is free, once it is the last of its
    // threads.
    const hasEnded = /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return !hasEnded || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}
