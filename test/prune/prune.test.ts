// Pruning as a whole, on every API server there is: exactly what is stale goes, whatever happens in between.
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openKubernetes } from '../../functions/kubernetes/client.ts';
import type { KubernetesClient } from '../../functions/kubernetes/types.ts';
import { deleteBatch } from '../../functions/prune/batch.ts';
import { OwnerDirectory } from '../../functions/prune/owners.ts';
import { survey } from '../../functions/prune/survey.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import {
  createOwners,
  createReports,
  hoursAgo,
  KEPT,
  STALE,
  staleReports,
  trivyReport,
  updateRequest,
} from '../../lab/kubernetes/sample-cluster.ts';
import { servers } from '../../lab/kubernetes/servers.ts';
import {
  clear,
  createAll,
  of,
  only,
  reportNames,
  runPrune,
  temporaryFile,
  VULNERABILITY_REPORTS,
} from '../../lab/runs/prune.ts';
import { kindOf, RULES } from './samples.ts';

const REPORT = kindNamed('VulnerabilityReport');
const REQUESTS = kindNamed('UpdateRequest');
const KYVERNO = { 'app.kubernetes.io/managed-by': 'kyverno' };
const ALLOWED = { maxStaleShare: 1 };
const VULNERABILITIES = { kind: kindOf('vulnerabilityreports'), rules: RULES };

describe.each(servers())('pruning, on $name', ({ start }) => {
  let api: TestApiServer;
  beforeAll(async () => {
    api = await start();
  });
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await clear(api);
    await createOwners(api);
  });

  function connect(): { client: KubernetesClient; directory: OwnerDirectory } & AsyncDisposable {
    const client = openKubernetes({ server: api.server, credentials: api.credentials() });
    const directory = new OwnerDirectory(client);
    return { client, directory, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
  }

  it('R12: deletes exactly what is stale, of every kind, and says how many and why', async () => {
    await createReports(api);

    const report = await runPrune(api);

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(KEPT);
    expect(report.reason).toContain(`Deleted ${STALE.length} stale reports of 8 kinds, about`);
    expect(of(report)).toEqual({
      resource: VULNERABILITY_REPORTS,
      listed: 15,
      stale: 6,
      deleted: 6,
      skipped: 0,
      reasons: { 'owner-gone': 4, 'owner-superseded': 1, 'ttl-passed': 1 },
      kept: { finalizers: 1, 'owner-unknown': 1, unreadable: 1 },
      staleBytes: expect.any(Number),
      note: expect.stringMatching(
        /example\.com\/archive.*Rollout \(argoproj\.io\/v1alpha1\): the cluster does not serve/,
      ),
    });
    expect(of(report, 'policyreports.wgpolicyk8s.io').kept).toEqual({ foreign: 1 });
    expect(of(report, 'configauditreports.aquasecurity.github.io').kept).toEqual({ 'kept-by-operator': 1 });
    expect(JSON.stringify(report).length).toBeLessThan(30_000);
  });

  it('R12: deletes Kyverno’s requests that are over where they are configured, and no other, and reads none', async () => {
    const state = (name: string) => name.split('-')[1] ?? '';
    const all = ['ur-Completed', 'ur-Failed', 'ur-Skip', 'ur-Pending'].map((name) =>
      updateRequest(name, state(name), 2),
    );
    await createAll(api, REQUESTS, [...all, updateRequest('ur-Completed-lately', 'Completed', 0.5)]);
    const kinds = { 'updaterequests.kyverno.io': {} };

    const before = await runPrune(api);
    const report = await runPrune(api, { prune: { kinds } });

    expect(before.outcome).toBe('nothing-to-do');
    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(['ur-Completed-lately', 'ur-Pending']);
    expect(of(report, 'updaterequests.kyverno.io')).toEqual({
      resource: 'updaterequests.kyverno.io',
      listed: 5,
      stale: 3,
      deleted: 3,
      skipped: 0,
      reasons: { 'finished-request': 3 },
    });
  });

  it.each<[string, Readonly<Record<string, string>>, unknown]>([
    ['whose objects say so', { 'kyverno.reports-server.io/served-by': 'reports-server' }, undefined],
    ['whose APIService says so', {}, { namespace: 'kyverno', name: 'reports-server' }],
  ])('R12: leaves alone, and names, a kind that another server keeps, %s', async (_how, annotations, service) => {
    await createReports(api);
    const elsewhere = kindNamed('EphemeralReport');
    const ephemeral = trivyReport('flood', { ownerReferences: [], labels: KYVERNO, annotations });
    await createAll(api, elsewhere, [ephemeral]);
    const spec = { group: elsewhere.group, version: elsewhere.version, ...(service !== undefined && { service }) };
    await api.create(kindNamed('APIService'), [{ name: 'v1.reports.kyverno.io', content: { spec } }]);
    const before = (await api.list(elsewhere)).map(({ name }) => name);

    const report = await runPrune(api);

    expect(report.outcome, report.reason).toBe('pruned');
    expect((await api.list(elsewhere)).map(({ name }) => name)).toEqual(before);
    expect(of(report, 'ephemeralreports.reports.kyverno.io')).toMatchObject({
      stale: 0,
      note: expect.stringMatching(/are kept by a server of their own \((kyverno\/)?reports-server\), not in this etcd/),
    });
    expect(report.steps).toContainEqual(
      expect.objectContaining({ name: 'kept elsewhere', detail: 'ephemeralreports.reports.kyverno.io' }),
    );
  });

  it('R12: deletes what was moved to openreports.io however much it is, as long as the other is there', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `report-${i}`);
    const old = names.map((name) => trivyReport(name, { labels: KYVERNO, creationTimestamp: hoursAgo(48) }));
    const moved = names.map((name) => trivyReport(name, { labels: KYVERNO, creationTimestamp: hoursAgo(1) }));
    await createAll(api, kindNamed('PolicyReport'), old);
    await createAll(api, kindNamed('Report'), moved);
    await using connection = connect();
    const { client, directory } = connection;
    const what = { kind: kindOf('policyreports'), rules: RULES, capacity: 100 };

    const { candidates } = await survey(client, directory, what);
    await api.remove(kindNamed('Report'), { namespace: 'default', name: 'report-0' });
    const report = await runPrune(api);

    expect(candidates.map(({ reason, restsOn }) => `${reason} ${restsOn}`)).toEqual(
      names.map(() => 'moved-to-openreports successor'),
    );
    expect(of(report, 'policyreports.wgpolicyk8s.io')).toMatchObject({ stale: 59, deleted: 59 });
    expect((await api.list(kindNamed('PolicyReport'))).map(({ name }) => name)).toEqual(['report-0']);
  });

  it('finds nothing to do the second time', async () => {
    await createReports(api);
    await runPrune(api);

    const report = await runPrune(api);

    expect(report.outcome).toBe('nothing-to-do');
    expect(report.reason).toMatch(
      /^None of \d+ reports of \d+ kinds is known to be stale\. Of 1 it cannot be told, because .* does not serve this kind\.$/,
    );
    expect(await reportNames(api)).toEqual(KEPT);
  });

  it('in a dry run says what it would delete, why, and about how many bytes, and deletes nothing', async () => {
    await createReports(api);
    const content = { report: { text: 'x'.repeat(12_000) } };
    await createAll(api, REPORT, staleReports(20, content));
    const before = await reportNames(api);

    const report = await runPrune(api, { dryRun: true, prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('planned');
    expect(await reportNames(api)).toEqual(before);
    expect(report.plan).toHaveLength(8);
    expect(report.plan?.[0]).toEqual({
      name: `delete ${VULNERABILITY_REPORTS}`,
      detail: expect.stringMatching(
        /^26 of 35: 24 owner-gone, 1 owner-superseded, 1 ttl-passed; about [\d.]+ KiB in etcd$/,
      ),
    });
    // By ten of 26, of which 20 are large: between 15 and 25 times 12 kB.
    expect(of(report).staleBytes).toBeGreaterThan(15 * 12_000);
    expect(of(report).staleBytes).toBeLessThan(27 * 12_700);
    expect(of(report)).toMatchObject({ stale: 26, deleted: 0, skipped: 0 });
  });

  it('does what a dry run has planned, in that order, and leaves alone what that leaves alone', async () => {
    await createReports(api);
    await createAll(api, REPORT, staleReports(60));

    const dry = await runPrune(api, { dryRun: true });
    const real = await runPrune(api);

    const planned = dry.plan?.map(({ name }) => name) ?? [];
    expect(planned).toContain(`leave ${VULNERABILITY_REPORTS}`);
    const deletes = real.steps.map(({ name }) => name).filter((name) => name.startsWith('delete '));
    expect(deletes.length).toBeGreaterThan(3);
    expect(deletes).toEqual(planned.filter((name) => name.startsWith('delete ')));
  });

  it('R12: leaves alone what was rewritten, deleted or given a finalizer after it was listed, and counts it', async () => {
    await createAll(api, REPORT, staleReports(6));
    await using connection = connect();
    const { client, directory } = connection;
    const { resource, candidates } = await survey(client, directory, { ...VULNERABILITIES, capacity: 100 });
    const at = (i: number) => ({ namespace: 'default', name: `stale-0000${i}` });
    await api.rewrite(REPORT, at(0));
    await api.remove(REPORT, at(1));
    await api.addFinalizer(REPORT, at(2), 'example.com/archive');
    await api.remove(REPORT, at(3));
    await api.create(REPORT, [{ ...at(3), creationTimestamp: '2026-01-01T00:00:00Z' }]);

    const batch = await deleteBatch(client, resource, candidates, { reports: 500, untilMs: Date.now() + 60_000 });

    expect(batch).toEqual({ deleted: 2, gone: 1, changed: 3, finalizers: 0, problem: undefined });
    expect(await reportNames(api)).toEqual(['stale-00000', 'stale-00002', 'stale-00003']);
    expect((await api.get(REPORT, at(2)))?.metadata.deletionTimestamp).toBeUndefined();
  });

  it('goes on with the list where a continue token expires half-way', async () => {
    await createAll(api, REPORT, staleReports(300));
    await using connection = connect();
    const { client, directory } = connection;
    let pages = 0;
    const interrupted: KubernetesClient = {
      ...bound(client),
      listPage: async (resource, options) => {
        if (resource.plural === REPORT.plural && ++pages === 2) {
          await api.rewrite(REPORT, { namespace: 'default', name: 'stale-00000' });
          await api.expireContinueTokens();
        }
        return client.listPage(resource, options);
      },
    };

    const { surveyed, candidates } = await survey(interrupted, directory, { ...VULNERABILITIES, capacity: 5_000 });

    expect(pages).toBe(2);
    expect(surveyed).toMatchObject({ listed: 300, stale: 300 });
    expect(new Set(candidates.map(({ uid }) => uid)).size).toBe(300);
  });

  it('goes on where the API server is killed half-way and comes back', async () => {
    await createAll(api, REPORT, [...staleReports(400), { name: 'keep-me' }]);
    const killHalfWay = async (): Promise<number> => {
      let left = 401;
      while (left > 350) {
        await wait(1);
        left = (await api.list(REPORT)).length;
      }
      await api.kill();
      // Longer than the client's patience, so that a batch ends with it.
      await wait(1_000);
      await api.restart();
      return left;
    };
    let killedAt: Promise<number> | undefined;

    const report = await runPrune(api, {
      prune: { ...ALLOWED, kinds: only(VULNERABILITY_REPORTS) },
      session: { patienceMs: 200 },
      skipTime: false,
      // A real API server may take some seconds to come back: it is asked after 6 and after 12.
      speed: 5,
      onOperation: ({ name }) => {
        if (name === `delete ${VULNERABILITY_REPORTS}, batch 1`) killedAt ??= killHalfWay();
      },
    });

    expect(await killedAt).toBeGreaterThan(1);
    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(['keep-me']);
    // Deletes whose answers were lost with the server are missing when the kind is looked at again.
    const { deleted, skipped, missing = 0 } = of(report);
    expect(deleted + skipped + missing).toBe(400);
    expect(report.steps.find(({ name }) => name === `delete ${VULNERABILITY_REPORTS}`)?.detail).toMatch(
      /in [23] batches/,
    );
  });

  it('fails where the server does not know the token, and says so', async () => {
    await createReports(api);
    const before = await reportNames(api);
    const { server, credentials } = api.configuration();
    await using strange = await temporaryFile('strange-token');

    const report = await runPrune(api, {
      kubernetes: { server, credentials: { ...credentials, tokenFile: strange.path } },
      session: { patienceMs: 1_000 },
    });

    expect(report.outcome).toBe('failed');
    expect(report.reason).toMatch(
      /^The API server could not be used, and nothing was changed: .*does not know who is asking/,
    );
    expect(report.reason).not.toContain('strange-token');
    expect(await reportNames(api)).toEqual(before);
  });

  it('is refused where no kind may be listed, and says what to grant', async () => {
    await createReports(api);
    const before = await reportNames(api);

    const report = await runPrune(api, { kubernetes: api.configuration('nobody') });

    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/^No kind of report may be looked at.*docs\/rbac\.yaml/);
    expect(await reportNames(api)).toEqual(before);
  });
});

/** The client's methods, apart from their class. */
function bound(client: KubernetesClient): KubernetesClient {
  return {
    listPage: (...call) => client.listPage(...call),
    listScaled: (...call) => client.listScaled(...call),
    resourceOf: (...call) => client.resourceOf(...call),
    aggregatedBy: (...call) => client.aggregatedBy(...call),
    delete: (...call) => client.delete(...call),
    sizeBytes: (...call) => client.sizeBytes(...call),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
