import { describe, expect, it } from 'vitest';
import type { Observation, ObservedMember } from '../../functions/control-plane/observation.ts';
import type { Look } from '../../functions/probe/look.ts';
import { publishMetrics } from '../../functions/probe/publish.ts';
import { clusterFigures, judge, probedMembers, problemOf } from '../../functions/probe/summary.ts';
import { captured } from './harness.ts';

const MiB = 1024 * 1024;
const quota = (bytes: number) => ({ kind: 'limit', bytes, source: 'metrics' }) as const;

function member(number: number, changes: Partial<ObservedMember> = {}): ObservedMember {
  return {
    id: `a${number}`,
    name: `cp-${number}`,
    endpoint: `https://10.0.0.1${number}:2379`,
    hosts: [`10.0.0.1${number}`],
    isLearner: false,
    isLeader: number === 1,
    healthy: true,
    silent: false,
    version: '3.5.30',
    dbSize: 50 * MiB,
    dbSizeInUse: 20 * MiB,
    quota: quota(100 * MiB),
    ...changes,
  };
}
const away = {
  healthy: false,
  silent: true,
  problem: 'refused',
  version: undefined,
  dbSize: undefined,
  dbSizeInUse: undefined,
} as const;

function seen(members: readonly ObservedMember[], alarms: Observation['alarms'] = []): Look {
  const observation = { clusterId: 'c1', revision: '7', members, alarms };
  return { kind: 'seen', endpoints: ['https://10.0.0.11:2379'], remembered: [], observation, refusedRights: [] };
}

describe('the figures of a look', () => {
  it.each<[string, readonly ObservedMember[], number | undefined]>([
    ['of the fullest voter', [member(1), member(2, { dbSize: 81 * MiB })], 81],
    ['against each voter’s own quota', [member(1), member(2, { dbSize: 60 * MiB, quota: quota(1_000 * MiB) })], 50],
    ['not of a learner', [member(1), member(2, { dbSize: 90 * MiB, isLearner: true })], 50],
    ['over 100 where the file has outgrown it', [member(1, { dbSize: 110 * MiB })], 110],
    ['of those with a quota', [member(1), member(2, { dbSize: 900 * MiB, quota: { kind: 'none' } })], 50],
    ['none where no quota could be read', [member(1, { quota: { kind: 'unknown', problem: 'x' } })], undefined],
    ['none where no voter answers', [member(1, away)], undefined],
  ])('have a quota usage %s', (_of, members, percent) => {
    expect(clusterFigures(seen(members)).quotaUsage).toBe(percent);
  });

  it('R1: count an alarm of a kind that this program does not know with CORRUPT, once a member', () => {
    const alarms = [
      { memberId: 'a1', type: 'CORRUPT' },
      { memberId: 'a1', type: 'UNKNOWN' },
      { memberId: 'a2', type: 'UNKNOWN' },
      { memberId: 'a2', type: 'NOSPACE' },
    ] as const;

    const figures = clusterFigures(seen([member(1), member(2)], alarms));

    expect(figures).toMatchObject({ corruptAlarms: 2, nospaceAlarms: 1 });
  });

  it('know nothing of alarms where the members fell silent after they were found', () => {
    const look = seen([member(1, away), member(2, away)]);

    expect(clusterFigures(look)).toMatchObject({ membersAnswering: 0, membersAway: 2, nospaceAlarms: undefined });
    expect(problemOf(look)).toBe('refused; refused');
  });
});

describe('alarms that only a member without a quorum tells', () => {
  const cutOff = { healthy: false, problem: 'no leader' } as const;
  const alarms = [{ memberId: 'a1', type: 'NOSPACE' }] as const;

  it.each<[string, readonly ObservedMember[], Observation['alarms'], object]>([
    ['count where there is one', [member(1, cutOff), member(2, away)], alarms, { nospaceAlarms: 1 }],
    ['are not known where there is none', [member(1, cutOff), member(2, away)], [], { nospaceAlarms: undefined }],
    ['nor beside a learner that answers', [member(1, cutOff), member(2, { isLearner: true })], [], {}],
    [
      'are none where a voter sees the quorum',
      [member(1, cutOff), member(2)],
      [],
      { nospaceAlarms: 0, corruptAlarms: 0 },
    ],
  ])('%s', (_what, members, raised, expected) => {
    expect(clusterFigures(seen(members, raised))).toMatchObject({ corruptAlarms: undefined, ...expected });
  });
});

describe('the words of a look', () => {
  it.each<[string, Look, string, RegExp]>([
    [
      'all well',
      seen([member(1), member(2)]),
      'healthy',
      /^All 2 voters .* cp-1 is the fullest, at 50 % of its quota\.$/,
    ],
    [
      'R8: a quota that is not known',
      seen([member(1), member(2, { quota: { kind: 'unknown', problem: 'HTTP status 415' } })]),
      'escalated',
      /^The quota of cp-2 is not known, so a recovery would be refused \(R8\): HTTP status 415\.$/,
    ],
    ['a learner away', seen([member(1), member(2, { ...away, isLearner: true })]), 'healthy', /^All 1 voters/],
    ['a voter away', seen([member(1), member(2, away)]), 'escalated', /^cp-2 is away: refused\.$/],
    [
      'NOSPACE of a member that is gone, by its id',
      seen([member(1)], [{ memberId: 'ff', type: 'NOSPACE' }]),
      'escalated',
      /^NOSPACE on ff: etcd refuses writes/,
    ],
    [
      'CORRUPT before anything else',
      seen(
        [member(1), member(2, away)],
        [
          { memberId: 'a1', type: 'NOSPACE' },
          { memberId: 'a1', type: 'CORRUPT' },
        ],
      ),
      'escalated',
      /^CORRUPT on cp-1: a person .* NOSPACE on cp-1.* cp-2 is away/,
    ],
    [
      'nobody',
      { kind: 'nobody', endpoints: [], remembered: [], problem: 'none of 3' },
      'escalated',
      /^Nobody answers: none/,
    ],
    ['blindness', { kind: 'blind', endpoints: [], remembered: [], problem: 'no secret' }, 'failed', /no secret/],
  ])('tell %s', (_what, look, outcome, words) => {
    expect(judge(look)).toEqual({ outcome, reason: expect.stringMatching(words) });
  });
});

describe('what fills it', () => {
  const GiB = 2 ** 30;
  const kind = (resource: string, liveBytesPerDay: number, manager: string) => ({
    ...{ resource, keys: 9, liveBytes: 0.1 * GiB, revisions: 9, historyBytes: 0.3 * GiB, namespaces: 0, largest: [] },
    growth: { keysPerDay: 1, liveBytesPerDay, writesPerMinute: 1, since: '2026-03-01T02:30:00.000Z' },
    writers: { writes: 16, encrypted: 0, managers: [{ manager, writes: 16 }] },
  });
  const contents = {
    ...{ bytes: GiB, at: '2026-03-02T02:30:00.000Z', revision: '9', keys: 20, revisions: 9, historyBytes: 0.5 * GiB },
    ...{ liveBytes: 0.5 * GiB, freeBytes: 0, otherKinds: 4 },
    kinds: [
      kind('events', 0.01 * GiB, 'kubelet'),
      kind('vulnerabilityreports.aquasecurity.github.io', 0.04 * GiB, 'trivy-operator'),
    ],
  };
  const voter = (dbSize: number) => member(1, { dbSize, quota: { kind: 'limit', bytes: 2 * GiB, source: 'status' } });
  const LARGEST =
    'Most of it, by the copy of 2026-03-02: events, 410 MiB of 1.00 GiB, 75 % of it history, written by kubelet.';

  it('is told from half of the quota on, and until when the kind that grows fastest leaves room', () => {
    const { outcome, reason } = judge(seen([voter(GiB)]), { contents });

    expect(outcome).toBe('healthy');
    expect(reason).toMatch(/at 50 % of its quota\. Most of it/);
    // 1.5 GiB of live data at 0.05 GiB a day.
    expect(reason).toContain(
      `${LARGEST} Live data grows by 51.2 MiB a day, most of that vulnerabilityreports.aquasecurity.github.io, written by trivy-operator: at that, the quota is full of it in 30 days.`,
    );
  });

  it.each([
    ['40 hours', { ...contents, liveBytes: 2 * GiB - (0.05 * GiB * 40) / 24 }, 'full of it in 40 hours.'],
    ['nothing that grows', { ...contents, kinds: [kind('events', -5, 'kubelet')] }, LARGEST],
    ['no kind at all', { ...contents, kinds: [] }, 'of its quota.'],
  ])('is told of %s', (_name, known, end) => {
    expect(judge(seen([voter(1.9 * GiB)]), { contents: known }).reason.endsWith(end)).toBe(true);
  });

  it('is told under NOSPACE, and not where nobody asks or knows', () => {
    const full = judge(seen([voter(10)], [{ memberId: 'a1', type: 'NOSPACE' }]), { contents });

    expect(full).toMatchObject({ outcome: 'escalated', reason: expect.stringContaining(LARGEST) });
    expect(judge(seen([voter(0.9 * GiB)]), { contents }).reason).not.toContain('Most of it');
    expect(judge(seen([voter(1.9 * GiB)])).reason).not.toContain('Most of it');
  });
});

describe('the members of a look', () => {
  it('are put out by name, and by id where a name is missing or not theirs alone', async () => {
    const members = [
      member(1, { name: 'default' }),
      member(2, { name: 'default' }),
      member(3, { name: '' }),
      member(4),
    ];
    const look = seen(members);
    const published = {
      cluster: 'demo',
      at: new Date(),
      figures: clusterFigures(look),
      members: probedMembers(look),
    };

    const { metrics } = await captured(async () => publishMetrics(published));

    expect(metrics.map((line) => line.member)).toEqual([undefined, 'a1', 'a2', 'a3', 'cp-4']);
  });

  it('have as their problem why they are away, or else why their quota is not known', () => {
    const unread = { quota: { kind: 'unknown', problem: 'no page' } } as const;

    const members = probedMembers(seen([member(1, unread), member(2, { ...away, ...unread })]));

    expect(members).toMatchObject([
      { healthy: true, quotaBytes: null, problem: 'no page' },
      { healthy: false, quotaBytes: null, problem: 'refused', dbSize: null, version: null },
    ]);
  });
});
