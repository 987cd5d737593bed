// Kinds, metadata of reports and circumstances for the tests of what is pure.

import { parseCluster } from '../../functions/contract/configuration.ts';
import { KNOWN_KINDS, type ReportKind } from '../../functions/contract/kinds.ts';
import type { ObjectMetadata, OwnerReference } from '../../functions/kubernetes/types.ts';
import {
  type Circumstances,
  type Owners,
  type OwnersOfKind,
  ownerKind,
  type StaleRules,
} from '../../functions/reports/stale.ts';

export const NOW_MS = Date.parse('2026-06-10T12:00:00Z');
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const TRIVY_TTL = 'trivy-operator.aquasecurity.github.io/report-ttl';

/** As the API server writes times: whole seconds. */
export function ago(ms: number): string {
  return new Date(NOW_MS - ms).toISOString().replace('.000', '');
}

export function kindOf(plural: string): ReportKind {
  const found = KNOWN_KINDS.find((each) => each.plural === plural);
  if (found === undefined) throw new RangeError(`no kind ${plural}`);
  return found;
}

export function replicaSet(uid: string): OwnerReference {
  return { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `app-${uid}`, uid };
}

/** A report of two days ago that lives, with the label of its producer, unless `changes` say otherwise. */
export function reportOf(changes: Partial<ObjectMetadata> = {}): ObjectMetadata {
  const creationTimestamp = changes.creationTimestamp ?? ago(48 * HOUR_MS);
  return {
    uid: 'report',
    name: 'replicaset-app-main',
    namespace: 'default',
    resourceVersion: '7',
    creationTimestamp,
    deletionTimestamp: undefined,
    lastWrittenAt: creationTimestamp,
    labels: { 'app.kubernetes.io/managed-by': 'trivy-operator' },
    annotations: {},
    ownerReferences: [replicaSet('alive')],
    finalizers: [],
    ...changes,
  };
}

export const REPLICA_SETS: OwnersOfKind = {
  listedAtMs: NOW_MS,
  uids: new Set(['alive', 'superseded', 'at-zero']),
  atZero: new Map([
    ['superseded', { superseded: true, writtenMs: NOW_MS - 48 * HOUR_MS }],
    ['at-zero', { superseded: false, writtenMs: NOW_MS - 48 * HOUR_MS }],
  ]),
};

export function ownersOf(replicaSets: OwnersOfKind | undefined = REPLICA_SETS): Owners {
  return new Map(replicaSets === undefined ? [] : [[ownerKind(replicaSet('any')), replicaSets]]);
}

/** The configuration's own. */
export const RULES: StaleRules = parseCluster({
  name: 'demo',
  etcd: { endpoints: ['http://127.0.0.1:2379'] },
}).prune;

export function circumstancesOf(changes: Partial<Circumstances> = {}): Circumstances {
  return {
    kind: kindOf('vulnerabilityreports'),
    rules: RULES,
    owners: ownersOf(),
    successors: new Map(),
    producers: { trivy: 'there', kyverno: 'there', hasEphemeralReports: true },
    nowMs: NOW_MS,
    ...changes,
  };
}
