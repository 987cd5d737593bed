// Where the installers of Kubernetes put the certificate authorities that sign what is `issued`: at deployment only, so
// that no function carries it along.

import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import type { PresetName } from '../functions/contract/presets.ts';
import type { AuthorityFiles, Purpose } from '../functions/contract/purposes.ts';
import { KUBEADM_AUTHORITIES } from '../functions/contract/purposes.ts';

type Authorities = Readonly<Record<Purpose, AuthorityFiles>>;

/** Not kOps: it knows no `nodes`, and without them nothing is issued. */
const AUTHORITIES: Readonly<Partial<Record<PresetName, Authorities>>> = {
  kubeadm: KUBEADM_AUTHORITIES,
  rke2: k3s('/var/lib/rancher/rke2/server/tls'),
  k3s: k3s('/var/lib/rancher/k3s/server/tls'),
};

/** The preset's, or the ones that the configuration names. None where the preset issues nothing. */
export function authoritiesOf({ preset, nodes }: ClusterConfiguration): Partial<Authorities> {
  const own = Object.entries(nodes?.authorities ?? {}).filter(([, files]) => files !== undefined);
  return { ...AUTHORITIES[preset], ...Object.fromEntries(own) };
}

/**
 * k3s-io/k3s, pkg/daemons/control/deps/deps.go, which RKE2 contains: the API server's own certificate is by another
 * authority.
 */
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
