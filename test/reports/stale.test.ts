// What is stale and what is kept, reason by reason, guard by guard.
import { describe, expect, it } from 'vitest';
import type { StaleReason } from '../../functions/contract/configuration.ts';
import type { ObjectMetadata } from '../../functions/kubernetes/types.ts';
import { type Circumstances, judge, type StaleRules, type Verdict } from '../../functions/reports/stale.ts';
import {
  ago,
  circumstancesOf,
  HOUR_MS,
  kindOf,
  MINUTE_MS,
  NOW_MS,
  ownersOf,
  REPLICA_SETS,
  RULES,
  replicaSet,
  reportOf,
  TRIVY_TTL,
} from '../prune/samples.ts';

const KYVERNO = { 'app.kubernetes.io/managed-by': 'kyverno' };
const GONE = { ownerReferences: [replicaSet('gone')] };
const SUPERSEDED = { ownerReferences: [replicaSet('superseded')] };
const AT_ZERO = { ownerReferences: [replicaSet('at-zero')] };
const rules = (changes: Partial<StaleRules>) => ({ rules: { ...RULES, ...changes } });
const without = (...reasons: readonly StaleReason[]) =>
  rules({ reasons: { ...RULES.reasons, ...Object.fromEntries(reasons.map((reason) => [reason, false])) } });
const day = { annotations: { [TRIVY_TTL]: '24h0m0s' } };
const zero = { annotations: { [TRIVY_TTL]: '0s' } };
const written = (ms: number) => ({ creationTimestamp: ago(90 * 24 * HOUR_MS), lastWrittenAt: ago(ms) });
const created = (ms: number) => ({ creationTimestamp: ago(ms), lastWrittenAt: ago(ms) });
const gone = { producers: { trivy: 'gone', kyverno: 'gone', hasEphemeralReports: true } } as const;
const olderKyverno = { producers: { trivy: 'there', kyverno: 'there', hasEphemeralReports: false } } as const;
const unknown = { producers: { trivy: 'unknown', kyverno: 'unknown', hasEphemeralReports: true } } as const;
const kind = (plural: string) => ({ kind: kindOf(plural) });
const withTtlHours = (plural: string, ttlHours: number) => ({ kind: { ...kindOf(plural), ttlHours } });

type Case = readonly [
  name: string,
  report: Partial<ObjectMetadata>,
  circumstances: Partial<Circumstances>,
  expected: Verdict,
];

const fresh: Verdict = { keep: 'fresh' };
const MOVED: Verdict = { stale: 'moved-to-openreports' };
/** Of a policy report, another one in the kind after it. @param ms how long ago that was written */
const moved = (ms: number) => ({
  ...kind('policyreports'),
  successors: new Map([['default/replicaset-app-main', NOW_MS - ms]]),
});
const REQUEST = { name: 'ur-x7k2p', labels: {}, ownerReferences: [], state: 'Completed' };
const cases: Record<string, readonly Case[]> = {
  'an owner that is gone': [
    ['makes it stale', GONE, {}, { stale: 'owner-gone' }],
    ['makes it stale whatever its TTL', { ...GONE, ...day, ...created(2 * HOUR_MS) }, {}, { stale: 'owner-gone' }],
    [
      'does not where another of its owners lives',
      { ownerReferences: [replicaSet('gone'), replicaSet('alive')] },
      {},
      fresh,
    ],
    [
      'makes it stale where all of its owners are',
      { ownerReferences: [replicaSet('gone'), replicaSet('gone-too')] },
      {},
      { stale: 'owner-gone' },
    ],
    [
      'does not where another of its owners cannot be listed',
      { ownerReferences: [replicaSet('gone'), { ...replicaSet('gone'), kind: 'Rollout' }] },
      {},
      { keep: 'owner-unknown' },
    ],
    [
      'is told by its uid: another one of that name does not count',
      { ownerReferences: [{ ...replicaSet('alive'), uid: 'of-before' }] },
      {},
      { stale: 'owner-gone' },
    ],
    ['cannot be told of a kind that is not listed', GONE, { owners: new Map() }, { keep: 'owner-unknown' }],
    [
      'cannot be told of another version of the kind',
      { ownerReferences: [{ ...replicaSet('gone'), apiVersion: 'apps/v1beta2' }] },
      {},
      { keep: 'owner-unknown' },
    ],
    ['cannot be told without a uid', { ownerReferences: [replicaSet('')] }, {}, { keep: 'owner-unknown' }],
    [
      'is not told of a report that is younger than the list of owners, less a minute',
      { ...GONE, ...written(MINUTE_MS - 1000) },
      {},
      fresh,
    ],
    [
      'is told of one that is a minute older than the list',
      { ...GONE, ...written(MINUTE_MS) },
      {},
      { stale: 'owner-gone' },
    ],
    [
      'is measured by the time of the list, not by now',
      { ...GONE, ...written(5 * MINUTE_MS) },
      { owners: ownersOf({ ...REPLICA_SETS, listedAtMs: NOW_MS - 10 * MINUTE_MS }) },
      fresh,
    ],
    [
      'is not told where the creation is later than the last write that is known',
      { ...GONE, creationTimestamp: ago(0), lastWrittenAt: ago(48 * HOUR_MS) },
      {},
      fresh,
    ],
  ],
  'an owner that a rollout has left behind': [
    ['makes it stale', SUPERSEDED, {}, { stale: 'owner-superseded' }],
    [
      'does not while another owner is at work',
      { ownerReferences: [replicaSet('superseded'), replicaSet('alive')] },
      {},
      fresh,
    ],
    [
      'does not while another owner is only at zero',
      { ownerReferences: [replicaSet('superseded'), replicaSet('at-zero')] },
      {},
      fresh,
    ],
    [
      'makes it stale where the other owner is gone',
      { ownerReferences: [replicaSet('superseded'), replicaSet('gone')] },
      {},
      { stale: 'owner-superseded' },
    ],
    ['does not where the report is younger than the list', { ...SUPERSEDED, ...written(MINUTE_MS / 2) }, {}, fresh],
    [
      'does not make a report of Kyverno stale, which would write it again',
      { ...SUPERSEDED, labels: KYVERNO },
      kind('policyreports'),
      fresh,
    ],
  ],
  'an owner without replicas that is the current one': [
    ['keeps it: it may be back in the morning', AT_ZERO, {}, fresh],
    [
      'makes it stale after as many days as are configured',
      AT_ZERO,
      rules({ scaledToZeroDays: 1.9 }),
      { stale: 'owner-scaled-to-zero' },
    ],
    ['keeps it until then', AT_ZERO, rules({ scaledToZeroDays: 2 }), fresh],
    [
      'keeps it where nobody knows since when',
      AT_ZERO,
      {
        ...rules({ scaledToZeroDays: 1 }),
        owners: ownersOf({
          ...REPLICA_SETS,
          atZero: new Map([['at-zero', { superseded: false, writtenMs: Number.NaN }]]),
        }),
      },
      fresh,
    ],
    [
      'keeps a report of Kyverno, which would write it again',
      { ...AT_ZERO, labels: KYVERNO },
      { ...kind('policyreports'), ...rules({ scaledToZeroDays: 1 }) },
      fresh,
    ],
  ],
  'an ephemeral report': [
    [
      'is stale after an hour without a write, whoever owns it',
      { labels: KYVERNO, ...written(HOUR_MS + 1000) },
      kind('ephemeralreports'),
      { stale: 'idle-ephemeral' },
    ],
    ['is not before', { labels: KYVERNO, ...written(HOUR_MS) }, kind('ephemeralreports'), fresh],
    [
      'is after as many hours as are configured',
      { labels: KYVERNO, ...written(5 * HOUR_MS) },
      { ...kind('clusterephemeralreports'), ...rules({ ephemeralHours: 6 }) },
      fresh,
    ],
    [
      'is by what it says of itself, even where its owner is gone',
      { ...GONE, labels: KYVERNO },
      kind('ephemeralreports'),
      { stale: 'idle-ephemeral' },
    ],
    [
      'of admission is also that of an older Kyverno',
      { labels: KYVERNO, ...written(2 * HOUR_MS) },
      { ...kind('admissionreports'), ...olderKyverno },
      { stale: 'idle-ephemeral' },
    ],
    [
      'is not one that an older Kyverno has merged others into',
      { labels: { ...KYVERNO, 'audit.kyverno.io/report.aggregate': 'x' } },
      { ...kind('admissionreports'), ...olderKyverno },
      fresh,
    ],
    [
      'is not one of a background scan, which an older Kyverno merges anew each time',
      { labels: KYVERNO },
      { ...kind('backgroundscanreports'), ...olderKyverno },
      fresh,
    ],
    [
      'of a background scan is, where its owner is gone',
      { ...GONE, labels: KYVERNO },
      { ...kind('backgroundscanreports'), ...olderKyverno },
      { stale: 'idle-ephemeral' },
    ],
    [
      'of a background scan is, where Kyverno has another kind for it',
      { labels: KYVERNO, ...written(2 * HOUR_MS) },
      kind('backgroundscanreports'),
      { stale: 'idle-ephemeral' },
    ],
  ],
  'a reason that is switched off': [
    ['does not count', GONE, without('owner-gone'), fresh],
    ['does not count: superseded', SUPERSEDED, without('owner-superseded'), fresh],
    ['does not count: producer', {}, { ...gone, ...without('producer-gone') }, fresh],
    ['does not count: TTL', { ...day, ...created(26 * HOUR_MS) }, without('ttl-passed'), fresh],
    [
      'does not count: scaled to zero',
      AT_ZERO,
      { rules: { ...without('owner-scaled-to-zero').rules, scaledToZeroDays: 1 } },
      fresh,
    ],
    [
      'leaves the next one that holds',
      { ownerReferences: [], labels: KYVERNO },
      { ...kind('ephemeralreports'), ...without('unowned-ephemeral') },
      { stale: 'idle-ephemeral' },
    ],
    [
      'does not count: ephemeral ones, of whom another is left',
      { labels: KYVERNO },
      { ...kind('admissionreports'), ...without('idle-ephemeral') },
      { stale: 'leftover' },
    ],
    [
      'does not count: any of ephemeral ones',
      { labels: KYVERNO },
      { ...kind('admissionreports'), ...without('idle-ephemeral', 'leftover') },
      fresh,
    ],
  ],
  'a TTL': [
    [
      'that passed more than an hour ago makes it stale',
      { ...day, ...created(25 * HOUR_MS + 1000) },
      {},
      { stale: 'ttl-passed' },
    ],
    [
      'that passed less than an hour ago does not: its operator may be about to delete it',
      { ...day, ...created(25 * HOUR_MS) },
      {},
      fresh,
    ],
    ['that has not passed keeps it', { ...day, ...created(23 * HOUR_MS) }, {}, fresh],
    ['counts from the last write: what is still written is wanted', { ...day, ...written(5 * HOUR_MS) }, {}, fresh],
    ['of 0 does not while its owner is the current one', zero, kind('sbomreports'), fresh],
    ['of 0 does not while its owner is only at zero', { ...zero, ...AT_ZERO }, kind('sbomreports'), fresh],
    ['of 0 does not where nobody knows of its owner', zero, { owners: new Map() }, { keep: 'owner-unknown' }],
    ['of 0 does not without an owner', { ...zero, ownerReferences: [] }, kind('clustersbomreports'), fresh],
    [
      'of 0 makes it stale an hour after it was marked so, once its owner is superseded',
      { ...zero, ...SUPERSEDED, ...written(HOUR_MS + 1000) },
      { ...kind('sbomreports'), ...without('owner-superseded') },
      { stale: 'ttl-passed' },
    ],
    [
      'of 0 does not within that hour',
      { ...zero, ...SUPERSEDED, ...written(HOUR_MS) },
      without('owner-superseded'),
      fresh,
    ],
    [
      'of 0 leaves it to the configuration’s, while its owner lives',
      { ...zero, ...created(49 * HOUR_MS + 1000) },
      withTtlHours('sbomreports', 48),
      { stale: 'ttl-passed' },
    ],
    ['that its operator does not heed does not', day, kind('configauditreports'), { keep: 'kept-by-operator' }],
    [
      'that its operator would not heed makes it stale once the operator is gone',
      day,
      { ...kind('configauditreports'), ...gone },
      { stale: 'producer-gone' },
    ],
    [
      'that its operator does not heed does not while nobody knows of the operator',
      day,
      { ...kind('configauditreports'), ...unknown },
      { keep: 'kept-by-operator' },
    ],
    [
      'makes it stale whoever its owner is',
      { ...day, ownerReferences: [replicaSet('x')] },
      { owners: new Map() },
      { stale: 'ttl-passed' },
    ],
    ['keeps it, though the operator is gone', { annotations: { [TRIVY_TTL]: '240h' } }, gone, fresh],
    ['that cannot be read keeps it', { annotations: { [TRIVY_TTL]: '1d' }, ...GONE }, {}, { keep: 'unreadable' }],
    ['below 0 keeps it', { annotations: { [TRIVY_TTL]: '-1h' } }, {}, { keep: 'unreadable' }],
    ['of Trivy is none of Kyverno', { ...day, labels: KYVERNO }, kind('policyreports'), fresh],
    [
      'by configuration makes it stale',
      created(49 * HOUR_MS + 1000),
      withTtlHours('vulnerabilityreports', 48),
      { stale: 'ttl-passed' },
    ],
    [
      'by configuration that has not passed keeps it',
      created(47 * HOUR_MS),
      withTtlHours('vulnerabilityreports', 48),
      fresh,
    ],
    [
      'by configuration keeps it, though the operator is gone',
      {},
      { ...withTtlHours('vulnerabilityreports', 72), ...gone },
      fresh,
    ],
    [
      'of its own comes before one by configuration',
      { annotations: { [TRIVY_TTL]: '240h' } },
      withTtlHours('vulnerabilityreports', 1),
      fresh,
    ],
    [
      'by configuration also ends what its operator keeps',
      day,
      withTtlHours('configauditreports', 30),
      { stale: 'ttl-passed' },
    ],
    [
      'by configuration that has not passed lets the operator keep it',
      day,
      withTtlHours('configauditreports', 96),
      { keep: 'kept-by-operator' },
    ],
    [
      'by configuration of 1.5 hours is 1.5 hours',
      created(2.4 * HOUR_MS),
      withTtlHours('vulnerabilityreports', 1.5),
      fresh,
    ],
  ],
  'a producer that is gone': [
    ['makes it stale', {}, gone, { stale: 'producer-gone' }],
    ['does not where somebody has written it within a day', written(24 * HOUR_MS), gone, fresh],
    ['is not guessed', {}, unknown, fresh],
    [
      'does not make stale what another tool wrote',
      { labels: { 'app.kubernetes.io/managed-by': 'starboard' } },
      gone,
      fresh,
    ],
    ['does not make stale what bears nobody’s label', { labels: {} }, gone, fresh],
    [
      'is not the other producer',
      { labels: KYVERNO },
      { ...kind('policyreports'), producers: { trivy: 'gone', kyverno: 'there', hasEphemeralReports: true } },
      fresh,
    ],
    [
      'makes shared kinds stale too',
      { labels: KYVERNO },
      { ...kind('policyreports'), ...gone },
      { stale: 'producer-gone' },
    ],
  ],
  'a kind that its operator gave up': [
    [
      'is a leftover where the new one is served',
      { labels: KYVERNO },
      { ...kind('admissionreports'), ...without('idle-ephemeral') },
      { stale: 'leftover' },
    ],
    [
      'is none where the new one is not',
      { labels: KYVERNO },
      { ...kind('admissionreports'), ...olderKyverno, ...without('idle-ephemeral') },
      fresh,
    ],
    [
      'is none while somebody writes it',
      { labels: KYVERNO, ...written(24 * HOUR_MS) },
      { ...kind('admissionreports'), ...without('idle-ephemeral') },
      fresh,
    ],
    ['is no other kind', { labels: KYVERNO }, kind('policyreports'), fresh],
  ],
  'a policy report of a Kyverno that wrote one for each policy': [
    [
      'is stale where the cluster has a later Kyverno’s kinds',
      { name: 'cpol-require-labels', ownerReferences: [], labels: KYVERNO },
      kind('policyreports'),
      { stale: 'unowned-policy-report' },
    ],
    [
      'is stale by its older name, too',
      { name: 'clusterpolicyreport', namespace: undefined, ownerReferences: [], labels: KYVERNO },
      kind('clusterpolicyreports'),
      { stale: 'unowned-policy-report' },
    ],
    [
      'is not where the cluster has none of them',
      { name: 'cpol-require-labels', ownerReferences: [], labels: KYVERNO },
      { ...kind('policyreports'), ...olderKyverno },
      fresh,
    ],
    [
      'is not within a day of its last write',
      { name: 'pol-require-labels', ownerReferences: [], labels: KYVERNO, ...written(24 * HOUR_MS) },
      kind('policyreports'),
      fresh,
    ],
    [
      'is not with an owner, or called by one',
      { name: '1845099e-e7c8-43a5-bc74-9a44fe507601', ownerReferences: [], labels: KYVERNO },
      kind('policyreports'),
      fresh,
    ],
    ['is another tool’s', { name: 'cpol-x', ownerReferences: [] }, kind('policyreports'), { keep: 'foreign' }],
    [
      'is not where that is no reason',
      { name: 'cpol-x', ownerReferences: [], labels: KYVERNO },
      { ...kind('policyreports'), ...without('unowned-policy-report') },
      fresh,
    ],
  ],
  'a policy report whose operator was switched to openreports.io': [
    ['is stale where it has been written there since', { labels: KYVERNO }, moved(HOUR_MS), MOVED],
    ['is stale so before any list of owners is asked', { ...GONE, labels: KYVERNO }, moved(HOUR_MS), MOVED],
    ['is not where the other is as old', { labels: KYVERNO }, moved(48 * HOUR_MS), fresh],
    ['is not within a day of its last write', { labels: KYVERNO, ...written(24 * HOUR_MS) }, moved(HOUR_MS), fresh],
    ['is not by one in another namespace', { labels: KYVERNO, namespace: 'other' }, moved(HOUR_MS), fresh],
    ['is not the newer one itself', { labels: KYVERNO }, { ...moved(HOUR_MS), ...kind('reports') }, fresh],
    [
      'is not where that is no reason',
      { labels: KYVERNO },
      { ...moved(HOUR_MS), ...without('moved-to-openreports') },
      fresh,
    ],
  ],
  'a request of Kyverno’s to itself': [
    ...['Completed', 'Failed', 'Skip'].map(
      (state): Case => [
        `is stale an hour after it was ${state}`,
        { ...REQUEST, state, ...written(HOUR_MS + 1000) },
        kind('updaterequests'),
        { stale: 'finished-request' },
      ],
    ),
    ['is not within that hour', { ...REQUEST, ...written(HOUR_MS) }, kind('updaterequests'), fresh],
    ['is not while it is pending', { ...REQUEST, state: 'Pending' }, kind('updaterequests'), fresh],
    ['is not where nobody says what it is', { ...REQUEST, state: undefined }, kind('updaterequests'), fresh],
    [
      'is not of a Kyverno that finds again by it what it has generated',
      REQUEST,
      { ...kind('updaterequests'), ...olderKyverno },
      fresh,
    ],
    ['is not where that is no reason', REQUEST, { ...kind('updaterequests'), ...without('finished-request') }, fresh],
  ],
  'an ephemeral report without an owner': [
    [
      'is stale after two minutes',
      { ownerReferences: [], ...created(2 * MINUTE_MS + 1000) },
      kind('ephemeralreports'),
      { stale: 'unowned-ephemeral' },
    ],
    ['is not before', { ownerReferences: [], ...created(2 * MINUTE_MS) }, kind('ephemeralreports'), fresh],
    ['is not with an owner', written(3 * MINUTE_MS), kind('ephemeralreports'), fresh],
    ['is not of another kind', { ownerReferences: [] }, {}, fresh],
  ],
  'whatever else speaks for it, a report': [
    ['is kept with finalizers', { ...GONE, finalizers: ['example.com/archive'] }, {}, { keep: 'finalizers' }],
    ['is only said to be kept for them where it is stale', { finalizers: ['example.com/archive'] }, {}, fresh],
    ['that is being deleted is left to it', { ...GONE, deletionTimestamp: ago(0) }, {}, { keep: 'being-deleted' }],
    [
      'of another tool in a shared group is kept',
      { ...GONE, labels: { 'app.kubernetes.io/managed-by': 'falco' } },
      kind('policyreports'),
      { keep: 'foreign' },
    ],
    ['without a label in a shared group is kept', { ...GONE, labels: {} }, kind('clusterreports'), { keep: 'foreign' }],
    [
      'whose creation cannot be read is kept',
      { ...GONE, creationTimestamp: 'yesterday', lastWrittenAt: ago(HOUR_MS) },
      {},
      { keep: 'unreadable' },
    ],
    [
      'whose last write cannot be read is kept',
      { ...GONE, creationTimestamp: ago(HOUR_MS), lastWrittenAt: '2026-06' },
      {},
      { keep: 'unreadable' },
    ],
    ['is kept where the server’s clock cannot be read', GONE, { nowMs: Number.NaN }, { keep: 'unreadable' }],
    [
      'is kept where the time of the owners’ list cannot be read',
      GONE,
      { owners: ownersOf({ ...REPLICA_SETS, listedAtMs: Number.NaN }) },
      fresh,
    ],
    ['that comes from the future is kept', { ...GONE, ...created(-HOUR_MS) }, {}, fresh],
    [
      'of a kind by configuration is stale without its owner',
      GONE,
      { kind: { ...kindOf('vulnerabilityreports'), producer: undefined, ttlAnnotation: undefined } },
      { stale: 'owner-gone' },
    ],
    [
      'of a kind by configuration has no producer that could be gone',
      {},
      { kind: { ...kindOf('vulnerabilityreports'), producer: undefined, ttlAnnotation: undefined }, ...gone },
      fresh,
    ],
  ],
};

describe.each(Object.entries(cases))('%s', (_subject, list) => {
  it.each(list)('%s', (_name, report, circumstances, expected) => {
    expect(judge(reportOf(report), circumstancesOf(circumstances))).toEqual(expected);
  });
});
