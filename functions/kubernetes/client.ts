// One API server as the rest of etcd-medic sees it. It reads metadata, and deletes exactly what was listed.
import { SetupError } from '../contract/errors.ts';
import {
  type KindsOfVersion,
  readKinds,
  readMetadata,
  readMetadataList,
  readScaledList,
  readService,
  readStatus,
  readTable,
  servedAt,
} from './answers.ts';
import { Calls, type Patience } from './calls.ts';
import type { KubernetesCredentials } from './credentials.ts';
import { deleteListed } from './delete.ts';
import { type ApiCall, type KubernetesError, ListExpiredError } from './errors.ts';
import { lastReadable } from './narrow.ts';
import { Pace } from './pace.ts';
import { type RequestContext, Requests } from './requests.ts';
import { KINDS_OF } from './rights.ts';
import { isNotServed, refusal } from './translate.ts';
import { type Answer, Transport } from './transport.ts';
import type {
  KubernetesClient,
  ListedObject,
  ListOptions,
  MetadataPage,
  ObjectMetadata,
  Resource,
  ScopedResource,
} from './types.ts';
import { storageReadError, unreadableIn } from './unreadable.ts';

export interface KubernetesOptions {
  /** `kubernetes.server` of the configuration: an https URL. */
  readonly server: string;
  readonly credentials: KubernetesCredentials;
  /** How many calls are under way at the same time at most, each on a connection of its own. @default 64 */
  readonly connections?: number;
  /** How long one answer may take. @default 30 s */
  readonly timeoutMs?: number;
  /**
   * How long a call is tried again after 429, 5xx or a broken connection; after 401, twice, a twelfth of it apart.
   * @default 60 s
   */
  readonly patienceMs?: number;
}

/**
 * Measured (bench:prune): with 64 deletes under way etcd puts so many into one write that each costs it less; 16 are a
 * quarter slower. An API server lets 200 changes be under way (--max-mutating-requests-inflight), and 49 of them be of
 * users without a priority of their own: those beyond wait there, behind nobody else's.
 */
const CONNECTIONS = 64;
/** The API server itself gives up after 60 s; a page of 500 objects takes well under one. */
const TIMEOUT_MS = 30_000;
/** An API server that was killed is back within about 20 s. */
const PATIENCE_MS = 60_000;

/**
 * Nothing is connected before the first call.
 * @throws SetupError for a server that is not reached by https: the credentials would be there for all to read
 */
export function openKubernetes(options: KubernetesOptions): KubernetesClient {
  const { server, credentials, connections = CONNECTIONS } = options;
  const { timeoutMs = TIMEOUT_MS, patienceMs = PATIENCE_MS } = options;
  if (!server.startsWith('https://')) {
    throw new SetupError(
      `kubernetes.server: found ${server}, expected an https URL, because credentials are sent there`,
    );
  }
  const transport = new Transport(credentials, { connections, timeoutMs });
  const pace = new Pace(connections);
  return new ApiServerClient(server, transport, pace, patienceMs);
}

class ApiServerClient implements KubernetesClient {
  readonly #server: string;
  readonly #transport: Transport;
  readonly #pace: Pace;
  readonly #calls: Calls;
  readonly #requests: Requests;
  /** By kind, by API version; undefined: the server does not have that version of the group. */
  readonly #kinds = new Map<string, Promise<KindsOfVersion | undefined>>();

  /** By the name of its APIService: who serves a group's version. */
  readonly #services = new Map<string, Promise<string | undefined>>();

  constructor(server: string, transport: Transport, pace: Pace, patienceMs: number) {
    this.#server = server;
    this.#transport = transport;
    this.#pace = pace;
    this.#calls = new Calls(transport, pace, patienceMs);
    this.#requests = new Requests(server);
  }

  async listPage(resource: Resource, options: ListOptions): Promise<MetadataPage> {
    const call = this.#call('list', resource);
    const { answer, inconsistent } = await this.#page(call, resource, options, (which) =>
      this.#requests.listMetadata(resource, which),
    );
    const { receivedBytes } = answer;
    const { stateColumn } = options;
    const page = stateColumn === undefined ? readMetadataList(answer, call) : readTable(answer, call, stateColumn);
    return { ...page, servedAt: servedAt(answer, call), inconsistent, receivedBytes };
  }

  async listScaled(resource: Resource, options: ListOptions): ReturnType<KubernetesClient['listScaled']> {
    const call = this.#call('list', resource);
    const { answer } = await this.#page(call, resource, options, (which) => this.#requests.listWhole(resource, which));
    return { ...readScaledList(answer, call), servedAt: servedAt(answer, call) };
  }

  async resourceOf(apiVersion: string, kind: string): Promise<ScopedResource | undefined> {
    const parts = apiVersion.split('/');
    const [group, version] = parts.length === 1 ? ['', parts[0]] : parts;
    if (group === undefined || !version || parts.length > 2) return undefined;
    let kinds = this.#kinds.get(apiVersion);
    if (!kinds) {
      kinds = this.#readKinds(group, version);
      this.#kinds.set(apiVersion, kinds);
      // What went wrong once is asked again.
      kinds.catch(() => this.#kinds.delete(apiVersion));
    }
    const found = (await kinds)?.get(kind);
    return found && { group, version, ...found };
  }

  aggregatedBy({ group, version }: Pick<Resource, 'group' | 'version'>): Promise<string | undefined> {
    const name = `${version}.${group}`;
    let service = this.#services.get(name);
    if (!service) {
      service = this.#readService(name);
      this.#services.set(name, service);
      // What went wrong once is asked again.
      service.catch(() => this.#services.delete(name));
    }
    return service;
  }

  async delete(resource: Resource, object: ListedObject) {
    const call = this.#call('delete', resource, object);
    return deleteListed(this.#calls, call, object, {
      remove: () => this.#requests.delete(resource, object),
      look: (patience) => this.#look(resource, object, patience),
    });
  }

  async sizeBytes(resource: Resource, object: Pick<ListedObject, 'namespace' | 'name'>): Promise<number | undefined> {
    const call = this.#call('get', resource, object);
    const answer = await this.#calls.read(call, () => this.#requests.getWhole(resource, object), KNOWN);
    if (isGone(answer)) return undefined;
    if (answer.status !== 200) throw refusal(answer, call);
    return Buffer.byteLength(answer.text.trimEnd());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
    this.#pace[Symbol.dispose]();
  }

  /** One page; where its token has expired, the same page of a newer snapshot. */
  async #page(
    call: ApiCall,
    resource: Resource,
    options: ListOptions,
    make: (options: ListOptions) => Promise<RequestContext>,
  ): Promise<{ answer: Answer; inconsistent: boolean }> {
    const isKnown = options.continueToken !== undefined;
    const answer = await this.#calls.read(call, () => make(options), { isKnown });
    if (answer.status === 200) return { answer, inconsistent: false };
    if (answer.status !== 410) throw await this.#refusedPage(answer, call, resource, options);
    const status = readStatus(answer);
    if (status?.continueToken === undefined) {
      const text = `the list's place has been lost (${status?.message ?? '410'}). Begin it again from the start`;
      throw new ListExpiredError(call, 'not-done', text);
    }
    const { continueToken } = status;
    const next = await this.#calls.read(call, () => make({ ...options, continueToken }));
    if (next.status !== 200) throw await this.#refusedPage(next, call, resource, { ...options, continueToken });
    return { answer: next, inconsistent: true };
  }

  /** Where an object can't be read and the server doesn't say which, the error says at least where it lies. */
  async #refusedPage(
    answer: Answer,
    call: ApiCall,
    resource: Resource,
    options: ListOptions,
  ): Promise<KubernetesError> {
    const unreadable = unreadableIn(answer);
    if (unreadable === undefined || unreadable.keys.length > 0) return refusal(answer, call);
    const last = await lastReadable(async (piece) => {
      const read = await this.#calls.read(call, () => this.#requests.listMetadata(resource, piece), KNOWN);
      return read.status === 200 ? readMetadataList(read, call) : undefined;
    }, options);
    const { group, plural } = resource;
    const inOrder = group.includes('.') ? ` (\`etcdctl get --prefix --keys-only /registry/${group}/${plural}/\`)` : '';
    const near = last === undefined ? undefined : `right after ${last}, in the order of its keys${inOrder},`;
    return storageReadError(call, unreadable, near);
  }

  async #readKinds(group: string, version: string): Promise<KindsOfVersion | undefined> {
    const call = this.#call('get', { group, version, plural: '' });
    const answer = await this.#calls.read(call, () => this.#requests.kinds(group, version));
    if (answer.status === 200) return readKinds(answer, call);
    if (isNotServed(answer)) return undefined;
    throw refusal(answer, call);
  }

  async #readService(name: string): Promise<string | undefined> {
    const call = this.#call('get', API_SERVICES, { namespace: undefined, name });
    const object = { namespace: undefined, name };
    const answer = await this.#calls.read(call, () => this.#requests.getWhole(API_SERVICES, object));
    if (answer.status === 200) return readService(answer, call);
    // Where nobody may ask, or nobody aggregates, what objects say of themselves has to do.
    if (answer.status === 403 || answer.status === 404) return undefined;
    throw refusal(answer, call);
  }

  /** Undefined: it is gone. */
  async #look(resource: Resource, object: ListedObject, patience: Patience): Promise<ObjectMetadata | undefined> {
    const call = this.#call('get', resource, object);
    const answer = await this.#calls.read(call, () => this.#requests.getMetadata(resource, object), {
      ...KNOWN,
      patience,
    });
    if (isGone(answer)) return undefined;
    if (answer.status !== 200) throw refusal(answer, call);
    return readMetadata(answer, call);
  }

  #call(verb: ApiCall['verb'], resource: Resource, object?: Pick<ListedObject, 'namespace' | 'name'>): ApiCall {
    const { group, version, plural } = resource;
    const kind =
      plural === '' ? `${KINDS_OF}${group || 'the core group'} ${version}` : group ? `${plural}.${group}` : plural;
    const name = object && [object.namespace, object.name].filter(Boolean).join('/');
    return { verb, target: name ? `${kind} ${name}` : kind, server: this.#server };
  }
}

function isGone(answer: Answer): boolean {
  return answer.status === 404 && !isNotServed(answer);
}

const API_SERVICES: Resource = { group: 'apiregistration.k8s.io', version: 'v1', plural: 'apiservices' };
/** For what was listed before: its kind is there. */
const KNOWN = { isKnown: true };
