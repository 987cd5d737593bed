import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SetupError } from '../../functions/contract/errors.ts';
import { type KubernetesOptions, openKubernetes } from '../../functions/kubernetes/client.ts';
import {
  ApiUnavailableError,
  DeniedError,
  KubernetesError,
  StorageReadError,
  ThrottledError,
  UnauthorizedError,
} from '../../functions/kubernetes/errors.ts';
import type { KubernetesClient, ListedObject } from '../../functions/kubernetes/types.ts';
import { createAuthority } from '../../lab/control-plane/certificates.ts';
import type { Fault, FaultyAnswer } from '../../lab/kubernetes/faults.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { servers } from '../../lab/kubernetes/servers.ts';
import { type StandInApiServer, startStandIn } from '../../lab/kubernetes/stand-in.ts';
import { readMaterial } from '../etcd/material.ts';
import { plainHttp } from '../etcd/stand-ins.ts';

const reports = kindNamed('VulnerabilityReport');
const place = { namespace: 'default', name: 'report' };
/**
 * Long enough for every answer that comes, also where the machine pauses: a call that is given up is sent once more.
 */
const TIMEOUT_MS = 10_000;
/** For answers that never come. */
const HANGING_MS = 500;

let api: StandInApiServer;
let kubernetes: KubernetesClient;
let object: ListedObject;

const open = (options: Partial<KubernetesOptions> = {}) =>
  openKubernetes({ server: api.server, credentials: api.credentials(), timeoutMs: TIMEOUT_MS, ...options });

beforeAll(async () => {
  api = await startStandIn();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(async () => {
  kubernetes = open({ patienceMs: 10_000 });
  await api.create(reports, [{ name: 'report' }]);
  const [item] = await api.list(reports);
  if (!item) throw new Error('nothing was created');
  object = item;
  api.requests.length = 0;
});
afterEach(async () => {
  await kubernetes[Symbol.asyncDispose]();
  api.faults.clear();
  await api.remove(reports, place);
});

/** Real servers say whole seconds. */
const PAUSE_SECONDS = 0.05;
const busy = {
  status: 429,
  reason: 'TooManyRequests',
  message: 'try again',
  headers: { 'retry-after': `${PAUSE_SECONDS}` },
};
const methods = () => api.requests.map(({ method }) => method);
const timeoutFor = (effect: Fault['effect']) => (String(effect).endsWith('hang') ? HANGING_MS : TIMEOUT_MS);

const CORRUPT =
  'StorageError: corrupt object, Code: 7, Key: /k/1, ResourceVersion: 0, AdditionalErrorMsg: object not decodable';

describe('a read', () => {
  it.each<[string, Fault['effect']]>([
    ['503', { status: 503 }],
    ['500, as when etcd has no leader', { status: 500, message: 'etcdserver: leader changed' }],
    ['a broken connection', 'reset'],
    ['no answer in time', 'hang'],
    ['429 with a header', busy],
    ['429 with a body', { ...busy, headers: {}, details: { retryAfterSeconds: PAUSE_SECONDS } }],
  ])('is asked again after %s', async (_what, effect) => {
    await using client = open({ timeoutMs: timeoutFor(effect) });
    api.fail({ effect, times: 2 });

    const page = await client.listPage(reports, { limit: 10 });

    expect(page.items.map(({ name }) => name)).toEqual(['report']);
    expect(methods()).toEqual(['GET', 'GET', 'GET']);
  });

  it.each<[string, Fault['effect'], typeof KubernetesError, string]>([
    ['5xx', { status: 503, message: 'etcd is away' }, ApiUnavailableError, 'the server answered 503 (etcd is away)'],
    ['no answers', 'hang', ApiUnavailableError, 'no answer in time'],
    ['broken connections', 'reset', ApiUnavailableError, 'the connection broke'],
    ['429', busy, ThrottledError, 'the server is too busy (try again)'],
  ])('gives up after a while of %s, and says so', async (_what, effect, type, message) => {
    await using impatient = open({ patienceMs: 200, timeoutMs: timeoutFor(effect) });
    api.fail({ effect, times: 1_000 });

    const answer = impatient.listPage(reports, { limit: 10 });

    await expect(answer).rejects.toThrow(type);
    await expect(answer).rejects.toThrow(message);
  });

  it.each<[string, FaultyAnswer]>([
    [
      'with its key, in a list',
      { status: 500, reason: 'StorageReadError', message: 'failed to read', details: { causes: [{ field: '/k/1' }] } },
    ],
    ['in a message of the watch cache', { status: 429, reason: 'TooManyRequests', message: `storage is: ${CORRUPT}` }],
    ['as an object', { status: 500, reason: 'InternalError', message: `Internal error occurred: ${CORRUPT}` }],
    ['in JSON, by a server that has no words of its own', { status: 500, message: 'unexpected end of JSON input' }],
    ['in protobuf', { status: 500, message: 'proto: wrong wireType = 6 for field Foo' }],
    [
      'of a version that is not served any more',
      { status: 500, message: 'no kind "A" is registered for version "b/v1"' },
    ],
  ])('is not asked again for what can’t be decoded, %s', async (_what, effect) => {
    api.fail({ effect });

    const error = await kubernetes.listPage(reports, { limit: 1 }).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(StorageReadError);
    expect(String(error)).toContain("can't decode");
    expect(methods()).toEqual(['GET']);
  });

  it('is asked again for what can’t be decrypted, which a key service that comes back mends, and nothing is to be deleted', async () => {
    const message = 'Internal error occurred: unable to transform key "/registry/k": rpc error: kms is away';
    api.fail({ effect: { status: 500, reason: 'InternalError', message }, times: 2 });
    expect((await kubernetes.listPage(reports, { limit: 1 })).items).toHaveLength(1);

    await using client = open({ patienceMs: 100 });
    api.fail({ effect: { status: 500, reason: 'InternalError', message }, times: 1_000 });
    const error = await client.listPage(reports, { limit: 1 }).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(StorageReadError);
    expect(String(error)).toMatch(/can't decrypt what etcd has under \/registry\/k,.*delete nothing/);
  });

  it('a list that has lost its place without a token to go on with has to begin again', async () => {
    api.fail({ effect: { status: 410, reason: 'Expired', message: 'too old' } });

    const answer = kubernetes.listPage(reports, { limit: 10, continueToken: 'x' });

    await expect(answer).rejects.toMatchObject({ name: 'ListExpiredError' });
    await expect(answer).rejects.toThrow('the list’s place'.replace('’', "'"));
  });

  it('a kind that was listed a moment ago and is not served now is a server’s that is still starting', async () => {
    await api.create(reports, [{ name: 'a-first' }]);
    const { continueToken } = await kubernetes.listPage(reports, { limit: 1 });
    api.fail({ effect: { status: 404, text: '404 page not found\n' }, times: 2 });

    const page = await kubernetes.listPage(reports, { limit: 1, continueToken });

    expect(page.items.map(({ name }) => name)).toEqual(['report']);
    await api.remove(reports, { ...place, name: 'a-first' });
  });

  it.each<[string, Fault['effect'], string]>([
    ['a page', { status: 200, text: '<html>log in</html>' }, "is not a Kubernetes API server's: it is no JSON"],
    ['another document', { status: 200, message: 'x' }, 'items[0].metadata: found nothing'],
    ['a proxy’s refusal', { status: 407, text: 'no way' }, 'the server answered 407 (no way)'],
  ])('says what came back where it is %s', async (what, effect, message) => {
    const other = what === 'another document' && typeof effect === 'object';
    const text = '{"metadata":{},"items":[{}]}';
    api.fail({ effect: other ? { ...effect, text } : effect });

    const answer = kubernetes.listPage(reports, { limit: 10 });

    await expect(answer).rejects.toThrow(KubernetesError);
    await expect(answer).rejects.toThrow(message);
  });

  it('counts a report’s age by the server’s clock', async () => {
    api.now = () => new Date('2027-03-04T05:06:07Z');

    const { servedAt } = await kubernetes.listPage(reports, { limit: 10 });

    api.now = () => new Date();
    expect(servedAt).toBe('2027-03-04T05:06:07.000Z');
  });

  it('asks what the API has of a group once, however often that is wanted, and again where it failed', async () => {
    await using impatient = open({ patienceMs: 0 });
    api.fail({ effect: { status: 503 } });
    await expect(impatient.resourceOf('apps/v1', 'ReplicaSet')).rejects.toThrow(ApiUnavailableError);

    const asked = ['ReplicaSet', 'Deployment', 'Nonsense'].map((kind) => impatient.resourceOf('apps/v1', kind));
    const found = await Promise.all(asked);

    expect(found.map((resource) => resource?.plural)).toEqual(['replicasets', 'deployments', undefined]);
    expect(api.requests).toHaveLength(2);
  });

  it('gets metadata only, compressed, a fraction of what the objects have', async () => {
    const content = {
      report: { vulnerabilities: Array.from({ length: 100 }, (_, i) => ({ id: `CVE-2024-${i * 7919}` })) },
    };
    const names = Array.from({ length: 1_000 }, (_, i) => `large-${i}`);
    await api.create(
      reports,
      names.map((name) => ({ name, content })),
    );

    const { items, receivedBytes } = await kubernetes.listPage(reports, { limit: 2_000 });

    for (const name of names) await api.remove(reports, { ...place, name });
    expect(items).toHaveLength(1_001);
    expect(receivedBytes).toBeGreaterThan(10_000);
    // Each object alone has over 2,000 bytes, and its metadata 200.
    expect(receivedBytes).toBeLessThan(100_000);
  });
});

describe('a delete', () => {
  it('R12: has its preconditions in a body of known length, and nothing in the query', async () => {
    await kubernetes.delete(reports, object);

    const [request] = api.requests;
    expect(request?.path).toBe('/apis/aquasecurity.github.io/v1alpha1/namespaces/default/vulnerabilityreports/report');
    expect(JSON.parse(request?.body ?? '')).toEqual({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      preconditions: { uid: object.uid, resourceVersion: object.resourceVersion },
    });
    expect(request?.headers).toMatchObject({
      'content-length': `${request?.body.length}`,
      'content-type': 'application/json',
    });
  });

  it('is sent again after 429, which says that nothing was done', async () => {
    api.fail({ effect: busy });

    expect(await kubernetes.delete(reports, object)).toBe('deleted');
    expect(methods()).toEqual(['DELETE', 'DELETE']);
  });

  it.each<[string, Fault['effect'], readonly string[]]>([
    ['the connection broke before it was done', 'reset', ['DELETE', 'GET', 'DELETE']],
    ['the connection broke after it was done', 'done-then-reset', ['DELETE', 'GET']],
    ['no answer came, and it was not done', 'hang', ['DELETE', 'GET', 'DELETE']],
    ['no answer came, and it was done', 'done-then-hang', ['DELETE', 'GET']],
    ['the server answered 500', { status: 500, message: 'etcdserver: request timed out' }, ['DELETE', 'GET', 'DELETE']],
    ['the server answered 504', { status: 504 }, ['DELETE', 'GET', 'DELETE']],
    [
      'somebody wrote at the same time',
      { status: 409, reason: 'Conflict', message: 'the object has been modified; please apply your changes' },
      ['DELETE', 'GET', 'DELETE'],
    ],
    ['the server is still starting', { status: 404, text: '404 page not found\n' }, ['DELETE', 'GET', 'DELETE']],
  ])('R12: is sent again only after a look that the object is still there, when %s', async (_what, effect, sent) => {
    await using client = open({ timeoutMs: timeoutFor(effect) });
    api.fail({ method: 'DELETE', effect });

    const outcome = await client.delete(reports, object);

    expect(outcome).toBe('deleted');
    expect(methods()).toEqual(sent);
    expect(await api.list(reports)).toEqual([]);
  });

  it.each<[string, () => Promise<void>]>([
    ['rewritten', () => api.rewrite(reports, place)],
    ['made anew', () => api.create(reports, [{ name: 'report' }])],
  ])('R12: is not sent again where the object was %s while the answer was lost', async (_what, happen) => {
    api.fail({ method: 'DELETE', effect: 'reset' });
    api.fail({ method: 'GET', effect: { status: 503 } });
    const deleted = kubernetes.delete(reports, object);
    await happen();

    expect(await deleted).toBe('changed');
    expect(methods().filter((method) => method === 'DELETE')).toHaveLength(1);
    expect(await api.list(reports)).toHaveLength(1);
  });

  it('R12: finds that it only marked the object, though the answer was lost', async () => {
    await api.create(reports, [{ name: 'report', finalizers: ['example.com/keep'] }]);
    const [marked] = await api.list(reports);
    api.fail({ method: 'DELETE', effect: 'done-then-reset' });

    const outcome = marked && (await kubernetes.delete(reports, marked));

    expect(outcome).toBe('finalizers');
  });

  it('says that it is not known whether it was done, where not even a look tells', async () => {
    await using impatient = open({ patienceMs: 100 });
    api.fail({ effect: 'reset', times: 1_000 });

    await expect(impatient.delete(reports, object)).rejects.toMatchObject({
      name: 'ApiUnavailableError',
      outcome: 'unknown',
    });
  });

  it('is given up, with all looks at it, when its one patience is over', async () => {
    await using impatient = open({ patienceMs: 600, timeoutMs: 400 });
    api.fail({ method: 'DELETE', effect: 'hang', times: 1_000 });
    api.fail({ method: 'GET', effect: 'hang', times: 1_000 });

    await expect(impatient.delete(reports, object)).rejects.toMatchObject({ name: 'ApiUnavailableError' });

    // The delete takes 400 ms of it, and the look the rest: with a patience of their own the looks would go on.
    expect(methods()).toEqual(['DELETE', 'GET']);
  });

  it.each<[string, number, string]>([
    ['webhook', 403, 'admission webhook "validate.kyverno.svc-fail" denied the request: no deletes here'],
    ['webhook that gives no code', 400, 'admission webhook "x" denied the request without explanation'],
    ['webhook that answers as a server in trouble', 500, 'admission webhook "x" denied the request: no'],
    ['webhook that answers as for a conflict', 409, 'admission webhook "x" denied the request: no'],
    ['policy', 422, `a "report" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no`],
  ])('that a %s denies is an error of its own, whatever the status code', async (_what, status, message) => {
    api.fail({ effect: { status, message }, times: 1_000 });

    await expect(kubernetes.delete(reports, object)).rejects.toThrow(DeniedError);
    expect(methods()).toEqual(['DELETE']);
  });

  it.each<[string, Fault['effect'], string]>([
    [
      'a webhook that does not answer',
      { status: 500, message: 'Internal error occurred: failed calling webhook "validate.kyverno.svc-fail"' },
      "Bring the webhook's service up, or delete its configuration",
    ],
    [
      'a policy that refuses it',
      { status: 403, message: 'admission webhook "x" denied the request: no' },
      'an admission policy refused it',
    ],
    [
      'a request that the server does not take',
      { status: 422, message: 'invalid' },
      'the server answered 422 (invalid)',
    ],
  ])('is not tried again at %s', async (_what, effect, message) => {
    api.fail({ effect, times: 1_000 });

    await expect(kubernetes.delete(reports, object)).rejects.toThrow(message);
    expect(methods()).toEqual(['DELETE']);
  });
});

describe.each<[string, (client: KubernetesClient) => Promise<unknown>]>([
  ['a read', (client) => client.listPage(reports, { limit: 1 })],
  ['a delete', (client) => client.delete(reports, object)],
])('%s that the server answers with 401', (_what, ask) => {
  const unauthorized = { status: 401, message: 'Unauthorized', reason: 'Unauthorized' };

  it('twice is asked again, as the server may only have been unable to look up the token', async () => {
    await using impatient = open({ patienceMs: 200 });
    api.fail({ effect: unauthorized, times: 2 });

    await ask(impatient);

    expect(api.requests).toHaveLength(3);
  });

  it('three times is refused', async () => {
    await using impatient = open({ patienceMs: 200 });
    api.fail({ effect: unauthorized, times: 1_000 });

    await expect(ask(impatient)).rejects.toThrow(UnauthorizedError);
    expect(api.requests).toHaveLength(3);
  });
});

describe('the connections', () => {
  it.each<[string, (client: KubernetesClient) => Promise<unknown>]>([
    ['lists', (client) => client.listPage(reports, { limit: 1 })],
    ['deletes', (client) => client.delete(reports, { ...object, name: 'none' })],
  ])('are kept and shared: a hundred %s at the same time need no more than allowed', async (_what, ask) => {
    await using four = open({ connections: 4 });
    const before = api.connections;

    await Promise.all(Array.from({ length: 100 }, () => ask(four)));

    expect(api.connections - before).toBeGreaterThan(0);
    expect(api.connections - before).toBeLessThanOrEqual(4);
  });

  it('R15: are not made without TLS', () => {
    expect(() => open({ server: 'http://127.0.0.1:8080' })).toThrow(
      'kubernetes.server: found http://127.0.0.1:8080, expected an https URL',
    );
  });

  it('R15: verify the server whatever the environment says', async () => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      await using stranger = await startStandIn();
      await using client = open({ credentials: { ca: stranger.credentials().ca, token: 'token' } });

      await expect(client.listPage(reports, { limit: 1 })).rejects.toThrow(SetupError);
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  it('to a server that has no TLS are a matter of the set-up', async () => {
    await using other = await plainHttp();
    await using client = open({ server: `https://${other.hostAndPort}` });

    const answer = client.listPage(reports, { limit: 1 });

    await expect(answer).rejects.toThrow(SetupError);
    await expect(answer).rejects.toThrow('does not speak TLS');
  });

  it('to an address that the certificate does not have are a matter of the set-up', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-kubernetes-test-'));
    await using cleanUp = new AsyncDisposableStack();
    cleanUp.defer(() => rm(directory, { recursive: true }));
    const authority = await createAuthority(directory);
    const material = await readMaterial(await authority.issue({ name: 'elsewhere' }));
    const other = createServer(material).listen(0, '127.0.0.2');
    cleanUp.defer(() => void other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const credentials = { ca: material.ca, token: 'token' };
    await using client = open({ server: `https://127.0.0.2:${port}`, credentials });

    const answer = client.listPage(reports, { limit: 1 });

    await expect(answer).rejects.toThrow(SetupError);
    await expect(answer).rejects.toThrow(
      "the server's certificate is for other names than the one in kubernetes.server",
    );
  });

  it('that were closed by this side end the calls that wait for them', async () => {
    const closing = open({ patienceMs: 60_000 });
    api.fail({ effect: { ...busy, headers: { 'retry-after': '30' } } });
    const answer = closing.listPage(reports, { limit: 1 });
    const assertion = expect(answer).rejects.toThrow('has been closed on this side');
    while (api.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));

    await closing[Symbol.asyncDispose]();

    await assertion;
  });
});

describe.each(servers())('a limit on changes at the same time, at $name', ({ start }) => {
  it('is respected: fewer are sent, and all are done', async () => {
    await using limited = await start({ maxMutatingInFlight: 2 });
    await limited.create(
      reports,
      Array.from({ length: 40 }, (_, i) => ({ name: `report-${i}` })),
    );
    const { server } = limited;
    await using client = openKubernetes({ server, credentials: limited.credentials(), connections: 5 });
    const { items } = await client.listPage(reports, { limit: 100 });

    const outcomes = await Promise.all(items.map((item) => client.delete(reports, item)));

    expect(new Set(outcomes)).toEqual(new Set(['deleted']));
    expect(await limited.list(reports)).toEqual([]);
  });
});
