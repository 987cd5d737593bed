import { mkdtemp, rm } from 'node:fs/promises';
import { constants } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { MetricsPage } from '../../functions/etcd/metrics.ts';
import { createAuthority } from '../../lab/control-plane/certificates.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { materialOf, readMaterial, rejection } from './material.ts';
import {
  gateway,
  hanging,
  http1OverTls,
  http2OverTls,
  http2Page,
  otherGrpc,
  plainHttp,
  resetting,
  type StandIn,
} from './stand-ins.ts';

let folder: string;
let stranger: TlsMaterial;
let strangersServer: TlsMaterial;
let expiredServer: TlsMaterial;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-medic-trouble-'));
  const authority = await createAuthority(folder);
  stranger = await readMaterial(await authority.issue({ name: 'stranger', usages: ['client'] }));
  strangersServer = await readMaterial(await authority.issue({ name: 'server' }));
  expiredServer = await readMaterial(await authority.issue({ name: 'late', expired: true }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/**
 * What a status call to this endpoint ends with. The deadline is for a busy machine: what is wrong here is said at
 * once.
 */
async function failure(endpoint: string, tls?: TlsMaterial, statusMs = 20_000): Promise<Error> {
  await using client = connectMember({ endpoint, tls, deadlines: { statusMs } });
  return await rejection(client.status());
}

describe('an endpoint that is not etcd', () => {
  it.each<[string, 'http' | 'https', () => Promise<StandIn>, string, RegExp]>([
    ['a web server', 'http', plainHttp, 'NotEtcdError', /does not speak HTTP\/2/],
    ['a web server in plain text, over https', 'https', plainHttp, 'EtcdTlsError', /does not speak TLS .*Use http:/],
    ['a web server over TLS', 'https', () => http1OverTls(strangersServer), 'NotEtcdError', /no HTTP\/2/],
    ['a web server with HTTP/2', 'http', http2Page, 'NotEtcdError', /not etcd/],
    ['another gRPC server', 'http', otherGrpc, 'NotEtcdError', /does not implement/],
    ['a web server with HTTP/2 over TLS', 'https', () => http2OverTls(strangersServer), 'NotEtcdError', /not etcd/],
    [
      'an expired certificate',
      'https',
      () => http2OverTls(expiredServer),
      'EtcdTlsError',
      /own certificate has expired/,
    ],
    [
      "another address's certificate",
      'https',
      () => http2OverTls(strangersServer, '127.0.0.2'),
      'EtcdTlsError',
      /for other names than this endpoint's .*127\.0\.0\.2/,
    ],
  ])('%s (%s) is told as such', async (_name, scheme, start, name, message) => {
    await using server = await start();

    const error = await failure(`${scheme}://${server.hostAndPort}`, stranger);

    // What speaks HTTP/2 may be a gateway, and what that has passed on nobody knows.
    const outcome = message.source === 'not etcd' ? 'unknown' : 'not-done';
    expect(error).toMatchObject({ name, outcome, method: 'Status' });
    expect(error.message).toMatch(message);
  });

  it.each<[string, () => Promise<StandIn>]>([
    ['HTTP 401', () => gateway(401)],
    ['HTTP 403', () => gateway(403)],
    ['HTTP 404', () => gateway(404)],
    ['HTTP 503', () => gateway(503)],
    ['a reset that asks to calm down', () => resetting(constants.NGHTTP2_ENHANCE_YOUR_CALM)],
    ['a reset for want of security', () => resetting(constants.NGHTTP2_INADEQUATE_SECURITY)],
  ])('R2: one that answers with %s is never healthy, and nothing is known of what it did', async (_name, start) => {
    await using server = await start();
    await using client = connectMember({ endpoint: `http://${server.hostAndPort}` });

    const error = await rejection(client.checkHealth());

    expect(error).toMatchObject({ outcome: 'unknown', method: 'Range' });
  });

  it.each<'http' | 'https'>(['http', 'https'])(
    'R5: one that accepts %s and never answers is a timeout',
    async (scheme) => {
      await using server = await hanging();

      const error = await failure(`${scheme}://${server.hostAndPort}`, stranger, 300);

      expect(error).toMatchObject({ name: 'EtcdTimeoutError', outcome: 'not-done' });
      expect(error.message).toContain('no connection within 300 ms');
    },
  );

  it('R5: a silent endpoint is given up after a while whatever the deadline, and tried again when it is asked again', async () => {
    await using server = await hanging();
    await using client = connectMember({
      endpoint: `https://${server.hostAndPort}`,
      tls: stranger,
      deadlines: { statusMs: 60_000 },
    });

    const errors = [await rejection(client.status()), await rejection(client.status())];

    expect(errors).toEqual(Array(2).fill(expect.objectContaining({ name: 'EtcdTimeoutError', outcome: 'not-done' })));
    await expect.poll(() => server.count(), { timeout: 30_000 }).toBeGreaterThan(1);
  });

  it('leaves no connection behind when a client of a silent endpoint is closed', async () => {
    await using server = await hanging();
    const client = connectMember({ endpoint: `https://${server.hostAndPort}`, tls: stranger });

    const status = rejection(client.status());
    await expect.poll(() => server.count(), { timeout: 30_000 }).toBe(1);
    await client[Symbol.asyncDispose]();

    expect((await status).name).toMatch(/^Etcd/);
    await expect.poll(() => server.open(), { timeout: 30_000 }).toBe(0);
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');
    await expect.poll(sockets, { timeout: 30_000 }).toEqual([]);
  });

  it.each([
    ['http://127.0.0.1:1', 'EtcdUnreachableError', /the connection was refused/],
    ['https://no-such-host.invalid:2379', 'UnaskedError', /the name does not resolve/],
  ])('%s cannot be reached', async (endpoint, name, message) => {
    const error = await failure(endpoint, stranger);

    expect(error).toMatchObject({ name, outcome: 'not-done' });
    expect(error.message).toMatch(message);
  });
});

describe.each(['3.4.23', '3.5.30'])('a member of etcd %s that does not trust, or is not trusted', (version) => {
  let plane: ControlPlane;
  let good: TlsMaterial;
  let endpoint: string;

  beforeAll(async () => {
    plane = await startControlPlane({ version, members: 1 });
    const material = await materialOf(plane);
    if (!material) throw new TypeError('a plane without TLS');
    good = material;
    endpoint = plane.endpoints[0] ?? '';
  });
  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => plane?.stop());

  it('the wrong CA is told, with what to do', async () => {
    const error = await failure(endpoint, { ...good, ca: stranger.ca });

    expect(error).toMatchObject({ name: 'EtcdTlsError', outcome: 'not-done', endpoint });
    expect(error.message).toContain("the server's certificate is not signed by the given CA");
  });

  it('R15: is verified whatever the environment says, /metrics too', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const tls = { ...good, ca: stranger.ca };
    using metrics = new MetricsPage(endpoint, tls);

    const errors = [await failure(endpoint, tls), await rejection(metrics.fetch(20_000, plane.member('cp-1').id))];

    for (const { message } of errors) {
      expect(message).toContain("the server's certificate is not signed by the given CA");
    }
  });

  it('a client certificate of another CA is told', async () => {
    const error = await failure(endpoint, { ...stranger, ca: good.ca });

    expect(error).toMatchObject({ name: 'EtcdTlsError', outcome: 'not-done' });
    expect(error.message).toContain('the server refused the client certificate');
  });

  it('http to a member that wants TLS says to use https', async () => {
    const error = await failure(endpoint.replace('https:', 'http:'));

    expect(error.name).toBe('EtcdUnreachableError');
    expect(error.message).toContain('https://');
  });

  it('R5: a member that hangs times out, and the same client finds it again when it goes on', async () => {
    await using client = connectMember({ endpoint, tls: good, deadlines: { statusMs: 300, healthMs: 300 } });

    plane.pause('cp-1');
    const errors = [await rejection(client.status()), await rejection(client.checkHealth())];
    plane.resume('cp-1');

    expect(errors.map(({ name }) => name)).toEqual(['EtcdTimeoutError', 'EtcdTimeoutError']);
    await expect
      .poll(async () => (await client.status().catch(() => undefined))?.version, { timeout: 30_000 })
      .toBe(version);
  });

  it('R8: /metrics fails as clearly as the rest', async () => {
    await using client = connectMember({ endpoint, tls: { ...good, ca: stranger.ca } });

    const error = await rejection(client.quota());

    expect(error.message).toContain("the server's certificate is not signed by the given CA");
  });
});
