// What a control plane on this machine can be like.
import type { KubeadmGeneration } from './probes.ts';

export interface ControlPlaneOptions {
  /** How many voters, named `cp-1`, `cp-2`, … @default 3 */
  readonly members?: number;
  /**
   * What the members' etcd are called in the cluster, in order; no comma and no equals sign, as in `--initial-cluster`.
   * @default their names
   */
  readonly etcdNames?: readonly string[];
  /** Of etcd. @default what this machine has, see findEtcd */
  readonly version?: string;
  /** Mutual TLS for clients and peers; otherwise plain http. @default true */
  readonly tls?: boolean;
  /** Of each member; negative means none. @default 32 MiB */
  readonly quotaBytes?: number;
  /** Where a member's quota differs from the others': bytes by name. */
  readonly memberQuotaBytes?: Readonly<Record<string, number>>;
  /**
   * Is kept when the plane stops. One that a plane was in before starts again with its data: its members, addresses,
   * ports, quotas and certificates are as they were, and what is said here about them doesn't count.
   * @default a fresh temp folder, removed when the plane stops
   */
  readonly directory?: string;
  /**
   * Where a member's data is to lie instead of in the plane's folder, such as on a small filesystem: an existing folder
   * by name. It is not removed.
   */
  readonly dataDirectories?: Readonly<Record<string, string>>;
  /** Further flags of each etcd, such as `--heartbeat-interval=500`. */
  readonly flags?: readonly string[];
  /** All of the kubelets' waiting times are divided by it. @default 1 */
  readonly kubeletSpeed?: number;
  /** The kubelets probe etcd as that kubeadm's manifest says, and kill it where it fails. @default they don't */
  readonly probes?: KubeadmGeneration;
  /** Each member has an IP address of its own (of the loopback), and all have the same ports. @default false */
  readonly addresses?: boolean;
  /**
   * Each member is on a node of its own, with a folder tree, `systemctl` and `crictl`; see ControlPlaneNode. Brings
   * `addresses`.
   * @default false
   */
  readonly nodes?: boolean;
  /** Clients and peers reach the members through proxies, which `cut` makes silent. @default false */
  readonly proxies?: boolean;
  /** Told what takes long, in one line each. */
  readonly onProgress?: (message: string) => void;
}
