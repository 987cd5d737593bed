// The definitions (CustomResourceDefinitions) of all kinds of reports, for a whole API server: Kyverno's and
// openreports' own, and of the others what their sources say, in our own words: Trivy Operator's module is not served,
// and Kyverno's kinds of before 1.13 are no longer in it.
import { readFile } from 'node:fs/promises';
import { loadYaml } from '@kubernetes/client-node';
import { KINDS, type Kind } from './kinds.ts';
import type { KubernetesBinaries } from './kubernetes-binaries.ts';

export interface Definition {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string; readonly storage: boolean }[];
    readonly [field: string]: unknown;
  };
}

/** As OpenAPI v3 has it. */
interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean' | 'number';
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly minimum?: number;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
}

export async function reportDefinitions({ definitions }: KubernetesBinaries): Promise<readonly Definition[]> {
  const theirs = await Promise.all(definitions.map(async (file) => loadYaml<Definition>(await readFile(file, 'utf8'))));
  const ours = KINDS.flatMap((kind) => {
    const schema = SCHEMAS[kind.group]?.(kind.plural);
    return schema === undefined ? [] : [inOurWords(kind, schema)];
  });
  return [...theirs, ...ours];
}

const text: Schema = { type: 'string' };
const count: Schema = { type: 'integer', minimum: 0 };
const anything: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const list = (items: Schema): Schema => ({ type: 'array', items });

/** Whatever else there is stays, as in the producers' own. */
function object(required: Readonly<Record<string, Schema>>, optional: Readonly<Record<string, Schema>> = {}): Schema {
  return { ...anything, properties: { ...required, ...optional }, required: Object.keys(required) };
}

const texts = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, text]));
const counts = (...names: readonly string[]) =>
  object(Object.fromEntries(names.map((name) => [`${name}Count`, count])));
const BY_SEVERITY = ['critical', 'high', 'low', 'medium'];
const severity: Schema = { type: 'string', enum: ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'] };

/** What all of Trivy's scans of images say. */
const scan = {
  artifact: object({}, texts('digest', 'mimeType', 'repository', 'tag')),
  scanner: object(texts('name', 'vendor', 'version')),
  updateTimestamp: { type: 'string', format: 'date-time' },
} satisfies Readonly<Record<string, Schema>>;
const vulnerability = object({
  ...texts('fixedVersion', 'installedVersion', 'lastModifiedDate', 'publishedDate', 'resource', 'title'),
  ...texts('vulnerabilityID'),
  severity,
});
const exposed = object({ ...texts('category', 'match', 'ruleID', 'target', 'title'), severity });
const check = object({ ...texts('checkID', 'severity'), success: { type: 'boolean' } });
const audit = object({ checks: list(check) }, { scanner: scan.scanner, summary: counts(...BY_SEVERITY) });
const vulnerabilities = object({
  ...scan,
  os: object({}, texts('family', 'name')),
  summary: counts(...BY_SEVERITY, 'unknown'),
  vulnerabilities: list(vulnerability),
});
const sbom = object({
  ...scan,
  components: object({ bomFormat: text, specVersion: { type: 'integer' } }),
  summary: counts('components', 'dependencies'),
});

/**
 * Trivy Operator's `deploy/helm/crds`, by plural without `cluster`: its own have these fields, these required, and a
 * description and a column for each. Which further fields they know makes no difference to us.
 */
const TRIVY: Readonly<Record<string, Schema>> = {
  vulnerabilityreports: object({ report: vulnerabilities }),
  exposedsecretreports: object({
    report: object({ ...scan, secrets: list(exposed), summary: counts(...BY_SEVERITY) }),
  }),
  configauditreports: object({ report: audit }),
  rbacassessmentreports: object({ report: audit }),
  infraassessmentreports: object({ report: audit }),
  sbomreports: object({ report: sbom }),
  compliancereports: object({ spec: anything }, { status: anything }),
};
/** Kyverno's `api/kyverno/v1alpha2` before 1.13. */
const LEFTOVER = object({ spec: object({}, { owner: anything, summary: anything, results: list(anything) }) });

const SCHEMAS: Readonly<Record<string, (plural: string) => Schema | undefined>> = {
  'aquasecurity.github.io': (plural) => TRIVY[plural.replace(/^cluster/, '')],
  'kyverno.io': (plural) => (plural.endsWith('reports') ? LEFTOVER : undefined),
};

function inOurWords({ group, version, plural, kind, namespaced }: Kind, schema: Schema): Definition {
  const names = { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` };
  const served = { name: version, served: true, storage: true, schema: { openAPIV3Schema: schema } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: { group, names, scope: namespaced ? 'Namespaced' : 'Cluster', versions: [served] },
  };
}
