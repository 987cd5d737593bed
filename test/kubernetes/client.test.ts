import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SetupError } from '../../functions/contract/errors.ts';
import { type KubernetesOptions, openKubernetes } from '../../functions/kubernetes/client.ts';
import { ForbiddenError, NotServedError, UnauthorizedError } from '../../functions/kubernetes/errors.ts';
import type { KubernetesClient, ListedObject, ObjectMetadata } from '../../functions/kubernetes/types.ts';
import { type Authority, createAuthority } from '../../lab/control-plane/certificates.ts';
import { freePorts } from '../../lab/control-plane/ports.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { servers } from '../../lab/kubernetes/servers.ts';

const reports = kindNamed('VulnerabilityReport');
const clusterReports = kindNamed('ClusterSbomReport');
const replicaSets = kindNamed('ReplicaSet');
const pods = kindNamed('Pod');
const requests = kindNamed('UpdateRequest');
const deployments = kindNamed('Deployment');
/** A real API server is back within a second, and on a busy machine within many. */
const PATIENCE_MS = 60_000;

let directory: string;
let authority: Authority;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'etcd-medic-kubernetes-test-'));
  authority = await createAuthority(directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe.each(servers())('the Kubernetes room, against $name', ({ start }) => {
  let api: TestApiServer;
  let kubernetes: KubernetesClient;

  const open = (options: Partial<KubernetesOptions> = {}) =>
    openKubernetes({ server: api.server, credentials: api.credentials(), patienceMs: PATIENCE_MS, ...options });

  beforeAll(async () => {
    api = await start({ clientCaFile: authority.caFile });
  });
  afterAll(() => api[Symbol.asyncDispose]());
  beforeEach(() => {
    kubernetes = open();
  });
  afterEach(async () => {
    await kubernetes[Symbol.asyncDispose]();
    for (const resource of [
      reports,
      clusterReports,
      replicaSets,
      pods,
      deployments,
      requests,
      kindNamed('APIService'),
    ]) {
      for (const object of await api.list(resource)) await api.remove(resource, object);
    }
  });

  /** The only one there is. */
  async function listed(resource = reports): Promise<ObjectMetadata> {
    const { items } = await kubernetes.listPage(resource, { limit: 10 });
    const [item] = items;
    if (!item || items.length > 1) throw new Error(`${items.length} items`);
    return item;
  }

  it('lists the metadata of an object, and when it was last written', async () => {
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'shop-1', uid: 'uid-of-shop-1' };
    const annotations = { 'trivy-operator.aquasecurity.github.io/report-ttl': '24h0m0s' };
    await api.create(reports, [
      {
        name: 'replicaset-shop-1',
        namespace: 'shop',
        uid: 'uid-1',
        creationTimestamp: '2026-01-02T03:04:05Z',
        lastWrittenAt: '2026-02-03T04:05:06Z',
        labels: { 'app.kubernetes.io/managed-by': 'trivy-operator' },
        annotations,
        ownerReferences: [owner],
        finalizers: ['example.com/keep'],
        content: { report: { vulnerabilities: ['x'.repeat(1000)] } },
      },
    ]);

    const page = await kubernetes.listPage(reports, { limit: 10 });

    expect(page.items).toEqual([
      {
        uid: 'uid-1',
        name: 'replicaset-shop-1',
        namespace: 'shop',
        resourceVersion: expect.stringMatching(/^\d+$/),
        creationTimestamp: '2026-01-02T03:04:05Z',
        deletionTimestamp: undefined,
        lastWrittenAt: '2026-02-03T04:05:06Z',
        labels: { 'app.kubernetes.io/managed-by': 'trivy-operator' },
        annotations,
        ownerReferences: [owner],
        finalizers: ['example.com/keep'],
      },
    ]);
    expect(page).toMatchObject({ continueToken: undefined, inconsistent: false });
    expect(Math.abs(Date.parse(page.servedAt) - Date.now())).toBeLessThan(60_000);
    expect(page.receivedBytes).toBeGreaterThan(300);
    expect(page.receivedBytes).toBeLessThan(1_500);
  });

  it('takes the creation for the last writing where the object does not say, and has nothing where there is nothing', async () => {
    await api.create(clusterReports, [{ name: 'bare', creationTimestamp: '2026-01-02T03:04:05Z' }]);

    const item = await listed(clusterReports);

    expect(item).toMatchObject({ namespace: undefined, lastWrittenAt: '2026-01-02T03:04:05Z' });
    expect(item).toMatchObject({ labels: {}, annotations: {}, ownerReferences: [], finalizers: [] });
  });

  it('lists an object’s state beside its metadata, by a column of its definition, and nothing else of it', async () => {
    const of = (name: string, content: Readonly<Record<string, unknown>>) =>
      api.create(requests, [{ name, namespace: 'kyverno', creationTimestamp: '2026-02-03T04:05:06Z', content }]);
    await of('done', { spec: { policy: 'p', context: 'x'.repeat(10_000) }, status: { state: 'Completed' } });
    await of('new', { spec: { policy: 'p' } });

    const page = await kubernetes.listPage(requests, { limit: 10, stateColumn: 'status' });
    const first = await kubernetes.listPage(requests, { limit: 1, stateColumn: 'status' });
    const { continueToken } = first;
    const second = await kubernetes.listPage(requests, { limit: 1, stateColumn: 'status', continueToken });
    const without = await kubernetes.listPage(requests, { limit: 10, stateColumn: 'no such column' });

    const states = ({ items }: typeof page) => items.map(({ name, state }) => [name, state]);
    const expected = [
      ['done', 'Completed'],
      ['new', undefined],
    ];
    expect(states(page)).toEqual(expected);
    expect([...states(first), ...states(second)]).toEqual(expected);
    expect(second.continueToken).toBeUndefined();
    expect(states(without).map(([, state]) => state)).toEqual([undefined, undefined]);
    expect(page.items[0]).toMatchObject({ namespace: 'kyverno', lastWrittenAt: '2026-02-03T04:05:06Z' });
    expect(page.receivedBytes).toBeLessThan(5_000);
  });

  it('knows whether a server of its own serves a group’s version, and nothing where it may not ask', async () => {
    const service = { namespace: 'kyverno', name: 'reports-server' };
    const of = (name: string, spec: unknown) => ({ name, content: { spec } });
    await api.create(kindNamed('APIService'), [
      of('v1.reports.kyverno.io', { group: 'reports.kyverno.io', version: 'v1', service }),
      of('v1alpha1.aquasecurity.github.io', { group: 'aquasecurity.github.io', version: 'v1alpha1' }),
    ]);
    await using nobody = open({ credentials: api.credentials('nobody') });
    const aggregated = { group: 'reports.kyverno.io', version: 'v1' };

    const own = await kubernetes.aggregatedBy(aggregated);
    const local = await kubernetes.aggregatedBy(reports);
    const none = await kubernetes.aggregatedBy({ group: 'example.com', version: 'v1' });
    const unknown = await nobody.aggregatedBy(aggregated);

    expect([own, local, none, unknown]).toEqual(['kyverno/reports-server', undefined, undefined, undefined]);
  });

  it('lists page by page, each object once, as it was when the list began', async () => {
    await api.create(reports, numbered(7));

    const first = await kubernetes.listPage(reports, { limit: 3 });
    await api.remove(reports, { namespace: 'default', name: 'report-005' });
    const second = await kubernetes.listPage(reports, { limit: 3, continueToken: first.continueToken });
    const third = await kubernetes.listPage(reports, { limit: 3, continueToken: second.continueToken });

    const names = [first, second, third].map(({ items }) => items.map(({ name }) => name));
    expect(names.flat()).toEqual(numbered(7).map(({ name }) => name));
    expect(names.map(({ length }) => length)).toEqual([3, 3, 1]);
    expect(third.continueToken).toBeUndefined();
  });

  it('goes on with a newer snapshot where the list’s place has expired, says so, and misses nothing', async () => {
    await api.create(reports, numbered(7));
    const first = await kubernetes.listPage(reports, { limit: 3 });
    await api.remove(reports, { namespace: 'default', name: 'report-005' });
    await api.expireContinueTokens();

    const second = await kubernetes.listPage(reports, { limit: 10, continueToken: first.continueToken });

    expect(second.inconsistent).toBe(true);
    expect(second.items.map(({ name }) => name)).toEqual(['report-003', 'report-004', 'report-006']);
  });

  it('refuses a token that never was one', async () => {
    const answer = kubernetes.listPage(reports, { limit: 3, continueToken: 'rubbish' });

    await expect(answer).rejects.toThrow('the server answered 400 (invalid continue token');
  });

  it('knows of a scaled owner how many replicas it wants, whose it is, and when it was written, and no more', async () => {
    await api.create(replicaSets, [
      { name: 'a', uid: 'none', content: { spec: { replicas: 0 } } },
      { name: 'b', uid: 'three', content: { spec: { replicas: 3 } } },
      { name: 'c', uid: 'unsaid', content: { spec: {} } },
      { name: 'd', uid: 'no-spec' },
    ]);

    const first = await kubernetes.listScaled(replicaSets, { limit: 3 });
    const second = await kubernetes.listScaled(replicaSets, { limit: 3, continueToken: first.continueToken });

    const lastWrittenAt = expect.stringMatching(/^\d{4}-.*Z$/);
    const rest = { lastWrittenAt, annotations: {}, ownerReferences: [] };
    expect([...first.items, ...second.items]).toEqual([
      { uid: 'none', replicas: 0, ...rest },
      { uid: 'three', replicas: 3, ...rest },
      { uid: 'unsaid', replicas: 1, ...rest },
      { uid: 'no-spec', replicas: 1, ...rest },
    ]);
    expect(second.continueToken).toBeUndefined();
  });

  it.each([
    ['apps/v1', 'ReplicaSet', { group: 'apps', version: 'v1', plural: 'replicasets', namespaced: true }],
    ['v1', 'Pod', { group: '', version: 'v1', plural: 'pods', namespaced: true }],
    ['batch/v1', 'CronJob', { group: 'batch', version: 'v1', plural: 'cronjobs', namespaced: true }],
    ['batch/v1', 'Cronjob', undefined],
    ['batch/v1beta1', 'CronJob', undefined],
    ['example.com/v1', 'Thing', undefined],
    ['a/b/c', 'Thing', undefined],
    ['', 'Thing', undefined],
  ])('finds how the paths name %s %s', async (apiVersion, kind, resource) => {
    expect(await kubernetes.resourceOf(apiVersion, kind)).toEqual(resource);
  });

  it('lists the core group', async () => {
    await api.create(pods, [{ name: 'a-pod', namespace: 'shop' }]);

    expect(await listed(pods)).toMatchObject({ name: 'a-pod', namespace: 'shop' });
  });

  it('says how many bytes the object has in etcd', async () => {
    await api.create(reports, [{ name: 'large', content: { report: { text: 'ü'.repeat(100_000) } } }]);
    const object = await listed();

    const bytes = await kubernetes.sizeBytes(reports, object);

    expect(bytes).toBeGreaterThan(200_000);
    expect(bytes).toBeLessThan(201_000);
    expect(await kubernetes.sizeBytes(reports, { ...object, name: 'none' })).toBeUndefined();
  });

  it('R12: deletes what was listed, and nothing else', async () => {
    await api.create(reports, numbered(3));
    const { items } = await kubernetes.listPage(reports, { limit: 10 });
    const [, second] = items;

    const outcome = second && (await kubernetes.delete(reports, second));

    expect(outcome).toBe('deleted');
    expect((await api.list(reports)).map(({ name }) => name)).toEqual(['report-000', 'report-002']);
  });

  it('R12: deletes what belongs to no namespace', async () => {
    await api.create(clusterReports, [{ name: 'one' }]);

    expect(await kubernetes.delete(clusterReports, await listed(clusterReports))).toBe('deleted');
    expect(await api.list(clusterReports)).toEqual([]);
  });

  const place = { namespace: 'default', name: 'report-000' };

  it.each<[string, () => Promise<void>, string]>([
    ['rewritten', () => api.rewrite(reports, place), 'changed'],
    ['given a finalizer', () => api.addFinalizer(reports, place, 'example.com/keep'), 'changed'],
    [
      'deleted and made again',
      async () => {
        await api.remove(reports, place);
        await api.create(reports, numbered(1));
      },
      'changed',
    ],
    ['deleted', () => api.remove(reports, place), 'gone'],
  ])('R12: leaves alone what was %s after it was listed', async (_what, happen, outcome) => {
    await api.create(reports, numbered(1));
    const object = await listed();
    await happen();
    const before = await api.get(reports, place);

    const result = await kubernetes.delete(reports, object);

    expect(result).toBe(outcome);
    expect(await api.get(reports, place)).toEqual(before);
  });

  it('R12: says that an object with finalizers is only marked', async () => {
    await api.create(reports, [{ name: 'kept', finalizers: ['example.com/keep'] }]);
    const object = await listed();

    const outcome = await kubernetes.delete(reports, object);

    expect(outcome).toBe('finalizers');
    expect((await listed()).deletionTimestamp).toMatch(/^\d{4}-/);
  });

  it('many deletes at the same time share a few connections, and each ends as it should', async () => {
    await api.create(reports, numbered(60));
    const { items } = await kubernetes.listPage(reports, { limit: 100 });

    const outcomes = await Promise.all(items.map((item) => kubernetes.delete(reports, item)));

    expect(new Set(outcomes)).toEqual(new Set(['deleted']));
    expect(await api.list(reports)).toEqual([]);
  });

  it.each([
    ['of another version', { group: 'aquasecurity.github.io', version: 'v9', plural: 'vulnerabilityreports' }],
    ['unknown to the group', { group: 'aquasecurity.github.io', version: 'v1alpha1', plural: 'nonsense' }],
  ])('names a kind that is %s as not served', async (_what, resource) => {
    const answer = kubernetes.listPage(resource, { limit: 1 });

    await expect(answer).rejects.toThrow(NotServedError);
    await expect(answer).rejects.toThrow(
      `list ${resource.plural}.aquasecurity.github.io at ${api.server}: the cluster does not have this kind in this version`,
    );
  });

  it('R15: a token that the server does not know is named as the problem, and not shown', async () => {
    await using stranger = open({
      credentials: { ...api.credentials(), token: 'a-very-secret-token' },
      patienceMs: 100,
    });
    await api.create(reports, numbered(1));
    const object = await listed();

    const problems = await Promise.all(
      [stranger.listPage(reports, { limit: 1 }), stranger.delete(reports, object)].map((call) =>
        call.catch((error: unknown) => error),
      ),
    );

    for (const problem of problems) {
      expect(problem).toBeInstanceOf(UnauthorizedError);
      expect(String(problem)).toContain('kubernetes.credentials is expired, revoked or of another cluster');
      expect(String(problem)).not.toContain('secret');
    }
    expect(await api.list(reports)).toHaveLength(1);
  });

  it.each<[string, (client: KubernetesClient, object: ListedObject) => Promise<unknown>]>([
    ['list', (client) => client.listPage(reports, { limit: 1 })],
    ['delete', (client, object) => client.delete(reports, object)],
    ['get', (client, object) => client.sizeBytes(reports, object)],
  ])('says that RBAC lacks the verb %s', async (verb, ask) => {
    await using nobody = open({ credentials: api.credentials('nobody') });
    await api.create(reports, numbered(1));
    const object = await listed();

    const answer = ask(nobody, object);

    await expect(answer).rejects.toThrow(ForbiddenError);
    await expect(answer).rejects.toThrow(
      `RBAC does not allow it. Give the role the verb \`${verb}\` on \`vulnerabilityreports.aquasecurity.github.io\`, as docs/rbac.yaml has it`,
    );
    expect(await api.list(reports)).toHaveLength(1);
  });

  it('is who its client certificate says', async () => {
    const { certFile, keyFile } = await authority.issue({ name: 'pruner', usages: ['client'] });
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
    await using client = open({ credentials: { ca: api.credentials().ca, cert, key } });
    await api.create(reports, numbered(1));

    expect(await client.delete(reports, await listed())).toBe('deleted');
    await expect(client.delete(pods, { ...place, uid: 'u', resourceVersion: '1' })).rejects.toThrow('User "pruner"');
  });

  it('a CA that does not sign the server’s certificate is a matter of the set-up', async () => {
    const ca = await readFile(authority.caFile, 'utf8');
    await using client = open({ credentials: { ...api.credentials(), ca } });

    const answer = client.listPage(reports, { limit: 1 });

    await expect(answer).rejects.toThrow(SetupError);
    await expect(answer).rejects.toThrow("the CA in kubernetes.credentials does not sign the server's certificate");
  });

  it('a server that is away is waited for, and then named', async () => {
    const [port] = await freePorts(1);
    await using client = open({ server: `https://127.0.0.1:${port}`, patienceMs: 300 });

    const answer = client.listPage(reports, { limit: 1 });

    await expect(answer).rejects.toMatchObject({ name: 'ApiUnavailableError', outcome: 'not-done' });
    await expect(answer).rejects.toThrow('the connection was refused. The API server is down');
  });

  it('a server that is killed and comes back is found again, and what was listed is deleted', async () => {
    await api.create(reports, numbered(2));
    const { items } = await kubernetes.listPage(reports, { limit: 10 });
    await api.kill();
    const deletes = Promise.all(items.map((item) => kubernetes.delete(reports, item)));
    deletes.catch(() => {}); // seen below, unless the server does not come back

    await api.restart();

    expect(await deletes).toEqual(['deleted', 'deleted']);
    expect(await api.list(reports)).toEqual([]);
  });
});

/** Reports named by their numbers. */
function numbered(count: number) {
  return Array.from({ length: count }, (_, i) => ({ name: `report-${`${i}`.padStart(3, '0')}` }));
}
