// A small cluster's reports of every sort, with their owners: each is named for what must become of it.
import type { OwnerReference } from '../../functions/kubernetes/types.ts';
import type { TestApiServer } from './api-server.ts';
import { kindNamed } from './kinds.ts';
import { type NewObject, timestamp } from './objects.ts';

export const TRIVY_TTL = 'trivy-operator.aquasecurity.github.io/report-ttl';
export const TRIVY = { 'app.kubernetes.io/managed-by': 'trivy-operator' };
const KYVERNO = { 'app.kubernetes.io/managed-by': 'kyverno' };

export function hoursAgo(hours: number): string {
  return timestamp(new Date(Date.now() - hours * 3_600_000));
}

/** A uid that its name can be told from. */
export function uidOf(name: string): string {
  return `00000000-0000-4000-8000-${Buffer.from(name).toString('hex').padStart(12, '0').slice(-12)}`;
}

export function owner(kind: string, name: string, apiVersion = 'apps/v1'): OwnerReference {
  return { apiVersion, kind, name, uid: uidOf(name) };
}

/** Of two days ago, owned by a ReplicaSet that is at work. */
export function trivyReport(name: string, changes: Partial<NewObject> = {}): NewObject {
  return {
    name,
    creationTimestamp: hoursAgo(48),
    labels: TRIVY,
    ownerReferences: [owner('ReplicaSet', 'at-work')],
    ...changes,
  };
}

const REVISION = 'deployment.kubernetes.io/revision';
/** At its second revision. */
const DEPLOYMENT: NewObject = { name: 'app', uid: uidOf('app'), annotations: { [REVISION]: '2' } };

/** Its first one, of which nothing runs any more. */
export function supersededReplicaSet(name: string, replicas = 0): NewObject {
  return {
    name,
    uid: uidOf(name),
    annotations: { [REVISION]: '1' },
    ownerReferences: [owner('Deployment', 'app')],
    content: { spec: { replicas } },
  };
}

export const GONE = { ownerReferences: [owner('ReplicaSet', 'gone')] };
const ttl = (text: string) => ({ annotations: { [TRIVY_TTL]: text } });

/** As Kyverno's admission controller makes one, and its background controller leaves it. */
export function updateRequest(name: string, state: string, hours: number): NewObject {
  const labels = { 'generate.kyverno.io/policy-name': 'add-quota' };
  const content = { spec: { policy: 'add-quota', requestType: 'generate' }, status: { state } };
  return { name, namespace: 'kyverno', creationTimestamp: hoursAgo(hours), labels, content };
}

/**
 * Reports by kind: what begins with `stale` is to be deleted, everything else is to stay. Made anew each time: some are
 * of now.
 */
const reports = (): Readonly<Record<string, readonly NewObject[]>> => ({
  VulnerabilityReport: [
    trivyReport('stale-owner-gone', GONE),
    trivyReport('stale-owner-gone-elsewhere', { ...GONE, namespace: 'other' }),
    trivyReport('stale-owner-recreated', {
      ownerReferences: [{ ...owner('ReplicaSet', 'at-work'), uid: uidOf('before') }],
    }),
    trivyReport('stale-pod-gone', { ownerReferences: [owner('Pod', 'no-pod', 'v1')] }),
    trivyReport('stale-superseded-owner', { ownerReferences: [owner('ReplicaSet', 'at-zero')] }),
    trivyReport('keep-at-night', { ownerReferences: [owner('ReplicaSet', 'at-night')] }),
    trivyReport('stale-ttl-passed', ttl('24h0m0s')),
    trivyReport('keep-at-work'),
    trivyReport('keep-ttl', ttl('72h')),
    trivyReport('keep-ttl-unreadable', { ...GONE, ...ttl('three days') }),
    trivyReport('keep-written-lately', { ...GONE, lastWrittenAt: hoursAgo(0) }),
    trivyReport('keep-new', { ...GONE, creationTimestamp: hoursAgo(0) }),
    trivyReport('keep-finalizer', { ...GONE, finalizers: ['example.com/archive'] }),
    trivyReport('keep-pod', { ownerReferences: [owner('Pod', 'a-pod', 'v1')] }),
    trivyReport('keep-owner-unknown', { ownerReferences: [owner('Rollout', 'gone', 'argoproj.io/v1alpha1')] }),
  ],
  SbomReport: [
    trivyReport('stale-superseded', { ...ttl('0s'), ownerReferences: [owner('ReplicaSet', 'at-zero')] }),
    trivyReport('keep-rolled-back', ttl('0s')),
    trivyReport('keep-sbom', ttl('24h0m0s')),
  ],
  ConfigAuditReport: [trivyReport('keep-by-operator', ttl('24h0m0s')), trivyReport('stale-audit', GONE)],
  ClusterRbacAssessmentReport: [trivyReport('keep-without-owner', { ownerReferences: [] })],
  ClusterComplianceReport: [trivyReport('keep-compliance', GONE)],
  PolicyReport: [
    trivyReport('stale-policy', { ...GONE, labels: KYVERNO }),
    trivyReport('cpol-stale-of-a-policy', { ownerReferences: [], labels: KYVERNO }),
    trivyReport('keep-without-owner-today', { ownerReferences: [], labels: KYVERNO }),
    trivyReport('moved-stale', { labels: KYVERNO }),
    trivyReport('keep-moved-not', { labels: KYVERNO }),
    trivyReport('keep-moved-before', { labels: KYVERNO }),
    trivyReport('keep-other-tool', { ...GONE, labels: { 'app.kubernetes.io/managed-by': 'falco' } }),
    trivyReport('keep-scaled', { ownerReferences: [owner('ReplicaSet', 'at-zero')], labels: KYVERNO }),
  ],
  ClusterPolicyReport: [
    trivyReport('stale-namespace-gone', { ownerReferences: [owner('Namespace', 'gone', 'v1')], labels: KYVERNO }),
  ],
  EphemeralReport: [
    trivyReport('stale-idle', { labels: KYVERNO }),
    trivyReport('stale-ephemeral', { ownerReferences: [], creationTimestamp: hoursAgo(0.1), labels: KYVERNO }),
    trivyReport('keep-ephemeral', { ownerReferences: [], creationTimestamp: hoursAgo(0), labels: KYVERNO }),
  ],
  BackgroundScanReport: [trivyReport('stale-leftover', { labels: KYVERNO })],
  ClusterReport: [trivyReport('stale-open', { ...GONE, labels: KYVERNO })],
  // Of a kind that is looked at only where it is configured.
  UpdateRequest: [updateRequest('keep-request', 'Completed', 48)],
  Report: [
    // By their names those that have taken the place of the policy reports above.
    trivyReport('moved-stale', { creationTimestamp: hoursAgo(2), labels: KYVERNO }),
    trivyReport('keep-moved-before', { creationTimestamp: hoursAgo(50), labels: KYVERNO }),
  ],
});

/** Kinds whose reports stay whatever they are called: these have taken the place of others. */
const NEWER = ['Report'];

function namesOf(wanted: (isStale: boolean) => boolean): readonly string[] {
  return Object.entries(reports())
    .flatMap(([kind, objects]) => objects.map(({ name }) => ({ name, isNewer: NEWER.includes(kind) })))
    .filter(({ name, isNewer }) => wanted(/^(cpol-|moved-)?stale/.test(name) && !isNewer))
    .map(({ name }) => name)
    .toSorted();
}

export const STALE = namesOf((isStale) => isStale);
export const KEPT = namesOf((isStale) => !isStale);

/** Both operators are there, and the owners that are not named for being gone. */
export async function createOwners(api: TestApiServer): Promise<void> {
  const create = (kind: string, ...objects: NewObject[]) => api.create(kindNamed(kind), objects);
  await create(
    'ReplicaSet',
    { name: 'at-work', uid: uidOf('at-work'), content: { spec: { replicas: 2 } } },
    supersededReplicaSet('at-zero'),
    { ...supersededReplicaSet('at-night'), annotations: { [REVISION]: '2' } },
  );
  await create('Pod', { name: 'a-pod', uid: uidOf('a-pod') });
  await create(
    'Deployment',
    DEPLOYMENT,
    { name: 'trivy-operator', labels: { 'app.kubernetes.io/name': 'trivy-operator' } },
    { name: 'kyverno-reports-controller', labels: { 'app.kubernetes.io/part-of': 'kyverno' } },
  );
}

export async function createReports(api: TestApiServer): Promise<void> {
  for (const [kind, objects] of Object.entries(reports())) await api.create(kindNamed(kind), objects);
}

/** `count` reports without an owner any more, about as large as real ones if asked for. */
export function* staleReports(count: number, content: NewObject['content'] = {}): Generator<NewObject> {
  for (let i = 0; i < count; i++) yield trivyReport(`stale-${String(i).padStart(5, '0')}`, { ...GONE, content });
}
