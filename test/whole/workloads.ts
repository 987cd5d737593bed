// What stands behind reports, made by the real controllers: Deployments that are rolled out, and who owns what.
import { setTimeout as wait } from 'node:timers/promises';
import type { OwnerReference } from '../../functions/kubernetes/types.ts';
import type { WholeApiServer } from '../../lab/kubernetes/whole-api-server.ts';

export interface ReplicaSet {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly replicas: number; readonly template: { readonly spec: PodSpec } };
}

interface PodSpec {
  readonly containers: readonly { readonly image: string }[];
}

const PATIENCE_MS = 60_000;

/** Until it is so. @throws Error with what it was waited for */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const giveUpAt = Date.now() + PATIENCE_MS; ; await wait(50)) {
    if (await isSo()) return;
    if (Date.now() > giveUpAt) throw new Error(`waited in vain for this: ${what}`);
  }
}

export async function createNamespace(api: WholeApiServer, name: string): Promise<void> {
  await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

/** A Deployment that may be rolled out at once, since none of its Pods is ever ready. */
export async function deploy(
  api: WholeApiServer,
  namespace: string,
  name: string,
  { replicas = 1, image = 'web:1', labels = {} } = {},
): Promise<ReplicaSet> {
  const matchLabels = { app: name };
  const template = { metadata: { labels: matchLabels }, spec: { containers: [{ name: 'main', image }] } };
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '100%', maxSurge: 0 } };
  await api.apply({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name, labels },
    ...{ spec: { replicas, strategy, selector: { matchLabels }, template } },
  });
  return rolledOut(api, namespace, name, image, replicas);
}

/** @returns the ReplicaSet that is the current one then */
export async function roll(
  api: WholeApiServer,
  namespace: string,
  name: string,
  image: string,
  replicas = 1,
): Promise<ReplicaSet> {
  const spec = { replicas, template: { spec: { containers: [{ name: 'main', image }] } } };
  await api.ask('PATCH', `${deployments(namespace)}/${name}`, [], JSON.stringify({ spec }));
  return rolledOut(api, namespace, name, image, replicas);
}

async function rolledOut(
  api: WholeApiServer,
  namespace: string,
  name: string,
  image: string,
  replicas: number,
): Promise<ReplicaSet> {
  let current: ReplicaSet | undefined;
  await until(`${name} is rolled out with ${image}`, async () => {
    const path = `/apis/apps/v1/namespaces/${namespace}/replicasets?labelSelector=app%3D${name}`;
    const { items } = (await api.ask<{ readonly items: readonly ReplicaSet[] }>('GET', path)).document;
    current = items.find(({ spec }) => spec.template.spec.containers[0]?.image === image);
    return current?.spec.replicas === replicas && items.every((each) => each === current || each.spec.replicas === 0);
  });
  if (current === undefined) throw new Error(`${name} has no ReplicaSet with ${image}`);
  return current;
}

export function ownerOf({ metadata: { name, uid } }: Pick<ReplicaSet, 'metadata'>): OwnerReference {
  return { apiVersion: 'apps/v1', kind: 'ReplicaSet', name, uid };
}

/** As `kubectl delete` does. */
export async function remove(api: WholeApiServer, path: string): Promise<void> {
  await api.ask('DELETE', path, [404], JSON.stringify({ propagationPolicy: 'Background' }));
}

export function deployments(namespace: string): string {
  return `/apis/apps/v1/namespaces/${namespace}/deployments`;
}
