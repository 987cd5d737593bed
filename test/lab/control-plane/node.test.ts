import { execFile } from 'node:child_process';
import { mkdtemp, readFile, realpath, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { putThrough } from '../../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../../lab/control-plane/control-plane.ts';
import type { ControlPlaneNode } from '../../../lab/control-plane/node.ts';
import type { ControlPlane } from '../../../lab/control-plane/plane.ts';
import { settled } from '../../../lab/control-plane/settle.ts';

let plane: ControlPlane;

beforeAll(async () => {
  plane = await startControlPlane({ nodes: true, probes: '>=1.31', kubeletSpeed: 10 });
});

afterAll(async () => {
  await plane?.stop();
});

/** Runs a line of bash as the agent on the node does. */
function on(node: ControlPlaneNode, line: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { cwd: node.workingDirectory, env: { PATH: node.path, ...node.environment } };
    const child = execFile('/bin/bash', ['--norc', '-c', line], options, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

describe('a node', () => {
  it('has an address of its own, at which etcd answers on the port that all share', async () => {
    const { etcd, nodes } = plane.configuration({ etcd: { endpoints: undefined } });

    const urls = plane.nodes.map(({ ipAddress }) => `https://${ipAddress}:${etcd.clientPort}`);
    expect(new Set(plane.nodes.map(({ ipAddress }) => ipAddress)).size).toBe(3);
    expect(urls).toEqual(plane.endpoints);
    for (const url of urls) expect(await putThrough(plane, url)).toMatchObject({ ok: true });
    for (const { tags } of plane.nodes) expect(tags[nodes?.tag.key ?? '']).toBe(nodes?.tag.value);
  });

  it('has an instance id that no other has, in the form that EC2 gives', () => {
    const ids = plane.nodes.map(({ instanceId }) => instanceId);

    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^i-[0-9a-f]{17}$/);
  });

  it("has etcd's data, certificates and manifest where kubeadm has them", async () => {
    const node = plane.node('cp-2');

    const manifest = await readFile(join(node.root, 'etc/kubernetes/manifests/etcd.yaml'), 'utf8');

    expect(await realpath(join(node.root, 'var/lib/etcd'))).toBe(await realpath(node.member.dataDir));
    expect((await stat(join(node.root, 'var/lib/etcd/member/snap/db'))).size).toBeGreaterThan(0);
    for (const file of ['ca.crt', 'server.crt', 'server.key', 'peer.crt', 'peer.key', 'healthcheck-client.crt']) {
      expect(await readFile(join(node.root, 'etc/kubernetes/pki/etcd', file), 'utf8')).toContain('-----BEGIN');
    }
    for (const flag of [
      `--listen-client-urls=${node.member.endpoint}`,
      `--listen-metrics-urls=${node.member.metricsUrl}`,
      '--data-dir=/var/lib/etcd',
      '--cert-file=/etc/kubernetes/pki/etcd/server.crt',
      '--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt',
      `--quota-backend-bytes=${node.member.quotaBytes}`,
      '--name=cp-2',
    ]) {
      expect(manifest.split('\n')).toContain(`    - ${flag}`);
    }
    expect(manifest).toContain(`image: registry.k8s.io/etcd:${plane.version}-0`);
    expect(manifest.match(/path: \/(livez|readyz)$/gm)).toEqual(['path: /livez', 'path: /readyz']);
    expect(manifest).not.toContain(plane.directory);
  });
});

describe('systemctl', () => {
  it("says what the kubelet is, in systemd's own order of properties", async () => {
    const node = plane.node('cp-1');

    const shown = await on(node, 'systemctl show -p ActiveState,SubState -p MainPID --value kubelet.service');
    const named = await on(node, 'systemctl show --property=SubState,LoadState kubelet');
    const active = await on(node, 'systemctl is-active kubelet');

    expect(shown).toEqual({ code: 0, stdout: `${node.member.kubelet.mainPid}\nactive\nrunning\n`, stderr: '' });
    expect(named.stdout).toBe('LoadState=loaded\nSubState=running\n');
    expect(active).toMatchObject({ code: 0, stdout: 'active\n' });
  });

  it('knows no other unit, and takes a name of metacharacters as a name', async () => {
    const node = plane.node('cp-1');

    const restarted = await on(node, 'systemctl restart -- crio');
    const shown = await on(node, 'systemctl show -p LoadState,ActiveState --value crio');
    const active = await on(node, 'systemctl is-active --quiet crio');
    const strange = await on(node, `systemctl restart -- $'a b;$(id)\\nc'`);

    expect(restarted).toEqual({
      code: 5,
      stdout: '',
      stderr: 'Failed to restart crio.service: Unit crio.service not found.\n',
    });
    expect(shown).toMatchObject({ code: 0, stdout: 'not-found\ninactive\n' });
    expect(active).toEqual({ code: 4, stdout: '', stderr: '' });
    expect(strange.stderr).toBe('Failed to restart a b;$(id)\nc.service: Unit a b;$(id)\nc.service not found.\n');
  });

  it("restarts the node's kubelet: a waiting etcd is started at once", async () => {
    const node = plane.node('cp-3');
    const { kubelet } = node.member;
    // The first restart is at once, so that it takes two kills.
    await vi.waitFor(
      () => {
        if (kubelet.pid !== undefined) plane.kill('cp-3');
        expect(kubelet.backOffUntil ?? 0).toBeGreaterThan(Date.now());
      },
      { timeout: 30_000, interval: 20 },
    );
    const { restartCount, mainPid } = kubelet;

    const { code } = await on(node, 'systemctl restart kubelet');

    expect([code, kubelet.state, kubelet.restartCount]).toEqual([0, 'Running', restartCount + 1]);
    expect(kubelet.mainPid).not.toBe(mainPid);
    await plane.ready();
  });

  it.each([
    { breakRestart: 'fails', code: 1, stderr: /^Job for kubelet.service failed because/, state: 'failed' },
    { breakRestart: 'stays-inactive', code: 0, stderr: /^$/, state: 'inactive' },
  ] as const)(
    'says so where the kubelet does not come back: $breakRestart',
    async ({ breakRestart, code, stderr, state }) => {
      const node = plane.node('cp-2');
      node.member.kubelet.breakRestart = breakRestart;

      const restarted = await on(node, 'systemctl restart kubelet');
      const active = await on(node, 'systemctl is-active kubelet');
      const shown = await on(node, 'systemctl show -p MainPID,ActiveState --value kubelet');
      node.member.kubelet.breakRestart = undefined;
      const repaired = await on(node, 'systemctl restart kubelet && systemctl is-active kubelet');

      expect(restarted.code).toBe(code);
      expect(restarted.stderr).toMatch(stderr);
      expect(active).toMatchObject({ code: 3, stdout: `${state}\n` });
      expect(shown.stdout).toBe(`0\n${state}\n`);
      expect(repaired).toMatchObject({ code: 0, stdout: 'active\n' });
      expect(node.member.kubelet.state).toBe('Running');
    },
  );
});

describe('crictl', () => {
  it('lists the running etcd with its attempts, and the one before it', async () => {
    const node = plane.node('cp-1');
    const { kubelet } = node.member;
    const attempt = kubelet.restartCount + 1;
    plane.kill('cp-1');
    await vi.waitFor(() => expect(kubelet.restartCount).toBe(attempt), 30_000);

    const all = await on(node, "crictl ps -a --name '^etcd$'");
    const running = await on(node, 'crictl ps --name=etcd');
    const other = await on(node, 'crictl ps -a --name kube-apiserver');

    const rows = all.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(rows[0]).toEqual(['CONTAINER', 'IMAGE', 'CREATED', 'STATE', 'NAME', 'ATTEMPT', 'POD ID', 'POD']);
    expect(rows.slice(1).map(([, , , state, name, of, , pod]) => [state, name, of, pod])).toEqual([
      ['Running', 'etcd', `${attempt}`, 'etcd-cp-1'],
      ['Exited', 'etcd', `${attempt - 1}`, 'etcd-cp-1'],
    ]);
    expect(running.stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(other.stdout.trimEnd().split('\n')).toHaveLength(1);
    await plane.ready();
  });
});

describe("the documents' own scripts", () => {
  const script = (name: string) => fileURLToPath(new URL(`../../../lib/documents/${name}.sh`, import.meta.url));

  it('find on a node what it is really like', async () => {
    const node = plane.node('cp-3');
    await settled(plane);
    const parameters = `SSM_DataDir=/var/lib/etcd SSM_KubeletUnit=kubelet SSM_ManifestPath=/etc/kubernetes/manifests/etcd.yaml`;

    const { code, stdout } = await on(node, `${parameters} '${script('inspect-node')}'`);

    const found = JSON.parse(stdout);
    const { blocks, bsize } = await statfs(node.member.dataDir);
    expect([code, found.notes]).toEqual([0, []]);
    expect(found).toMatchObject({
      dbBytes: (await stat(node.member.dbFile)).size,
      disk: { totalBytes: blocks * bsize },
      kubelet: { activeState: 'active' },
      manifest: {
        version: plane.version,
        flags: { 'data-dir': '/var/lib/etcd', 'listen-client-urls': node.member.endpoint },
      },
      container: { state: 'Running', restarts: node.member.kubelet.restartCount },
    });
  });

  it('restart its kubelet', async () => {
    const node = plane.node('cp-3');
    const { mainPid } = node.member.kubelet;

    const { code, stdout } = await on(node, `SSM_KubeletUnit=kubelet '${script('restart-kubelet')}'`);

    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ activeState: 'active', mainPid: mainPid + 1 });
  });
});

it('lets a learner have a node beside the others', async () => {
  await using own = await startControlPlane({ nodes: true, members: 1, tls: false });

  await own.addLearner();

  const [voter, learner] = own.nodes.map(({ ipAddress }) => ipAddress.split('.').map(Number));
  expect(learner?.slice(0, 3)).toEqual(voter?.slice(0, 3));
  expect(learner?.[3]).toBe((voter?.[3] ?? 0) + 1);
});

it('refuses nodes for a plane that was saved without them', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-test-'));
  try {
    await (await startControlPlane({ directory, members: 1, tls: false })).stop();

    const starting = startControlPlane({ directory, nodes: true });

    await expect(starting).rejects.toThrow(/made without addresses/);
  } finally {
    await rm(directory, { recursive: true });
  }
});
