// Pruning on a whole Kubernetes: a kube-apiserver with RBAC, admission, priority and fairness, and the real controllers
// at work beside it.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openKubernetes } from '../../functions/kubernetes/client.ts';
import { deleteBatch } from '../../functions/prune/batch.ts';
import { OwnerDirectory } from '../../functions/prune/owners.ts';
import { survey } from '../../functions/prune/survey.ts';
import { KINDS, kindNamed } from '../../lab/kubernetes/kinds.ts';
import { findKubernetes, whyNoKubernetes } from '../../lab/kubernetes/kubernetes-binaries.ts';
import { kyvernoReports, type MadeReport, trivyMade } from '../../lab/kubernetes/made-reports.ts';
import { storedJson } from '../../lab/kubernetes/objects.ts';
import { pathOf } from '../../lab/kubernetes/real-server.ts';
import { hoursAgo, TRIVY_TTL, uidOf } from '../../lab/kubernetes/sample-cluster.ts';
import { startWholeApiServer, type WholeApiServer } from '../../lab/kubernetes/whole-api-server.ts';
import { of, only, reportNames, runPrune, VULNERABILITY_REPORTS } from '../../lab/runs/prune.ts';
import { kindOf, RULES } from '../prune/samples.ts';
import { createNamespace, deploy, deployments, ownerOf, type ReplicaSet, remove, roll, until } from './workloads.ts';

const missing = await whyNoKubernetes();
if (missing !== undefined) console.warn(`pruning on a whole Kubernetes is LEFT OUT: ${missing}`);

const REPORT = kindNamed('VulnerabilityReport');
const SHOP = 'shop';
const TRIVY_GROUP = 'aquasecurity.github.io';
const OLD = { creationTimestamp: hoursAgo(48), lastWrittenAt: hoursAgo(48) };

describe.skipIf(missing !== undefined)('pruning, on a whole Kubernetes', () => {
  let api: WholeApiServer;
  beforeAll(async () => {
    api = await startWholeApiServer();
    await createNamespace(api, SHOP);
    await Promise.all(['trivy-operator', 'kyverno-reports-controller'].map((name) => deploy(api, 'kube-system', name)));
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  afterEach(async () => {
    for (const kind of KINDS.filter(({ plural }) => plural.endsWith('reports'))) {
      for (const object of await api.list(kind)) await api.remove(kind, object);
    }
  });

  async function create(...reports: readonly MadeReport[]): Promise<void> {
    for (const { kind, ...report } of reports)
      await api.create(kindNamed(kind), [{ namespace: SHOP, ...OLD, ...report }]);
    await until('the server has seen all', async () => {
      const names = new Set(await reportNames(api));
      return reports.every(({ name }) => names.has(name));
    });
  }

  it('is tried on reports that their producers’ own definitions take, and no field too many', async () => {
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: uidOf('web') };
    const kyverno = await kyvernoReports(await findKubernetes(), SHOP, owner);
    const trivy = KINDS.filter(({ group, kind }) => group === TRIVY_GROUP && kind !== 'ClusterComplianceReport');
    const all = [...kyverno, ...trivy.map(({ kind }) => trivyMade(kind, { name: 'made', ownerReferences: [owner] }))];

    const answers = all.map(async ({ kind: name, ...report }) => {
      const kind = kindNamed(name);
      const { metadata, ...stored } = storedJson(kind, { namespace: SHOP, ...report });
      const place = kind.namespaced ? { namespace: SHOP, name: '' } : undefined;
      const path = `${pathOf(kind, place).replace(/\/$/, '')}?dryRun=All&fieldValidation=Strict`;
      return (await api.ask('POST', path, [], JSON.stringify({ ...stored, metadata: { ...metadata, uid: undefined } })))
        .status;
    });

    expect(await Promise.all(answers)).toEqual(all.map(() => 201));
    expect(new Set(all.map(({ kind }) => kind)).size).toBe(17);
  });

  it('R12: goes by the revisions that the Deployment controller counts, through a rollout, a rollback and a night at zero', async () => {
    const first = await deploy(api, SHOP, 'web', { replicas: 2 });
    const second = await roll(api, SHOP, 'web', 'web:2', 2);
    const current = await roll(api, SHOP, 'web', 'web:1', 2);
    await deploy(api, SHOP, 'night');
    const asleep = await roll(api, SHOP, 'night', 'web:1', 0);
    expect(current.metadata.uid).toBe(first.metadata.uid);
    expect([current, second].map(({ metadata }) => metadata.annotations['deployment.kubernetes.io/revision'])).toEqual([
      '3',
      '2',
    ]);
    const marked = { annotations: { [TRIVY_TTL]: '0s' } };
    await create(
      trivyMade('VulnerabilityReport', { name: 'keep-current', ownerReferences: [ownerOf(current)] }),
      trivyMade('SbomReport', { name: 'keep-rolled-back', ownerReferences: [ownerOf(current)], ...marked }),
      trivyMade('ConfigAuditReport', { name: 'keep-asleep', ownerReferences: [ownerOf(asleep)] }),
      trivyMade('VulnerabilityReport', { name: 'stale-superseded', ownerReferences: [ownerOf(second)] }),
      trivyMade('SbomReport', { name: 'stale-sbom', ownerReferences: [ownerOf(second)], ...marked }),
    );

    const report = await runPrune(api);

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(['keep-asleep', 'keep-current', 'keep-rolled-back']);
    expect(of(report).reasons).toEqual({ 'owner-superseded': 1 });
  });

  it('R12: deletes what Kyverno has left of its reports, and none of a living owner', async () => {
    const web = await deploy(api, SHOP, 'scanned');
    const made = await kyvernoReports(await findKubernetes(), SHOP, ownerOf(web));
    // Nothing in a namespace may own what is of the whole cluster: the garbage collector would take that away.
    const named = made.filter(({ ownerReferences, kind }) => !(kind.startsWith('Cluster') && ownerReferences));
    await create(...named);

    const report = await runPrune(api);

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await kindsLeft()).toEqual(['policyreports', 'reports']);
    expect(of(report, 'ephemeralreports.reports.kyverno.io')).toMatchObject({ listed: 2, deleted: 2 });
    expect(of(report, 'clusterephemeralreports.reports.kyverno.io')).toMatchObject({ listed: 1, deleted: 1 });
  });

  async function kindsLeft(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const kind of KINDS.filter(({ plural }) => plural.endsWith('reports'))) {
      found.push(...(await api.list(kind)).map(() => kind.plural));
    }
    return found.toSorted();
  }

  describe('beside the garbage collector', () => {
    let web: ReplicaSet;
    beforeEach(async () => {
      web = await deploy(api, SHOP, 'short-lived');
      const owned = Array.from({ length: 200 }, (_, i) =>
        trivyMade('VulnerabilityReport', { name: `of-web-${i}`, ownerReferences: [ownerOf(web)] }),
      );
      await create(...owned, trivyMade('VulnerabilityReport', { name: 'keep-without-owner' }));
    });
    afterEach(async () => {
      api.resumeControllers();
      await remove(api, `${deployments(SHOP)}/short-lived`);
    });

    it('meets that reports which it was about to delete are gone by themselves, and counts them', async () => {
      await using client = openKubernetes({ server: api.server, credentials: api.credentials() });
      api.pauseControllers();
      await remove(api, `/apis/apps/v1/namespaces/${SHOP}/replicasets/${web.metadata.name}`);
      const kind = { kind: kindOf('vulnerabilityreports'), rules: RULES, capacity: 1_000 };
      const { resource, candidates } = await survey(client, new OwnerDirectory(client), kind);
      const listed = candidates.length;
      api.resumeControllers();
      await until('all are collected', async () => (await api.list(REPORT)).length === 1);

      const batch = await deleteBatch(client, resource, candidates, { reports: 500, untilMs: Date.now() + 60_000 });

      expect(listed).toBe(200);
      expect(batch).toMatchObject({ deleted: 0, gone: 200, changed: 0, problem: undefined });
      expect(await reportNames(api)).toEqual(['keep-without-owner']);
    });

    it('deletes them while it is at it: none is left, and none of another', async () => {
      api.pauseControllers();
      await remove(api, `/apis/apps/v1/namespaces/${SHOP}/replicasets/${web.metadata.name}`);

      const report = await runPrune(api, {
        prune: { maxStaleShare: 1, kinds: only(VULNERABILITY_REPORTS) },
        onOperation: ({ name, to }) => {
          if (name?.endsWith('batch 1') && to === 'STARTED') api.resumeControllers();
        },
      });

      expect(report.outcome, report.reason).toBe('pruned');
      expect(await reportNames(api)).toEqual(['keep-without-owner']);
      const { deleted, skipped, missing = 0 } = of(report);
      expect(deleted + skipped + missing).toBe(200);
    });
  });
});
