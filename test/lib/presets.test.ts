import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { InvalidInputError } from '../../functions/contract/errors.ts';
import { PRESETS } from '../../functions/contract/presets.ts';
import { authoritiesOf } from '../../lib/presets.ts';
import { sampleCluster } from './synth.ts';

const tag = { key: 'cluster', value: 'demo' };
const { credentials } = sampleCluster.etcd;
const KOPS = ['kops-main', 'kops-events'] as const;

describe('a preset', () => {
  it.each([
    ['kubeadm', 2379, '/var/lib/etcd', 'kubelet', '/etc/kubernetes/manifests/etcd.yaml'],
    [
      'rke2',
      2379,
      '/var/lib/rancher/rke2/server/db/etcd',
      'rke2-server',
      '/var/lib/rancher/rke2/agent/pod-manifests/etcd.yaml',
    ],
    ['k3s', 2379, '/var/lib/rancher/k3s/server/db/etcd', 'k3s', '/var/lib/rancher/k3s/agent/pod-manifests/etcd.yaml'],
  ] as const)(
    '%s says where etcd listens and lies, and what runs it',
    (preset, clientPort, dataDir, kubeletUnit, manifestPath) => {
      const cluster = parseCluster({ name: 'demo', preset, etcd: { credentials }, nodes: { tag } });

      expect(cluster.etcd).toEqual({ credentials, clientPort, dataDir });
      expect(cluster.nodes).toEqual({ tag, kubeletUnit, manifestPath });
    },
  );

  it.each([
    ['kops-main', 4001],
    ['kops-events', 4002],
  ] as const)('%s listens on %i', (preset, clientPort) => {
    const endpoints = ['https://etcd-a.internal.demo.example.com:4001'];

    expect(parseCluster({ name: 'demo', preset, etcd: { endpoints, credentials } }).etcd.clientPort).toBe(clientPort);
  });

  it('is kubeadm where none is named', () => {
    expect(parseCluster(sampleCluster)).toEqual(parseCluster({ ...sampleCluster, preset: 'kubeadm' }));
  });

  it('gives way to every field that is written', () => {
    const cluster = parseCluster({
      name: 'demo',
      preset: 'rke2',
      etcd: { credentials, clientPort: 12379, dataDir: '/data/etcd' },
      nodes: { tag, kubeletUnit: 'rke2-server@a', manifestPath: '/data/etcd.yaml' },
      recover: { restartKubelets: false },
    });

    expect(cluster.etcd).toMatchObject({ clientPort: 12379, dataDir: '/data/etcd' });
    expect(cluster.nodes).toEqual({ tag, kubeletUnit: 'rke2-server@a', manifestPath: '/data/etcd.yaml' });
    expect(cluster.recover.restartKubelets).toBe(false);
  });

  it('R11: has no kubelet restarted where that would restart etcd itself', () => {
    const restarts = Object.entries(PRESETS).map(([name, { restartKubelets }]) => [name, restartKubelets]);

    expect(Object.fromEntries(restarts)).toEqual({
      kubeadm: true,
      'kops-main': true,
      'kops-events': true,
      rke2: true,
      k3s: false,
    });
    const k3s = { name: 'demo', preset: 'k3s', etcd: { credentials }, nodes: { tag } };
    expect(parseCluster(k3s).recover.restartKubelets).toBe(false);
    expect(parseCluster({ ...k3s, recover: { restartKubelets: true } }).recover.restartKubelets).toBe(true);
  });

  it.each(KOPS)('%s refuses nodes, with the reason, rather than look at the wrong disk in an emergency', (preset) => {
    const parsing = () => parseCluster({ ...sampleCluster, preset, nodes: { tag } });

    expect(parsing).toThrow(InvalidInputError);
    expect(parsing).toThrow(
      /nodes: found .*, expected nothing, because kOps' members have names that no node is known by/,
    );
  });

  it.each(Object.keys(PRESETS))('%s means the same once it was read: what functions get is read again', (preset) => {
    const nodes = preset.startsWith('kops') ? undefined : { tag };
    const once = parseCluster({ ...sampleCluster, preset, nodes });

    expect(parseCluster(JSON.parse(JSON.stringify(once)))).toEqual(once);
  });

  it('that is not known is refused with those that are', () => {
    expect(() => parseCluster({ ...sampleCluster, preset: 'rke1' })).toThrow(
      'preset: found "rke1", expected "kubeadm" or "kops-main" or "kops-events" or "rke2" or "k3s"',
    );
  });
});

describe('the authorities that sign', () => {
  const kubeadm = '/etc/kubernetes/pki';
  const [rke2, k3s] = ['/var/lib/rancher/rke2/server/tls', '/var/lib/rancher/k3s/server/tls'];

  it.each([
    ['kubeadm', `${kubeadm}/etcd/ca`, `${kubeadm}/ca`, `${kubeadm}/ca`],
    ['rke2', `${rke2}/etcd/server-ca`, `${rke2}/client-ca`, `${rke2}/server-ca`],
    ['k3s', `${k3s}/etcd/server-ca`, `${k3s}/client-ca`, `${k3s}/server-ca`],
  ])('are for %s where it puts them', (preset, etcd, clients, servers) => {
    const authorities = authoritiesOf(parseCluster({ ...sampleCluster, preset }));

    expect(authorities).toEqual({ etcd: files(etcd, etcd), kubernetes: files(clients, servers) });
  });

  it.each(KOPS)('are none for %s, which has no nodes to sign', (preset) => {
    const etcd = { endpoints: ['https://etcd-a.internal.demo:4001'], credentials: { issued: true } };

    expect(authoritiesOf(parseCluster({ ...sampleCluster, preset }))).toEqual({});
    expect(() => parseCluster({ name: 'demo', preset, etcd })).toThrow('nodes: found nothing, expected the nodes that');
  });

  it('are those of the configuration, where it names any', () => {
    const own = files('/a/ca', '/a/ca');
    const cluster = parseCluster({ ...sampleCluster, preset: 'rke2', nodes: { tag, authorities: { etcd: own } } });

    expect(authoritiesOf(cluster)).toEqual({
      etcd: own,
      kubernetes: files(`${rke2}/client-ca`, `${rke2}/server-ca`),
    });
  });

  function files(by: string, ofServers: string) {
    return { caFile: `${by}.crt`, caKeyFile: `${by}.key`, serverCaFile: `${ofServers}.crt` };
  }
});
