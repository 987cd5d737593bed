// A running control plane: its members, and what can be done to them. Made by startControlPlane.
import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClusterConfiguration, parseCluster } from '../../functions/contract/configuration.ts';
import { EtcdMedicError } from '../../functions/contract/errors.ts';
import { type CredentialFiles, openAuthority } from './certificates.ts';
import { type EtcdBinaries, findEtcd } from './etcd-binaries.ts';
import { runEtcdctl } from './etcdctl.ts';
import { findPlaceBeside } from './layout.ts';
import { joinAsLearner, untilListed } from './learner.ts';
import { clientCredentials, issueMemberCertificates, type MemberSpec, PlaneMember, peerUrl } from './member.ts';
import { type Cut, type CutOptions, PlaneNetwork } from './network.ts';
import { ControlPlaneNode, NODE_TAG } from './node.ts';
import type { KubeadmGeneration } from './probes.ts';
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
  readonly probes: KubeadmGeneration | undefined;
  readonly nodes: boolean;
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
  readonly #specs: MemberSpec[] = [];
  readonly #nodes: ControlPlaneNode[] = [];
  readonly #network = new PlaneNetwork();
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

  /** What the members are on, in their order; empty for a plane without nodes. */
  get nodes(): readonly ControlPlaneNode[] {
    return this.#nodes;
  }

  /** @throws RangeError where there is none of that name */
  node(name: string): ControlPlaneNode {
    const found = this.#nodes.find((each) => each.name === name);
    if (!found) throw new RangeError(`no node ${name}: start the plane with \`nodes: true\``);
    return found;
  }

  /**
   * The cluster configuration of this plane, as functions and bin/invoke.ts take it. `etcd` and `recover` are merged,
   * all else replaced. With nodes it has their tag; `{ etcd: { endpoints: undefined } }` then makes them the only way
   * to the members.
   */
  configuration(overrides: Readonly<Record<string, unknown>> = {}): ClusterConfiguration {
    return parseCluster(this.setting(overrides));
  }

  /**
   * The same as a person would write it, without the defaults: also for another version of etcd-medic, which has
   * others.
   */
  setting(overrides: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    const { etcd = {}, recover = {}, ...rest } = overrides;
    const { credentials } = this;
    const clientPort = this.#nodes.length > 0 ? this.#specs[0]?.clientPort : undefined;
    return {
      name: 'control-plane',
      etcd: {
        endpoints: [...this.endpoints],
        ...(clientPort !== undefined && { clientPort }),
        ...(credentials && { credentials }),
        ...Object(etcd),
      },
      ...(this.#nodes.length > 0 && { nodes: { tag: NODE_TAG } }),
      recover: { watchSeconds: WATCH_SECONDS, ...Object(recover) },
      ...rest,
    };
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

  /**
   * One member of a rolling upgrade: its etcd ends, and is of this version when it answers again. `version` of the
   * plane, and etcdctl's, stay as they were.
   * @throws EtcdNotFoundError
   * @throws MemberStartError
   */
  async upgradeMember(name: string, version: string): Promise<void> {
    const binaries = await findEtcd(version);
    await this.stopMember(name);
    this.member(name).replaceBinaries(binaries);
    this.startMember(name);
    await this.ready([name]);
  }

  /** Makes a member hang: its connections stay open and nothing answers. */
  pause(name: string): void {
    this.kill(name, 'SIGSTOP');
  }

  resume(name: string): void {
    this.kill(name, 'SIGCONT');
  }

  /**
   * Cuts a member off from its clients, its peers, or both, as asked for, until `heal`. Needs the option `proxies`.
   * @throws RangeError
   */
  async cut(name: string, options?: CutOptions): Promise<void> {
    await this.#network.cut(name, options);
  }

  heal(name: string): void {
    this.#network.heal(name);
  }

  /**
   * Leads a member's clients to another from now on, see PlaneNetwork; to itself again by its own name. Needs the
   * option `proxies`.
   * @throws RangeError
   */
  redirect(name: string, to: string): void {
    this.#network.redirect(name, to);
  }

  /** Every cut there has been, oldest first. */
  get cuts(): readonly Cut[] {
    return this.#network.history;
  }

  /**
   * Waits until these members answer.
   * @param names all by default
   * @throws MemberStartError
   */
  async ready(names: readonly string[] = this.#members.map(({ name }) => name)): Promise<void> {
    await Promise.all(names.map((name) => untilReady(this.credentials, this.member(name))));
  }

  /**
   * Adds a learner named `learner-1`, `learner-2`, … and waits until it answers. It stays one: nobody promotes it. Not
   * kept for a later start.
   */
  async addLearner(quotaBytes = this.#members[0]?.quotaBytes ?? 0): Promise<PlaneMember> {
    const { tls, directory } = this.#setting;
    const name = `learner-${this.#members.filter(({ isLearner }) => isLearner).length + 1}`;
    const spec: MemberSpec = { name, quotaBytes, ...(await findPlaceBeside(this.#specs)) };
    if (tls) await issueMemberCertificates(await openAuthority(join(directory, 'pki')), spec);
    const url = peerUrl(spec, tls);
    const running = this.#members.filter(({ pid }) => pid !== undefined);
    const voter = running.find(({ isLearner }) => !isLearner);
    if (!voter) throw new MemberStartError('no voter is running that a learner could join');
    await joinAsLearner(this.credentials, voter.endpoint, url);
    await Promise.all(running.map(({ endpoint }) => untilListed(this.credentials, endpoint, url)));
    const learner = await this.#add(spec, { joining: true, cluster: [...this.#members, { name, peerUrl: url }] });
    learner.kubelet.start();
    await this.ready([name]);
    return learner;
  }

  /**
   * Runs etcdctl against all members, or against those that `args` names by `--endpoints`.
   * @returns its standard output
   * @throws EtcdMedicError where there is none beside this etcd
   */
  async etcdctl(args: readonly string[]): Promise<string> {
    return runEtcdctl(this.#setting.binaries, this.credentials, this.endpoints, args);
  }

  /** Kills all members and removes the folder (where it is the plane's own). May be called again. */
  stop({ keep = this.#setting.keep } = {}): Promise<void> {
    this.#stopped ??= (async () => {
      await Promise.all(this.#members.map(({ kubelet }) => kubelet.stop('SIGKILL')));
      await Promise.all([this.#network, ...this.#nodes].map((each) => each[Symbol.asyncDispose]()));
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
    const cluster = specs.map((spec) => ({
      name: spec.etcdName ?? spec.name,
      peerUrl: peerUrl(spec, this.#setting.tls),
    }));
    for (const spec of specs) await this.#add(spec, { joining: false, cluster });
    // Probes by a clock that is sped up would give members up that take their time for their first start.
    for (const { kubelet } of this.#members) kubelet.start({ probes: false });
    await this.ready();
    for (const { kubelet } of this.#members) kubelet.probe();
  }

  async #add(
    spec: MemberSpec,
    { joining, cluster }: { joining: boolean; cluster: readonly { name: string; peerUrl: string }[] },
  ): Promise<PlaneMember> {
    const initialCluster = cluster.map((each) => `${each.name}=${each.peerUrl}`).join(',');
    const { directory, binaries, nodes, probes } = this.#setting;
    const added = new PlaneMember(spec, { ...this.#setting, initialCluster, joining }, await dieWithParent());
    this.#members.push(added);
    this.#specs.push(spec);
    await this.#network.join(added, spec);
    if (nodes) {
      const manifest = { version: binaries.version, probes, pkiFolder: join(directory, 'pki') };
      this.#nodes.push(await ControlPlaneNode.create(added, join(directory, 'nodes', spec.name), manifest));
    }
    return added;
  }
}
