// What the stand-in answers to a request, by the API's own rules and in its own words.
import type { Resource } from '../../functions/kubernetes/types.ts';
import type { RecordedRequest } from './faults.ts';
import { KINDS, type Kind } from './kinds.ts';
import type { Store, Stored } from './stand-in-store.ts';
import { failure, forbidden, NOT_SERVED, notFound, type Reply, unreadableList, unreadableObject } from './statuses.ts';
import type { Asked } from './users.ts';

export interface Asker {
  readonly user: string;
  readonly now: Date;
  readonly may: (asked: Asked) => boolean;
  readonly unsafeDeletion: boolean;
}

interface Target {
  readonly group: string;
  readonly version: string;
  readonly plural?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

export function respond(store: Store, request: RecordedRequest, asker: Asker): Reply {
  const { pathname, searchParams } = new URL(request.path, 'https://stand-in');
  const target = parse(pathname);
  if (!target) return NOT_SERVED;
  const { group, version, plural, namespace, name } = target;
  if (plural === undefined) return kinds(group, version);
  const verb = request.method === 'DELETE' ? 'delete' : name === undefined ? 'list' : 'get';
  if (!asker.may({ verb, group, plural })) return forbidden(asker.user, verb, group, plural);
  const resource = KINDS.find((kind) => kind.group === group && kind.version === version && kind.plural === plural);
  if (!resource) return NOT_SERVED;
  const accept = `${request.headers.accept ?? ''}`;
  if (name === undefined) return list(store, resource, { query: searchParams, namespace, accept }, asker);
  const place = { namespace, name };
  const spoilt = store.get(resource, place);
  if (spoilt?.undecodable) return unreadableObject(keyOf(resource, spoilt), asker.unsafeDeletion);
  if (verb === 'delete') return remove(store, resource, place, request, asker);
  const found = store.get(resource, place);
  if (!found) return notFound(group, plural, name);
  return { status: 200, body: accept.includes('as=PartialObjectMetadata;') ? partial(found) : found };
}

function parse(pathname: string): Target | undefined {
  const parts = pathname.split('/').filter(Boolean).map(decodeURIComponent);
  const root = parts.shift();
  const group = root === 'apis' ? parts.shift() : root === 'api' ? '' : undefined;
  const version = parts.shift();
  if (group === undefined || version === undefined) return undefined;
  if (parts[0] !== 'namespaces' || parts.length < 3) {
    const [plural, name] = parts;
    return { group, version, plural, name };
  }
  const [, namespace, plural, name] = parts;
  return { group, version, plural, namespace, name };
}

function kinds(group: string, version: string): Reply {
  const found = KINDS.filter((kind) => kind.group === group && kind.version === version);
  if (found.length === 0) return NOT_SERVED;
  const resources = found.flatMap(({ plural, kind, namespaced }) => [
    { name: plural, singularName: kind.toLowerCase(), namespaced, kind, verbs: ['delete', 'get', 'list'] },
    { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: ['get'] },
  ]);
  const groupVersion = group ? `${group}/${version}` : version;
  return { status: 200, body: { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources } };
}

function list(
  store: Store,
  resource: Kind,
  { query, namespace, accept }: { query: URLSearchParams; namespace: string | undefined; accept: string },
  { unsafeDeletion }: Asker,
): Reply {
  const limit = query.has('limit') ? Number(query.get('limit')) : undefined;
  const result = store.list(resource, { limit, token: query.get('continue') ?? undefined, namespace });
  if (result === 'invalid') {
    const message = 'invalid continue token: continue key is not valid';
    return failure(400, { message, reason: 'BadRequest' });
  }
  if ('expired' in result) {
    const message =
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results.';
    return failure(410, { message, reason: 'Expired', metadata: { continue: result.expired } });
  }
  const isPartial = accept.includes('as=PartialObjectMetadataList;');
  const { items, resourceVersion, continueToken, remaining } = result;
  const spoilt = items.find(({ undecodable }) => undecodable);
  if (spoilt) return unreadableList(resource.group, resource.plural, keyOf(resource, spoilt), unsafeDeletion);
  const metadata = {
    resourceVersion,
    ...(continueToken !== undefined && { continue: continueToken, remainingItemCount: remaining }),
  };
  const body = accept.includes('as=Table;')
    ? tableOf(resource, items, metadata)
    : isPartial
      ? { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items: items.map(partial) }
      : { kind: `${resource.kind}List`, apiVersion: items[0]?.apiVersion ?? 'v1', metadata, items };
  return { status: 200, body };
}

function remove(
  store: Store,
  resource: Resource,
  place: { readonly namespace: string | undefined; readonly name: string },
  request: RecordedRequest,
  { now }: Asker,
): Reply {
  const { group, plural } = resource;
  // Without its length the body may be dropped, preconditions and all; and beside a body the query doesn't count.
  const text = request.headers['content-length'] === undefined ? '' : request.body;
  const options: DeleteOptions = text === '' ? fromQuery(request.path) : JSON.parse(text);
  const found = store.get(resource, place);
  if (options.dryRun?.includes('All') && found) return { status: 200, body: succeeded(resource, found) };
  if (options.propagationPolicy === 'Foreground' && found) {
    const finalizers = [...(found.metadata.finalizers ?? []), 'foregroundDeletion'];
    store.rewrite(resource, place, { finalizers });
  }
  const result = store.delete(resource, place, options.preconditions ?? {}, now);
  switch (result.result) {
    case 'not-found':
      return notFound(group, plural, place.name);
    case 'conflict': {
      const details = { name: place.name, group, kind: plural };
      return failure(409, { message: result.message, reason: 'Conflict', details });
    }
    case 'finalizers':
      return { status: 200, body: result.object };
    case 'deleted':
      return { status: 200, body: succeeded(resource, result.object) };
  }
}

interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string | undefined;
  readonly dryRun?: readonly string[];
}

function fromQuery(path: string): DeleteOptions {
  const { searchParams } = new URL(path, 'https://stand-in');
  return {
    dryRun: searchParams.getAll('dryRun'),
    propagationPolicy: searchParams.get('propagationPolicy') ?? undefined,
  };
}

function succeeded({ group, plural }: Resource, { metadata: { name, uid } }: Stored): unknown {
  const details = { name, group, kind: plural, uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

function keyOf({ group, plural }: Resource, { metadata: { namespace, name } }: Stored): string {
  return `/${group}/${plural}/${namespace === undefined ? name : `${namespace}/${name}`}`;
}

function tableOf({ columns = AGE }: Kind, items: readonly Stored[], metadata: unknown): unknown {
  const cells = (object: Stored) => columns.map(({ jsonPath }) => at(object, jsonPath));
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: [{ name: 'Name', type: 'string' }, ...columns.map(({ name, type }) => ({ name, type }))],
    rows: items.map((item) => ({ cells: [item.metadata.name, ...cells(item)], object: partial(item) })),
  };
}

const AGE: NonNullable<Kind['columns']> = [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }];

/** A simple path's value; null where there is none. */
function at(object: unknown, jsonPath: string): unknown {
  const fields = jsonPath.split('.').filter(Boolean);
  return fields.reduce<unknown>((value, field) => (isRecord(value) ? value[field] : undefined), object) ?? null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function partial({ metadata }: Stored): unknown {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}
