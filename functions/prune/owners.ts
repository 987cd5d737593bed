// Who is there: all owners of a kind in one list, however many reports ask for them; or those near a few reports.

import { EPHEMERAL_REPORTS, PRODUCERS, type Producer, type ProducerFacts, perProducer } from '../contract/kinds.ts';
import type {
  KubernetesClient,
  ListOptions,
  ObjectMetadata,
  OwnerReference,
  Resource,
  ScaledOwner,
} from '../kubernetes/types.ts';
import {
  type AtZero,
  type Owners,
  type OwnersOfKind,
  ownerKind,
  type Presence,
  type Producers,
} from '../reports/stale.ts';
import { checkTime, TooSlowError, troubleOf } from './trouble.ts';

const PAGE_SIZE = 500;
const DEPLOYMENTS: Resource = { group: 'apps', version: 'v1', plural: 'deployments' };
/** Owners of reports that may be without replicas, as `<plural>.<group>`. */
const SCALED = new Set(['replicasets.apps', 'statefulsets.apps', 'replicationcontrollers.']);
/** Counted up by the Deployment controller with each rollout and rollback, on both of whom it concerns. */
const REVISION = 'deployment.kubernetes.io/revision';

export interface OwnerDirectoryOptions {
  /** Looks into the reports' own namespaces alone, so that it costs what a few reports are worth. @default false */
  readonly nearby?: boolean;
}

export class OwnerDirectory {
  readonly #client: KubernetesClient;
  readonly #nearby: boolean;
  readonly #owners = new Map<string, OwnersOfKind>();
  /** Kinds of owners, with the namespace where they were looked for. */
  readonly #asked = new Set<string>();
  /** By kind: why it could not be listed. */
  readonly problems = new Map<string, string>();
  /** What the server can't read of owners and operators, for a person to mend. */
  readonly unreadable = new Set<string>();
  #producers: Promise<Producers> | undefined;
  /** By namespace where it looks nearby, else all under one. */
  readonly #deployments = new Map<string | undefined, Promise<readonly ObjectMetadata[]>>();

  constructor(client: KubernetesClient, { nearby = false }: OwnerDirectoryOptions = {}) {
    this.#client = client;
    this.#nearby = nearby;
  }

  /** All that has been listed so far. */
  get owners(): Owners {
    return this.#owners;
  }

  /**
   * Lists the kinds of the reports' owners that have not been listed yet. A kind whose own server is away is one that
   * can't be listed.
   * @param untilMs no page is asked for after this, in ms since 1970. @default no end
   * @throws KubernetesError, SetupError for what is not about one kind; TooSlowError
   */
  async learn(
    reports: readonly Pick<ObjectMetadata, 'namespace' | 'ownerReferences'>[],
    untilMs = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    for (const { namespace, ownerReferences } of reports) {
      const near = this.#nearby ? namespace : undefined;
      for (const reference of ownerReferences) {
        const name = ownerKind(reference);
        if (this.problems.has(name) || this.#asked.has(place(name, near))) continue;
        await this.#learnOne(name, reference, near, untilMs);
        this.#asked.add(place(name, near));
      }
    }
  }

  async #learnOne(
    name: string,
    { apiVersion, kind }: OwnerReference,
    near: string | undefined,
    untilMs: number,
  ): Promise<void> {
    try {
      const resource = await this.#client.resourceOf(apiVersion, kind);
      if (resource === undefined) return this.#unknown(name, 'the cluster does not serve this kind');
      const namespace = resource.namespaced ? near : undefined;
      if (this.#asked.has(place(name, namespace))) return;
      // Before the ReplicaSets: a rollback in between makes a ReplicaSet's revision the higher one, never the lower.
      const revisions = isReplicaSets(resource) ? await this.#revisions(namespace, untilMs) : NO_REVISIONS;
      const owners = await this.#list(resource, namespace, untilMs, revisions);
      this.#owners.set(name, together(this.#owners.get(name), owners));
      this.#asked.add(place(name, namespace));
    } catch (error) {
      const { kind: trouble, detail } = troubleOf(error);
      if (trouble === 'fatal' || error instanceof TooSlowError) throw error;
      if (trouble === 'away' && (await this.isAway())) throw error;
      if (trouble === 'unreadable') this.unreadable.add(detail);
      this.#unknown(name, detail);
    }
  }

  /** Of a kind that could be listed in one namespace and not in another, nobody is known. */
  #unknown(name: string, why: string): void {
    this.problems.set(name, why);
    this.#owners.delete(name);
  }

  /**
   * Whether the API server as a whole is away, and not only the server of an aggregated group or a kind's conversion
   * webhook.
   * @throws KubernetesError, SetupError for what can't be used at all
   */
  async isAway(): Promise<boolean> {
    try {
      await this.#client.listPage(DEPLOYMENTS, { limit: 1 });
      return false;
    } catch (error) {
      const { kind } = troubleOf(error);
      if (kind === 'fatal') throw error;
      return kind === 'away';
    }
  }

  /**
   * Which producers have a Deployment; asked once.
   * @param untilMs as for `learn`
   * @throws KubernetesError, SetupError for what is not about Deployments alone; TooSlowError
   */
  producers(untilMs: number): Promise<Producers> {
    this.#producers ??= this.#lookForProducers(untilMs);
    // What went wrong once is asked again.
    this.#producers.catch(() => {
      this.#producers = undefined;
    });
    return this.#producers;
  }

  async #list(
    resource: Resource,
    namespace: string | undefined,
    untilMs: number,
    revisions: Revisions,
  ): Promise<OwnersOfKind> {
    const uids = new Set<string>();
    const atZero = new Map<string, AtZero>();
    const list = SCALED.has(`${resource.plural}.${resource.group}`)
      ? async (options: ListOptions) => {
          const page = await this.#client.listScaled(resource, options);
          for (const owner of page.items) if (owner.replicas === 0) atZero.set(owner.uid, zeroOf(owner, revisions));
          return page;
        }
      : (options: ListOptions) => this.#client.listPage(resource, options);
    let listedAtMs: number | undefined;
    let continueToken: string | undefined;
    do {
      checkTime(`listing owners of the kind ${resource.plural} (${resource.group || 'core'})`, untilMs);
      const page = await list({ limit: PAGE_SIZE, continueToken, namespace });
      // All pages show what was there when the first one was read.
      listedAtMs ??= Date.parse(page.servedAt);
      for (const { uid } of page.items) uids.add(uid);
      continueToken = page.continueToken;
    } while (continueToken !== undefined);
    return { listedAtMs, uids, atZero };
  }

  /** Where Deployments can't be listed, no ReplicaSet is known to be superseded. */
  async #revisions(namespace: string | undefined, untilMs: number): Promise<Revisions> {
    try {
      const deployments = await this.#listDeployments(namespace, untilMs);
      return new Map(deployments.map(({ uid, annotations }) => [uid, revisionIn(annotations)]));
    } catch (error) {
      const { kind, detail } = troubleOf(error);
      if (kind === 'fatal' || kind === 'away') throw error;
      if (kind === 'unreadable') this.unreadable.add(detail);
      return NO_REVISIONS;
    }
  }

  #listDeployments(namespace: string | undefined, untilMs: number): Promise<readonly ObjectMetadata[]> {
    const listing = this.#deployments.get(namespace) ?? this.#allDeployments(namespace, untilMs);
    this.#deployments.set(namespace, listing);
    // What went wrong once is asked again.
    listing.catch(() => this.#deployments.delete(namespace));
    return listing;
  }

  async #allDeployments(namespace: string | undefined, untilMs: number): Promise<readonly ObjectMetadata[]> {
    const found: ObjectMetadata[] = [];
    let continueToken: string | undefined;
    do {
      checkTime('listing Deployments', untilMs);
      const page = await this.#client.listPage(DEPLOYMENTS, { limit: PAGE_SIZE, continueToken, namespace });
      found.push(...page.items);
      continueToken = page.continueToken;
    } while (continueToken !== undefined);
    return found;
  }

  async #lookForProducers(untilMs: number): Promise<Producers> {
    // First, since it ends the look where the API server itself is away.
    return { ...(await this.#presencesIfListed(untilMs)), hasEphemeralReports: await this.#hasEphemeralReports() };
  }

  /** What may not be asked is not known; what can't be asked at all ends the look. */
  async #presencesIfListed(untilMs: number): Promise<Record<Producer, Presence>> {
    try {
      return await this.#presences(untilMs);
    } catch (error) {
      const { kind, detail } = troubleOf(error);
      if (kind === 'fatal' || kind === 'away') throw error;
      if (kind === 'unreadable') this.unreadable.add(detail);
      return perProducer(() => 'unknown');
    }
  }

  /** Where that can't be told, what would be left over is kept. */
  async #hasEphemeralReports(): Promise<boolean> {
    try {
      const { group, version, kind } = EPHEMERAL_REPORTS;
      return (await this.#client.resourceOf(`${group}/${version}`, kind)) !== undefined;
    } catch (error) {
      if (troubleOf(error).kind === 'fatal') throw error;
      return false;
    }
  }

  async #presences(untilMs: number): Promise<Record<Producer, Presence>> {
    const deployments = await this.#listDeployments(undefined, untilMs);
    return perProducer((producer) =>
      deployments.some((deployment) => isOf(deployment, PRODUCERS[producer])) ? 'there' : 'gone',
    );
  }
}

/** By a Deployment's uid. */
type Revisions = ReadonlyMap<string, number | undefined>;
const NO_REVISIONS: Revisions = new Map();

function isReplicaSets({ group, plural }: Resource): boolean {
  return group === 'apps' && plural === 'replicasets';
}

/** Undefined: nobody has counted. */
function revisionIn({ [REVISION]: revision = '' }: ObjectMetadata['annotations']): number | undefined {
  return /^\d+$/.test(revision) ? Number(revision) : undefined;
}

/** One whose Deployment is not known is not superseded: others roll out ReplicaSets as well, and count on their own. */
function zeroOf({ annotations, ownerReferences, lastWrittenAt }: ScaledOwner, revisions: Revisions): AtZero {
  const own = revisionIn(annotations);
  const current = ownerReferences.map(({ uid }) => revisions.get(uid)).find((revision) => revision !== undefined);
  const superseded = own !== undefined && current !== undefined && own < current;
  return { superseded, writtenMs: Date.parse(lastWrittenAt) };
}

function place(name: string, namespace: string | undefined): string {
  return `${name} in ${namespace ?? 'all namespaces'}`;
}

function together(before: OwnersOfKind | undefined, { listedAtMs, uids, atZero }: OwnersOfKind): OwnersOfKind {
  if (before === undefined) return { listedAtMs, uids, atZero };
  return {
    listedAtMs: Math.min(before.listedAtMs, listedAtMs),
    uids: new Set([...before.uids, ...uids]),
    atZero: new Map([...before.atZero, ...atZero]),
  };
}

function isOf({ name, namespace = '', labels }: ObjectMetadata, { word }: ProducerFacts): boolean {
  return [name, namespace, ...Object.values(labels)].some((text) => text.toLowerCase().includes(word));
}
