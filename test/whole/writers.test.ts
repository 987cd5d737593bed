// Who writes what fills a database, by the values that a whole Kubernetes has written: custom resources as JSON, its
// own kinds as protobuf, and Secrets encrypted.
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContentsReader } from '../../functions/contents/contents.ts';
import type { Contents } from '../../functions/contents/types.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { verifiedSnapshot } from '../../functions/etcd/snapshot.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { whyNoKubernetes } from '../../lab/kubernetes/kubernetes-binaries.ts';
import { trivyMade } from '../../lab/kubernetes/made-reports.ts';
import { startWholeApiServer, type WholeApiServer } from '../../lab/kubernetes/whole-api-server.ts';

const missing = await whyNoKubernetes();
if (missing !== undefined) console.warn(`writers, on a whole Kubernetes, are LEFT OUT: ${missing}`);

const NAMESPACE = '/namespaces/default';
const REPORTS = `/apis/aquasecurity.github.io/v1alpha1${NAMESPACE}/vulnerabilityreports`;

describe.skipIf(missing !== undefined)('who writes, by what a whole Kubernetes keeps', () => {
  let plane: ControlPlane;
  let api: WholeApiServer;
  const encryption = join(tmpdir(), `etcd-medic-encryption-${process.pid}.json`);

  beforeAll(async () => {
    const key = { name: 'key1', secret: randomBytes(32).toString('base64') };
    const resources = [{ resources: ['secrets'], providers: [{ aescbc: { keys: [key] } }, { identity: {} }] }];
    const configuration = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources };
    await writeFile(encryption, JSON.stringify(configuration), { mode: 0o600 });
    plane = await startControlPlane({ members: 1, tls: false });
    const flags = [`--encryption-provider-config=${encryption}`];
    api = await startWholeApiServer({ plane, controllers: false, flags });
  });
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]();
    await plane?.stop();
    await rm(encryption, { force: true });
  });

  const create = (path: string, manager: string, object: object) =>
    api.ask('POST', `${path}?fieldManager=${manager}`, [], JSON.stringify(object));
  const change = (path: string, manager: string, change: object) =>
    api.ask('PATCH', `${path}?fieldManager=${manager}`, [], JSON.stringify(change));

  async function contents(): Promise<Contents> {
    const [endpoint = ''] = plane.endpoints;
    await using member = connectMember({ endpoint });
    await member.status();
    const reader = new ContentsReader();
    for await (const piece of verifiedSnapshot(member.snapshot())) reader.write(piece);
    return reader.end();
  }

  it('R15: names the manager of the newest writes, and nothing else of their values', async () => {
    const data = { large: 'value'.repeat(6_000) };
    for (let number = 0; number < 4; number++) {
      const name = `report-${number}`;
      const { kind, content } = trivyMade('VulnerabilityReport', { name });
      const apiVersion = 'aquasecurity.github.io/v1alpha1';
      await create(REPORTS, 'trivy-operator', { apiVersion, kind, metadata: { name }, ...content });
      await create(`/api/v1${NAMESPACE}/configmaps`, 'helm', { metadata: { name: `map-${number}` }, data });
      await create(`/api/v1${NAMESPACE}/secrets`, 'cert-manager', { metadata: { name: `secret-${number}` }, data: {} });
    }
    // A second has to pass before somebody else is the newer one.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    for (let number = 0; number < 4; number++) {
      await change(`/api/v1${NAMESPACE}/configmaps/map-${number}`, 'argocd', { data: { small: `y${number}` } });
    }

    const told = await contents();

    const { kinds } = told;
    expect(JSON.stringify(told)).not.toContain('valuevalue');
    const writersOf = (name: string) => kinds.find(({ resource }) => resource === name)?.writers;
    expect(writersOf('vulnerabilityreports.aquasecurity.github.io')).toEqual({
      writes: 4,
      encrypted: 0,
      managers: [{ manager: 'trivy-operator', writes: 4 }],
    });
    const maps = writersOf('configmaps')?.managers ?? [];
    expect(maps).toEqual(
      expect.arrayContaining([
        { manager: 'argocd', writes: 4 },
        { manager: 'helm', writes: 4 },
      ]),
    );
    // One more is that of the service account in docs/rbac.yaml.
    expect(writersOf('secrets')).toEqual({ writes: 5, encrypted: 5, managers: [] });
    // The API server's own.
    expect(writersOf('apiservices.apiregistration.k8s.io')?.managers[0]?.manager).toBe('kube-apiserver');
  });

  it('looks into the newest of many: the last hundred of three hundred are all that is told', async () => {
    const path = `/api/v1${NAMESPACE}/configmaps`;
    await create(path, 'early', { metadata: { name: 'busy' }, data: { of: 'early' } });
    for (let number = 0; number < 200; number++)
      await change(`${path}/busy`, 'early', { data: { of: `early-${number}` } });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    for (let number = 0; number < 200; number++)
      await change(`${path}/busy`, 'late', { data: { of: `late-${number}` } });

    const { kinds } = await contents();

    const { writes = 0, managers = [] } = kinds.find(({ resource }) => resource === 'configmaps')?.writers ?? {};
    expect(writes).toBeGreaterThan(8);
    expect(managers[0]).toMatchObject({ manager: 'late' });
    expect(managers[0]?.writes).toBeGreaterThan(writes * 0.7);
  });
});
