// A custom resource as the API server keeps it in etcd: JSON under a key that says its group, plural, namespace and
// name. What is anything else is not judged (R12).
import { tryJson } from '../contract/json.ts';
import { readStoredMetadata } from './answers.ts';
import type { ObjectMetadata, Resource } from './types.ts';

/** The API server writes these before a value that it has encrypted, or that is protobuf. */
const ENCRYPTED = Buffer.from('k8s:enc:');
const PROTOBUF = Buffer.from('k8s\0');

export type StoredObject =
  | { readonly kind: 'object'; readonly metadata: ObjectMetadata }
  /** Encryption at rest: nobody but the API server can tell what it is. */
  | { readonly kind: 'encrypted' }
  | { readonly kind: 'unreadable'; readonly why: string };

/** A range of keys as etcd wants it: `to` is the first key behind it. */
export interface KeysUnder {
  readonly from: string;
  readonly to: string;
}

/** All keys under a path. */
export function keysUnder(path: string): KeysUnder {
  return { from: `${path}/`, to: `${path}0` }; // '0' comes directly after '/'
}

/**
 * All keys of a kind, in every namespace.
 * @param registry the API server's --etcd-prefix
 */
export function keysOf({ group, plural }: Pick<Resource, 'group' | 'plural'>, registry: string): KeysUnder {
  return keysUnder(`${registry}/${group}/${plural}`);
}

/**
 * @param folder with its slash at the end, as `keysOf` gives it in `from`
 * @param modRevision the key's, which is the object's resourceVersion
 */
export function readStoredObject(
  folder: string,
  { key, value, modRevision }: { readonly key: string; readonly value: Buffer; readonly modRevision: string },
): StoredObject {
  if (startsWith(value, ENCRYPTED)) return { kind: 'encrypted' };
  if (startsWith(value, PROTOBUF)) return { kind: 'unreadable', why: 'it is protobuf, so it is no custom resource' };
  const object = tryJson(value.toString());
  if (object === undefined) return { kind: 'unreadable', why: 'it is not JSON' };
  const metadata = readStoredMetadata(object, modRevision);
  if (metadata === undefined) return { kind: 'unreadable', why: 'it is not an object as Kubernetes writes it' };
  const { namespace, name } = metadata;
  // What lies under another name than its own is not what it says.
  const own = `${folder}${namespace === undefined ? '' : `${namespace}/`}${name}`;
  return key === own ? { kind: 'object', metadata } : { kind: 'unreadable', why: `it says that its key is ${own}` };
}

function startsWith(value: Buffer, prefix: Buffer): boolean {
  return value.subarray(0, prefix.length).equals(prefix);
}
