// Who is there: all owners of a kind in one list, once an invocation, however many reports ask for them.
import type { KubernetesClient, ObjectMetadata, OwnerReference, Resource } from '../kubernetes/types.ts';
import { PRODUCERS, type Producer } from './kinds.ts';
import { type Owners, type OwnersOfKind, ownerKind, type Presence, type Producers } from './stale.ts';
import { troubleOf } from './trouble.ts';

const PAGE_SIZE = 500;
const DEPLOYMENTS: Resource = { group: 'apps', version: 'v1', plural: 'deployments' };

export class OwnerDirectory {
  readonly #client: KubernetesClient;
  readonly #owners = new Map<string, OwnersOfKind>();
  /** By kind: why it could not be listed. */
  readonly problems = new Map<string, string>();
  #producers: Promise<Producers> | undefined;

  constructor(client: KubernetesClient) {
    this.#client = client;
  }

  /** All that has been listed so far. */
  get owners(): Owners {
    return this.#owners;
  }

  /** Lists the kinds of the reports' owners that have not been listed yet. @throws KubernetesError, SetupError for what is not about one kind */
  async learn(reports: readonly Pick<ObjectMetadata, 'ownerReferences'>[]): Promise<void> {
    for (const reference of reports.flatMap(({ ownerReferences }) => ownerReferences)) {
      const name = ownerKind(reference);
      if (this.#owners.has(name) || this.problems.has(name)) continue;
      try {
        const owners = await this.#list(reference);
        if (owners === undefined) this.problems.set(name, 'the cluster does not serve this kind');
        else this.#owners.set(name, owners);
      } catch (error) {
        const { kind, detail } = troubleOf(error);
        if (kind === 'fatal' || kind === 'away') throw error;
        this.problems.set(name, detail);
      }
    }
  }

  /** Which producers have a Deployment; asked once. @throws KubernetesError, SetupError for what is not about Deployments alone */
  producers(): Promise<Producers> {
    this.#producers ??= this.#lookForProducers();
    // What went wrong once is asked again.
    this.#producers.catch(() => {
      this.#producers = undefined;
    });
    return this.#producers;
  }

  async #list({ apiVersion, kind }: OwnerReference): Promise<OwnersOfKind | undefined> {
    const resource = await this.#client.resourceOf(apiVersion, kind);
    if (resource === undefined) return undefined;
    const uids = new Set<string>();
    const scaledToZero = new Set<string>();
    let listedAtMs: number | undefined;
    let continueToken: string | undefined;
    do {
      const page = await this.#page(resource, { limit: PAGE_SIZE, continueToken });
      // All pages show what was there when the first one was read.
      listedAtMs ??= Date.parse(page.servedAt);
      for (const { uid, isScaledToZero } of page.items) {
        uids.add(uid);
        if (isScaledToZero) scaledToZero.add(uid);
      }
      continueToken = page.continueToken;
    } while (continueToken !== undefined);
    return { listedAtMs, uids, scaledToZero };
  }

  async #page(resource: Resource, options: Parameters<KubernetesClient['listPage']>[1]) {
    if (resource.group === 'apps' && resource.plural === 'replicasets') {
      const page = await this.#client.listScaled(resource, options);
      return { ...page, items: page.items.map(({ uid, replicas }) => ({ uid, isScaledToZero: replicas === 0 })) };
    }
    const page = await this.#client.listPage(resource, options);
    return { ...page, items: page.items.map(({ uid }) => ({ uid, isScaledToZero: false })) };
  }

  async #lookForProducers(): Promise<Producers> {
    return {
      trivy: await this.#presence('trivy'),
      kyverno: await this.#presence('kyverno'),
      hasEphemeralReports: await unlessRefused(this.#hasEphemeralReports(), false),
    };
  }

  async #hasEphemeralReports(): Promise<boolean> {
    return (await this.#client.resourceOf('reports.kyverno.io/v1', 'EphemeralReport')) !== undefined;
  }

  async #presence(producer: Producer): Promise<Presence> {
    const { deployments } = PRODUCERS[producer];
    for (const labelSelector of deployments) {
      const found = await unlessRefused(this.#client.count(DEPLOYMENTS, { labelSelector, limit: 1 }), undefined);
      if (found === undefined) return 'unknown';
      if (found > 0) return 'there';
    }
    return 'gone';
  }
}

/** What may not be asked is not known; what can't be asked at all ends the run. */
async function unlessRefused<Answer, Otherwise>(
  asked: Promise<Answer>,
  otherwise: Otherwise,
): Promise<Answer | Otherwise> {
  try {
    return await asked;
  } catch (error) {
    const { kind } = troubleOf(error);
    if (kind === 'fatal' || kind === 'away') throw error;
    return otherwise;
  }
}
