// Reads the API server's answers: what is needed of them is checked, and everything else dropped at once.
import * as z from 'zod/mini';
import { InvalidInputError } from '../contract/errors.ts';
import { validate } from '../contract/validate.ts';
import { type ApiCall, KubernetesError } from './errors.ts';
import type { Answer } from './transport.ts';
import type { DeleteOutcome, ObjectMetadata, ScaledOwner } from './types.ts';

const text = z.string().check(z.minLength(1));
/** Go writes an empty map or list as null, or not at all. */
const nullable = <Schema extends z.ZodMiniType>(schema: Schema) => z.optional(z.nullable(schema));
const texts = z.record(z.string(), z.string());

const metadata = z.object({
  uid: text,
  name: text,
  namespace: nullable(z.string()),
  resourceVersion: text,
  creationTimestamp: text,
  deletionTimestamp: nullable(z.string()),
  labels: nullable(texts),
  annotations: nullable(texts),
  ownerReferences: nullable(
    z.array(z.object({ apiVersion: z.string(), kind: z.string(), name: z.string(), uid: text })),
  ),
  finalizers: nullable(z.array(z.string())),
  managedFields: nullable(z.array(z.object({ time: nullable(z.string()) }))),
});

const listMetadata = z.object({ continue: nullable(z.string()) });
const metadataList = z.object({
  metadata: listMetadata,
  items: nullable(z.array(z.object({ metadata }))),
});
const table = z.object({
  metadata: listMetadata,
  columnDefinitions: nullable(z.array(z.object({ name: z.string() }))),
  rows: nullable(z.array(z.object({ cells: z.array(z.unknown()), object: z.object({ metadata }) }))),
});
const scaledList = z.object({
  metadata: listMetadata,
  items: nullable(z.array(z.object({ metadata, spec: nullable(z.object({ replicas: nullable(z.number()) })) }))),
});
const apiService = z.object({
  spec: z.object({ service: nullable(z.object({ namespace: text, name: text })) }),
});
const deleted = z.object({ metadata: nullable(z.object({ finalizers: nullable(z.array(z.string())) })) });
const kindList = z.object({
  resources: nullable(z.array(z.object({ name: text, kind: text, namespaced: z.boolean() }))),
});

const status = z.object({
  kind: z.literal('Status'),
  message: nullable(z.string()),
  reason: nullable(z.string()),
  metadata: nullable(z.object({ continue: nullable(z.string()) })),
  details: nullable(
    z.object({
      name: nullable(z.string()),
      retryAfterSeconds: nullable(z.number()),
      causes: nullable(z.array(z.object({ field: nullable(z.string()), message: nullable(z.string()) }))),
    }),
  ),
});

/** What the server says went wrong, or well. */
export interface Status {
  readonly message: string | undefined;
  readonly reason: string | undefined;
  /** In a 410: with this the list goes on, from a newer snapshot. */
  readonly continueToken: string | undefined;
  /** The object that it is about. */
  readonly objectName: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** What is behind it, each with the field, or the key in etcd, that it is about. */
  readonly causes: readonly { readonly field: string; readonly message: string }[];
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly continueToken: string | undefined;
}

/** @throws KubernetesError where it isn't a list as Kubernetes writes it */
export function readMetadataList(answer: Answer, call: ApiCall): Page<ObjectMetadata> {
  const list = read(answer, call, metadataList);
  return {
    items: (list.items ?? []).map((item) => plain(item.metadata)),
    continueToken: list.metadata.continue || undefined,
  };
}

/** The same as a table, with a column's cells as `state`. @throws KubernetesError */
export function readTable(answer: Answer, call: ApiCall, column: string): Page<ObjectMetadata> {
  const { metadata: ofList, columnDefinitions, rows } = read(answer, call, table);
  const index = (columnDefinitions ?? []).findIndex(({ name }) => name === column);
  return {
    items: (rows ?? []).map(({ cells, object }) => withState(plain(object.metadata), cells[index])),
    continueToken: ofList.continue || undefined,
  };
}

/** Of whole objects. @throws KubernetesError */
export function readScaledList(answer: Answer, call: ApiCall): Page<ScaledOwner> {
  const list = read(answer, call, scaledList);
  return {
    items: (list.items ?? []).map((item) => {
      const { uid, lastWrittenAt, annotations, ownerReferences } = plain(item.metadata);
      return { uid, lastWrittenAt, annotations, ownerReferences, replicas: item.spec?.replicas ?? 1 };
    }),
    continueToken: list.metadata.continue || undefined,
  };
}

/** Who serves a group's version, of its APIService: undefined for the API server itself. @throws KubernetesError */
export function readService(answer: Answer, call: ApiCall): string | undefined {
  const { spec } = read(answer, call, apiService);
  return spec.service ? `${spec.service.namespace}/${spec.service.name}` : undefined;
}

/** Of one object. @throws KubernetesError */
export function readMetadata(answer: Answer, call: ApiCall): ObjectMetadata {
  return plain(read(answer, call, z.object({ metadata })).metadata);
}

/**
 * Of one object as etcd has it, where nobody has written down its resourceVersion: that is the revision of its key.
 * @param object what its JSON says
 * @returns undefined where it isn't an object as Kubernetes writes it
 */
export function readStoredMetadata(object: unknown, resourceVersion: string): ObjectMetadata | undefined {
  const { success, data } = z.safeParse(
    z.object({ metadata: z.extend(metadata, { resourceVersion: z.optional(z.unknown()) }) }),
    object,
  );
  if (!success) return undefined;
  const { data: found } = z.safeParse(z.object({ status: z.object({ state: z.string() }) }), object);
  return withState(plain({ ...data.metadata, resourceVersion }), found?.status.state);
}

/**
 * What a delete that was accepted came to: a Status or the object as it was says that it is gone, one that still has
 * finalizers that it only waits for them.
 * @throws KubernetesError
 */
export function readDeleted(answer: Answer, call: ApiCall): Extract<DeleteOutcome, 'deleted' | 'finalizers'> {
  const left = read(answer, call, deleted).metadata?.finalizers ?? [];
  return left.length > 0 ? 'finalizers' : 'deleted';
}

/** By kind: how the API's paths name it, and whether it has namespaces. */
export type KindsOfVersion = ReadonlyMap<string, { readonly plural: string; readonly namespaced: boolean }>;

/** Subresources are left out. @throws KubernetesError */
export function readKinds(answer: Answer, call: ApiCall): KindsOfVersion {
  const { resources } = read(answer, call, kindList);
  const kinds = (resources ?? []).filter(({ name }) => !name.includes('/'));
  return new Map(kinds.map(({ kind, name: plural, namespaced }) => [kind, { plural, namespaced }]));
}

/** Undefined where the answer is no Status: an object, a proxy's page, or the plain text of an unknown path. */
export function readStatus(answer: Answer): Status | undefined {
  const { success, data } = z.safeParse(status, parse(answer.text));
  if (!success) return undefined;
  return {
    message: data.message ?? undefined,
    reason: data.reason ?? undefined,
    continueToken: data.metadata?.continue || undefined,
    objectName: data.details?.name || undefined,
    retryAfterSeconds: data.details?.retryAfterSeconds ?? undefined,
    causes: (data.details?.causes ?? []).map(({ field, message }) => ({ field: field ?? '', message: message ?? '' })),
  };
}

/**
 * The server's own clock.
 * @throws KubernetesError: every API server says what time it is, and ages are counted by it
 */
export function servedAt(answer: Answer, call: ApiCall): string {
  const ms = Date.parse(String(answer.headers.date));
  if (Number.isNaN(ms)) throw notKubernetes(call, 'it does not say what time it is');
  return new Date(ms).toISOString();
}

function withState(object: ObjectMetadata, state: unknown): ObjectMetadata {
  return typeof state === 'string' && state !== '' ? { ...object, state } : object;
}

function plain(found: z.output<typeof metadata>): ObjectMetadata {
  let lastWrittenAt = found.creationTimestamp;
  // Both as the server writes them, in UTC and whole seconds, so that texts compare as times do.
  for (const { time } of found.managedFields ?? []) if (time && time > lastWrittenAt) lastWrittenAt = time;
  return {
    uid: found.uid,
    name: found.name,
    namespace: found.namespace || undefined,
    resourceVersion: found.resourceVersion,
    creationTimestamp: found.creationTimestamp,
    deletionTimestamp: found.deletionTimestamp ?? undefined,
    lastWrittenAt,
    labels: found.labels ?? {},
    annotations: found.annotations ?? {},
    ownerReferences: found.ownerReferences ?? [],
    finalizers: found.finalizers ?? [],
  };
}

function read<Schema extends z.ZodMiniType>(answer: Answer, call: ApiCall, schema: Schema): z.output<Schema> {
  const document = parse(answer.text);
  if (document === undefined) throw notKubernetes(call, 'it is no JSON');
  try {
    return validate(schema, document, 'the answer');
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    throw notKubernetes(call, error.problems.slice(0, 3).join('; '));
  }
}

/** Undefined for what is no JSON; the parser's own error would quote it. */
function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function notKubernetes(call: ApiCall, what: string): KubernetesError {
  const text = `the answer is not a Kubernetes API server's: ${what}. Check kubernetes.server, and what is between it and here`;
  return new KubernetesError(call, 'unknown', text);
}
