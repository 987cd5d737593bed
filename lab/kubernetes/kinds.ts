// The kinds that both test servers serve: those of the real one, which real-api-server.ts starts.
import { randomUUID } from 'node:crypto';
import type { Resource } from '../../functions/kubernetes/types.ts';

/** Where the real server keeps its look-alikes of the core group. */
export const CORE_GROUP = 'core.shim.test';

export interface Kind extends Resource {
  readonly kind: string;
  readonly namespaced: boolean;
  /** What its definition shows in tables, beside the name. @default its age */
  readonly columns?: readonly { readonly name: string; readonly type: string; readonly jsonPath: string }[];
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
  // With the columns of Kyverno's own definition.
  ...kinds('kyverno.io', 'v2', ['UpdateRequest'], []).map((kind) => ({
    ...kind,
    columns: [
      { name: 'Policy', type: 'string', jsonPath: '.spec.policy' },
      { name: 'RuleType', type: 'string', jsonPath: '.spec.requestType' },
      { name: 'status', type: 'string', jsonPath: '.status.state' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  })),
  ...kinds('apps', 'v1', ['ReplicaSet', 'Deployment', 'StatefulSet', 'DaemonSet'], []),
  ...kinds('batch', 'v1', ['Job', 'CronJob'], []),
  ...kinds('', 'v1', ['Pod', 'ConfigMap', 'Service'], ['Namespace', 'Node']),
  ...kinds('apiregistration.k8s.io', 'v1', [], ['APIService']).map((kind) => ({
    ...kind,
    columns: [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }],
  })),
];

/** As Kubernetes has it, for what the real server does not have by itself. */
export function definitionOf({ group, version, plural, kind, namespaced, columns }: Kind) {
  const names = { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` };
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' });
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, uid: randomUUID(), creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names,
      conversion: { strategy: 'None' },
      versions: [
        { name: version, served: true, storage: true, schema, additionalPrinterColumns: columns, subresources: {} },
      ],
    },
    status: {
      acceptedNames: names,
      storedVersions: [version],
      conditions: [condition('NamesAccepted'), condition('Established')],
    },
  };
}

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
