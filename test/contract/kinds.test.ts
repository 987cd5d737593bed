// Which kinds a run looks at (R12), and what a configuration may say of them.
import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { InvalidInputError } from '../../functions/contract/errors.ts';
import { KNOWN_KINDS, kindsToPrune } from '../../functions/contract/kinds.ts';

const BY_DEFAULT = KNOWN_KINDS.filter(({ name }) => name !== 'updaterequests.kyverno.io');

function kindsOf(kinds: Readonly<Record<string, unknown>>) {
  const cluster = parseCluster({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:2379'] }, prune: { kinds } });
  return kindsToPrune(cluster.prune.kinds);
}

describe('the kinds that a run looks at', () => {
  it('R12: are those of Trivy and Kyverno, and no other', () => {
    const names = kindsOf({}).map(({ name }) => name);

    expect(names.toSorted()).toEqual(
      [
        ...[
          'vulnerabilityreports',
          'exposedsecretreports',
          'configauditreports',
          'rbacassessmentreports',
          'infraassessmentreports',
          'sbomreports',
          'clustersbomreports',
          'clustervulnerabilityreports',
          'clusterconfigauditreports',
          'clusterrbacassessmentreports',
          'clusterinfraassessmentreports',
        ].map((plural) => `${plural}.aquasecurity.github.io`),
        'policyreports.wgpolicyk8s.io',
        'clusterpolicyreports.wgpolicyk8s.io',
        'ephemeralreports.reports.kyverno.io',
        'clusterephemeralreports.reports.kyverno.io',
        'admissionreports.kyverno.io',
        'clusteradmissionreports.kyverno.io',
        'backgroundscanreports.kyverno.io',
        'clusterbackgroundscanreports.kyverno.io',
        'reports.openreports.io',
        'clusterreports.openreports.io',
      ].toSorted(),
    );
  });

  it('are without one that is switched off', () => {
    const names = kindsOf({ 'sbomreports.aquasecurity.github.io': { prune: false } }).map(({ name }) => name);

    expect(names).not.toContain('sbomreports.aquasecurity.github.io');
    expect(names).toHaveLength(BY_DEFAULT.length - 1);
  });

  it('R12: have Kyverno’s requests among them only where they are named', () => {
    const added = kindsOf({ 'updaterequests.kyverno.io': {} }).at(-1);

    expect(added).toMatchObject({ name: 'updaterequests.kyverno.io', versions: ['v2'], request: true });
  });

  it('take what the configuration says of a known one, and keep what is known of it', () => {
    const [first] = kindsOf({
      'vulnerabilityreports.aquasecurity.github.io': { version: 'v1', ttlHours: 48, maxStaleShare: 0.9 },
    });

    expect(first).toEqual({ ...KNOWN_KINDS[0], versions: ['v1'], ttlHours: 48, maxStaleShare: 0.9 });
  });

  it('have a further one by configuration, of which nothing is known', () => {
    const added = kindsOf({ 'scans.example.com': { version: 'v1beta1', ttlHours: 12 } }).at(-1);

    expect(added).toEqual({
      name: 'scans.example.com',
      plural: 'scans',
      group: 'example.com',
      versions: ['v1beta1'],
      producer: undefined,
      shared: false,
      ephemeral: false,
      leftover: false,
      merged: false,
      request: false,
      perOwner: false,
      successor: undefined,
      ttlAnnotation: undefined,
      deletesByTtl: false,
      ttlHours: 12,
      maxStaleShare: undefined,
    });
  });

  it.each([
    ['clustercompliancereports.aquasecurity.github.io', {}, 'never pruned'],
    ['clustercompliancereports.aquasecurity.github.io', { version: 'v1alpha1' }, 'never pruned'],
    ['scans.example.com', {}, 'prune.kinds["scans.example.com"].version: found nothing'],
    ['vulnerabilityreport.aquasecurity.github.io', {}, 'expected one of vulnerabilityreports, sbomreports,'],
    ['scans.example.com', {}, 'or, of a further kind, its API version, such as "v1"'],
    ['deployments.apps', { version: 'v1' }, 'Kubernetes itself'],
    ['leases.coordination.k8s.io', { version: 'v1' }, 'Kubernetes itself'],
  ])('R12: are never %s as %j, which is an error that says why', (name, settings, words) => {
    expect(() => kindsOf({ [name]: settings })).toThrow(InvalidInputError);
    expect(() => kindsOf({ [name]: settings })).toThrow(words);
  });

  it.each([
    ['vulnerabilityreport.aquasecurity.github.io', 'expected one of vulnerabilityreports, sbomreports,'],
    ['vulnerabilityreports.aquasecurity.com', 'expected one of vulnerabilityreports.aquasecurity.github.io,'],
  ])('R12: are not kept apart by a name that none of them has (%s), which is an error', (name, words) => {
    const act = () => kindsOf({ [name]: { prune: false } });

    expect(act).toThrow(InvalidInputError);
    expect(act).toThrow(`prune.kinds["${name}"]: found no kind that is known`);
    expect(act).toThrow(words);
  });

  it.each([
    ['clustercompliancereports.aquasecurity.github.io', { prune: false }],
    ['scans.example.com', { prune: false, version: 'v1' }],
    ['updaterequests.kyverno.io', { prune: false }],
  ])('are the same where %s, which is not among them, is switched off as %j', (name, settings) => {
    expect(kindsOf({ [name]: settings })).toEqual(BY_DEFAULT);
  });
});
