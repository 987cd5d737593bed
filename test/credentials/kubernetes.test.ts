import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LEAST_DAYS } from '../../functions/contract/purposes.ts';
import { CredentialsRefusedError, CredentialsUntestedError } from '../../functions/credentials/errors.ts';
import { openKubernetes } from '../../functions/kubernetes/client.ts';
import { loadKubernetesCredentials } from '../../functions/kubernetes/credentials.ts';
import type { Rule, TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { servers } from '../../lab/kubernetes/servers.ts';
import { makeAuthority, makeKeys, type TestAuthority } from './authorities.ts';
import { type Files, SECRET_ARNS, type Setting, startSetting } from './setting.ts';

/** Only some kinds, as somebody without Trivy would allow. */
const SOME_KINDS: readonly Rule[] = [{ verbs: ['list'], apiGroups: ['wgpolicyk8s.io'], resources: ['policyreports'] }];

it('waits where the API server’s own certificate is for another name: that says nothing about its clients’', async () => {
  const server = await makeAuthority();
  await using listening = createServer({ cert: server.certificate, key: server.key });
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as AddressInfo;
  await using setting = await startSetting({ server: `https://127.0.0.1:${port}` });
  await setting.addNode('cp-1', {
    kubernetes: { ...(await makeAuthority()), serverCertificate: server.certificate },
  });

  const [rotation] = await Promise.allSettled([setting.rotate('kubernetes')]);

  expect(rotation).toMatchObject({ status: 'rejected', reason: expect.any(CredentialsUntestedError) });
  expect(setting.seen()).toContain("the server's certificate is for other names");
  expect(setting.credentials('kubernetes', 'AWSPENDING')).toEqual(setting.issued('kubernetes')[0]);
});

describe.each(servers())('the client certificate for $name', ({ start }) => {
  let folder: string;
  /** Of the API server's clients; it ends before the next rotation. */
  let authority: TestAuthority;
  let clientCaFile: string;
  let serverCertificate: string;
  const open = new AsyncDisposableStack();
  let api: TestApiServer;
  let setting: Setting | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'etcd-medic-clients-'));
    authority = await makeAuthority({ toDays: 20 });
    clientCaFile = join(folder, 'clients.crt');
    await writeFile(clientCaFile, authority.certificate);
    api = open.use(await start({ clientCaFile, others: { 'etcd-medic': SOME_KINDS } }));
    serverCertificate = await readFile(api.caFile, 'utf8');
  });
  afterAll(async () => {
    await open.disposeAsync();
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(() => setting?.[Symbol.asyncDispose]());

  /** The function, and a node with this authority of the API server's clients. */
  async function withNode(clients: Files, server = api): Promise<Setting> {
    setting = await startSetting({ server: server.server });
    await setting.addNode('cp-1', { kubernetes: { serverCertificate, ...clients } });
    return setting;
  }

  it('is issued to a person who asks, with a warning where the authority ends soon, and works', async () => {
    const { call } = await withNode(authority);

    const report = await call({ issue: 'kubernetes' });

    expect(report).toMatchObject({
      subject: 'O=etcd-medic:pruner, CN=etcd-medic',
      validTo: new X509Certificate(authority.certificate).validToDate.toISOString(),
      steps: [expect.any(String), 'the API server let them list policyreports.wgpolicyk8s.io', expect.any(String)],
      warnings: [expect.stringMatching(/^the authority ends on .*: renew the authority/)],
    });
    const credentials = await loadKubernetesCredentials({ secretArn: SECRET_ARNS.kubernetes });
    await using client = openKubernetes({ server: api.server, credentials });
    const kyverno = { group: 'wgpolicyk8s.io', version: 'v1alpha2', plural: 'policyreports' };
    await expect(client.listPage(kyverno, { limit: 1 })).resolves.toMatchObject({ items: [] });
  });

  it('is not rotated where the authority ends before the next rotation: somebody has to renew that', async () => {
    const { rotate, issued } = await withNode(authority);

    await expect(rotate('kubernetes')).rejects.toThrow(`it should be good for ${LEAST_DAYS} days at least`);

    expect(issued('kubernetes')).toEqual([]);
  });

  it('is thrown away where the API server does not know its authority, and the old one stays', async () => {
    const { call, secrets, credentials } = await withNode(await makeAuthority());
    const cert = await authority.sign({ publicKey: (await makeKeys()).publicKey });
    const before = { ca: serverCertificate, cert, key: authority.key };
    secrets.kubernetes.put('a-version-that-was-there-before-it', JSON.stringify(before), ['AWSCURRENT']);
    const [node] = setting?.ssm.nodes.values() ?? [];
    const { fingerprint256 } = new X509Certificate(
      await readFile(join(node?.environment.ETCD_MEDIC_ROOT ?? '', 'etc/kubernetes/pki/ca.crt'), 'utf8'),
    );

    const [order] = await Promise.allSettled([call({ issue: 'kubernetes', trust: [fingerprint256] })]);

    expect(order).toMatchObject({ status: 'rejected', reason: expect.any(CredentialsRefusedError) });
    expect(credentials('kubernetes')).toEqual(before);
    expect(credentials('kubernetes', 'AWSPENDING')).toBeUndefined();
  });

  it('does not become current where the API server knows it and its role is not there yet', async () => {
    await using bare = await start({ clientCaFile, others: { 'etcd-medic': [] } });
    const clients = { ...authority, serverCertificate: await readFile(bare.caFile, 'utf8') };
    const { call, secrets, issued } = await withNode(clients, bare);

    const [order] = await Promise.allSettled([call({ issue: 'kubernetes' })]);

    expect(order).toMatchObject({ status: 'rejected', reason: expect.any(CredentialsUntestedError) });
    expect(order).toMatchObject({ reason: { message: expect.stringContaining('kubectl apply -f docs/rbac.yaml') } });
    expect(issued('kubernetes')).toHaveLength(1);
    // Nobody comes back for what a person's order left: the next rotation begins anew.
    expect(secrets.kubernetes.versions).toMatchObject([{ value: '{"issued":"not yet"}', labels: ['AWSCURRENT'] }]);
    await expect(loadKubernetesCredentials({ secretArn: SECRET_ARNS.kubernetes })).rejects.toThrow(
      'with {"issue":"kubernetes"}',
    );
  });
});
