// VulnerabilityReports as the Trivy operator writes them, in any size.
import { randomUUID } from 'node:crypto';

/** Where kube-apiserver keeps them. */
export const REPORTS_PREFIX = '/registry/aquasecurity.github.io/vulnerabilityreports/';

const NAMESPACES = ['default', 'kube-system', 'monitoring', 'payments', 'search'];
const SEVERITIES = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'];

export interface Report {
  readonly key: string;
  readonly value: Buffer;
}

/**
 * A maker of reports of about `bytes` each. The list of vulnerabilities, which is nearly all of a report, is made once,
 * so that making one costs nothing beside writing it.
 * @returns the report with this number; `generation` counts its rewrites
 */
export function reportMaker(bytes: number): (number: number, generation: number) => Report {
  const vulnerabilities: string[] = [];
  for (let size = 0, i = 0; size < bytes - 1500; i++) {
    const text = JSON.stringify(vulnerability(i));
    vulnerabilities.push(text);
    size += text.length + 1;
  }
  const tail = Buffer.from(`${vulnerabilities.join(',')}]}}\n`);
  const uids: string[] = [];
  return (number, generation) => {
    uids[number] ??= randomUUID();
    const namespace = NAMESPACES[number % NAMESPACES.length] ?? 'default';
    const name = `replicaset-app-${number}-${(number * 2654435761).toString(16).slice(0, 8)}-main`;
    const head = JSON.stringify({
      apiVersion: 'aquasecurity.github.io/v1alpha1',
      kind: 'VulnerabilityReport',
      metadata: metadata(namespace, name, number, uids[number] ?? '', generation),
      report: {
        updateTimestamp: new Date().toISOString(),
        registry: { server: 'index.docker.io' },
        vulnerabilities: [],
      },
    });
    // Without `]}}`, which the tail closes with.
    const value = Buffer.concat([Buffer.from(head.slice(0, -3)), tail]);
    return { key: `${REPORTS_PREFIX}${namespace}/${name}`, value };
  };
}

function metadata(namespace: string, name: string, number: number, uid: string, generation: number) {
  return {
    name,
    namespace,
    uid,
    generation: generation + 1,
    creationTimestamp: new Date().toISOString(),
    annotations: { 'trivy-operator.aquasecurity.github.io/report-ttl': '24h0m0s' },
    labels: {
      'app.kubernetes.io/managed-by': 'trivy-operator',
      'trivy-operator.container.name': 'main',
      'trivy-operator.resource.kind': 'ReplicaSet',
      'trivy-operator.resource.name': `app-${number}`,
      'trivy-operator.resource.namespace': namespace,
    },
    ownerReferences: [
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: `app-${number}`,
        uid,
        controller: true,
        blockOwnerDeletion: false,
      },
    ],
  };
}

function vulnerability(i: number) {
  return {
    vulnerabilityID: `CVE-2024-${10_000 + i}`,
    severity: SEVERITIES[i % SEVERITIES.length],
    resource: `libexample${i % 97}`,
    installedVersion: `1.${i % 13}.${i % 7}-${i % 5}`,
    fixedVersion: `1.${i % 13}.${(i % 7) + 1}-0`,
    title: `libexample${i % 97}: out-of-bounds read while parsing a crafted header, which lets a remote peer crash it`,
    primaryLink: `https://avd.aquasec.com/nvd/cve-2024-${10_000 + i}`,
    publishedDate: '2024-05-17T14:15:00Z',
    lastModifiedDate: '2024-09-02T08:00:00Z',
    score: (i % 100) / 10,
    target: 'debian 12.5',
    class: 'os-pkgs',
    packageType: 'debian',
    links: [],
  };
}
