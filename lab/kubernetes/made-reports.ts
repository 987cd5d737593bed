// Reports that their producers' own definitions take: Kyverno's and openreports' made by their own types (Go), Trivy
// Operator's after its sources.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { OwnerReference } from '../../functions/kubernetes/types.ts';
import type { KubernetesBinaries } from './kubernetes-binaries.ts';
import type { NewObject } from './objects.ts';
import { TRIVY } from './sample-cluster.ts';

export interface MadeReport extends NewObject {
  readonly kind: string;
}

/** One or two of each kind that Kyverno 1.19 writes, about this owner. */
export async function kyvernoReports(
  { sampleReports }: KubernetesBinaries,
  namespace: string,
  { apiVersion, kind, name, uid }: OwnerReference,
): Promise<readonly MadeReport[]> {
  const { stdout } = await promisify(execFile)(sampleReports, [namespace, apiVersion, kind, name, uid]);
  const made = stdout.trim().split('\n');
  return made.map((line) => {
    const { apiVersion: _, kind, metadata, ...content } = JSON.parse(line);
    return { kind, ...metadata, content };
  });
}

const UPDATED = '2026-06-01T00:00:00Z';
const scanner = { name: 'Trivy', vendor: 'Aqua Security', version: '0.67.2' };
const artifact = { repository: 'library/web', tag: '1.0' };
const bySeverity = { criticalCount: 0, highCount: 1, mediumCount: 0, lowCount: 0 };
const scan = { scanner, artifact, updateTimestamp: UPDATED };

const vulnerability = {
  vulnerabilityID: 'CVE-2026-0001',
  resource: 'libexample',
  title: 'example',
  severity: 'HIGH',
  ...{ installedVersion: '1.0', fixedVersion: '1.1', lastModifiedDate: UPDATED, publishedDate: UPDATED },
};

const audit = { checks: [{ checkID: 'KSV001', severity: 'MEDIUM', success: false }], scanner, summary: bySeverity };
const CONTENT: Readonly<Record<string, unknown>> = {
  VulnerabilityReport: {
    ...scan,
    os: { family: 'debian', name: '13.1' },
    summary: { ...bySeverity, unknownCount: 0 },
    vulnerabilities: [vulnerability],
  },
  SbomReport: {
    ...scan,
    summary: { componentsCount: 1, dependenciesCount: 0 },
    components: { bomFormat: 'CycloneDX', specVersion: 1 },
  },
  ExposedSecretReport: { ...scan, summary: bySeverity, secrets: [] },
  ConfigAuditReport: audit,
  RbacAssessmentReport: audit,
  InfraAssessmentReport: audit,
};

/** @param kind such as `VulnerabilityReport` or `ClusterSbomReport` */
export function trivyMade(kind: string, report: Omit<NewObject, 'content'>): MadeReport {
  const content = CONTENT[kind.replace(/^Cluster/, '')];
  if (content === undefined) throw new RangeError(`no content is known for a ${kind}`);
  return { kind, labels: TRIVY, ...report, content: { report: content } };
}
