// What every real API server of the tests can do: what is stored is put into its etcd, everything else is asked of it
// as its admin.
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Agent } from 'undici';
import { EtcdMedicError } from '../../functions/contract/errors.ts';
import type { KubernetesCredentials } from '../../functions/kubernetes/credentials.ts';
import type { ListedObject, Resource } from '../../functions/kubernetes/types.ts';
import { type Reachable, within, withMember } from '../control-plane/client.ts';
import type { Place, StoredObject, TestApiServer, User } from './api-server.ts';
import { asKubernetesDoes, type inItsGroup, putBytes, putObjects, UNDECODABLE } from './bulk.ts';
import type { NewObject } from './objects.ts';
import { configurationOf, credentialsOf, tokenOf } from './users.ts';

export interface RealSetting {
  readonly plane: Reachable;
  /** With a token file for each user. */
  readonly directory: string;
  readonly server: string;
  readonly caFile: string;
  /** How it keeps its objects. @default as Kubernetes does */
  readonly storageOf?: typeof inItsGroup;
}

interface StoredList {
  readonly metadata: { readonly continue?: string };
  readonly items: readonly StoredObject[];
}

export interface Asked<Document> {
  readonly status: number;
  /** Empty where the answer is no JSON. */
  readonly document: Document;
  readonly text: string;
}

export abstract class RealServer implements TestApiServer {
  readonly server: string;
  readonly caFile: string;
  readonly #setting: RealSetting;
  readonly #agent: Agent;

  constructor(setting: RealSetting) {
    this.#setting = setting;
    this.server = setting.server;
    this.caFile = setting.caFile;
    this.#agent = new Agent({ connect: { ca: readFileSync(setting.caFile) }, allowH2: false });
  }

  abstract kill(): Promise<void>;
  abstract restart(): Promise<void>;

  credentials(user: User = 'pruner'): KubernetesCredentials {
    return credentialsOf(this.caFile, user);
  }

  configuration(user: User = 'pruner') {
    return configurationOf(this.server, this.caFile, this.#setting.directory, user);
  }

  async create(resource: Resource, objects: Iterable<NewObject>): Promise<void> {
    await putObjects(this.#setting.plane, resource, objects, this.#storageOf);
  }

  async rewrite(resource: Resource, place: Place): Promise<void> {
    await this.#patch(resource, place, { annotations: { rewritten: `${Math.random()}` } });
  }

  async addFinalizer(resource: Resource, place: Place, finalizer: string): Promise<void> {
    const finalizers = (await this.get(resource, place))?.metadata.finalizers ?? [];
    await this.#patch(resource, place, { finalizers: [...finalizers, finalizer] });
  }

  async spoil(resource: Resource, place: Place): Promise<void> {
    await putBytes(this.#setting.plane, resource, place, UNDECODABLE, this.#storageOf);
  }

  async remove(resource: Resource, place: Place): Promise<void> {
    const { finalizers = [] } = (await this.get(resource, place))?.metadata ?? {};
    // What has finalizers would only be marked, and what is marked already goes with the last of them.
    if (finalizers.length > 0) await this.#patch(resource, place, { finalizers: null });
    await this.ask('DELETE', pathOf(resource, place), [404]);
  }

  async get(resource: Resource, place: Place): Promise<StoredObject | undefined> {
    const { status, document } = await this.ask<StoredObject>('GET', pathOf(resource, place), [404]);
    return status === 404 ? undefined : document;
  }

  async list(resource: Resource): Promise<readonly ListedObject[]> {
    const found: ListedObject[] = [];
    let next: string | undefined = '';
    while (next !== undefined) {
      const path: string = `${pathOf(resource)}?limit=500&continue=${encodeURIComponent(next)}`;
      const list: StoredList = (await this.ask<StoredList>('GET', path)).document;
      for (const { metadata } of list.items) {
        const { namespace, name, uid, resourceVersion } = metadata;
        found.push({ namespace, name, uid, resourceVersion });
      }
      next = list.metadata.continue || undefined;
    }
    return found;
  }

  /** By what makes them expire in life, too: etcd is compacted. */
  async expireContinueTokens(): Promise<void> {
    const { plane } = this.#setting;
    const [member] = plane.members;
    if (!member) throw new RangeError('a plane without members');
    await withMember(plane, member.endpoint, async (client) => {
      const { header } = await client.maintenance.status(within(10_000));
      await client.kv.compact({ revision: header.revision, physical: true }, within(10_000));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#agent.destroy();
  }

  get #storageOf() {
    return this.#setting.storageOf ?? asKubernetesDoes;
  }

  async #patch(resource: Resource, place: Place, metadata: unknown): Promise<void> {
    await this.ask('PATCH', pathOf(resource, place), [], JSON.stringify({ metadata }));
  }

  /**
   * As the admin.
   * @param expected statuses beside the successes
   * @throws EtcdMedicError for any other
   */
  async ask<Document>(
    method: string,
    path: string,
    expected: readonly number[] = [],
    body?: string,
  ): Promise<Asked<Document>> {
    for (;;) {
      const { statusCode, body: answer } = await this.#agent.request({
        origin: this.server,
        path,
        method: method as 'GET',
        headers: {
          authorization: `Bearer ${tokenOf('admin')}`,
          'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
        },
        ...(body !== undefined && { body }),
      });
      const text = await answer.text();
      if (statusCode === 429 && !expected.includes(429)) {
        // Nothing was done: a kind's first list comes too early, or changes of others are under way.
        await wait(50);
        continue;
      }
      if (statusCode >= 300 && !expected.includes(statusCode)) {
        throw new EtcdMedicError(`${method} ${path}: ${statusCode} ${text}`);
      }
      return { status: statusCode, document: (text.startsWith('{') ? JSON.parse(text) : {}) as Document, text };
    }
  }
}

export function pathOf({ group, version, plural }: Resource, place?: Place): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const namespace = place?.namespace === undefined ? '' : `/namespaces/${place.namespace}`;
  return `${root}${namespace}/${plural}${place === undefined ? '' : `/${place.name}`}`;
}
