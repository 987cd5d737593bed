// A running control plane: its members, and what can be done to them. Made by startControlPlane.
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ClusterConfiguration, parseCluster } from '../../functions/run/configuration.ts';
import { EtcdMedicError } from '../../functions/run/errors.ts';
import { type CredentialFiles, openAuthority } from './certificates.ts';
import type { EtcdBinaries } from './etcd-binaries.ts';
import { joinAsLearner } from './learner.ts';
import { clientCredentials, issueMemberCertificates, type MemberSpec, PlaneMember, peerUrl } from './member.ts';
import { freePorts } from './ports.ts';
import { dieWithParent, onProcessEnd } from './process-end.ts';
import { MemberStartError, untilReady } from './readiness.ts';

export interface PlaneSetting {
  readonly directory: string;
  /** Leave the folder there at the end. */
  readonly keep: boolean;
  readonly binaries: EtcdBinaries;
  readonly tls: boolean;
  readonly flags: readonly string[];
  readonly kubeletSpeed: number;
}

/** Long enough for an alarm that returns at once to be seen, short enough for tests. */
const WATCH_SECONDS = 2;

export class ControlPlane implements AsyncDisposable {
  readonly directory: string;
  readonly version: string;
  /** Undefined for plain http. */
  readonly credentials: CredentialFiles | undefined;
  readonly #setting: PlaneSetting;
  readonly #members: PlaneMember[] = [];
  readonly #forget: () => void;
  #stopped: Promise<void> | undefined;

  constructor(setting: PlaneSetting) {
    this.#setting = setting;
    this.directory = setting.directory;
    this.version = setting.binaries.version;
    this.credentials = setting.tls ? clientCredentials(setting.directory) : undefined;
    this.#forget = onProcessEnd(() => {
      for (const { kubelet } of this.#members) kubelet.killNow();
      if (!setting.keep) rmSync(setting.directory, { recursive: true, force: true, maxRetries: 5 });
    });
  }

  get members(): readonly PlaneMember[] {
    return this.#members;
  }

  /** Client URLs of all members, also of those that are stopped. */
  get endpoints(): readonly string[] {
    return this.#members.map(({ endpoint }) => endpoint);
  }

  /** @throws RangeError where there is none of that name */
  member(name: string): PlaneMember {
    const found = this.#members.find((each) => each.name === name);
    if (!found)
      throw new RangeError(`no member ${name}, there are ${this.#members.map((each) => each.name).join(', ')}`);
    return found;
  }

  /** The cluster configuration of this plane, as functions and bin/invoke.ts take it. `etcd` and `recover` are merged, all else replaced. */
  configuration(overrides: Readonly<Record<string, unknown>> = {}): ClusterConfiguration {
    const { etcd = {}, recover = {}, ...rest } = overrides;
    const { credentials } = this;
    return parseCluster({
      name: 'control-plane',
      etcd: { endpoints: [...this.endpoints], ...(credentials && { credentials }), ...Object(etcd) },
      recover: { watchSeconds: WATCH_SECONDS, ...Object(recover) },
      ...rest,
    });
  }

  /** Sends a member a signal; its kubelet restarts it if it ends: the first time at once. */
  kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): void {
    const { kubelet } = this.member(name);
    if (kubelet.pid === undefined) throw new EtcdMedicError(`${name} isn't running, so it can't be sent ${signal}`);
    kubelet.signal(signal);
  }

  /** Takes a member down, and keeps it down. */
  async stopMember(name: string, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await this.member(name).kubelet.stop(signal);
  }

  /** Brings a stopped member back; returns at once, see `ready`. */
  startMember(name: string): void {
    this.member(name).kubelet.start();
  }

  /** Makes a member hang: its connections stay open and nothing answers. */
  pause(name: string): void {
    this.kill(name, 'SIGSTOP');
  }

  resume(name: string): void {
    this.kill(name, 'SIGCONT');
  }

  /**
   * Waits until these members answer.
   * @param names all by default
   * @throws MemberStartError
   */
  async ready(names: readonly string[] = this.#members.map(({ name }) => name)): Promise<void> {
    await Promise.all(names.map((name) => untilReady(this.credentials, this.member(name))));
  }

  /** Adds a learner named `learner-1`, `learner-2`, … and waits until it answers. It stays one: nobody promotes it. Not kept for a later start. */
  async addLearner(quotaBytes = this.#members[0]?.quotaBytes ?? 0): Promise<PlaneMember> {
    const { tls, directory } = this.#setting;
    const [clientPort, peerPort] = await freePorts(2);
    if (clientPort === undefined || peerPort === undefined) throw new RangeError('fewer ports than asked for');
    const name = `learner-${this.#members.filter(({ isLearner }) => isLearner).length + 1}`;
    const spec: MemberSpec = { name, clientPort, peerPort, quotaBytes };
    if (tls) await issueMemberCertificates(await openAuthority(join(directory, 'pki')), name);
    const url = peerUrl(spec, tls);
    const voter = this.#members.find(({ isLearner, pid }) => !isLearner && pid !== undefined);
    if (!voter) throw new MemberStartError('no voter is running that a learner could join');
    await joinAsLearner(this.credentials, voter.endpoint, url);
    const learner = await this.#add(spec, { joining: true, cluster: [...this.#members, { name, peerUrl: url }] });
    learner.kubelet.start();
    await this.ready([name]);
    return learner;
  }

  /**
   * Runs etcdctl against all members, or against those that `args` names by `--endpoints`.
   * @returns its standard output
   */
  async etcdctl(args: readonly string[]): Promise<string> {
    const { etcdctl } = this.#setting.binaries;
    if (!etcdctl) throw new EtcdMedicError('there is no etcdctl beside this etcd: install etcd-client');
    const tls = this.credentials
      ? [
          `--cacert=${this.credentials.caFile}`,
          `--cert=${this.credentials.certFile}`,
          `--key=${this.credentials.keyFile}`,
        ]
      : [];
    const { stdout } = await promisify(execFile)(
      etcdctl,
      // Given twice, etcdctl takes both.
      [
        ...(args.some((arg) => arg.startsWith('--endpoints')) ? [] : [`--endpoints=${this.endpoints.join(',')}`]),
        ...tls,
        ...args,
      ],
      { env: { PATH: process.env.PATH, ETCDCTL_API: '3' }, maxBuffer: 16 * 1024 * 1024 },
    );
    return stdout;
  }

  /** Kills all members and removes the folder (where it is the plane's own). May be called again. */
  stop({ keep = this.#setting.keep } = {}): Promise<void> {
    this.#stopped ??= (async () => {
      await Promise.all(this.#members.map(({ kubelet }) => kubelet.stop('SIGKILL')));
      if (!keep) await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
      this.#forget();
    })();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** For startControlPlane. */
  async start(specs: readonly MemberSpec[]): Promise<void> {
    const cluster = specs.map((spec) => ({ name: spec.name, peerUrl: peerUrl(spec, this.#setting.tls) }));
    for (const spec of specs) await this.#add(spec, { joining: false, cluster });
    for (const { kubelet } of this.#members) kubelet.start();
    await this.ready();
  }

  async #add(
    spec: MemberSpec,
    { joining, cluster }: { joining: boolean; cluster: readonly { name: string; peerUrl: string }[] },
  ): Promise<PlaneMember> {
    const initialCluster = cluster.map((each) => `${each.name}=${each.peerUrl}`).join(',');
    const added = new PlaneMember(spec, { ...this.#setting, initialCluster, joining }, await dieWithParent());
    this.#members.push(added);
    return added;
  }
}
