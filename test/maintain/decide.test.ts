// What a night's maintenance decides, by numbers alone.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MaintenancePolicy, parseCluster } from '../../functions/contract/configuration.ts';
import type { Observation, ObservedMember } from '../../functions/control-plane/observation.ts';
import { decide, isFull, type Judgement, WORTHWHILE_GAIN_SHARE } from '../../functions/maintain/decide.ts';
import {
  estimateStall,
  LEADER_STALL_MS,
  mayDefragmentAsLeader,
  UNSEEN_BYTES_PER_MS,
} from '../../functions/maintain/stall.ts';
import { windowEnd, windowOver } from '../../functions/maintain/window.ts';

const MiB = 1024 * 1024;
const policy = parseCluster({ name: 'c', etcd: { endpoints: ['http://127.0.0.1:1'] } }).maintain;

function member(name: string, changes: Partial<ObservedMember> = {}): ObservedMember {
  return {
    id: name,
    name,
    endpoint: `https://${name}:2379`,
    hosts: [name],
    isLearner: false,
    isLeader: false,
    healthy: true,
    silent: false,
    version: '3.5.30',
    dbSize: 1000 * MiB,
    dbSizeInUse: 200 * MiB,
    quota: { kind: 'limit', bytes: 2048 * MiB, source: 'metrics' },
    ...changes,
  };
}

function seen(members: readonly ObservedMember[], changes: Partial<Observation> = {}): Observation {
  return { clusterId: 'c', members, alarms: [], revision: '100', ...changes };
}

function sweepOf(observation: Observation, change: Partial<MaintenancePolicy> = {}): readonly string[] {
  const plan = decide(observation, { ...policy, ...change }, []);
  return plan.kind === 'steps' ? plan.memberIds : [];
}

function judgementOf(changes: Partial<ObservedMember>, rates: Parameters<typeof decide>[2] = []): Judgement {
  const plan = decide(seen([member('a', changes)]), policy, rates);
  if (plan.kind === 'refusal') throw new Error(plan.reason);
  const [judgement] = plan.judgements;
  if (judgement === undefined) throw new Error('no judgement');
  return judgement;
}

describe('decide, where nothing may be changed', () => {
  it('leaves NOSPACE to recover', () => {
    const plan = decide(seen([member('a')], { alarms: [{ memberId: 'a', type: 'NOSPACE' }] }), policy, []);
    expect(plan).toMatchObject({ kind: 'refusal', outcome: 'refused' });
    expect(plan).toMatchObject({ reason: expect.stringContaining('recover answers that') });
  });

  it.each(['CORRUPT', 'UNKNOWN'] as const)('R1: %s is escalated, also beside NOSPACE', (type) => {
    const alarms = [{ memberId: 'a', type: 'NOSPACE' } as const, { memberId: 'b', type }];
    expect(decide(seen([member('a'), member('b')], { alarms }), policy, [])).toMatchObject({
      kind: 'refusal',
      outcome: 'escalated',
      rule: 'R1',
    });
  });

  it('R2: a voter that is away stops the night, and is named; a learner that is away does not', () => {
    const away = { healthy: false, problem: 'connection refused' };
    expect(decide(seen([member('a'), member('b', away)]), policy, [])).toMatchObject({
      kind: 'refusal',
      outcome: 'refused',
      rule: 'R2',
      reason: expect.stringContaining('b (https://b:2379) does not answer: connection refused'),
    });
    expect(decide(seen([member('a'), member('l', { ...away, isLearner: true })]), policy, [])).toMatchObject({
      kind: 'steps',
      memberIds: ['a'],
    });
  });
});

describe('decide, which members are worth a stall', () => {
  it.each([
    ['45 % of its file is free', 'defragment', { dbSize: 1000 * MiB, dbSizeInUse: 550 * MiB }],
    ['just less than 45 % is free', 'not-worth-it', { dbSize: 1000 * MiB, dbSizeInUse: 551 * MiB }],
    ['half is free, but less than 100 MiB', 'not-worth-it', { dbSize: 199 * MiB, dbSizeInUse: 99.5 * MiB }],
    ['half is free, 100 MiB', 'defragment', { dbSize: 200 * MiB, dbSizeInUse: 100 * MiB }],
    ['80 % of its quota is used, a tenth of it free', 'defragment', { dbSize: 1640 * MiB, dbSizeInUse: 1470 * MiB }],
    ['80 % of its quota is live', 'live-data', { dbSize: 1640 * MiB, dbSizeInUse: 1600 * MiB }],
    ['it is just below 80 % of its quota', 'not-worth-it', { dbSize: 1638 * MiB, dbSizeInUse: 1300 * MiB }],
    ['it has no quota, and little is free', 'not-worth-it', { dbSizeInUse: 900 * MiB, quota: { kind: 'none' } }],
    ['its quota is unknown, and much is free', 'defragment', { quota: { kind: 'unknown', problem: '404' } }],
    ['it is a learner', 'learner', { isLearner: true }],
    ['it is empty', 'not-worth-it', { dbSize: 0, dbSizeInUse: 0 }],
  ] as const)('where %s: %s', (_name, verdict, changes) => {
    // Fast enough, so that no stall is in the way.
    const judgement = judgementOf(changes, [{ memberId: 'a', bytesPerMs: 500_000 }]);
    expect(judgement).toMatchObject({ verdict });
  });

  it('R8: says where a quota could not be read, and goes by the free share alone', () => {
    const unknown = { quota: { kind: 'unknown', problem: 'metrics say 404' } } as const;
    const judgement = judgementOf({ dbSize: 2000 * MiB, dbSizeInUse: 1990 * MiB, ...unknown });
    expect(judgement.verdict).toBe('not-worth-it');
    expect(judgement.reason).toContain('metrics say 404');
  });

  it('names the numbers', () => {
    expect(judgementOf({ dbSizeInUse: 900 * MiB }).reason).toBe(
      'not worth a stall: 10 % of 1000 MiB free, 100 MiB to gain; 49 % of its quota of 2.00 GiB',
    );
  });

  it('takes what has most to gain first', () => {
    const members = [300, 100, 200].map((live, i) => member('abc'.charAt(i), { dbSizeInUse: live * MiB }));
    expect(sweepOf(seen(members))).toEqual(['b', 'c', 'a']);
  });

  it('R3: takes the leader last, however much it has to gain', () => {
    const members = [member('a', { isLeader: true, dbSizeInUse: 0 }), member('b'), member('c')];
    expect(sweepOf(seen(members))).toEqual(['b', 'c', 'a']);
  });

  it('has nothing to do where no member is worth it, with a word on each', () => {
    const plan = decide(seen([member('a', { dbSizeInUse: 990 * MiB }), member('b', { isLearner: true })]), policy, []);
    expect(plan.kind).toBe('nothing-to-do');
    expect(plan).toMatchObject({ judgements: [{ verdict: 'not-worth-it' }, { verdict: 'learner' }] });
  });

  it.each([
    ['is too small', 'no-disk', { freeBytes: 219 * MiB, path: '/var/lib/etcd' }, '/var/lib/etcd'],
    ['holds the live data and a tenth', 'defragment', { freeBytes: 221 * MiB, path: '/var/lib/etcd' }, ''],
    ['could not be looked at', 'no-disk', { problem: 'its agent is offline' }, 'its agent is offline'],
  ] as const)('R6: where the disk %s: %s', (_name, verdict, disk, words) => {
    const plan = decide(seen([member('a')], { disks: [{ memberId: 'a', ...disk }] }), policy, []);
    expect(plan).toMatchObject({ judgements: [{ verdict, reason: expect.stringContaining(words) }] });
  });
});

describe('decide, by the versions', () => {
  const three = (version: string | undefined, changes: Partial<ObservedMember> = {}) =>
    ['a', 'b', 'c'].map((name) => member(name, { version, ...changes }));

  it.each([
    ['3.4.3', 'may corrupt its data in a defragmentation (mended in 3.4.4; R17)'],
    ['3.5.5', 'after a crash in the middle of a defragmentation (mended in 3.5.6; R17)'],
    ['weird', '"weird", which is no version'],
    [undefined, 'at a version that is not known'],
  ])('R17: etcd %s is left alone, and named', (version, words) => {
    const plan = decide(seen([member('a', { version }), member('b'), member('c')]), policy, []);

    expect(plan).toMatchObject({
      kind: 'steps',
      memberIds: ['b', 'c'],
      judgements: [{ verdict: 'version', reason: expect.stringContaining(words) }, {}, {}],
    });
  });

  it.each([
    ['3.5.16', 441, 'defragment'],
    ['3.5.16', 439, 'no-disk'],
    ['3.5.17', 221, 'defragment'],
  ] as const)('R6, R17: of 200 MiB live on etcd %s, a disk with %i MiB: %s', (version, free, verdict) => {
    const disk = { memberId: 'a', freeBytes: free * MiB, path: '/var/lib/etcd' };
    const plan = decide(seen([member('a', { version })], { disks: [disk] }), policy, []);

    expect(plan).toMatchObject({ judgements: [{ verdict }] });
    if (verdict === 'no-disk') {
      expect(plan).toMatchObject({ judgements: [{ reason: expect.stringContaining('mended in 3.5.17; R17') }] });
    }
  });

  // 200 MiB at 20 MiB/s are 10 s.
  const rates = [{ memberId: 'a', bytesPerMs: (20 * MiB) / 1000 }];
  it.each([
    ['3.5.22', 249, 'defragment'],
    ['3.5.22', 250, 'version'],
    ['3.6.4', 250, 'version'],
    ['3.5.22', undefined, 'defragment'],
    ['3.5.23', 5_000, 'defragment'],
    ['3.6.5', 5_000, 'defragment'],
  ] as const)(
    'R17: etcd %s that would stall for 10 s at %s entries a second: %s',
    (version, entriesPerSecond, verdict) => {
      const plan = decide(seen(three(version), { entriesPerSecond }), policy, rates);

      expect(plan).toMatchObject({ judgements: [{ verdict }, { verdict }, { verdict }] });
      if (verdict === 'version') {
        const words = /it would fall 2500 entries behind at 250\.0 entries a second.*Upgrade etcd first$/;
        expect(plan).toMatchObject({ judgements: [{ reason: expect.stringMatching(words) }, {}, {}] });
      }
    },
  );

  it('R17: one member alone has no leader that could send it a snapshot', () => {
    const plan = decide(seen([member('a', { version: '3.5.22' })], { entriesPerSecond: 5_000 }), policy, rates);

    expect(plan).toMatchObject({ judgements: [{ verdict: 'defragment' }] });
  });

  it('R17: where etcd serves on beside its defragmentation, no stall is estimated', () => {
    const slow = [{ memberId: 'a', bytesPerMs: 1 }];
    const beside = three('3.8.0', { defragmentsBeside: true });

    expect(decide(seen(beside), policy, slow)).toMatchObject({ kind: 'steps', memberIds: ['a', 'b', 'c'] });
    expect(decide(seen(three('3.8.0')), policy, slow)).toMatchObject({ kind: 'nothing-to-do' });
  });
});

describe('the estimate of a stall', () => {
  it.each([
    [
      'its own',
      [
        ['a', 100],
        ['b', 1],
      ],
      100,
      'this member',
    ],
    [
      'the slowest of its own',
      [
        ['a', 100],
        ['a', 20],
        ['b', 1],
      ],
      20,
      'this member',
    ],
    ['the slowest of its last five', [...Array(5).fill(['a', 50]), ['a', 1]], 50, 'this member'],
    [
      "the slowest of other members', where it has none",
      [
        ['b', 30],
        ['c', 40],
      ],
      30,
      'other members',
    ],
    ['a cautious guess, where nobody has any', [], UNSEEN_BYTES_PER_MS, 'a cautious guess'],
  ] as const)('is made with %s rate', (_name, rates, bytesPerMs, from) => {
    const seenRates = rates.map(([memberId, rate]) => ({ memberId, bytesPerMs: rate }));
    expect(estimateStall('a', 1200, seenRates)).toEqual({ ms: 1200 / bytesPerMs, bytesPerMs, from });
  });

  it('leaves a member alone whose stall would outlast the liveness probe, and says why and what to do', () => {
    const rates = [{ memberId: 'a', bytesPerMs: (200 * MiB) / 80_001 }];
    const judgement = judgementOf({}, rates);
    expect(judgement.verdict).toBe('stalls-too-long');
    expect(judgement.reason).toContain('maintain.maxStallSeconds');
    expect(judgementOf({}, [{ memberId: 'a', bytesPerMs: (200 * MiB) / 80_000 }]).verdict).toBe('defragment');
  });

  it.each([
    ['leads on where the others before it took a second', [['b', 100]], [], true],
    [
      'hands over where one of them took longer',
      [
        ['b', 100],
        ['c', 99],
      ],
      [],
      false,
    ],
    ['hands over where the end of one of them was only found by looking', [['b', 0]], [], false],
    ['hands over where it took longer itself in an earlier night', [['b', 100]], [['a', 99]], false],
    ['leads on where others took longer in an earlier night, but not tonight', [['b', 100]], [['b', 50]], true],
    ['leads on where nobody was before it, by what it took itself', [], [['a', 100]], true],
    ['hands over where nobody knows', [], [], false],
  ] as const)('R3: the leader %s', (_name, tonight, earlier, leadsOn) => {
    // Percent of the rate that takes as long as a leader may be silent; twice what is guessed where nobody knows.
    const bytesPerMs = 2 * UNSEEN_BYTES_PER_MS;
    const rates = (seen: readonly (readonly [string, number])[]) =>
      seen.map(([memberId, percent]) => ({ memberId, bytesPerMs: (percent / 100) * bytesPerMs }));
    expect(mayDefragmentAsLeader('a', LEADER_STALL_MS * bytesPerMs, rates(tonight), rates(earlier))).toBe(leadsOn);
  });

  it("lets the default quota's live data be defragmented by the cautious guess, and is below the measured rate", () => {
    expect(estimateStall('a', 0.4 * 2 ** 31, []).ms).toBeLessThan(policy.maxStallSeconds * 1000);
    expect(UNSEEN_BYTES_PER_MS).toBeLessThan(0.21e9 / 1900);
  });
});

describe('a cluster that nobody has seen defragmenting, with more live data than the cautious guess allows', () => {
  const large = { dbSize: 4000 * MiB, dbSizeInUse: 1500 * MiB, quota: { kind: 'none' } } as const;
  const leader = member('a', { ...large, isLeader: true });
  const three = [leader, member('b', large), member('c', { ...large, dbSize: 4100 * MiB })];
  const verdicts = (plan: ReturnType<typeof decide>) =>
    plan.kind === 'refusal' ? [] : plan.judgements.map(({ name, verdict }) => `${name} ${verdict}`);

  it('has one follower tried first, the one with most to gain, and the others left alone', () => {
    const plan = decide(seen(three), policy, []);

    expect(plan).toMatchObject({ kind: 'steps', memberIds: ['c'], tries: true });
    expect(verdicts(plan)).toEqual(['a stalls-too-long', 'b stalls-too-long', 'c defragment']);
    expect(plan).toMatchObject({
      judgements: [
        { reason: expect.stringContaining('waits for what c takes') },
        {},
        { reason: expect.stringMatching(/^a follower, tried first/) },
      ],
    });
  });

  it('has the others judged by what that one took', () => {
    const after = [leader, member('b', large), member('c', { ...large, dbSize: 1500 * MiB })];
    const took = (seconds: number) => [{ memberId: 'c', bytesPerMs: (1500 * MiB) / (seconds * 1000) }];

    expect(decide(seen(after), policy, took(79))).toMatchObject({ kind: 'steps', memberIds: ['b', 'a'] });
    expect(decide(seen(after), policy, took(79))).not.toHaveProperty('tries');
    expect(decide(seen(after), policy, took(81)).kind).toBe('nothing-to-do');
    const unseen = decide(seen(after), policy, [{ memberId: 'c', bytesPerMs: 0 }]);
    expect(unseen).toMatchObject({
      judgements: [{ reason: expect.stringContaining('nobody knows how long') }, {}, {}],
    });
  });

  it.each<[string, readonly ObservedMember[], Parameters<typeof decide>[2]]>([
    ['some rate is known', three, [{ memberId: 'x', bytesPerMs: 1 }]],
    ['there are two voters, which have no quorum while one stalls', [leader, member('b', large)], []],
    ['there is one', [leader], []],
    ['it would take too long at any rate', three.map((each) => ({ ...each, dbSizeInUse: 9.7e9, dbSize: 2e10 })), []],
  ])('tries nobody where %s', (_why, members, rates) => {
    expect(decide(seen(members), policy, rates).kind).toBe('nothing-to-do');
  });

  it('tries nobody where a smaller member shows its rate tonight in any case', () => {
    const plan = decide(seen([...three.slice(0, 2), member('c')]), policy, []);

    expect(plan).toMatchObject({ kind: 'steps', memberIds: ['c'] });
    expect(plan).not.toHaveProperty('tries');
  });
});

describe('the window', () => {
  const startedAt = '2026-11-20T02:40:00.000Z';
  it.each([
    ['a schedule', '2026-11-20T04:30:00.000Z', { kind: 'schedule', source: 's', at: '2026-11-20T02:30:00Z' }],
    ['a schedule without a time', '2026-11-20T04:40:00.000Z', { kind: 'schedule', source: 's' }],
    ['an alarm', '2026-11-20T04:40:00.000Z', { kind: 'alarm', source: 's', at: '2026-11-20T02:30:00Z' }],
    ['a person', '2026-11-20T04:40:00.000Z', { kind: 'manual', source: 'manual' }],
  ] as const)('of %s ends at %s', (_name, end, trigger) => {
    expect(new Date(windowEnd(trigger, startedAt, 120)).toISOString()).toBe(end);
  });

  it('is over at its end, not before', () => {
    const end = Date.parse('2026-11-20T04:30:00Z');
    expect(windowOver(end, end - 1)).toBeUndefined();
    expect(windowOver(end, end)).toContain('2026-11-20T04:30:00.000Z');
  });
});

const anyMember = fc.record({
  isLearner: fc.boolean(),
  healthy: fc.boolean(),
  dbSize: fc.integer({ min: 0, max: 8192 * MiB }),
  live: fc.double({ min: 0, max: 1, noNaN: true }),
  quota: fc.oneof(
    fc.record({
      kind: fc.constant('limit' as const),
      bytes: fc.integer({ min: 1, max: 8192 * MiB }),
      source: fc.constant('metrics' as const),
    }),
    fc.constant({ kind: 'none' as const }),
    fc.constant({ kind: 'unknown' as const, problem: 'not read' }),
  ),
});
const anyObservation: fc.Arbitrary<Observation> = fc
  .record({
    members: fc.array(anyMember, { minLength: 1, maxLength: 5 }),
    leader: fc.integer({ min: 0, max: 4 }),
    alarmed: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
  })
  .map(({ members, leader, alarmed }) =>
    seen(
      members.map(({ live, ...m }, i) =>
        member(`m${i}`, {
          ...m,
          healthy: m.healthy || i > 0,
          isLeader: i === leader && !m.isLearner,
          dbSizeInUse: Math.round(live * m.dbSize),
        }),
      ),
      { alarms: alarmed ? [{ memberId: 'm0', type: 'NOSPACE' }] : [] },
    ),
  );

describe('decide, for any observation', () => {
  it('R1, R2, R3: sweeps voters only, with no alarm and all of them healthy, the leader last, and never for nothing', () => {
    let sweeps = 0;
    fc.assert(
      fc.property(anyObservation, (observation) => {
        const plan = decide(observation, policy, []);
        if (plan.kind !== 'steps') return;
        sweeps++;
        const { members, alarms } = observation;
        expect(alarms).toEqual([]);
        expect(members.every(({ healthy, isLearner }) => healthy || isLearner)).toBe(true);
        expect(new Set(plan.memberIds).size).toBe(plan.memberIds.length);
        for (const [turn, id] of plan.memberIds.entries()) {
          const { isLearner, isLeader, dbSize = 0, dbSizeInUse = 0 } = members.find((m) => m.id === id) ?? member('?');
          expect(isLearner).toBe(false);
          if (isLeader) expect(turn).toBe(plan.memberIds.length - 1);
          expect(dbSize - dbSizeInUse).toBeGreaterThanOrEqual(WORTHWHILE_GAIN_SHARE * dbSize);
        }
      }),
      { numRuns: 5_000 },
    );
    expect(sweeps).toBeGreaterThan(100);
  });

  it('leaves no full member without a sweep or a word on why', () => {
    fc.assert(
      fc.property(anyObservation, (observation) => {
        const plan = decide(observation, policy, []);
        if (plan.kind === 'refusal') return;
        for (const m of observation.members.filter((each) => isFull(each, policy))) {
          const verdict = plan.judgements.find(({ memberId }) => memberId === m.id)?.verdict;
          expect(['defragment', 'live-data', 'stalls-too-long']).toContain(verdict);
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
