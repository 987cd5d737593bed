import { execFile } from 'node:child_process';
import { mkdir, stat, statfs, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NodeInspection, nodeInspection } from '../../functions/nodes/outputs.ts';
import { projectRoot } from '../../lib/bundling.ts';
import { inspectNodeDocument } from '../../lib/documents/document-content.ts';
import { environmentOf } from '../aws/ssm-script.ts';
import { type FolderNode, folderNode, runDocument, WORKING_SYSTEMCTL } from './scripts.ts';

const scriptFile = join(projectRoot, 'lib/documents/inspect-node.sh');

let node: FolderNode;

beforeEach(async () => {
  node = await folderNode();
  await node.program('systemctl', WORKING_SYSTEMCTL);
});
afterEach(() => node[Symbol.asyncDispose]());

const MANIFEST = '/etc/kubernetes/manifests/etcd.yaml';

/** As kubeadm writes it, with the command that is given. */
const manifest = (items: readonly string[], image = 'registry.k8s.io/etcd:3.5.15-0') => `apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://10.0.0.11:2379
  name: etcd
  namespace: kube-system
spec:
  containers:
  - command:
    - etcd
${items.map((item) => `    - ${item}`).join('\n')}
    image: ${image}
    imagePullPolicy: IfNotPresent
    livenessProbe:
      httpGet:
        path: /health?exclude=NOSPACE&serializable=true
  hostNetwork: true
`;

const CRICTL = `cat <<'TABLE'
CONTAINER           IMAGE               CREATED              STATE               NAME                ATTEMPT             POD ID              POD
9b8c5c0f6a0de       2e96e5913fc06       About a minute ago   Exited              etcd                7                   0c1cfa5b5e1b0       etcd-cp-1
1f0e3dad99908       2e96e5913fc06       2 hours ago          Exited              etcd                6                   0c1cfa5b5e1b0       etcd-cp-1
TABLE`;

async function inspect(parameters: Readonly<Record<string, string>> = {}): Promise<NodeInspection> {
  const { exitCode, stdout, stderr } = await runDocument(node, inspectNodeDocument(), parameters);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toMatch(/^[^\n]+\n$/);
  expect(stdout.length).toBeLessThanOrEqual(24_000);
  return nodeInspection.parse(JSON.parse(stdout));
}

describe('inspect-node.sh', () => {
  it('reads the disk, the database, the kubelet, the manifest and the container of a kubeadm node', async () => {
    await node.file('/var/lib/etcd/member/snap/db', Buffer.alloc(12_345));
    await node.file(MANIFEST, manifest(['--data-dir=/var/lib/etcd', '--quota-backend-bytes=8589934592']));
    await node.program('crictl', CRICTL);

    const inspection = await inspect();

    expect(inspection).toMatchObject({
      dataDir: '/var/lib/etcd',
      dbBytes: 12_345,
      orphaned: { count: 0, totalBytes: 0, files: [] },
      kubelet: { unit: 'kubelet', activeState: 'active', subState: 'running' },
      manifest: {
        path: MANIFEST,
        image: 'registry.k8s.io/etcd:3.5.15-0',
        version: '3.5.15',
        flags: { 'data-dir': '/var/lib/etcd', 'quota-backend-bytes': '8589934592' },
      },
      container: { state: 'Exited', restarts: 7 },
      notes: [],
    });
  });

  it('R6: has the exact bytes of the disk under the data folder, through a link too', async () => {
    await mkdir(join(node.root, 'var/lib'), { recursive: true });
    const elsewhere = '/dev/shm';
    await symlink(elsewhere, join(node.root, 'var/lib/etcd'));

    const { disk } = await inspect();

    const { blocks, bavail, bsize } = await statfs(elsewhere);
    expect(disk?.totalBytes).toBe(blocks * bsize);
    // Others write there too.
    expect(Math.abs((disk?.freeBytes ?? 0) - bavail * bsize)).toBeLessThan(256 * 1024 * 1024);
    expect((await stat(elsewhere)).dev).not.toBe((await stat(node.root)).dev);
  });

  it('finds orphaned files whatever they are called', async () => {
    const names = [
      'db.tmp.1',
      'db.tmp."quoted" \\ back',
      'db.tmp.line\nbreak\t\u0001',
      'db.tmp.größe 🗄',
      "db.tmp.$(id)'",
    ];
    for (const [index, name] of names.entries()) {
      await node.file(`/var/lib/etcd/member/snap/${name}`, Buffer.alloc(index + 1));
    }
    await node.file('/var/lib/etcd/member/snap/db', '');

    const { orphaned } = await inspect();

    expect(orphaned).toMatchObject({ count: 5, totalBytes: 15 });
    expect(new Map(orphaned.files.map(({ name, bytes }) => [name, bytes]))).toEqual(
      new Map(names.map((name, index) => [name, index + 1])),
    );
  });

  it('prints UTF-8 even where a file’s name is none', async () => {
    await node.file('/var/lib/etcd/member/snap/db', '');
    const folder = Buffer.from(`${node.root}/var/lib/etcd/member/snap/db.tmp.`);
    await writeFile(Buffer.concat([folder, Buffer.from([0xff, 0xc3, 0x7a])]), 'x');
    const parameters = Object.entries(inspectNodeDocument().parameters).map(([name, { default: value }]) => [
      name,
      value,
    ]);

    const { stdout } = await promisify(execFile)(scriptFile, {
      env: { PATH: node.path, ...node.environment, ...environmentOf(Object.fromEntries(parameters)) },
      encoding: 'buffer',
    });

    const text = new TextDecoder('utf-8', { fatal: true }).decode(stdout);
    expect(JSON.parse(text).orphaned.files).toEqual([{ name: 'db.tmp.\ufffd\ufffdz', bytes: 1 }]);
  });

  it('counts all orphaned files and lists the first ten', async () => {
    for (let i = 0; i < 25; i++) await node.file(`/var/lib/etcd/member/snap/db.tmp.${i}`, 'xx');

    const { orphaned } = await inspect();

    expect({ ...orphaned, files: orphaned.files.length }).toEqual({ count: 25, totalBytes: 50, files: 10 });
  });

  it('stays within what Systems Manager hands out when everything is as long as it can be', async () => {
    for (let i = 0; i < 12; i++) await node.file(`/var/lib/etcd/member/snap/db.tmp.${i}${'\u0001'.repeat(240)}`, 'x');
    const flags = ['name', 'data-dir', 'wal-dir', 'listen-client-urls', 'listen-peer-urls', 'advertise-client-urls'];
    await node.file(MANIFEST, manifest(flags.map((flag) => `--${flag}=${'\u0001'.repeat(5_000)}`)));

    const inspection = await inspect();

    expect(inspection.orphaned).toMatchObject({ count: 12, totalBytes: 12, files: [] });
    expect(inspection.manifest).toBeNull();
    expect(inspection.notes.join()).toContain('too long for one answer');
  });

  it.each([
    ['plain', '--name=cp-1', 'cp-1'],
    ['in single quotes', "'--name=it''s \"me\"'", 'it\'s "me"'],
    ['in double quotes', '"--name=a\\"b\\\\c"', 'a"b\\c'],
    ['before a comment', '--name=cp-1   # the first', 'cp-1'],
    ['with more equals signs', '--name=a=b,c=d', 'a=b,c=d'],
    ['empty', '--name=', ''],
    ['without a value', '--name', 'true'],
    ['with letters of other alphabets', '--name=größe', 'größe'],
  ])('reads a flag that is %s', async (_what, item, value) => {
    await node.file(MANIFEST, manifest([item]));

    expect((await inspect()).manifest?.flags).toEqual({ name: value });
  });

  it('leaves out flags that nobody asked for', async () => {
    await node.file(MANIFEST, manifest(['--cert-file=/etc/kubernetes/pki/etcd/server.crt', '--snapshot-count=10000']));

    expect((await inspect()).manifest?.flags).toEqual({ 'snapshot-count': '10000' });
  });

  it.each([
    ['registry.k8s.io/etcd:3.5.15-0', '3.5.15'],
    ['registry.example:5000/k8s/etcd:v3.4.23', '3.4.23'],
    ['"quay.io/coreos/etcd:v3.5.9"', '3.5.9'],
    ['registry.example:5000/etcd@sha256:0123', null],
    ['registry.example/etcd:latest', null],
  ])('reads the version of image %s', async (image, version) => {
    await node.file(MANIFEST, manifest([], image));

    expect((await inspect()).manifest).toMatchObject({ image: image.replaceAll('"', ''), version });
  });

  it('says what is not there instead of failing, as on a node of RKE2 or kOps', async () => {
    await node.program('systemctl', 'echo LoadState=not-found');
    await node.program('crictl', 'echo "no runtime endpoint" >&2; exit 1');

    const inspection = await inspect();

    expect(inspection).toMatchObject({ disk: null, dbBytes: null, kubelet: null, manifest: null, container: null });
    expect(inspection.notes).toEqual([
      expect.stringContaining('the disk under /var/lib/etcd could not be read'),
      expect.stringContaining('no database at /var/lib/etcd/member/snap/db'),
      'unit kubelet: systemd says it is not-found on this node',
      expect.stringContaining(`no manifest at ${MANIFEST}`),
      expect.stringContaining('crictl failed'),
    ]);
  });

  it('looks where its parameters say', async () => {
    await node.file('/data/etcd-main/member/snap/db', 'x');
    await node.file('/etc/other/etcd.yaml', manifest(['--name=main']));

    const inspection = await inspect({
      DataDir: '/data/etcd-main',
      ManifestPath: '/etc/other/etcd.yaml',
      KubeletUnit: 'k3s.service',
    });

    expect(inspection).toMatchObject({
      dataDir: '/data/etcd-main',
      dbBytes: 1,
      kubelet: { unit: 'k3s.service' },
      manifest: { path: '/etc/other/etcd.yaml', flags: { name: 'main' } },
    });
    expect(await node.calls()).toContainEqual(expect.stringMatching(/^systemctl show .* -- k3s\.service$/));
  });

  it('asks systemd for nothing but what it shows', async () => {
    await inspect();

    const verbs = (await node.calls()).filter((call) => call.startsWith('systemctl')).map((call) => call.split(' ')[1]);
    expect(new Set(verbs)).toEqual(new Set(['show']));
  });
});
