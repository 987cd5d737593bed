// Writes objects straight into etcd, as an API server stores custom resources: thousands a second, of any age.
import type { Resource } from '../../functions/kubernetes/types.ts';
import { type Reachable, within, withMember } from '../control-plane/client.ts';
import type { Place } from './api-server.ts';
import { CORE_GROUP, definitionOf, type Kind, kindOf } from './kinds.ts';
import { type NewObject, storedJson } from './objects.ts';

/** etcd takes 1.5 MiB a request, and 128 operations. */
const REQUEST_BYTES = 1_000_000;
const REQUEST_OPERATIONS = 100;
const TIMEOUT_MS = 30_000;

/** How a server keeps a kind. */
export interface Storage {
  /** Of its keys, between `/registry/` and the namespace. */
  readonly folder: string;
  /** Of what is stored. */
  readonly group: string;
}

/** A server of custom resources alone. */
export function inItsGroup({ group, plural }: Kind): Storage {
  const own = group || CORE_GROUP;
  return { folder: `${own}/${plural}`, group: own };
}

/** A whole API server: its own kinds are without their group, and two have the names of Kubernetes' first days. */
export function asKubernetesDoes({ group, plural }: Kind): Storage {
  if (group.includes('.')) return { folder: `${group}/${plural}`, group };
  const folders: Readonly<Record<string, string>> = { services: 'services/specs', nodes: 'minions' };
  return { folder: folders[plural] ?? plural, group };
}

type Put = { readonly request_put: { readonly key: Buffer; readonly value: Buffer } };

/** `rv` 1 at etcd: an object's resource version is the revision that it is written at. */
export async function putObjects(
  plane: Reachable,
  resource: Resource,
  objects: Iterable<NewObject>,
  storageOf = inItsGroup,
): Promise<void> {
  const [member] = plane.members;
  if (!member) throw new RangeError('a plane without members');
  const kind = kindOf(resource);
  const storage = storageOf(kind);
  await withMember(plane, member.endpoint, async (client) => {
    let batch: Put[] = [];
    let bytes = 0;
    const flush = async () => {
      if (batch.length > 0) await client.kv.txn({ compare: [], success: batch, failure: [] }, within(TIMEOUT_MS));
      batch = [];
      bytes = 0;
    };
    for (const object of objects) {
      const stored = storedJson(kind, object, storage.group);
      const key = keyOf(kind, stored.metadata, storage);
      const value = Buffer.from(`${JSON.stringify(stored)}\n`);
      if (bytes + value.length > REQUEST_BYTES || batch.length === REQUEST_OPERATIONS) await flush();
      batch.push({ request_put: { key, value } });
      bytes += value.length;
    }
    await flush();
  });
}

/** Directly into etcd, before the server starts: as if a person had created them. */
export async function putDefinitions(plane: Reachable, kinds: readonly Kind[]): Promise<void> {
  const [member] = plane.members;
  if (!member) throw new RangeError('a plane without members');
  await withMember(plane, member.endpoint, async (client) => {
    for (const kind of kinds) {
      const definition = definitionOf(kind);
      const key = `/registry/apiextensions.k8s.io/customresourcedefinitions/${definition.metadata.name}`;
      const put = { key: Buffer.from(key), value: Buffer.from(JSON.stringify(definition)) };
      await client.kv.put(put, within(TIMEOUT_MS));
    }
  });
}

/** As a disk that lost a block, or a tool that wrote into etcd itself, may leave it. */
export const UNDECODABLE = Buffer.from('{"apiVersion": garbage \0');

/** In the place of one object. @param value undefined: nothing is there any more */
export async function putBytes(
  plane: Reachable,
  resource: Resource,
  place: Place,
  value: Buffer | undefined,
  storageOf = inItsGroup,
): Promise<void> {
  const [member] = plane.members;
  if (!member) throw new RangeError('a plane without members');
  const kind = kindOf(resource);
  const key = keyOf(kind, place, storageOf(kind));
  await withMember(plane, member.endpoint, async ({ kv }) => {
    if (value === undefined) await kv.deleteRange({ key }, within(TIMEOUT_MS));
    else await kv.put({ key, value }, within(TIMEOUT_MS));
  });
}

function keyOf(
  { namespaced }: Kind,
  { namespace, name }: Partial<Place> & Pick<Place, 'name'>,
  { folder }: Storage,
): Buffer {
  return Buffer.from(`/registry/${folder}/${namespaced ? `${namespace}/${name}` : name}`);
}

/** The keys of a kind's objects, as etcd has them: those of a custom resource. */
export async function storedKeys(plane: Reachable, kind: Kind): Promise<readonly string[]> {
  const folder = `/registry/${inItsGroup(kind).folder}`;
  return withMember(plane, plane.members[0]?.endpoint ?? '', async ({ kv }) => {
    const range = { key: Buffer.from(`${folder}/`), range_end: Buffer.from(`${folder}0`), keys_only: true };
    return (await kv.range(range, within(20_000))).kvs.map(({ key }) => key.toString());
  });
}
