// The static pod manifest of etcd as kubeadm writes it, for a member that runs here: its real flags, with a node's
// usual paths.
import type { PlaneMember } from './member.ts';
import { type HttpProbe, type KubeadmGeneration, kubeadmProbes } from './probes.ts';

/** Where things are on a node. */
export const DATA_DIR = '/var/lib/etcd';
export const MANIFEST_FILE = '/etc/kubernetes/manifests/etcd.yaml';
export const PKI_FOLDER = '/etc/kubernetes/pki/etcd';

export interface PodManifest {
  /** Of etcd. */
  readonly version: string;
  /** Undefined: without probes, as where they are patched away. */
  readonly probes: KubeadmGeneration | undefined;
  /** The plane's own folder with certificates and keys, which its flags name. */
  readonly pkiFolder: string;
}

/** @returns YAML, keys in kubeadm's order */
export function etcdManifest(member: PlaneMember, { version, probes, pkiFolder }: PodManifest): string {
  const own = `${pkiFolder}/${member.name}-`;
  const flags = member.flags.map((flag) =>
    flag
      .replace(member.dataDir, DATA_DIR)
      .replace(own, `${PKI_FOLDER}/`)
      .replace(`${pkiFolder}/`, `${PKI_FOLDER}/`)
      // A proxy before it is the network's business, not the node's.
      .replace(/^(--listen-client-urls=).*/, `$1${member.endpoint}`)
      .replace(/^(--listen-peer-urls=).*/, `$1${member.peerUrl}`),
  );
  const { liveness, startup } = probes === undefined ? {} : kubeadmProbes(probes);
  const metrics = member.metricsUrl === undefined ? undefined : new URL(member.metricsUrl);
  return `apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/etcd.advertise-client-urls: ${member.endpoint}
  creationTimestamp: null
  labels:
    component: etcd
    tier: control-plane
  name: etcd
  namespace: kube-system
spec:
  containers:
  - command:
    - etcd
${flags
  .sort()
  .map((flag) => `    - ${flag}\n`)
  .join('')}    image: registry.k8s.io/etcd:${version}-0
    imagePullPolicy: IfNotPresent
${probeText('livenessProbe', liveness, metrics)}    name: etcd
    resources:
      requests:
        cpu: 100m
        memory: 100Mi
${probeText('startupProbe', startup, metrics)}    volumeMounts:
    - mountPath: ${DATA_DIR}
      name: etcd-data
    - mountPath: ${PKI_FOLDER}
      name: etcd-certs
  hostNetwork: true
  priority: 2000001000
  priorityClassName: system-node-critical
  securityContext:
    seccompProfile:
      type: RuntimeDefault
  volumes:
  - hostPath:
      path: ${PKI_FOLDER}
      type: DirectoryOrCreate
    name: etcd-certs
  - hostPath:
      path: ${DATA_DIR}
      type: DirectoryOrCreate
    name: etcd-data
status: {}
`;
}

function probeText(name: string, probe: HttpProbe | undefined, metrics: URL | undefined): string {
  if (!probe || !metrics) return '';
  return `    ${name}:
      failureThreshold: ${probe.failureThreshold}
      httpGet:
        host: ${metrics.hostname}
        path: ${probe.path}
        port: ${metrics.port}
        scheme: HTTP
      initialDelaySeconds: ${probe.initialDelaySeconds}
      periodSeconds: ${probe.periodSeconds}
      timeoutSeconds: ${probe.timeoutSeconds}
`;
}
