// Objects as an API server stores them, made of what a test cares about.
import { randomUUID } from 'node:crypto';
import type { OwnerReference } from '../../functions/kubernetes/types.ts';
import type { Kind } from './kinds.ts';

export interface NewObject {
  readonly name: string;
  /** @default "default" for what is namespaced */
  readonly namespace?: string;
  /** @default a new one */
  readonly uid?: string;
  /** ISO 8601 in whole seconds. @default now */
  readonly creationTimestamp?: string;
  /** Of `managedFields`. @default no managedFields, so that it is the creation */
  readonly lastWrittenAt?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  /** All else at the top of the object, such as `spec` and `report`. */
  readonly content?: Readonly<Record<string, unknown>>;
}

/** As JSON has it, and changeable only by making a new one. */
export interface StoredJson {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: StoredMetadata;
  readonly [field: string]: unknown;
}

interface StoredMetadata extends Omit<NewObject, 'content' | 'lastWrittenAt'> {
  readonly uid: string;
  readonly creationTimestamp: string;
  readonly generation: number;
  readonly resourceVersion?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly managedFields?: readonly unknown[];
}

/** @param group the kind's own, or where the look-alikes of the core group lie */
export function storedJson(kind: Kind, object: NewObject, group = kind.group): StoredJson {
  const { content = {}, lastWrittenAt, namespace = 'default', ...rest } = object;
  const apiVersion = group === '' ? kind.version : `${group}/${kind.version}`;
  return {
    apiVersion,
    kind: kind.kind,
    metadata: {
      generation: 1,
      ...rest,
      ...(kind.namespaced && { namespace }),
      uid: object.uid ?? randomUUID(),
      creationTimestamp: object.creationTimestamp ?? timestamp(new Date()),
      ...(lastWrittenAt !== undefined && { managedFields: [managedField(apiVersion, lastWrittenAt)] }),
    },
    ...content,
  };
}

/** Who wrote it when, as the API server notes it. */
export function managedField(apiVersion: string, time: string): unknown {
  return {
    manager: 'operator',
    operation: 'Update',
    apiVersion,
    time,
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:report': {} },
  };
}

/** In whole seconds, as the API writes times. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
