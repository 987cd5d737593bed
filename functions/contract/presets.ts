// What the installers of Kubernetes do differently on a control-plane node: where etcd listens and keeps its data, and
// what runs it.

/**
 * A name that the configuration knows. kOps runs two etcd clusters on the same nodes, each of which is a configuration
 * of its own.
 */
export type PresetName = 'kubeadm' | 'kops-main' | 'kops-events' | 'rke2' | 'k3s';

export interface Preset {
  /** Of etcd's client URLs. */
  readonly clientPort: number;
  /** Undefined: it has another path on each node. */
  readonly dataDir: string | undefined;
  /** The systemd unit that the kubelet runs in. */
  readonly kubeletUnit: string;
  /** etcd's static pod. */
  readonly manifestPath: string;
  /** R11: whether that unit may be restarted to bring etcd's pod back from its back-off. */
  readonly restartKubelets: boolean;
  /** Where members and nodes can't be brought together: what is expected of `nodes`, and why. */
  readonly whyNoNodes?: string;
}

const KUBEADM: Preset = {
  // kubernetes/kubernetes, cmd/kubeadm/app/constants: EtcdListenClientPort, KubeletRunDirectory, DefaultManifestsDir.
  clientPort: 2379,
  dataDir: '/var/lib/etcd',
  kubeletUnit: 'kubelet',
  manifestPath: '/etc/kubernetes/manifests/etcd.yaml',
  restartKubelets: true,
};

/**
 * kubernetes/kops, pkg/model/components/etcdmanager/model.go: the ports, and client URLs of the form
 * https://etcd-a.internal.<cluster>. etcd-manager's certificates hold that name and 127.0.0.1 alone, and only its own
 * hosts file knows it.
 */
const KOPS: Omit<Preset, 'clientPort' | 'manifestPath'> = {
  // protokube and etcd-manager mount each member's volume at /mnt/master-<volume id>, and etcd lies in a folder below.
  dataDir: undefined,
  kubeletUnit: 'kubelet',
  restartKubelets: true,
  whyNoNodes:
    "nothing, because kOps' members have names that no node is known by, and a data folder that is another one on each node " +
    '(docs/presets.md): give `etcd.endpoints`, and a certificate by `secretArn`',
};

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  kubeadm: KUBEADM,
  // nodeup/pkg/model/manifests.go has the manifests' names; newer ones end in the instance group's.
  'kops-main': { ...KOPS, clientPort: 4001, manifestPath: '/etc/kubernetes/manifests/etcd-main.manifest' },
  'kops-events': { ...KOPS, clientPort: 4002, manifestPath: '/etc/kubernetes/manifests/etcd-events.manifest' },
  rke2: {
    // k3s-io/k3s, pkg/etcd/etcd.go, which RKE2 contains: clientURL and DBDir.
    clientPort: 2379,
    dataDir: '/var/lib/rancher/rke2/server/db/etcd',
    // rancher/rke2, bundle/lib/systemd/system/rke2-server.service: containers outlive it (KillMode=process), the
    // kubelet does not.
    kubeletUnit: 'rke2-server',
    // docs.rke2.io, "CIS Self-Assessment Guide", 1.1.7.
    manifestPath: '/var/lib/rancher/rke2/agent/pod-manifests/etcd.yaml',
    restartKubelets: true,
  },
  k3s: {
    clientPort: 2379,
    dataDir: '/var/lib/rancher/k3s/server/db/etcd',
    // k3s-io/k3s, install.sh: one unit that is kubelet, API server and etcd.
    kubeletUnit: 'k3s',
    // There is none. The node's inspection says so, and goes on.
    manifestPath: '/var/lib/rancher/k3s/agent/pod-manifests/etcd.yaml',
    // etcd is no pod here, and has no back-off: systemd starts k3s again after 5 s each time. To restart it would be to
    // restart etcd itself, and k3s disarms alarms when it starts, whatever they are (clearAlarms in pkg/etcd/etcd.go).
    restartKubelets: false,
  },
};
