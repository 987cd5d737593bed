// The situations that the widget has to look right in.
import type { KeptContents } from '../../functions/contract/contents.ts';
import type { ProbedMember, ProbeLook } from '../../functions/contract/probe-record.ts';
import { adviceOn, NOT_SERVED } from '../../functions/contract/report.ts';
import type { PastRun } from '../../functions/widget/records.ts';
import type { Situation } from '../../functions/widget/situation.ts';

export const NOW = Date.parse('2026-03-04T09:30:40Z');
const DAY_MS = 24 * 60 * 60_000;
const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function member(number: number, changes: Partial<ProbedMember> = {}): ProbedMember {
  return {
    id: `8e9e05c5216469${(40 + number).toString(16)}`,
    name: `ip-10-0-${number}-11.eu-central-1.compute.internal`,
    endpoint: `https://10.0.${number}.11:2379`,
    version: '3.5.16',
    isLeader: number === 1,
    isLearner: false,
    healthy: true,
    quotaBytes: 2 * GiB,
    dbSize: 640 * MiB + number * 9 * MiB,
    dbSizeInUse: 402 * MiB + number * MiB,
    alarms: [],
    problem: null,
    ...changes,
  };
}

export function look(members: readonly ProbedMember[], changes: Partial<ProbeLook> = {}): ProbeLook {
  return { at: iso(NOW - 34_000), durationMs: 210, members, strayAlarms: [], problem: null, ...changes };
}

export function run(changes: Partial<PastRun> & { readonly before?: number; readonly after?: number } = {}): PastRun {
  const { before = 812 * MiB, after = 410 * MiB, ...rest } = changes;
  const sizes = (dbSize: number) => ({ dbSize, dbSizeInUse: 400 * MiB, alarms: [] });
  const startedAt = rest.startedAt ?? iso(NOW - 7 * 60 * 60_000);
  return {
    cluster: 'production',
    workflow: 'maintain',
    outcome: 'maintained',
    reason: "2 of 3 members were defragmented; the largest voter's file went from 812 MiB to 410 MiB.",
    dryRun: false,
    startedAt,
    finishedAt: iso(Date.parse(startedAt) + 402_000),
    members: [1, 2, 3].map((number) => ({
      id: String(number),
      name: `cp-${number}`,
      endpoint: `https://10.0.${number}.11:2379`,
      isLeader: number === 1,
      isLearner: false,
      quotaBytes: 2 * GiB,
      before: sizes(before - number * MiB),
      after: sizes(after - number * MiB),
      defragmented: true,
    })),
    ...rest,
  };
}

const nothing = run({
  outcome: 'nothing-to-do',
  reason: 'No member has enough to gain.',
  before: 430 * MiB,
  after: 430 * MiB,
});
const pruning = run({
  workflow: 'prune',
  outcome: 'pruned',
  reason: '1,204 stale reports of 2 kinds were deleted.',
  members: [],
  pruned: [
    { resource: 'vulnerabilityreports.aquasecurity.github.io', stale: 1_190, deleted: 1_190, staleBytes: 14 * MiB },
    { resource: 'ephemeralreports.reports.kyverno.io', stale: 14, deleted: 14 },
    { resource: 'policyreports.wgpolicyk8s.io', stale: 0, deleted: 0 },
    { resource: 'clusterreports.openreports.io', stale: 0, deleted: 0, note: NOT_SERVED },
  ],
});
const recovered = run({
  workflow: 'recover',
  outcome: 'recovered',
  reason: 'The cluster takes writes again: NOSPACE is disarmed and stayed away.',
  before: 2 * GiB,
  after: 405 * MiB,
});
const escalated = run({
  workflow: 'recover',
  outcome: 'escalated',
  reason:
    'After the compaction 1.81 GiB of live data remain, above 80 % of the quota, and a defragmentation cannot help. ' +
    'Most of it: vulnerabilityreports.aquasecurity.github.io 1.21 GiB (18,400 keys). Delete what is not needed, or raise the quota.',
  before: 2 * GiB,
  after: 2 * GiB,
});
const failed = run({
  workflow: 'maintain',
  outcome: 'failed',
  reason: 'Access to the lease table was denied.',
  members: [],
});
const planned = run({
  workflow: 'recover',
  outcome: 'planned',
  dryRun: true,
  reason: 'Would do nothing.',
  after: 812 * MiB,
});
const refused = run({ outcome: 'refused', reason: 'A voter is away, so no other one is stopped.', after: 812 * MiB });

const EPHEMERAL = 'ephemeralreports.reports.kyverno.io';
const flood = run({
  workflow: 'recover',
  outcome: 'recovered',
  reason:
    "The cluster takes writes again: NOSPACE is disarmed and stayed away, the largest voter's file went from 2.00 GiB to 402 MiB. Stale reports were deleted first.",
  before: 2 * GiB,
  after: 402 * MiB,
  pruned: [{ resource: EPHEMERAL, stale: 181_204, deleted: 181_204, staleBytes: 1_700 * MiB }],
});
const inEtcd = { ...flood, pruned: flood.pruned?.map((kind) => ({ ...kind, directly: true as const })) };
const raise = { 'vulnerabilityreports.aquasecurity.github.io': { maxStaleShare: 0.84, maxDeletes: 2_520 } };
const guarded = run({
  workflow: 'prune',
  outcome: 'escalated',
  canWait: true,
  raise,
  reason: `Deleted 14 stale reports of 1 kind. ${adviceOn(raise)}. R12: 2,520 of 3,000 vulnerabilityreports.aquasecurity.github.io (84 %) seem stale by lists that may be wrong: 2,520 owner-gone. Of 3,000 that are judged by their owners it is 84 %, a larger share than maxStaleShare allows (50 %). So none of them was deleted.`,
  members: [],
  pruned: [
    { resource: EPHEMERAL, stale: 14, deleted: 14 },
    {
      resource: 'vulnerabilityreports.aquasecurity.github.io',
      stale: 2_520,
      deleted: 0,
      staleBytes: 30 * MiB,
      note: '2,520 of 3,000 seem stale by lists that may be wrong',
    },
  ],
});

/** Runs one after the other, the newest first, so many hours apart. */
function nights(runs: readonly PastRun[], hours = 24): readonly PastRun[] {
  return runs.map((each, index) => {
    const startedAt = NOW - 7 * 60 * 60_000 - index * hours * 60 * 60_000;
    return { ...each, startedAt: iso(startedAt), finishedAt: iso(startedAt + 402_000) };
  });
}

const VULNERABILITIES = 'vulnerabilityreports.aquasecurity.github.io';

function kind(
  resource: string,
  liveBytes: number,
  historyBytes: number,
  more: Partial<KeptContents['kinds'][number]> = {},
): KeptContents['kinds'][number] {
  const keys = Math.ceil(liveBytes / 12_000);
  const revisions = Math.ceil(historyBytes / 12_000);
  return { resource, keys, liveBytes, revisions, historyBytes, versions: keys, namespaces: 0, largest: [], ...more };
}

const growth = { keysPerDay: 40, liveBytesPerDay: 12 * MiB, writesPerMinute: 310.4, since: iso(NOW - 3 * DAY_MS) };

const byTrivy = {
  namespaces: 41,
  largest: [
    { namespace: 'payments', bytes: 61 * MiB },
    { namespace: 'checkout-production', bytes: 40 * MiB },
    { namespace: 'kube-system', bytes: 18 * MiB },
  ],
  growth,
  writers: { writes: 16, encrypted: 0, managers: [{ manager: 'trivy-operator', writes: 16 }] },
};

/** Of a night, before its compaction. */
export const nightsCopy: KeptContents = {
  bytes: 812 * MiB,
  at: iso(NOW - 7 * 60 * 60_000),
  revision: '18234511',
  ...{ keys: 31_204, liveBytes: 402 * MiB, revisions: 40_001, historyBytes: 260 * MiB, versions: 9_000_000 },
  freeBytes: 128 * MiB,
  kinds: [
    kind(VULNERABILITIES, 214 * MiB, 201 * MiB, byTrivy),
    kind('configauditreports.aquasecurity.github.io', 90 * MiB, 12 * MiB, {
      namespaces: 41,
      largest: [{ namespace: 'payments', bytes: 21 * MiB }],
      writers: { writes: 16, encrypted: 0, managers: [{ manager: 'trivy-operator', writes: 16 }] },
    }),
    kind('leases', 0.2 * MiB, 38 * MiB, {
      namespaces: 3,
      largest: [{ namespace: 'kube-node-lease', bytes: 37 * MiB }],
      growth: { ...growth, liveBytesPerDay: 0, writesPerMinute: 72 },
      writers: { writes: 16, encrypted: 0, managers: [{ manager: 'kubelet', writes: 15 }] },
    }),
    kind('secrets', 31 * MiB, 2 * MiB, { namespaces: 60, writers: { writes: 16, encrypted: 16, managers: [] } }),
    kind('events', 22 * MiB, 0, {
      namespaces: 44,
      growth: { ...growth, liveBytesPerDay: -2 * MiB, writesPerMinute: 4.2 },
    }),
    kind('pods', 3 * MiB, 1 * MiB, { namespaces: 41 }),
  ],
  otherKinds: 73,
  earlier: { at: iso(NOW - DAY_MS), revisionsPerMinute: 402.3 },
};

export const healthy: Situation = {
  cluster: 'production',
  now: NOW,
  look: look([member(1), member(2), member(3)]),
  lease: null,
  runs: nights([run(), pruning, nothing, pruning, recovered, nothing]),
  contents: nightsCopy,
  mode: { mode: 'auto', detail: 'parameter /etcd-medic/production/mode says auto', isProblem: false },
  schedules: [
    { workflow: 'prune', schedule: { cron: '30 1 * * ? *', timeZone: 'UTC' } },
    { workflow: 'maintain', schedule: { cron: '30 2 * * ? *', timeZone: 'Europe/Berlin' } },
  ],
  workflows: ['recover', 'maintain', 'prune'],
  dispatchArn: 'arn:aws:lambda:eu-central-1:111122223333:function:etcd-medic-production-dispatch',
  problems: [],
};

const nospace = { alarms: ['NOSPACE'], dbSize: 2 * GiB + 8 * MiB, dbSizeInUse: 1_400 * MiB };

/** By what is special about each. */
export const situations = {
  healthy,
  'a flood recovered': { ...healthy, runs: nights([flood, nothing, pruning]) },
  'deleted directly in etcd': { ...healthy, runs: nights([inEtcd, nothing, pruning]) },
  'a guard holds back': { ...healthy, runs: nights([guarded, nothing, pruning, guarded]) },
  'a fresh deployment': { ...healthy, look: null, runs: [], contents: null },
  'history that fills nearly all': {
    ...healthy,
    contents: {
      ...nightsCopy,
      bytes: 2 * GiB,
      ...{ liveBytes: 70 * MiB, historyBytes: 1_900 * MiB, freeBytes: 0 },
      kinds: [kind(VULNERABILITIES, 48 * MiB, 1_870 * MiB, byTrivy), kind('pods', 3 * MiB, 9 * MiB)],
      otherKinds: 1,
    },
  },
  'only a copy behind a compaction, and it is nearly empty': {
    ...healthy,
    contents: {
      ...nightsCopy,
      bytes: 2 * MiB,
      isCompacted: true,
      ...{ liveBytes: 0, historyBytes: 0, freeBytes: 0 },
      kinds: [],
    },
  },
  'nobody answers': {
    ...healthy,
    look: look(
      [1, 2, 3].map((number) => away(number)),
      {
        problem: 'none of the 3 client URLs answered within 4 s: connect ECONNREFUSED 10.0.1.11:2379',
      },
    ),
    runs: nights([failed, run(), nothing]),
  },
  'NOSPACE, with a recovery at work': {
    ...healthy,
    look: look([member(1, nospace), member(2, nospace), member(3, { dbSize: 1_980 * MiB, dbSizeInUse: 1_390 * MiB })]),
    lease: { workflow: 'recover', acquiredAt: NOW - 95_000, expiresAt: NOW + 14 * 60_000 },
  },
  CORRUPT: {
    ...healthy,
    look: look([member(1), member(2, { alarms: ['CORRUPT'] }), member(3, { alarms: ['NOSPACE'] })]),
    runs: nights([
      run({ workflow: 'recover', outcome: 'escalated', reason: 'CORRUPT is raised by cp-2: nothing was changed.' }),
      run(),
    ]),
  },
  'five members and a learner': {
    ...healthy,
    look: look([
      member(1),
      member(2, { dbSize: 1_730 * MiB, dbSizeInUse: 390 * MiB }),
      member(3, { quotaBytes: 8 * GiB, dbSize: 3_100 * MiB, dbSizeInUse: 2_000 * MiB }),
      member(4, { quotaBytes: null, problem: 'quota could not be read: /metrics answered 404' }),
      away(5),
      member(6, { isLearner: true, quotaBytes: 'none', dbSize: 30 * MiB, dbSizeInUse: 2 * MiB }),
    ]),
  },
  'twenty runs of all kinds': {
    ...healthy,
    runs: nights(
      Array.from(
        { length: 20 },
        (_, index) =>
          [run(), pruning, nothing, planned, refused, recovered, escalated, failed][(index * 3) % 8] ?? run(),
      ),
      13,
    ),
  },
  'an open escalation, and the switch at observe': {
    ...healthy,
    look: look(
      [member(1), member(2), member(3)].map((each) => ({ ...each, dbSize: 1_960 * MiB, dbSizeInUse: 1_840 * MiB })),
    ),
    runs: nights([escalated, nothing, run()]),
    mode: { mode: 'observe', detail: 'parameter /etcd-medic/production/mode says observe', isProblem: false },
  },
  'a probe that is silent, and a run that died': {
    ...healthy,
    look: look([member(1), member(2), member(3)], { at: iso(NOW - 47 * 60_000) }),
    lease: { workflow: 'maintain', acquiredAt: NOW - 2 * DAY_MS, expiresAt: NOW - 30 * 60_000 },
  },
  'no quorum': {
    ...healthy,
    look: look([away(1, { dbSize: 700 * MiB, dbSizeInUse: 400 * MiB }), away(2), away(3)]),
  },
  'no access to the table and the switch': {
    ...healthy,
    look: null,
    runs: [],
    mode: {
      mode: 'observe',
      detail: 'parameter /etcd-medic/production/mode could not be read, so nothing is changed: AccessDeniedException',
      isProblem: true,
    },
    problems: [
      "The probe's last look could not be read: User: arn:aws:sts::111122223333:assumed-role/etcd-medic-production-widget is not " +
        'authorized to perform: dynamodb:GetItem on resource: arn:aws:dynamodb:eu-central-1:111122223333:table/etcd-medic',
    ],
  },
  'schedules that are off or beyond us': {
    ...healthy,
    runs: nights([nothing]),
    schedules: [
      { workflow: 'prune', schedule: false },
      { workflow: 'maintain', schedule: { cron: '0 3 ? * 7L *', timeZone: 'America/Argentina/Buenos_Aires' } },
    ],
  },
  'texts without a blank to break them at': {
    ...healthy,
    cluster: 'x'.repeat(39),
    look: look([
      member(1, { name: 'n'.repeat(200), problem: 'p'.repeat(400) }),
      member(2, { alarms: ['A'.repeat(60)] }),
    ]),
    runs: nights([run({ outcome: 'failed', reason: 'r'.repeat(900) })]),
    contents: {
      ...nightsCopy,
      kinds: [
        kind('k'.repeat(300), 300 * MiB, 90 * MiB, {
          namespaces: 9,
          largest: [{ namespace: 'n'.repeat(63), bytes: 9 }],
          writers: {
            writes: 2,
            encrypted: 0,
            managers: ['m', 'w'].map((name) => ({ manager: name.repeat(128), writes: 1 })),
          },
        }),
      ],
    },
    problems: ['q'.repeat(700)],
  },
} satisfies Readonly<Record<string, Situation>>;

function away(number: number, changes: Partial<ProbedMember> = {}): ProbedMember {
  return member(number, {
    healthy: false,
    isLeader: false,
    version: null,
    quotaBytes: null,
    dbSize: null,
    dbSizeInUse: null,
    problem: 'no answer within 4 s',
    ...changes,
  });
}
