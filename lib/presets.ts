// Where the installers of Kubernetes put the certificate authorities that sign what is `issued`: at deployment only, so that no
// function carries it along.
import type { AuthorityFiles, Purpose } from '../functions/credentials/purposes.ts';
import { KUBEADM_AUTHORITIES } from '../functions/credentials/purposes.ts';
import type { ClusterConfiguration } from '../functions/run/configuration.ts';
import type { PresetName } from '../functions/run/presets.ts';

type Authorities = Readonly<Record<Purpose, AuthorityFiles>>;

const AUTHORITIES: Readonly<Record<PresetName, Authorities>> = {
  kubeadm: KUBEADM_AUTHORITIES,
  'kops-main': kops('etcd-manager-main'),
  'kops-events': kops('etcd-manager-events'),
  rke2: k3s('/var/lib/rancher/rke2/server/tls'),
  k3s: k3s('/var/lib/rancher/k3s/server/tls'),
};

/** The preset's, or the ones that the configuration names. */
export function authoritiesOf({ preset, nodes }: ClusterConfiguration): Authorities {
  const { etcd, kubernetes } = AUTHORITIES[preset];
  return { etcd: nodes?.authorities?.etcd ?? etcd, kubernetes: nodes?.authorities?.kubernetes ?? kubernetes };
}

/**
 * kubernetes/kops, nodeup/pkg/model/etcd_manager_tls.go: one authority for the clients of both etcd clusters, which the servers'
 * certificates are by as well; the cluster's is where the controller manager signs with it (kube_controller_manager.go).
 */
function kops(etcdManager: string): Authorities {
  const etcd = `/etc/kubernetes/pki/${etcdManager}/etcd-clients-ca`;
  const cluster = '/srv/kubernetes/kube-controller-manager/ca';
  return {
    etcd: { caFile: `${etcd}.crt`, caKeyFile: `${etcd}.key`, serverCaFile: `${etcd}.crt` },
    kubernetes: { caFile: `${cluster}.crt`, caKeyFile: `${cluster}.key`, serverCaFile: `${cluster}.crt` },
  };
}

/** k3s-io/k3s, pkg/daemons/control/deps/deps.go, which RKE2 contains: the API server's own certificate is by another authority. */
function k3s(tls: string): Authorities {
  return {
    etcd: {
      caFile: `${tls}/etcd/server-ca.crt`,
      caKeyFile: `${tls}/etcd/server-ca.key`,
      serverCaFile: `${tls}/etcd/server-ca.crt`,
    },
    kubernetes: {
      caFile: `${tls}/client-ca.crt`,
      caKeyFile: `${tls}/client-ca.key`,
      serverCaFile: `${tls}/server-ca.crt`,
    },
  };
}
