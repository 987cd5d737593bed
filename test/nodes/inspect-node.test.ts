import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat, statfs, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NodeInspection, nodeInspection } from '../../functions/nodes/outputs.ts';
import { environmentOf } from '../../lab/aws/ssm-script.ts';
import { MountNotPermittedError, smallFilesystem } from '../../lab/control-plane/small-filesystem.ts';
import { projectRoot } from '../../lib/bundling.ts';
import { inspectNodeDocument } from '../../lib/documents/document-content.ts';
import { type FolderNode, folderNode, runDocument, WORKING_SYSTEMCTL } from './scripts.ts';

const scriptFile = join(projectRoot, 'lib/documents/inspect-node.sh');

let node: FolderNode;

beforeEach(async () => {
  node = await folderNode();
  await node.program('systemctl', WORKING_SYSTEMCTL);
  await node.program('ip', IP);
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

/**
 * Of a pod's manifest: a mount in its container and the volume on the node, in the orders that people and kubeadm write
 * them.
 */
function volumes(
  inContainer: string,
  onNode: string,
  inner?: readonly [string, string],
  more = 'readOnly: false',
): string {
  const second = inner ? `    - name: inner\n      mountPath: "${inner[0]}"\n` : '';
  const secondVolume = inner
    ? `  - hostPath:\n      path: ${inner[1]}   # the disk\n      type: Directory\n    name: inner\n`
    : '';
  return `    volumeMounts:
    - mountPath: ${inContainer}
      name: etcd-data
      ${more}
    - mountPath: /etc/kubernetes/pki/etcd
      name: etcd-certs
${second}  hostNetwork: true
  volumes:
    - name: etcd-certs
      hostPath:
        path: /etc/kubernetes/pki/etcd
        type: DirectoryOrCreate
    - configMap:
        name: settings
        items:
        - key: a
          path: /not/this
      name: settings
${secondVolume.replaceAll(/^/gm, '  ').trimEnd()}
    - name: etcd-data
      hostPath:
        type: DirectoryOrCreate
        path: '${onNode}'
`;
}

/** `ip -o addr show` of a node of EC2 with Docker and kube-proxy in its mode ipvs. */
const IP = `cat <<'TABLE'
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
1: lo    inet6 ::1/128 scope host \\       valid_lft forever preferred_lft forever
2: eth0    inet 10.0.0.11/24 metric 512 brd 10.0.0.255 scope global dynamic eth0\\       valid_lft 3079sec preferred_lft 3079sec
2: eth0    inet6 fd00:1::b/128 scope global dynamic \\       valid_lft 449sec preferred_lft 139sec
2: eth0    inet6 fe80::8ff:feff:fe00:1/64 scope link \\       valid_lft forever preferred_lft forever
3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\\       valid_lft forever preferred_lft forever
4: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0\\       valid_lft forever preferred_lft forever
5: tun0    inet 10.8.0.2 peer 10.8.0.1/32 scope global tun0\\       valid_lft forever preferred_lft forever
TABLE`;

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
      etcdDataDir: { flag: '/var/lib/etcd', onNode: '/var/lib/etcd', dbBytes: 12_345, isDataDir: true },
      addresses: ['10.0.0.11', 'fd00:1::b', '172.17.0.1', '10.8.0.2'],
      notes: [],
    });
  });

  it('has the addresses that hostname tells where there is no ip, and says so where there is neither', async () => {
    await node.program('ip', 'exit 127');
    await node.program('hostname', "echo '10.0.0.11 172.17.0.1 fd00:1::b '");
    expect((await inspect()).addresses).toEqual(['10.0.0.11', '172.17.0.1', 'fd00:1::b']);

    await node.program('hostname', 'exit 1');
    const { addresses, notes } = await inspect();
    expect(addresses).toBeNull();
    expect(notes).toContain("neither ip nor hostname tells this node's addresses");
  });

  it('lists so many addresses that the answer stays short, and says how many there are', async () => {
    const lines = Array.from(
      { length: 300 },
      (_, i) => `${i}: veth${i}    inet 10.1.${i >> 8}.${i & 255}/32 scope global veth${i}`,
    );
    await node.program('ip', `cat <<'TABLE'\n${lines.join('\n')}\nTABLE`);

    const { addresses, notes } = await inspect();

    expect(addresses).toHaveLength(64);
    expect(notes).toContain('of 300 addresses only the first 64 are listed');
  });

  it('R6: looks at the disk that member/snap is on, where member or snap is a link', async () => {
    const elsewhere = await mkdtemp('/dev/shm/etcd-medic-test-');
    try {
      await mkdir(join(elsewhere, 'snap'));
      await writeFile(join(elsewhere, 'snap/db'), 'x');
      await mkdir(join(node.root, 'var/lib/etcd'), { recursive: true });
      await symlink(elsewhere, join(node.root, 'var/lib/etcd/member'));
      const { blocks, bsize } = await statfs(elsewhere);
      expect((await stat(elsewhere)).dev).not.toBe((await stat(node.root)).dev);

      expect(await inspect()).toMatchObject({ disk: { totalBytes: blocks * bsize }, dbBytes: 1 });

      await node.file('/data/etcd/member/other', '');
      await symlink(join(elsewhere, 'snap'), join(node.root, 'data/etcd/member/snap'));
      const linked = await inspect({ DataDir: '/data/etcd' });
      expect(linked).toMatchObject({ disk: { totalBytes: blocks * bsize }, dbBytes: 1 });
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });

  it('R6: looks at the disk that member/snap is on, where a disk of its own is mounted there', async (context) => {
    const disk = await smallFilesystem(8 * 1024 * 1024).catch((error: unknown) => {
      if (error instanceof MountNotPermittedError) return context.skip(error.message);
      throw error;
    });
    const mounts: string[] = [];
    try {
      for (const folder of ['/var/lib/etcd/member', '/data/etcd/member/snap']) {
        await mkdir(join(node.root, folder), { recursive: true });
        await promisify(execFile)('mount', ['--bind', disk.directory, join(node.root, folder)]);
        mounts.push(join(node.root, folder));
      }
      await node.file('/var/lib/etcd/member/snap/db', 'xx');
      await node.file('/data/etcd/member/snap/db', 'x');

      expect(await inspect()).toMatchObject({ disk: { totalBytes: 8 * 1024 * 1024 }, dbBytes: 2 });
      expect(await inspect({ DataDir: '/data/etcd' })).toMatchObject({
        disk: { totalBytes: 8 * 1024 * 1024 },
        dbBytes: 1,
      });
    } finally {
      for (const folder of mounts) await promisify(execFile)('umount', [folder]);
      await disk[Symbol.asyncDispose]();
    }
  });

  it.each<[string, string, string, object | null]>([
    [
      'the same folder as on the node',
      '/var/lib/etcd',
      volumes('/var/lib/etcd', '/var/lib/etcd'),
      { onNode: '/var/lib/etcd', dbBytes: 3, isDataDir: true },
    ],
    [
      'a folder of another name on the node',
      '/var/lib/etcd',
      volumes('/var/lib/etcd', '/mnt/disk/etcd'),
      { onNode: '/mnt/disk/etcd', dbBytes: 5, isDataDir: false },
    ],
    [
      'the folder that was looked at, by a link',
      '/var/lib/etcd',
      volumes('/var/lib/etcd', '/link'),
      { onNode: '/link', dbBytes: 3, isDataDir: true },
    ],
    [
      'a folder below a mount',
      '/srv/etcd/data',
      volumes('/srv/etcd', '/mnt/disk'),
      { onNode: '/mnt/disk/data', isDataDir: null },
    ],
    [
      'a folder below the inner of two mounts',
      '/srv/etcd',
      volumes('/srv', '/mnt', ['/srv/etcd/', '/mnt/disk/etcd/']),
      { onNode: '/mnt/disk/etcd', isDataDir: false },
    ],
    [
      'a path that begins like a mount',
      '/var/lib/etcd2',
      volumes('/var/lib/etcd', '/mnt/disk/etcd'),
      { onNode: null, isDataDir: null },
    ],
    [
      'a part of a volume',
      '/etcd',
      volumes('/etcd', '/mnt/disk', undefined, 'subPath: etcd'),
      { onNode: '/mnt/disk/etcd', isDataDir: false },
    ],
    [
      'no folder of the node',
      '/cache',
      '    volumeMounts:\n    - mountPath: /cache\n      name: cache\n  volumes:\n  - name: cache\n    emptyDir: {}\n  - name: x\n    hostPath:\n      path: /x\n',
      { onNode: null, isDataDir: null },
    ],
    [
      'a folder, without any mounts that can be read',
      '/mnt/disk/etcd',
      '  volumes: [{ name: x, hostPath: { path: /x } }]\n',
      { onNode: '/mnt/disk/etcd', dbBytes: 5, isDataDir: false },
    ],
    ['a folder that is relative', 'default.etcd', '', { onNode: null, isDataDir: null }],
  ])("says where etcd's own --data-dir is on the node: %s", async (_what, flag, mounts, expected) => {
    await node.file('/var/lib/etcd/member/snap/db', 'abc');
    await node.file('/mnt/disk/etcd/member/snap/db', 'abcde');
    await symlink(join(node.root, 'var/lib/etcd'), join(node.root, 'link'));
    await node.file(MANIFEST, `${manifest([`--data-dir=${flag}`])}${mounts}status: {}\n`);

    const { etcdDataDir, notes } = await inspect();

    expect(etcdDataDir).toMatchObject({ flag, ...expected });
    const asks = notes.some((note) => note.includes(`does not say where the node has etcd's --data-dir=${flag}`));
    expect(asks).toBe(etcdDataDir?.onNode === null);
  });

  it("says nothing of etcd's --data-dir where the manifest has none, as etcd-manager's", async () => {
    await node.file(MANIFEST, manifest(['--name=cp-1']));

    expect((await inspect()).etcdDataDir).toBeNull();
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
    expect(inspection.etcdDataDir).toBeNull();
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
