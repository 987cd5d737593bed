// The kinds of reports that may be pruned (R12), what is known of each, and further ones by configuration.
import type { RaisedLimits } from './command.ts';
import type { PruningPolicy } from './configuration.ts';
import { InvalidInputError } from './errors.ts';

export interface ProducerFacts {
  /** The value of `app.kubernetes.io/managed-by` on its own reports. */
  readonly managedBy: string;
  /**
   * What its Deployments have in their name, namespace or a label's value, in lower case. No label alone is sure:
   * charts let people rename all but `helm.sh/chart`, which manifests don't have. A Deployment that has it by chance
   * makes the producer seem there, and then its reports are kept.
   */
  readonly word: string;
  /**
   * It does not look again at an owner without replicas, so that what it once reported on it stays. Another reports on
   * those as well, and would write it again.
   */
  readonly passesOverOwnersAtZero: boolean;
}

export const PRODUCERS = {
  trivy: {
    managedBy: 'trivy-operator',
    word: 'trivy',
    passesOverOwnersAtZero: true,
  },
  kyverno: {
    managedBy: 'kyverno',
    word: 'kyverno',
    passesOverOwnersAtZero: false,
  },
} as const satisfies Readonly<Record<string, ProducerFacts>>;

export type Producer = keyof typeof PRODUCERS;

/** One value for each: an operator that nobody looks for would seem uninstalled, and its reports left over. */
export function perProducer<Value>(of: (producer: Producer) => Value): Readonly<Record<Producer, Value>> {
  return { trivy: of('trivy'), kyverno: of('kyverno') };
}

function isProducer(name: string): name is Producer {
  return Object.hasOwn(PRODUCERS, name);
}

export const PRODUCER_NAMES: readonly Producer[] = Object.keys(PRODUCERS).filter(isProducer);

/** Of a request, in the API server's tables: `.status.state` under another name. */
export const STATE_COLUMN = 'status';
export const MANAGED_BY = 'app.kubernetes.io/managed-by';
const TRIVY_TTL = 'trivy-operator.aquasecurity.github.io/report-ttl';
/** Kyverno's reports-server puts it on each object that it keeps. */
export const SERVED_BY = 'kyverno.reports-server.io/served-by';
/** Kyverno's label for a report that it has merged others into. */
export const MERGED = 'audit.kyverno.io/report.aggregate';
/** Kyverno's, from 1.12 on: where the cluster has it, nobody reads the kinds before it any more. */
export const EPHEMERAL_REPORTS = {
  group: 'reports.kyverno.io',
  version: 'v1',
  kind: 'EphemeralReport',
  plural: 'ephemeralreports',
} as const;

export interface ReportKind {
  /** `<plural>.<group>`. */
  readonly name: string;
  readonly group: string;
  readonly plural: string;
  /** The first of these that the cluster serves is used. */
  readonly versions: readonly string[];
  /** Undefined: a kind by configuration, whose producer is not known. */
  readonly producer: Producer | undefined;
  /** Other tools write this kind as well, so that only reports labelled as the producer's own are touched. */
  readonly shared: boolean;
  /** Written for the moment, to be merged into a report: one without an owner, or left unwritten, is a remnant. */
  readonly ephemeral: boolean;
  /** Ephemeral by its name; the Kyverno that writes it merges it anew each time, though, and leaves it there. */
  readonly merged: boolean;
  /** Of an older Kyverno: nobody reads or deletes them where the cluster serves `reports.kyverno.io`. */
  readonly leftover: boolean;
  /** A request that its operator works off, whose state says whether it is over. Only where it is configured. */
  readonly request: boolean;
  /** Since Kyverno 1.11 each has the owner that it reports on; before, there was one for each policy, without any. */
  readonly perOwner: boolean;
  /** The kind to which the producer can be switched; it leaves what it wrote before where it is. */
  readonly successor: Pick<ReportKind, 'group' | 'plural' | 'versions'> | undefined;
  /** The annotation with a report's time to live, as a Go duration counted from its creation. */
  readonly ttlAnnotation: string | undefined;
  /** Its operator deletes what has outlived its TTL. Others it keeps until its policies change, TTL or not. */
  readonly deletesByTtl: boolean;
  readonly ttlHours: number | undefined;
  /** @default `prune.maxStaleShare` */
  readonly maxStaleShare: number | undefined;
}

const plain = {
  shared: false,
  ephemeral: false,
  merged: false,
  leftover: false,
  request: false,
  perOwner: false,
  successor: undefined,
  deletesByTtl: false,
};

function trivy(plural: string, facts: Partial<ReportKind> = {}): ReportKind {
  const versions = ['v1alpha1'];
  return { ...kind(plural, 'aquasecurity.github.io', versions), producer: 'trivy', ttlAnnotation: TRIVY_TTL, ...facts };
}

function kyverno(plural: string, group: string, versions: readonly string[], facts: Partial<ReportKind>): ReportKind {
  return { ...kind(plural, group, versions), producer: 'kyverno', ...facts };
}

function kind(plural: string, group: string, versions: readonly string[]): ReportKind {
  const open = { producer: undefined, ttlAnnotation: undefined, ttlHours: undefined, maxStaleShare: undefined };
  return { name: `${plural}.${group}`, plural, group, versions, ...plain, ...open };
}

const OPEN_REPORTS = ['reports', 'clusterreports'].map((plural) => ({
  plural,
  group: 'openreports.io',
  versions: ['v1alpha1'],
}));

/** The largest first: where a run's budget does not reach for all, it goes to what fills etcd. */
export const KNOWN_KINDS: readonly ReportKind[] = [
  trivy('vulnerabilityreports', { deletesByTtl: true }),
  trivy('sbomreports'),
  trivy('clustersbomreports', { deletesByTtl: true }),
  trivy('clustervulnerabilityreports'),
  trivy('configauditreports'),
  trivy('exposedsecretreports', { deletesByTtl: true }),
  trivy('rbacassessmentreports'),
  trivy('infraassessmentreports'),
  trivy('clusterconfigauditreports'),
  trivy('clusterrbacassessmentreports'),
  trivy('clusterinfraassessmentreports'),
  ...[EPHEMERAL_REPORTS.plural, 'clusterephemeralreports'].map((plural) =>
    kyverno(plural, EPHEMERAL_REPORTS.group, [EPHEMERAL_REPORTS.version], { ephemeral: true }),
  ),
  ...OPEN_REPORTS.map((successor) =>
    kyverno(successor.plural.replace('reports', 'policyreports'), 'wgpolicyk8s.io', ['v1alpha2'], {
      shared: true,
      perOwner: true,
      successor,
    }),
  ),
  ...OPEN_REPORTS.map(({ plural, group, versions }) => kyverno(plural, group, versions, { shared: true })),
  ...['admissionreports', 'clusteradmissionreports', 'backgroundscanreports', 'clusterbackgroundscanreports'].map(
    // Kyverno 1.12 served the later version, those before it only the earlier.
    (plural) =>
      kyverno(plural, 'kyverno.io', ['v2', 'v1alpha2'], {
        leftover: true,
        ephemeral: true,
        merged: plural.endsWith('backgroundscanreports'),
      }),
  ),
  // Not the version before: Kyverno up to 1.9 has no other, and finds by them again what it has generated.
  kyverno('updaterequests', 'kyverno.io', ['v2'], { request: true }),
];

/** It carries its own specification, which a person wrote: deleting it loses that. */
const NEVER = 'clustercompliancereports.aquasecurity.github.io';

/**
 * The kinds that a run looks at, in its order. Pure, so that a configuration can be checked by it before it is
 * deployed.
 * @throws InvalidInputError for a kind that must never be pruned, and for an unknown one without its version: also
 * where it is switched off, since a name with a slip in it would keep nothing
 */
export function kindsToPrune(configured: PruningPolicy['kinds']): readonly ReportKind[] {
  const problems: string[] = [];
  const known = new Map(KNOWN_KINDS.map((each) => [each.name, each]));
  const kinds = new Map([...known].filter(([, { request }]) => !request));
  for (const [name, { prune, version, ttlHours, maxStaleShare }] of Object.entries(configured)) {
    const field = `prune.kinds["${name}"]`;
    if (!prune) {
      kinds.delete(name);
      const keepsNothing = !known.has(name) && name !== NEVER && version === undefined;
      if (keepsNothing) problems.push(`${field}: found no kind that is known, ${expectedInsteadOf(name)}`);
      continue;
    }
    const dot = name.indexOf('.');
    const group = name.slice(dot + 1);
    const found = known.get(name);
    if (name === NEVER) {
      problems.push(`${field}: found a kind that is never pruned, because it carries its own specification`);
    } else if (isBuiltIn(group)) {
      problems.push(`${field}: found a kind of Kubernetes itself, expected one of reports`);
    } else if (found === undefined && version === undefined) {
      problems.push(
        `${field}.version: found nothing, and no kind that is known by this name: ${expectedInsteadOf(name)}`,
      );
    } else {
      const base = found ?? kind(name.slice(0, dot), group, []);
      const versions = version === undefined ? base.versions : [version];
      kinds.set(name, { ...base, versions, ttlHours, maxStaleShare });
    }
  }
  if (problems.length > 0) throw new InvalidInputError('cluster configuration', problems);
  return [...kinds.values()];
}

/**
 * @param kinds those that a run looks at
 * @throws InvalidInputError for limits of another kind, naming those
 */
export function checkLimits(limits: RaisedLimits, kinds: readonly ReportKind[], source: string): void {
  const names = kinds.map(({ name }) => name);
  const problems = Object.keys(limits)
    .filter((name) => !names.includes(name))
    .map((name) => `limits["${name}"]: found no kind that is pruned here, expected one of ${names.join(', ')}`);
  if (problems.length > 0) throw new InvalidInputError(source, problems);
}

/** The kinds of the same group, else all of them. */
function expectedInsteadOf(name: string): string {
  const group = name.slice(name.indexOf('.') + 1);
  const related = KNOWN_KINDS.filter((known) => known.group === group);
  const names = related.length > 0 ? related.map(({ plural }) => plural) : KNOWN_KINDS.map((known) => known.name);
  return `expected one of ${names.join(', ')}${related.length > 0 ? ` in ${group}` : ''}; or, of a further kind, its API version, such as "v1"`;
}

/** Custom resources need a domain of their own; `*.k8s.io` is Kubernetes' (not so `wgpolicyk8s.io`). */
function isBuiltIn(group: string): boolean {
  return !group.includes('.') || group === 'k8s.io' || group.endsWith('.k8s.io');
}
