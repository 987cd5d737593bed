// Pruning where a whole kube-apiserver says no: by RBAC, by admission, by priority and fairness, for a finalizer.
import { readFileSync } from 'node:fs';
import { loadAllYaml, type V1ClusterRole } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_KINDS } from '../../functions/contract/kinds.ts';
import { RIGHTS } from '../../functions/kubernetes/rights.ts';
import type { OwnerReference } from '../../functions/kubernetes/types.ts';
import { KINDS, kindNamed } from '../../lab/kubernetes/kinds.ts';
import { whyNoKubernetes } from '../../lab/kubernetes/kubernetes-binaries.ts';
import { type MadeReport, trivyMade } from '../../lab/kubernetes/made-reports.ts';
import type { NewObject } from '../../lab/kubernetes/objects.ts';
import { GONE, hoursAgo, TRIVY, updateRequest } from '../../lab/kubernetes/sample-cluster.ts';
import { SERVICE_ACCOUNT, startWholeApiServer, type WholeApiServer } from '../../lab/kubernetes/whole-api-server.ts';
import {
  createAll,
  of,
  only,
  reportNames,
  runPrune,
  temporaryFile,
  VULNERABILITY_REPORTS,
} from '../../lab/runs/prune.ts';
import { guardDeletes } from './admission.ts';
import { limitPruner } from './priority.ts';
import { deploy, until } from './workloads.ts';

const missing = await whyNoKubernetes();
if (missing !== undefined) console.warn(`what a whole Kubernetes refuses is LEFT OUT: ${missing}`);

const REPORT = kindNamed('VulnerabilityReport');
const REPORTS = KINDS.filter(({ group, plural }) => group.includes('.') && plural.endsWith('reports'));
const ALLOWED = { maxStaleShare: 1, kinds: only(VULNERABILITY_REPORTS) };

describe.skipIf(missing !== undefined)('pruning, where a whole Kubernetes says no', () => {
  let api: WholeApiServer;
  /** Of the service account of docs/rbac.yaml. */
  let token = '';
  beforeAll(async () => {
    api = await startWholeApiServer();
    await Promise.all(['trivy-operator', 'kyverno-reports-controller'].map((name) => deploy(api, 'kube-system', name)));
    const path = '/api/v1/namespaces/kube-system/secrets/etcd-medic-pruner';
    await until('the service account has its token', async () => {
      const { data } = (await api.ask<{ readonly data?: { readonly token?: string } }>('GET', path)).document;
      token = Buffer.from(data?.token ?? '', 'base64').toString();
      return token !== '';
    });
    // What has no owner any more is to be there until it is pruned: without the garbage collector.
    await api.stopControllers();
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  afterEach(async () => {
    for (const kind of REPORTS) for (const object of await api.list(kind)) await api.remove(kind, object);
  });

  it('R12: keeps what has a finalizer, and what gets one meanwhile is counted', async () => {
    await createAll(api, REPORT, staleOnes(5));
    await api.addFinalizer(REPORT, { namespace: 'default', name: 'stale-00000' }, 'example.com/archive');

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(['stale-00000']);
    expect(of(report)).toMatchObject({ stale: 4, deleted: 4, kept: { finalizers: 1 } });
  });

  it('sends fewer at a time where priority and fairness lets one through at a time, and comes to its end', async () => {
    await createAll(api, REPORT, staleOnes(300));
    await using _ = await limitPruner(api);
    const before = (await api.asked()).length;

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report)).toMatchObject({ stale: 300, deleted: 300, skipped: 0 });
    expect(await api.list(REPORT)).toEqual([]);
    const asked = (await api.asked()).slice(before);
    const codesOf = (verb: string) =>
      asked.filter((each) => each.verb === verb).map((each) => each.responseStatus.code);
    // Sizes are asked for before: where that has met the limit, the deletes may keep below it from the first on.
    expect([...codesOf('get'), ...codesOf('delete')].filter((code) => code === 429).length).toBeGreaterThan(0);
    expect(codesOf('delete').filter((code) => code === 200)).toHaveLength(300);
  });

  it('leaves what an admission webhook does not let go, deletes all others, and says whose no it was', async () => {
    await createAll(api, REPORT, [...staleOnes(30), stale('evidence-1'), stale('evidence-2')]);
    await using _ = await guardDeletes(api, REPORT, (name) => name.startsWith('evidence'));

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(report.reason).toContain('2 more were not let go by an admission webhook or policy, and stay.');
    expect(of(report).note).toMatch(/reports\.example\.com.*reports are evidence here/);
    expect(await reportNames(api)).toEqual(['evidence-1', 'evidence-2']);
  });

  it('stops at a kind whose admission webhook does not answer, and says which that is', async () => {
    await createAll(api, REPORT, staleOnes(30));
    await using webhook = await guardDeletes(api, REPORT, () => false);
    await webhook.stop();

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/reports\.example\.com.*Bring the webhook's service up/);
    expect(await api.list(REPORT)).toHaveLength(30);
  });

  it('needs all that docs/rbac.yaml gives its service account, by the token that it makes, and nothing else', async () => {
    for (const kind of REPORTS) {
      const labels = kind.group === 'aquasecurity.github.io' ? TRIVY : KYVERNO;
      const owners = kind === REPORT ? ownersOfAllKinds() : ownersOfAllKinds().slice(0, 1);
      const owned = owners.map((owner, i) => ({ ...old(`of-${i}`, labels), ownerReferences: [owner] }));
      await createAll(api, kind, [...owned, old('by-itself', labels)]);
    }
    await createAll(api, kindNamed('UpdateRequest'), [updateRequest('done', 'Completed', 48)]);
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'etcd-medic-pruner-requests' };
    const subjects = [{ kind: 'ServiceAccount', name: 'etcd-medic-pruner', namespace: 'kube-system' }];
    const bound = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'requests' },
    };
    await api.apply({ ...bound, ...{ roleRef, subjects } });
    await using tokenFile = await temporaryFile(token);
    const before = (await api.asked()).length;

    const report = await runPrune(api, {
      kubernetes: { server: api.server, credentials: { caFile: api.caFile, tokenFile: tokenFile.path } },
      prune: { maxStaleShare: 1, kinds: { 'updaterequests.kyverno.io': {} } },
    });

    expect(report.outcome, report.reason).toBe('pruned');
    const asked = (await api.asked()).slice(before);
    expect(new Set(asked.map(({ user }) => user.username))).toEqual(new Set([SERVICE_ACCOUNT]));
    expect(asked.filter(({ responseStatus }) => [401, 403].includes(responseStatus.code))).toEqual([]);
    const used = asked.flatMap(({ verb, objectRef }) =>
      objectRef === undefined ? [] : [`${verb} ${nameOf(objectRef.apiGroup ?? '', objectRef.resource)}`],
    );
    // A request's size is not asked for, and only after a delete whose answer was lost is it looked at.
    const afterLostAnswer = 'get updaterequests.kyverno.io';
    expect([...new Set(used)].toSorted()).toEqual(granted().filter((right) => right !== afterLostAnswer));
  });
});

/** Without its owner any more. */
function stale(name: string): MadeReport {
  return trivyMade('VulnerabilityReport', { name, ...GONE, creationTimestamp: hoursAgo(48) });
}

function staleOnes(count: number): readonly MadeReport[] {
  return Array.from({ length: count }, (_, i) => stale(`stale-${String(i).padStart(5, '0')}`));
}

const KYVERNO = { 'app.kubernetes.io/managed-by': 'kyverno' };

/** Stale by itself, where its kind is for the moment. */
function old(name: string, labels: NewObject['labels'] & {}): NewObject {
  return { name, creationTimestamp: hoursAgo(48), labels };
}

/** Each of docs/rbac.yaml, none of them there. */
function ownersOfAllKinds(): readonly OwnerReference[] {
  return RIGHTS.list
    .filter((name) => !KNOWN_KINDS.some((kind) => kind.name === name))
    .map((name) => {
      const [plural = '', ...group] = name.split('.');
      const kind = KIND_OF[plural];
      if (kind === undefined) throw new RangeError(`what is the kind of ${plural}?`);
      const version = 'v1';
      const apiVersion = group.length === 0 ? version : `${group.join('.')}/${version}`;
      return {
        apiVersion,
        kind,
        name: 'gone',
        uid: `00000000-0000-4000-8000-${Buffer.from(plural).toString('hex').padEnd(12, '0').slice(0, 12)}`,
      };
    });
}

const KIND_OF: Readonly<Record<string, string>> = {
  pods: 'Pod',
  replicationcontrollers: 'ReplicationController',
  services: 'Service',
  namespaces: 'Namespace',
  nodes: 'Node',
  resourcequotas: 'ResourceQuota',
  limitranges: 'LimitRange',
  persistentvolumes: 'PersistentVolume',
  persistentvolumeclaims: 'PersistentVolumeClaim',
  replicasets: 'ReplicaSet',
  deployments: 'Deployment',
  statefulsets: 'StatefulSet',
  daemonsets: 'DaemonSet',
  jobs: 'Job',
  cronjobs: 'CronJob',
  ingresses: 'Ingress',
  networkpolicies: 'NetworkPolicy',
  roles: 'Role',
  rolebindings: 'RoleBinding',
  clusterroles: 'ClusterRole',
  clusterrolebindings: 'ClusterRoleBinding',
  customresourcedefinitions: 'CustomResourceDefinition',
};

/** Each verb on each kind, as docs/rbac.yaml has it. */
function granted(): readonly string[] {
  const documents = loadAllYaml(readFileSync(new URL('../../docs/rbac.yaml', import.meta.url), 'utf8'));
  const roles = documents.filter((each): each is V1ClusterRole => each.kind === 'ClusterRole');
  return roles
    .flatMap(({ rules = [] }) => rules)
    .flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((plural) => verbs.map((verb) => `${verb} ${nameOf(group, plural)}`)),
      ),
    )
    .toSorted();
}

function nameOf(group: string, plural: string): string {
  return group === '' ? plural : `${plural}.${group}`;
}
