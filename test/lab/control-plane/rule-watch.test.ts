import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AwsStandIn, startAws } from '../../../lab/aws/stand-in.ts';
import { startControlPlane } from '../../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../../lab/control-plane/fill.ts';
import type { KubeletEvent } from '../../../lab/control-plane/kubelet.ts';
import { readMemberLog } from '../../../lab/control-plane/member-log.ts';
import { absences, watchRules } from '../../../lab/control-plane/rule-watch.ts';
import { findViolations } from '../../../lab/control-plane/rules.ts';
import type { Span, WatchedMember } from '../../../lab/control-plane/watched-run.ts';
import { trackAttempts } from '../../../lab/execution/local-attempts.ts';
import { recoverPlane } from '../../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
const START = Date.parse('2026-03-01T02:00:00.000Z');
const QUOTA = 1000;

/** A line of etcd 3.5's log, so many seconds after the run began. */
function line(seconds: number, msg: string, fields: Readonly<Record<string, unknown>> = {}, level = 'info'): string {
  const ts = new Date(START + seconds * 1000).toISOString().replace('Z', '000Z');
  return JSON.stringify({ level, ts, caller: 'x', msg, ...fields });
}

const compacted = (seconds: number, revision = 100) => [
  line(seconds, 'compact tree index', { revision }),
  line(seconds + 0.5, 'finished scheduled compaction', { 'compact-revision': revision, took: '500ms' }),
];
const defragmented = (seconds: number, { before = 950, after = 100, tookSeconds = 1 } = {}) => [
  line(seconds, 'starting defragment'),
  line(seconds, 'defragmenting', { 'current-db-size-bytes': before }),
  line(seconds + tookSeconds, 'finished defragmenting directory', { 'current-db-size-bytes': after, took: '1s' }),
  line(seconds + tookSeconds, 'finished defragment'),
];
const leader = (seconds: number, term: number) => [line(seconds, `8e9e05c52164694d became leader at term ${term}`)];
const handsOver = (seconds: number) => [line(seconds, 'leadership transfer starting')];
const alarm = (seconds: number, what: 'raised' | 'disarmed', type = 'NOSPACE') => [
  line(seconds, `alarm ${what}`, { alarm: type, from: '8e9e05c52164694d' }, 'warn'),
];

interface Story {
  readonly log: readonly (readonly string[])[];
  readonly absences?: readonly Span[];
  readonly kubeletRestarts?: readonly number[];
  readonly dbSize?: number;
}

/** As a good run goes: a is defragmented at 10 s, b at 12 s, c, which led, at 15 s; the alarm goes at 20 s. */
const good = {
  a: { log: [compacted(2), defragmented(10), leader(14, 3), alarm(20, 'disarmed')] },
  b: { log: [compacted(3), defragmented(12), alarm(20.01, 'disarmed')] },
  c: { log: [leader(-60, 2), compacted(2), handsOver(13.9), defragmented(15), alarm(20.02, 'disarmed')] },
} satisfies Record<string, Story>;

/** The leader is defragmented as it leads, as maintenance may where the others took a second at most. */
const leadsOn = {
  a: { log: [compacted(2), defragmented(10)] },
  b: { log: [compacted(3), defragmented(12)] },
  c: { log: [leader(-60, 2), compacted(2), defragmented(15)] },
} satisfies Record<string, Story>;

function violationsOf(
  stories: Readonly<Record<string, Story>>,
  leaderStallMs = 0,
  copies?: readonly number[],
): readonly string[] {
  const members = Object.entries(stories).map(
    ([name, { log, absences = [], kubeletRestarts = [], dbSize = 100 }]): WatchedMember => ({
      name,
      quotaBytes: QUOTA,
      log: readMemberLog(log.flat().join('\n')),
      absences,
      kubeletRestarts,
      dbSize,
    }),
  );
  return findViolations({ from: START, leaderStallMs, copies, members });
}

const at = (seconds: number) => START + seconds * 1000;
const away = (from: number, until = Number.POSITIVE_INFINITY): readonly Span[] => [
  { from: at(from), until: until === Number.POSITIVE_INFINITY ? until : at(until) },
];

describe('the rules on logs', () => {
  it.each([
    { why: 'before all', copies: [at(1)], wrong: [] },
    { why: 'behind the first', copies: [at(11.5)], wrong: [] },
    { why: 'behind the second', copies: [at(13.5)], wrong: ['R13: b was defragmented before there was a snapshot'] },
    {
      why: 'only of an earlier run',
      copies: [at(-5)],
      wrong: [
        'R13: b was defragmented before there was a snapshot',
        'R13: c was defragmented before there was a snapshot',
        'R13: NOSPACE was disarmed before there was a snapshot',
      ],
    },
  ])('judge a snapshot that was taken $why', ({ copies, wrong }) => {
    const violations = violationsOf(good, 0, copies);

    expect(violations).toEqual(wrong);
  });

  it('want the snapshot before all else where there is one member', () => {
    const alone = { a: { log: [leader(-60, 2), compacted(2), defragmented(10)] } };

    const violations = violationsOf(alone, 0, [at(11.5)]);

    expect(violations).toEqual(['R13: a was defragmented before there was a snapshot']);
  });

  it.each([
    { why: 'a good run', stories: good },
    {
      why: 'a member that went away just as another was being defragmented',
      stories: { ...good, c: { ...good.c, absences: away(9.5, 11) } },
    },
    {
      why: 'a defragmentation done again after one that the process did not survive',
      stories: {
        ...good,
        a: {
          log: [
            compacted(2),
            [line(5, 'starting defragment'), line(7, 'starting an etcd server')],
            defragmented(10),
            leader(14, 3),
          ],
        },
      },
    },
    {
      why: 'what happened before the run',
      stories: { ...good, a: { log: [compacted(-20), defragmented(-10), alarm(-9, 'disarmed'), ...good.a.log] } },
    },
    { why: 'a single member, which leads', stories: { a: { log: [leader(-60, 2), compacted(2), defragmented(10)] } } },
    {
      why: 'kubelets restarted together without a quorum',
      stories: {
        a: { ...good.a, absences: away(-60, 5), kubeletRestarts: [at(1)] },
        b: { ...good.b, absences: away(-60, 5), kubeletRestarts: [at(1.5)] },
        c: good.c,
      },
    },
    {
      why: 'the kubelet of the one that was away, with a quorum',
      stories: { ...good, a: { ...good.a, absences: away(-60, 5), kubeletRestarts: [at(1)] } },
    },
  ])('find nothing wrong with $why', ({ stories }) => {
    const violations = violationsOf(stories);

    expect(violations).toEqual([]);
  });

  it.each([
    { why: 'a leader that leads on where the others took no longer than it may', stories: leadsOn, wrong: [] },
    {
      why: 'one that leads on though another took longer',
      stories: { ...leadsOn, a: { log: [compacted(2), defragmented(10, { tookSeconds: 1.1 })] } },
      wrong: ['R3: c was defragmented while it was the leader'],
    },
    {
      why: 'one that leads on before another, and so never is the last',
      stories: { ...leadsOn, b: { log: [compacted(3), defragmented(17)] } },
      wrong: ['R3: c, the leader, was defragmented before b'],
    },
    {
      why: 'one alone that took longer itself',
      stories: {
        a: { log: [compacted(2)] },
        b: { log: [compacted(2)] },
        c: { log: [leader(-60, 2), compacted(2), defragmented(15, { tookSeconds: 2 })] },
      },
      wrong: ['R3: c was defragmented while it was the leader'],
    },
  ])('R3: judge $why', ({ stories, wrong }) => {
    const violations = violationsOf(stories, 1000);

    expect(violations).toEqual(wrong);
  });

  it.each([
    {
      rule: 'R1: a was defragmented while CORRUPT was raised',
      stories: { a: { log: [...good.a.log, alarm(1, 'raised', 'CORRUPT')] }, b: good.b, c: good.c },
    },
    {
      rule: 'R1: the keyspace was compacted while CORRUPT was raised',
      stories: { ...good, a: { log: [alarm(-9, 'raised', 'CORRUPT'), ...good.a.log] } },
    },
    {
      rule: 'R1: CORRUPT was disarmed',
      stories: { ...good, a: { log: [...good.a.log, alarm(25, 'disarmed', 'CORRUPT')] } },
    },
    {
      rule: 'R2: b was defragmented while a still was',
      stories: { ...good, a: { log: [compacted(2), defragmented(10, { tookSeconds: 2.5 }), leader(14, 3)] } },
    },
    {
      rule: 'R2: b was defragmented while a still was',
      stories: { ...good, a: { log: [compacted(2), [line(10, 'starting defragment')], leader(14, 3)] } },
    },
    { rule: 'R2: a was defragmented while c was away', stories: { ...good, c: { ...good.c, absences: away(8, 11) } } },
    {
      rule: 'R3: c was defragmented while it was the leader',
      stories: { ...good, a: { log: [compacted(2), defragmented(10)] } },
    },
    {
      rule: 'R3: c, the leader, was defragmented before b',
      stories: { ...good, b: { log: [compacted(3), defragmented(17)] } },
    },
    {
      rule: 'R4: a was defragmented without a compaction before it',
      stories: { a: { log: [defragmented(10)] }, b: { log: [] }, c: { log: [] } },
    },
    {
      rule: 'R4: a was defragmented before b had finished the compaction to 100',
      stories: { ...good, b: { log: [[line(3, 'compact tree index', { revision: 100 })], defragmented(12)] } },
    },
    {
      rule: 'R4: a was defragmented before b had finished the compaction to 100',
      stories: { ...good, b: { log: [compacted(-500, 90), compacted(11), defragmented(12)] } },
    },
    {
      rule: 'R5: a was asked to defragment again while it still did',
      stories: {
        ...good,
        a: { log: [compacted(2), [line(9, 'starting defragment')], defragmented(10), leader(14, 3)] },
      },
    },
    {
      rule: 'R10: a was defragmented twice',
      stories: { ...good, a: { log: [compacted(2), defragmented(8), defragmented(10), leader(14, 3)] } },
    },
    {
      rule: 'R6: b ran out of disk: ',
      stories: {
        ...good,
        b: { log: [...good.b.log, [line(30, 'failed', { error: 'write db.tmp: no space left on device' }, 'warn')]] },
      },
    },
    {
      rule: 'b panicked: panic: ',
      stories: { ...good, b: { log: [...good.b.log, ['panic: runtime error: index out of range']] } },
    },
    {
      rule: 'R7: NOSPACE was disarmed while b had 900 of 1000 bytes',
      stories: { ...good, b: { log: [compacted(3), defragmented(12, { after: 900 })] } },
    },
    {
      rule: 'R7: NOSPACE was disarmed while b had 950 of 1000 bytes',
      stories: { ...good, b: { log: [compacted(3), defragmented(22)] } },
    },
    {
      rule: 'R7: NOSPACE was disarmed while b had 960 of 1000 bytes',
      stories: { ...good, b: { log: [compacted(3)], dbSize: 960 } },
    },
    {
      rule: 'R7: NOSPACE was disarmed 2 times',
      stories: { ...good, a: { log: [...good.a.log, alarm(22, 'raised'), alarm(25, 'disarmed')] } },
    },
    {
      rule: 'R11: the kubelet of a was restarted while its etcd answered',
      stories: { ...good, a: { ...good.a, kubeletRestarts: [at(1)] } },
    },
    {
      rule: 'R11: the kubelet of b was restarted before a was back, though there was a quorum',
      stories: {
        ...good,
        a: { ...good.a, absences: away(-60, 5), kubeletRestarts: [at(1)] },
        b: { ...good.b, absences: away(3, 8), kubeletRestarts: [at(4)] },
        d: { log: good.c.log.slice(1, 2) },
        e: { log: good.c.log.slice(1, 2) },
      },
    },
    {
      rule: 'R11: the kubelets of a and b were not restarted together, though there was no quorum',
      stories: {
        a: { ...good.a, absences: away(-60, 2), kubeletRestarts: [at(1)] },
        b: { ...good.b, absences: away(-60, 40), kubeletRestarts: [at(30)] },
        c: good.c,
      },
    },
  ])('find $rule', ({ rule, stories }) => {
    const violations = violationsOf(stories);

    expect(violations).toContainEqual(expect.stringContaining(rule));
  });
});

it('counts a member as away from its end until it serves again, and while it is stopped', () => {
  const event = (seconds: number, name: KubeletEvent['event'], detail = ''): KubeletEvent => ({
    at: at(seconds),
    event: name,
    detail,
  });
  const events = [
    event(0, 'Started'),
    event(10, 'Signalled', 'SIGSTOP'),
    event(13, 'Signalled', 'SIGCONT'),
    event(20, 'Signalled', 'SIGKILL'),
    event(20.1, 'Exited', 'SIGKILL'),
    event(20.2, 'Started'),
    event(30, 'Exited', 'code 2'),
  ];

  const spans = absences(events, [at(0.5), at(21)]);

  expect(spans).toEqual([...away(10, 13), ...away(20.1, 21), ...away(30)]);
});

describe.each(['3.4.23', '3.5.30'])('a recovery of etcd %s', (version) => {
  let aws: AwsStandIn;

  beforeAll(async () => {
    trackAttempts();
    aws = await startAws();
    aws.enter();
  });

  afterAll(async () => {
    await aws?.stop();
  });

  it("breaks no rule by the members' own logs, which would show it if it had", async () => {
    await using plane = await startControlPlane({ version, quotaBytes: 8 * MiB });
    await fillWithReports(plane, { reportBytes: 30_000 });

    const watch = watchRules(plane);
    const { outcome } = await recoverPlane(plane);
    const violations = await watch.violations();
    // By hand, as a rule says that it must not be.
    await plane.etcdctl([`--endpoints=${plane.endpoints[1]}`, 'defrag']);
    const afterwards = await watch.violations();

    expect([outcome, violations]).toEqual(['recovered', []]);
    expect(afterwards).toContain('R10: cp-2 was defragmented twice');
  });
});
