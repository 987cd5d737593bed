// Makes the requests of this room, by the request factory of @kubernetes/client-node. Only that part of the package is
// loaded: its typed answers cost more than the call itself, and the whole of it 75 MB and a quarter of a second at
// every start.
import { CustomObjectsApiRequestFactory } from '@kubernetes/client-node/dist/gen/apis/CustomObjectsApi.js';
import { createConfiguration } from '@kubernetes/client-node/dist/gen/configuration.js';
import type { HttpMethod, RequestContext } from '@kubernetes/client-node/dist/gen/http/http.js';
import { ServerConfiguration } from '@kubernetes/client-node/dist/gen/servers.js';
import type { ListedObject, ListOptions, Resource } from './types.ts';

export type { RequestContext };

const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
/** Metadata, and beside it what the kind's definition has as columns. */
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const METADATA = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const WHOLE = 'application/json';

/** Every path of the package begins with /apis; the core group, whose name is empty, has one of its own. */
class ApiServer extends ServerConfiguration<Record<string, never>> {
  override makeRequestContext(endpoint: string, method: HttpMethod): RequestContext {
    return super.makeRequestContext(
      endpoint.replace(/^\/apis\/\/(v[^/]+)$/, '/api/$1/').replace(/^\/apis\/\//, '/api/'),
      method,
    );
  }
}

export class Requests {
  readonly #factory: CustomObjectsApiRequestFactory;

  /** @param server its URL */
  constructor(server: string) {
    const baseServer = new ApiServer(server.replace(/\/$/, ''), {});
    this.#factory = new CustomObjectsApiRequestFactory(createConfiguration({ baseServer }));
  }

  /** One page of a kind, metadata only; with a column, as a table. */
  async listMetadata(resource: Resource, options: ListOptions): Promise<RequestContext> {
    return this.#list(resource, options, options.stateColumn === undefined ? METADATA_LIST : TABLE);
  }

  /** The same with whole objects. */
  async listWhole(resource: Resource, options: ListOptions): Promise<RequestContext> {
    return this.#list(resource, options, WHOLE);
  }

  async getMetadata(resource: Resource, object: Pick<ListedObject, 'namespace' | 'name'>): Promise<RequestContext> {
    return accepting(await this.#get(resource, object), METADATA);
  }

  async getWhole(resource: Resource, object: Pick<ListedObject, 'namespace' | 'name'>): Promise<RequestContext> {
    return accepting(await this.#get(resource, object), WHOLE);
  }

  /**
   * Deletes only what was listed (R12). Everything goes in the body: there is no `dryRun` in it, and one in the query
   * would be ignored beside a body. The body is a text, so that it is sent with its Content-Length; without one it may
   * be dropped, preconditions and all.
   */
  async delete(resource: Resource, { namespace, name, uid, resourceVersion }: ListedObject): Promise<RequestContext> {
    const { group, version, plural } = resource;
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      // Foreground would update the object first, which a database that is full refuses.
      propagationPolicy: 'Background',
      preconditions: { uid, resourceVersion },
    };
    const none = undefined;
    const request =
      namespace === undefined
        ? await this.#factory.deleteClusterCustomObject(group, version, plural, name, none, none, none, none, body)
        : await this.#factory.deleteNamespacedCustomObject(
            ...([group, version, namespace, plural, name, none, none, none, none, body] as const),
          );
    return accepting(request, WHOLE);
  }

  /** What kinds a group's version has. */
  async kinds(group: string, version: string): Promise<RequestContext> {
    const request = accepting(await this.#factory.getAPIResources(group, version), WHOLE);
    // As kubectl sends it; it also keeps the slash at the end of the core group's path.
    request.setQueryParam('timeout', '30s');
    return request;
  }

  async #list({ group, version, plural }: Resource, options: ListOptions, accept: string): Promise<RequestContext> {
    const { limit, continueToken, namespace } = options;
    const none = undefined;
    const which = [plural, none, none, continueToken, none, none, limit] as const;
    const request =
      namespace === undefined
        ? await this.#factory.listClusterCustomObject(group, version, ...which)
        : await this.#factory.listNamespacedCustomObject(group, version, namespace, ...which);
    return accepting(request, accept);
  }

  #get({ group, version, plural }: Resource, { namespace, name }: Pick<ListedObject, 'namespace' | 'name'>) {
    return namespace === undefined
      ? this.#factory.getClusterCustomObject(group, version, plural, name)
      : this.#factory.getNamespacedCustomObject(group, version, namespace, plural, name);
  }
}

function accepting(request: RequestContext, mediaType: string): RequestContext {
  request.setHeaderParam('Accept', mediaType);
  return request;
}
