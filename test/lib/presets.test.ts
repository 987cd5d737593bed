import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/run/configuration.ts';
import { InvalidInputError } from '../../functions/run/errors.ts';
import { PRESETS, type PresetName } from '../../functions/run/presets.ts';
import { authoritiesOf } from '../../lib/presets.ts';
import { fullCluster, sampleCluster, synth } from './synth.ts';

const tag = { key: 'cluster', value: 'demo' };
const { credentials } = sampleCluster.etcd;
const WITH_NODES = ['kubeadm', 'rke2', 'k3s'] as const;
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
  const kops = '/etc/kubernetes/pki/etcd-manager';
  const controllerManager = '/srv/kubernetes/kube-controller-manager/ca';
  const [rke2, k3s] = ['/var/lib/rancher/rke2/server/tls', '/var/lib/rancher/k3s/server/tls'];

  it.each([
    ['kubeadm', `${kubeadm}/etcd/ca`, `${kubeadm}/ca`, `${kubeadm}/ca`],
    ['kops-main', `${kops}-main/etcd-clients-ca`, controllerManager, controllerManager],
    ['kops-events', `${kops}-events/etcd-clients-ca`, controllerManager, controllerManager],
    ['rke2', `${rke2}/etcd/server-ca`, `${rke2}/client-ca`, `${rke2}/server-ca`],
    ['k3s', `${k3s}/etcd/server-ca`, `${k3s}/client-ca`, `${k3s}/server-ca`],
  ])('are for %s where it puts them', (preset, etcd, clients, servers) => {
    const authorities = authoritiesOf(parseCluster({ ...sampleCluster, preset }));

    const files = (by: string, ofServers: string) => ({
      caFile: `${by}.crt`,
      caKeyFile: `${by}.key`,
      serverCaFile: `${ofServers}.crt`,
    });
    expect(authorities).toEqual({ etcd: files(etcd, etcd), kubernetes: files(clients, servers) });
  });

  it('are those of the configuration, where it names any', () => {
    const own = { caFile: '/a/ca.crt', caKeyFile: '/a/ca.key', serverCaFile: '/a/ca.crt' };
    const cluster = parseCluster({ ...sampleCluster, preset: 'rke2', nodes: { tag, authorities: { etcd: own } } });

    expect(authoritiesOf(cluster).etcd).toEqual(own);
    expect(authoritiesOf(cluster).kubernetes.caFile).toBe('/var/lib/rancher/rke2/server/tls/client-ca.crt');
  });
});

describe('an app of three clusters', () => {
  /** The largest, one with a security group and certificates of its own making, and one with nothing but etcd. */
  function threeClusters(preset: PresetName) {
    const nodes = preset.startsWith('kops') ? undefined : { tag };
    const found = { credentials: nodes ? { issued: true } : credentials, endpoints: sampleCluster.etcd.endpoints };
    return [
      { ...fullCluster, name: 'largest', preset, nodes },
      { ...sampleCluster, name: 'issued', preset, nodes, etcd: found },
      { name: 'smallest', preset, etcd: { endpoints: ['http://10.0.0.11:2379'] } },
    ];
  }

  it.each([...WITH_NODES, ...KOPS])(
    'of %s has each cluster’s own settings in all of its functions, and no finding',
    (preset) => {
      const clusters = threeClusters(preset);
      using synthesis = synth(clusters);

      for (const written of clusters) {
        const template = synthesis.template(`etcd-medic-${written.name}`);
        const functions = Object.values(template.findResources('AWS::Lambda::Function'));
        const configured = functions.map(({ Properties }) => [
          Properties.FunctionName,
          ...settingsIn(Properties.Environment.Variables.ETCD_MEDIC_CLUSTER),
        ]);
        const { clientPort, kubeletUnit, manifestPath, dataDir = '/var/lib/etcd' } = PRESETS[preset];
        const unit = 'nodes' in written && written.nodes ? [kubeletUnit, manifestPath] : [undefined, undefined];
        expect(configured).toEqual(
          functions.map(({ Properties }) => [Properties.FunctionName, preset, clientPort, dataDir, ...unit]),
        );
        expect(functions.length).toBeGreaterThanOrEqual(6);
      }
      expect(synthesis.solutionsFindings()).toEqual([]);
      expect(synthesis.annotations()).toEqual([]);
    },
  );

  /** A secret that the stack makes is a reference in the text: the rest of it is as it was. */
  function settingsIn(variable: unknown): unknown[] {
    const json = typeof variable === 'string' ? variable : joined(variable);
    const { preset, etcd, nodes } = JSON.parse(json);
    return [preset, etcd.clientPort, etcd.dataDir, nodes?.kubeletUnit, nodes?.manifestPath];
  }

  function joined(variable: unknown): string {
    const parts = Object(variable)['Fn::Join']?.[1];
    if (!Array.isArray(parts)) throw new Error(`no text: ${JSON.stringify(variable)}`);
    return parts.map((part) => (typeof part === 'string' ? part : 'arn:aws:made-by-the-stack')).join('');
  }
});
