// Many VulnerabilityReports as large as real ones, each different from the others, and the ReplicaSets that own them.
import { createHash } from 'node:crypto';
import type { NewObject } from '../../lab/kubernetes/objects.ts';
import {
  GONE,
  hoursAgo,
  owner,
  supersededReplicaSet,
  TRIVY,
  TRIVY_TTL,
  trivyReport,
  uidOf,
} from '../../lab/kubernetes/sample-cluster.ts';

const SEVERITIES = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'];
const OWNERS = 500;

/** Of ten reports in a row, three are stale, each for another reason or in another way. */
const STALE: readonly ((number: number) => Partial<NewObject>)[] = [
  () => GONE,
  (number) => ({ ownerReferences: [owner('ReplicaSet', `zero-${number % OWNERS}`)] }),
  () => ({ annotations: { [TRIVY_TTL]: '24h0m0s' } }),
];

export function isStale(number: number): boolean {
  return number % 10 < STALE.length;
}

export function nameOf(number: number): string {
  return `replicaset-app-${String(number).padStart(6, '0')}-main`;
}

/** Reports `from` to `until`, of about `bytes` each. */
export function* reports(from: number, until: number, bytes: number): Generator<NewObject> {
  for (let number = from; number < until; number++) {
    const live = { ownerReferences: [owner('ReplicaSet', `work-${number % OWNERS}`)], ...written(number) };
    const stale = STALE[number % 10]?.(number);
    const content = { report: { vulnerabilities: [...vulnerabilities(number, bytes - 1_000)] } };
    yield trivyReport(nameOf(number), { ...live, labels: labelsOf(number), ...stale, content });
  }
}

/** As the operator labels them: metadata of a real report is about a tenth of it. */
function labelsOf(number: number): Record<string, string> {
  const hash = (of: string) => createHash('sha256').update(`${of}/${number}`).digest('hex');
  return {
    ...TRIVY,
    'resource-spec-hash': hash('resource').slice(0, 10),
    'trivy-operator.container.name': 'main',
    'trivy-operator.resource.kind': 'ReplicaSet',
    'trivy-operator.resource.name': `app-${number}-${hash('name').slice(0, 10)}`,
    'trivy-operator.resource.namespace': 'default',
    'plugin-config-hash': hash('plugin').slice(0, 10),
    'image-digest': hash('image').slice(0, 63),
    'app.kubernetes.io/part-of': hash('part').slice(0, 40),
    'helm.sh/chart': hash('chart').slice(0, 40),
  };
}

/** What is kept has a TTL that has not passed, as a report of an operator at work has. */
function written(number: number): Partial<NewObject> {
  return number % 2 === 0 ? {} : { creationTimestamp: hoursAgo(3), annotations: { [TRIVY_TTL]: '24h0m0s' } };
}

export function* replicaSets(): Generator<NewObject> {
  for (let i = 0; i < OWNERS; i++) {
    yield { name: `work-${i}`, uid: uidOf(`work-${i}`), content: { spec: { replicas: 2 } } };
    yield supersededReplicaSet(`zero-${i}`);
  }
}

/** Chance by the report's number, so that two reports have as little in common as two images. */
function* vulnerabilities(number: number, bytes: number): Generator<unknown> {
  for (let size = 0, i = 0; size < bytes; i++) {
    const chance = createHash('md5').update(`${number}/${i}`).digest();
    const [a = 0, b = 0, c = 0] = [chance.readUInt16BE(0), chance.readUInt16BE(2), chance.readUInt16BE(4)];
    const vulnerability = {
      vulnerabilityID: `CVE-20${10 + (a % 16)}-${10_000 + b}`,
      severity: SEVERITIES[c % SEVERITIES.length],
      resource: `lib${chance.toString('hex', 6, 10)}`,
      installedVersion: `${a % 9}.${b % 40}.${c % 20}-${a % 7}`,
      fixedVersion: c % 3 === 0 ? '' : `${a % 9}.${b % 40}.${(c % 20) + 1}-0`,
      title: `lib${chance.toString('hex', 10, 12)}: ${chance.toString('base64')} in a crafted header lets a remote peer crash it`,
      primaryLink: `https://avd.aquasec.com/nvd/cve-20${10 + (a % 16)}-${10_000 + b}`,
      publishedDate: `20${10 + (a % 16)}-0${1 + (b % 9)}-${10 + (c % 19)}T14:15:00Z`,
      score: (a % 100) / 10,
      target: 'debian 12.5',
      class: 'os-pkgs',
    };
    size += JSON.stringify(vulnerability).length + 1;
    yield vulnerability;
  }
}
