// A whole kube-apiserver on real etcd, with RBAC, admission, priority and fairness, and, where asked for, a
// kube-controller-manager with its garbage collector and the controllers of Deployments: nothing runs any Pod.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type KubernetesObject, loadAllYaml } from '@kubernetes/client-node';
import { EtcdMedicError } from '../../functions/contract/errors.ts';
import { createAuthority } from '../control-plane/certificates.ts';
import type { Reachable } from '../control-plane/client.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { Kubelet } from '../control-plane/kubelet.ts';
import { freePorts } from '../control-plane/ports.ts';
import { dieWithParent, onProcessEnd } from '../control-plane/process-end.ts';
import type { ApiServerOptions, Rule } from './api-server.ts';
import { type Definition, reportDefinitions } from './definitions.ts';
import { findKubernetes, type KubernetesBinaries } from './kubernetes-binaries.ts';
import { RealServer, type RealSetting } from './real-server.ts';
import { tokenOf, writeTokenFiles } from './users.ts';

export interface WholeOptions extends Omit<ApiServerOptions, 'unsafeDeletion' | 'maxMutatingInFlight'> {
  /** Of `pruner`. @default what docs/rbac.yaml gives the group of its certificates */
  readonly rules?: readonly Rule[];
  /** With a kube-controller-manager. @default true */
  readonly controllers?: boolean;
  /** Further flags of the API server. */
  readonly flags?: readonly string[];
}

const MiB = 1024 * 1024;
const READY_MS = 90_000;
const LOOK_EVERY_MS = 50;
/** A port that was free a moment ago is hardly ever taken twice in a row. */
const ATTEMPTS = 3;
const RBAC = new URL('../../docs/rbac.yaml', import.meta.url);
const CONTROLLERS = 'system:kube-controller-manager';
/** The subjects of docs/rbac.yaml. */
const PRUNERS = 'etcd-medic:pruner';
export const SERVICE_ACCOUNT = 'system:serviceaccount:kube-system:etcd-medic-pruner';

/**
 * Ready in some seconds: with the definitions of all reports, docs/rbac.yaml, and a garbage collector that collects.
 * @throws EtcdMedicError with the end of the log of what does not start
 */
export async function startWholeApiServer(options: WholeOptions = {}): Promise<WholeApiServer> {
  const binaries = await findKubernetes();
  await using started = new AsyncDisposableStack();
  const plane = options.plane ?? started.use(await startControlPlane({ members: 1, quotaBytes: 512 * MiB }));
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-kubernetes-'));
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const forget = onProcessEnd(remove);
  started.defer(() => {
    forget();
    remove();
  });
  const files = await writeFiles(directory, options);
  for (let attempt = 1; ; attempt++) {
    const [port] = await freePorts(1);
    const server = `https://127.0.0.1:${port}`;
    const flags = apiServerFlags(plane, files, [`--secure-port=${port}`, ...(options.flags ?? [])]);
    const apiServer = await staticPod(binaries.apiServer, flags, join(directory, 'kube-apiserver.log'));
    const controllers = await controllerManager(binaries, server, files);
    const setting = { plane, directory, server, caFile: files.caFile, apiServer, controllers };
    const whole = new WholeApiServer(setting);
    try {
      await whole.restart();
      await whole.furnish(await reportDefinitions(binaries), options);
      if (options.controllers ?? true) await whole.startControllers();
      whole.keep(started.move());
      return whole;
    } catch (error) {
      await whole[Symbol.asyncDispose]();
      if (attempt === ATTEMPTS || !String(error).includes('address already in use')) throw error;
    }
  }
}

interface Files {
  readonly directory: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string;
  readonly tokens: string;
  readonly signingKey: string;
  readonly verifyingKey: string;
  readonly auditPolicy: string;
}

async function writeFiles(directory: string, { rules, others = {}, clientCaFile }: WholeOptions): Promise<Files> {
  const authority = await createAuthority(join(directory, 'pki'));
  const certificate = await authority.issue({ name: 'kube-apiserver', usages: ['server'] });
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const write = (name: string, text: string) => {
    const file = join(directory, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const groups: Readonly<Record<string, string>> = {
    admin: 'system:masters',
    pruner: rules === undefined ? PRUNERS : '',
    nobody: '',
    [CONTROLLERS]: '',
    ...Object.fromEntries(Object.keys(others).map((user) => [user, ''])),
  };
  writeTokenFiles(directory, Object.keys(groups));
  const lines = Object.entries(groups).map(([user, group]) => `${tokenOf(user)},${user},${user},"${group}"`);
  const audit = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [
      { level: 'Metadata', userGroups: [PRUNERS] },
      { level: 'Metadata', users: ['pruner', SERVICE_ACCOUNT, ...Object.keys(others)] },
      { level: 'None' },
    ],
  };
  return {
    directory,
    ...certificate,
    clientCaFile: clientCaFile ?? authority.caFile,
    tokens: write('tokens.csv', `${lines.join('\n')}\n`),
    signingKey: write('sa.key', keys.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()),
    verifyingKey: write('sa.pub', keys.publicKey.export({ type: 'spki', format: 'pem' }).toString()),
    auditPolicy: write('audit.json', JSON.stringify(audit)),
  };
}

/** As kubeadm's manifest has them, as far as they make sense without a node. */
function apiServerFlags({ members, credentials }: Reachable, files: Files, more: readonly string[]): readonly string[] {
  const tls = credentials && [
    `--etcd-cafile=${credentials.caFile}`,
    `--etcd-certfile=${credentials.certFile}`,
    `--etcd-keyfile=${credentials.keyFile}`,
  ];
  return [
    `--etcd-servers=${members.map(({ endpoint }) => endpoint).join(',')}`,
    ...(tls ?? []),
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--tls-cert-file=${files.certFile}`,
    `--tls-private-key-file=${files.keyFile}`,
    `--cert-dir=${files.directory}`,
    `--client-ca-file=${files.clientCaFile}`,
    `--token-auth-file=${files.tokens}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${files.verifyingKey}`,
    `--service-account-signing-key-file=${files.signingKey}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--shutdown-delay-duration=0s',
    `--audit-policy-file=${files.auditPolicy}`,
    `--audit-log-path=${auditLog(files)}`,
    ...more,
  ];
}

/** As kubeadm's manifest has it: with leader election it ends 10 s after NOSPACE, and its kubelet starts it again. */
async function controllerManager(
  { controllerManager: binary }: KubernetesBinaries,
  server: string,
  { directory, caFile, signingKey }: Files,
): Promise<Kubelet> {
  const kubeconfig = join(directory, 'controller-manager.conf');
  const named = { name: 'here' };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ ...named, cluster: { server, 'certificate-authority': caFile } }],
    users: [{ ...named, user: { token: tokenOf(CONTROLLERS) } }],
    contexts: [{ ...named, context: { cluster: 'here', user: 'here' } }],
    'current-context': 'here',
  };
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  const flags = [
    ...['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map((flag) => `--${flag}=${kubeconfig}`),
    '--controllers=*',
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${signingKey}`,
    `--root-ca-file=${caFile}`,
    '--secure-port=0',
  ];
  return staticPod(binary, flags, join(directory, 'kube-controller-manager.log'));
}

async function staticPod(binary: string, flags: readonly string[], logFile: string): Promise<Kubelet> {
  const [command = binary, ...args] = [...(await dieWithParent()), binary, ...flags];
  return new Kubelet({ command, args, logFile });
}

function auditLog({ directory }: Pick<Files, 'directory'>): string {
  return join(directory, 'audit.log');
}

interface Setting extends RealSetting {
  readonly apiServer: Kubelet;
  readonly controllers: Kubelet;
}

/** A request of a pruner, as the API server's audit log has it. */
export interface AuditEvent {
  readonly verb: string;
  readonly user: { readonly username: string; readonly groups?: readonly string[] };
  /** Left out for discovery. */
  readonly objectRef?: { readonly apiGroup?: string; readonly resource: string; readonly subresource?: string };
  readonly requestURI: string;
  readonly responseStatus: { readonly code: number };
}

export class WholeApiServer extends RealServer {
  readonly #setting: Setting;
  readonly #rest = new AsyncDisposableStack();
  readonly #forget: () => void;

  constructor(setting: Setting) {
    super(setting);
    this.#setting = setting;
    this.#forget = onProcessEnd(() => {
      setting.apiServer.killNow();
      setting.controllers.killNow();
    });
  }

  /** What goes with it, in the end. */
  keep(rest: AsyncDisposableStack): void {
    this.#rest.use(rest);
  }

  async kill(): Promise<void> {
    await this.#setting.apiServer.stop('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.kill();
    this.#setting.apiServer.start();
    await this.#until(this.#setting.apiServer, 'kube-apiserver', async () => {
      const { status } = await this.ask('GET', '/readyz', [401, 403, 429, 500, 503]);
      return status === 200;
    });
  }

  /** Waits until the garbage collector works, which is the last to. */
  async startControllers(): Promise<void> {
    const { controllers } = this.#setting;
    controllers.start();
    const [path, name] = ['/api/v1/namespaces/default/configmaps', 'collected-when-ready'];
    const gone = { apiVersion: 'v1', kind: 'ConfigMap', name: 'gone', uid: '00000000-0000-4000-8000-00000000dead' };
    const metadata = { name, ownerReferences: [gone] };
    await this.#until(controllers, 'kube-controller-manager', async () => {
      const { status } = await this.ask('POST', path, [404, 409], JSON.stringify({ metadata }));
      return status < 300;
    });
    await this.#until(controllers, 'kube-controller-manager', async () => {
      const { status } = await this.ask('GET', `${path}/${name}`, [404]);
      return status === 404;
    });
  }

  async stopControllers(): Promise<void> {
    await this.#setting.controllers.stop('SIGKILL');
  }

  /** They hang, as on a node that does: nothing is collected and nothing rolled out until `resumeControllers`. */
  pauseControllers(): void {
    this.#setting.controllers.signal('SIGSTOP');
  }

  resumeControllers(): void {
    this.#setting.controllers.signal('SIGCONT');
  }

  /** What pruners have asked so far. */
  async asked(): Promise<readonly AuditEvent[]> {
    const text = await readFile(auditLog(this.#setting), 'utf8');
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as AuditEvent]));
  }

  /**
   * Creates it, as its admin.
   * @returns it as it is stored
   */
  async apply<Stored extends KubernetesObject>(object: KubernetesObject): Promise<Stored> {
    return (await this.ask<Stored>('POST', pathFor(object), [], JSON.stringify(object))).document;
  }

  /** For startWholeApiServer: its kinds, and who may do what. */
  async furnish(definitions: readonly Definition[], { rules, others = {} }: WholeOptions): Promise<void> {
    await this.#until(this.#setting.apiServer, 'kube-apiserver', async () => {
      return (await this.ask('GET', '/api/v1/namespaces/default', [404])).status === 200;
    });
    await Promise.all(definitions.map((definition) => this.apply(definition)));
    const byUser = { ...others, ...(rules !== undefined && { pruner: rules }) };
    const granted = rules === undefined ? loadAllYaml(readFileSync(RBAC, 'utf8')) : [];
    await Promise.all([...granted, ...Object.entries(byUser).flatMap(roleAndBinding)].map((each) => this.apply(each)));
    await Promise.all(definitions.map((definition) => this.#untilServed(definition)));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.stopControllers();
    await super[Symbol.asyncDispose]();
    this.#forget();
    await this.#rest.disposeAsync();
  }

  async #untilServed({ spec }: Definition): Promise<void> {
    const version = spec.versions.find(({ storage }) => storage)?.name;
    await this.#until(this.#setting.apiServer, 'kube-apiserver', async () => {
      const path = `/apis/${spec.group}/${version}/${spec.names.plural}?limit=1`;
      return (await this.ask('GET', path, [404, 429, 503])).status === 200;
    });
  }

  async #until(pod: Kubelet, name: string, isSo: () => Promise<boolean>): Promise<void> {
    const giveUpAt = Date.now() + READY_MS;
    const firstStart = pod.startedAt;
    let problem: unknown;
    for (;;) {
      const holds = await isSo().catch((error: unknown) => {
        problem = error;
        return false;
      });
      if (holds) return;
      const ended = (pod.lastExit?.at ?? 0) >= firstStart;
      if (ended || Date.now() > giveUpAt) {
        const log = readFileSync(join(this.#setting.directory, `${name}.log`), 'utf8').slice(-2_000);
        throw new EtcdMedicError(`${name} ${ended ? 'has ended' : 'does not do what it should'}: ${log}`, {
          cause: problem,
        });
      }
      await wait(LOOK_EVERY_MS);
    }
  }
}

function roleAndBinding([user, rules]: readonly [string, readonly Rule[]]): readonly KubernetesObject[] {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const metadata = { name: `test-${user}` };
  const apiGroup = 'rbac.authorization.k8s.io';
  return [
    { apiVersion, kind: 'ClusterRole', metadata, rules } as KubernetesObject,
    {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup, kind: 'ClusterRole', name: metadata.name },
      subjects: [{ apiGroup, kind: 'User', name: user }],
    } as KubernetesObject,
  ];
}

/** Where a kind's objects are made. */
function pathFor({ apiVersion = 'v1', kind = '', metadata }: KubernetesObject): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const namespace = metadata?.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${root}${namespace}/${kind.toLowerCase()}s`;
}
