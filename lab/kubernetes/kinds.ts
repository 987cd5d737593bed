// The kinds that both test servers serve: those of the real one, which real-api-server.ts starts.
import type { Resource } from '../../functions/kubernetes/types.ts';

/** Where the real server keeps its look-alikes of the core group. */
export const CORE_GROUP = 'core.shim.test';

export interface Kind extends Resource {
  readonly kind: string;
  readonly namespaced: boolean;
}

const TRIVY = ['VulnerabilityReport', 'ExposedSecretReport', 'ConfigAuditReport', 'RbacAssessmentReport'].concat(
  'InfraAssessmentReport',
  'SbomReport',
);
const TRIVY_CLUSTER = ['ClusterSbomReport', 'ClusterVulnerabilityReport', 'ClusterConfigAuditReport'].concat(
  'ClusterRbacAssessmentReport',
  'ClusterInfraAssessmentReport',
  'ClusterComplianceReport',
);

export const KINDS: readonly Kind[] = [
  ...kinds('aquasecurity.github.io', 'v1alpha1', TRIVY, TRIVY_CLUSTER),
  ...kinds('wgpolicyk8s.io', 'v1alpha2', ['PolicyReport'], ['ClusterPolicyReport']),
  ...kinds('reports.kyverno.io', 'v1', ['EphemeralReport'], ['ClusterEphemeralReport']),
  ...kinds(
    'kyverno.io',
    'v1alpha2',
    ['AdmissionReport', 'BackgroundScanReport'],
    ['ClusterAdmissionReport', 'ClusterBackgroundScanReport'],
  ),
  ...kinds('openreports.io', 'v1alpha1', ['Report'], ['ClusterReport']),
  ...kinds('apps', 'v1', ['ReplicaSet', 'Deployment', 'StatefulSet', 'DaemonSet'], []),
  ...kinds('batch', 'v1', ['Job', 'CronJob'], []),
  ...kinds('', 'v1', ['Pod', 'ConfigMap', 'Service'], ['Namespace', 'Node']),
];

/** @throws RangeError for a kind that the test servers don't serve */
export function kindOf({ group, plural }: Pick<Resource, 'group' | 'plural'>): Kind {
  const found = KINDS.find((kind) => kind.group === group && kind.plural === plural);
  if (!found) throw new RangeError(`the test servers don't serve ${plural}.${group}`);
  return found;
}

/** By the name in the singular, such as `VulnerabilityReport`. @throws RangeError */
export function kindNamed(name: string): Kind {
  const found = KINDS.find(({ kind }) => kind === name);
  if (!found) throw new RangeError(`the test servers don't serve a kind ${name}`);
  return found;
}

function kinds(
  group: string,
  version: string,
  namespaced: readonly string[],
  ofCluster: readonly string[],
): readonly Kind[] {
  const make = (kind: string, inNamespace: boolean): Kind => ({
    group,
    version,
    plural: `${kind.toLowerCase()}s`,
    kind,
    namespaced: inNamespace,
  });
  return [...namespaced.map((kind) => make(kind, true)), ...ofCluster.map((kind) => make(kind, false))];
}
