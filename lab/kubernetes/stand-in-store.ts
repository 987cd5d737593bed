// The stand-in's storage: objects with resource versions, lists in pages of one snapshot, and deletes with
// preconditions.
import type { Resource } from '../../functions/kubernetes/types.ts';
import type { Place } from './api-server.ts';
import { kindOf } from './kinds.ts';
import { managedField, type NewObject, type StoredJson, storedJson, timestamp } from './objects.ts';

export type Stored = StoredJson & { readonly metadata: { readonly resourceVersion: string } };

export interface ListResult {
  readonly items: readonly Stored[];
  readonly resourceVersion: string;
  readonly continueToken: string | undefined;
  readonly remaining: number;
}

export type DeleteResult =
  | { readonly result: 'deleted' | 'finalizers'; readonly object: Stored }
  | { readonly result: 'not-found' }
  | { readonly result: 'conflict'; readonly message: string };

export interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

interface Token {
  readonly snapshot: number;
  /** The key after which it goes on. */
  readonly after: string;
}

export class Store {
  readonly #kinds = new Map<string, Map<string, Stored>>();
  /** A list in pages sees what was there when it began. */
  readonly #snapshots = new Map<number, readonly (readonly [string, Stored])[]>();
  #revision = 1;
  #nextSnapshot = 1;

  put(resource: Resource, object: NewObject): void {
    const json = storedJson(kindOf(resource), object);
    this.#write(resource, json);
  }

  get(resource: Resource, place: Place): Stored | undefined {
    return this.#objects(resource).get(keyOf(place));
  }

  all(resource: Resource): readonly Stored[] {
    return sorted(this.#objects(resource)).map(([, object]) => object);
  }

  /** Writes an object anew, with other metadata if asked for. @throws RangeError where it isn't there */
  rewrite(resource: Resource, place: Place, change: Partial<StoredJson['metadata']> = {}): Stored {
    const found = this.get(resource, place);
    if (!found) throw new RangeError(`there is no ${resource.plural} ${keyOf(place)}`);
    const managedFields = [managedField(found.apiVersion, timestamp(new Date()))];
    const { metadata } = found;
    return this.#write(resource, { ...found, metadata: { ...metadata, managedFields, ...change } });
  }

  /** Nobody can decode it any more; a write in its place mends that. @throws RangeError where it isn't there */
  spoil(resource: Resource, place: Place): void {
    const found = this.get(resource, place);
    if (!found) throw new RangeError(`there is no ${resource.plural} ${keyOf(place)}`);
    this.#objects(resource).set(keyOf(place), { ...found, undecodable: true });
    this.#revision++;
  }

  remove(resource: Resource, place: Place): void {
    this.#revision++;
    this.#objects(resource).delete(keyOf(place));
  }

  /** @param now for what only waits for its finalizers from then on */
  delete(resource: Resource, place: Place, { uid, resourceVersion }: Preconditions, now: Date): DeleteResult {
    const object = this.get(resource, place);
    if (!object) return { result: 'not-found' };
    const is = object.metadata;
    const of = `Operation cannot be fulfilled on ${object.kind}.${resource.group} "${place.name}"`;
    if (uid !== undefined && uid !== is.uid) {
      const message = `${of}: the UID in the precondition (${uid}) does not match the UID in record (${is.uid}). The object might have been deleted and then recreated`;
      return { result: 'conflict', message };
    }
    if (resourceVersion !== undefined && resourceVersion !== is.resourceVersion) {
      const message = `${of}: the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${is.resourceVersion}). The object might have been modified`;
      return { result: 'conflict', message };
    }
    if ((is.finalizers ?? []).length === 0) {
      this.remove(resource, place);
      return { result: 'deleted', object };
    }
    if (is.deletionTimestamp !== undefined) return { result: 'finalizers', object };
    const marked = { ...is, deletionTimestamp: timestamp(now), deletionGracePeriodSeconds: 0 };
    return { result: 'finalizers', object: this.#write(resource, { ...object, metadata: marked }) };
  }

  /** @returns `expired`, with the token that the list goes on with; `invalid` for a token that never was one */
  list(
    resource: Resource,
    {
      limit,
      token,
      namespace,
    }: { limit: number | undefined; token: string | undefined; namespace?: string | undefined },
  ): ListResult | { readonly expired: string } | 'invalid' {
    const place = token === undefined ? undefined : decode(token);
    if (place === null) return 'invalid';
    const isNew = place === undefined || place.snapshot === 0;
    const snapshot = isNew ? sorted(this.#objects(resource)) : this.#snapshots.get(place.snapshot);
    if (snapshot === undefined) return { expired: encode({ snapshot: 0, after: place?.after ?? '' }) };
    const rest = snapshot.filter(
      ([key, { metadata }]) =>
        (namespace === undefined || metadata.namespace === namespace) && (place === undefined || key > place.after),
    );
    const page = limit === undefined ? rest : rest.slice(0, limit);
    const result = { items: page.map(([, object]) => object), resourceVersion: `${this.#revision}` };
    const last = page.at(-1);
    if (!last || page.length === rest.length) return { ...result, continueToken: undefined, remaining: 0 };
    const id = isNew ? this.#nextSnapshot++ : place.snapshot;
    this.#snapshots.set(id, snapshot);
    const continueToken = encode({ snapshot: id, after: last[0] });
    return { ...result, continueToken, remaining: rest.length - page.length };
  }

  expire(): void {
    this.#snapshots.clear();
  }

  #write(resource: Resource, object: StoredJson): Stored {
    const resourceVersion = `${++this.#revision}`;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion } };
    this.#objects(resource).set(keyOf(stored.metadata), stored);
    return stored;
  }

  #objects({ group, plural }: Resource): Map<string, Stored> {
    const key = `${plural}.${group}`;
    const objects = this.#kinds.get(key) ?? new Map<string, Stored>();
    this.#kinds.set(key, objects);
    return objects;
  }
}

function keyOf({ namespace, name }: { readonly namespace?: string | undefined; readonly name: string }): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** As etcd has them: by the bytes of their keys. */
function sorted(objects: ReadonlyMap<string, Stored>): readonly (readonly [string, Stored])[] {
  return [...objects].sort(([a], [b]) => (a < b ? -1 : 1));
}

function encode(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function decode(token: string): Token | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (typeof value !== 'object' || value === null || !('snapshot' in value) || !('after' in value)) return null;
    return { snapshot: Number(value.snapshot), after: String(value.after) };
  } catch {
    return null;
  }
}
