// What is stale and what is kept, reason by reason, guard by guard.
import { describe, expect, it } from 'vitest';
import type { ObjectMetadata } from '../../functions/kubernetes/types.ts';
import { type Circumstances, judge, type Verdict } from '../../functions/prune/stale.ts';
import {
  ago,
  circumstancesOf,
  HOUR_MS,
  kindOf,
  MINUTE_MS,
  NOW_MS,
  ownersOf,
  REPLICA_SETS,
  replicaSet,
  reportOf,
  TRIVY_TTL,
} from './samples.ts';

const KYVERNO = { 'app.kubernetes.io/managed-by': 'kyverno' };
const GONE = { ownerReferences: [replicaSet('gone')] };
const SCALED = { ownerReferences: [replicaSet('scaled-to-zero')] };
const day = { annotations: { [TRIVY_TTL]: '24h0m0s' } };
const zero = { annotations: { [TRIVY_TTL]: '0s' } };
const written = (ms: number) => ({ creationTimestamp: ago(90 * 24 * HOUR_MS), lastWrittenAt: ago(ms) });
const created = (ms: number) => ({ creationTimestamp: ago(ms), lastWrittenAt: ago(ms) });
const gone = { producers: { trivy: 'gone', kyverno: 'gone', hasEphemeralReports: true } } as const;
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
  'an owner scaled to zero': [
    ['makes it stale', SCALED, {}, { stale: 'owner-scaled-to-zero' }],
    [
      'does not while another owner is at work',
      { ownerReferences: [replicaSet('scaled-to-zero'), replicaSet('alive')] },
      {},
      fresh,
    ],
    [
      'makes it stale where the other owner is gone',
      { ownerReferences: [replicaSet('scaled-to-zero'), replicaSet('gone')] },
      {},
      { stale: 'owner-scaled-to-zero' },
    ],
    ['does not where the report is younger than the list', { ...SCALED, ...written(MINUTE_MS / 2) }, {}, fresh],
    [
      'does not make a report of Kyverno stale, which would write it again',
      { ...SCALED, labels: KYVERNO },
      kind('policyreports'),
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
    [
      'of 0 makes it stale an hour after it was marked so',
      { ...zero, ...written(HOUR_MS + 1000) },
      {},
      { stale: 'ttl-passed' },
    ],
    ['of 0 does not within that hour', { ...zero, ...written(HOUR_MS) }, {}, fresh],
    ['of 0 makes SbomReports stale, which nobody else deletes', zero, kind('sbomreports'), { stale: 'ttl-passed' }],
    ['that its operator does not heed does not', day, kind('configauditreports'), { keep: 'kept-by-operator' }],
    [
      'that its operator would not heed makes it stale once the operator is gone',
      day,
      { ...kind('configauditreports'), ...gone },
      { stale: 'ttl-passed' },
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
    ['is a leftover where the new one is served', { labels: KYVERNO }, kind('admissionreports'), { stale: 'leftover' }],
    [
      'is none where the new one is not',
      { labels: KYVERNO },
      { ...kind('admissionreports'), producers: { trivy: 'there', kyverno: 'there', hasEphemeralReports: false } },
      fresh,
    ],
    [
      'is none while somebody writes it',
      { labels: KYVERNO, ...written(24 * HOUR_MS) },
      kind('admissionreports'),
      fresh,
    ],
    ['is no other kind', { labels: KYVERNO }, kind('policyreports'), fresh],
  ],
  'an ephemeral report without an owner': [
    [
      'is stale after two minutes',
      { ownerReferences: [], ...created(2 * MINUTE_MS + 1000) },
      kind('ephemeralreports'),
      { stale: 'unowned-ephemeral' },
    ],
    ['is not before', { ownerReferences: [], ...created(2 * MINUTE_MS) }, kind('ephemeralreports'), fresh],
    ['is not with an owner', {}, kind('ephemeralreports'), fresh],
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
