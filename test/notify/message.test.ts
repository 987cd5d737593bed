// The message as a person gets it, word for word.
import { describe, expect, it } from 'vitest';
import { adviceOn, NOT_SERVED, type Outcome, parseReport, type RunReport } from '../../functions/contract/report.ts';
import { composeMessage, duration } from '../../functions/notify/message.ts';
import { sampleReport, step } from '../contract/sample-report.ts';
import { sampleEvent } from './setting.ts';

const place = {
  switchParameter: '/etcd-medic/demo/mode',
  execution:
    'arn:aws:lambda:eu-central-1:111122223333:function:etcd-medic-demo-recover:7/durable-execution/recover-demo-3f1c0a9b5d7e2468/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9',
  topicArn: 'arn:aws:sns:eu-central-1:111122223333:etcd-medic-demo',
};
const report = (name: string, changes: Partial<RunReport> = {}) => ({
  ...parseReport(sampleEvent(name).detail, name),
  ...changes,
});

describe('a message', () => {
  it('of a recovery says what it was, and each member before and after', () => {
    const message = composeMessage(report('run-finished'), place);

    expect(message.subject).toBe('Recovered: demo, recovery from NOSPACE');
    expect(message.body).toMatchInlineSnapshot(`
      "The cluster takes writes again: NOSPACE is disarmed and stayed away, the largest voter's file went from 2.00 GiB to 41.0 MiB.

      Cluster: demo
      What: recovery from NOSPACE
      Result: recovered
      Started by: alarm etcd-medic-demo-nospace
      When: 2026-11-20 02:13 UTC, took 2 min 51 s

      Database files, before -> after:
      cp-1 (leader): 2.00 GiB -> 41.0 MiB, 2 % of its quota
      cp-2: 2.00 GiB -> 41.0 MiB, 2 % of its quota
      cp-3: 2.00 GiB -> 41.0 MiB, 2 % of its quota

      Step by step: Lambda, etcd-medic-demo-recover, Durable executions, recover-demo-3f1c0a9b5d7e2468
      https://console.aws.amazon.com/lambda/home?region=eu-central-1#/functions/etcd-medic-demo-recover
      "
    `);
  });

  describe('about what fills the database', () => {
    const kind = { keys: 4_000, revisions: 90_000, namespaces: 41, largest: [] };
    const GiB = 2 ** 30;
    const reports = {
      ...kind,
      resource: 'vulnerabilityreports.aquasecurity.github.io',
      ...{ liveBytes: 50 * 2 ** 20, historyBytes: 1.2 * GiB },
      growth: { keysPerDay: 1, liveBytesPerDay: 1, writesPerMinute: 310.4, since: '2026-11-17T02:30:00.000Z' },
      writers: { writes: 16, encrypted: 0, managers: [{ manager: 'trivy-operator', writes: 16 }] },
    };
    const contents = {
      ...{
        bytes: 2 * GiB,
        at: '2026-11-20T02:30:00.000Z',
        revision: '9',
        keys: 9_000,
        revisions: 1,
        freeBytes: 2 ** 20,
      },
      ...{ liveBytes: 0.1 * GiB, historyBytes: 1.4 * GiB, otherKinds: 40 },
      kinds: [
        reports,
        { ...kind, resource: 'secrets', liveBytes: 0, historyBytes: 0.1 * GiB, namespaces: 1, ...encrypted() },
        { ...kind, resource: 'events', liveBytes: 90, historyBytes: 10, namespaces: 0 },
      ],
    };

    function encrypted() {
      return { writers: { writes: 16, encrypted: 16, managers: [] } };
    }

    const bodyOf = (changes: Partial<RunReport>) => composeMessage(report('run-finished', changes), place).body;

    it('says of the largest kinds how much there is, how much of that is history, and who writes it how often', () => {
      expect(bodyOf({ contents })).toContain(
        `

What fills it:
vulnerabilityreports.aquasecurity.github.io in 41 namespaces: 1.25 GiB of 2.00 GiB, 96 % of it history, written by trivy-operator, 310 a minute or more since Tuesday, 2026-11-17
secrets: 102 MiB of 2.00 GiB, 100 % of it history, encrypted, so that nobody knows who writes it
41 other kinds: 155 MiB

`,
      );
    });

    it('says what is given back by a defragmentation, where that is most', () => {
      const kinds = [{ ...kind, resource: 'events', liveBytes: 90, historyBytes: 10, namespaces: 0 }];
      const few = { ...contents, liveBytes: 90, historyBytes: 10, freeBytes: 1.5 * GiB, kinds, otherKinds: 0 };

      expect(bodyOf({ contents: few })).toContain(
        `

What fills it:
events: 100 B of 2.00 GiB, 10 % of it history
free pages, which a defragmentation gives back: 1.50 GiB

`,
      );
      expect(bodyOf({ contents: { ...few, kinds: [] } })).not.toContain('What fills it');
      expect(bodyOf({})).not.toContain('What fills it');
    });

    it('of a recovery tells live data by the copy, history as a total, and by kind as of the last night', () => {
      const [member] = sampleReport().members;
      if (member === undefined) throw new Error('the sample report has no member');
      const before = { dbSize: 2 * GiB, dbSizeInUse: 1.9 * GiB, alarms: ['NOSPACE'] };
      const live = { ...reports, liveBytes: 0.09 * GiB, historyBytes: 0, growth: undefined };
      const copy = {
        ...contents,
        bytes: 0.1 * GiB,
        liveBytes: 0.1 * GiB,
        historyBytes: 0,
        kinds: [live],
        otherKinds: 0,
      };

      const body = bodyOf({
        startedAt: '2026-11-21T01:45:00.000Z',
        members: [{ ...member, before }],
        contents: { ...copy, isCompacted: true },
        lastNight: contents,
      });

      expect(body).toContain(
        `

What is live (102 MiB in all, besides 1.80 GiB of history before):
vulnerabilityreports.aquasecurity.github.io in 41 namespaces: 92.2 MiB of 102 MiB, written by trivy-operator

What filled it last night, with its history (copy of 2026-11-20 02:30 UTC, 23 h before):
vulnerabilityreports.aquasecurity.github.io in 41 namespaces: 1.25 GiB of 2.00 GiB`,
      );
    });

    it('stays short, whatever the names are', () => {
      const long = { ...reports, resource: 'r'.repeat(5_000) };
      const many = { writers: { writes: 9, encrypted: 0, managers: [{ manager: 'm'.repeat(5_000), writes: 9 }] } };

      const body = bodyOf({
        contents: { ...contents, kinds: Array.from({ length: 10 }, () => ({ ...long, ...many })) },
      });

      expect(body.length).toBeLessThan(bodyOf({}).length + 1_000);
    });
  });

  it('of a rehearsal that failed says that nothing was changed, what a real run would have met with, and how to rehearse again', () => {
    const failed = {
      ...step('switch', 'parameter /etcd-medic/demo/mode could not be read'),
      outcome: 'failed',
    } as const;
    const message = composeMessage(
      report('run-finished', {
        outcome: 'nothing-to-do',
        reason: 'No alarm is raised.',
        dryRun: true,
        trigger: {
          kind: 'schedule',
          source: 'arn:aws:scheduler:eu-central-1:111122223333:schedule/default/etcd-medic-demo-dry-recover',
          rehearsal: true,
        },
        members: [],
        steps: [failed, step('observe', '3 members')],
      }),
      place,
    );

    expect(message.subject).toBe('ACT NOW - Rehearsal failed: demo, recovery from NOSPACE');
    expect(message.body).toMatchInlineSnapshot(`
      "This was a rehearsal: nothing was changed, and nothing had to be. A real run would have met with the same. Mend it today, and no night needs you for it.

      No alarm is raised.

      What failed on the way:
      switch: parameter /etcd-medic/demo/mode could not be read

      Cluster: demo
      What: rehearsal, recovery from NOSPACE
      Result: nothing to do
      Started by: schedule etcd-medic-demo-dry-recover
      When: 2026-11-20 02:13 UTC, took 2 min 51 s

      To rehearse once more when it is mended, changing nothing:
      press Test on etcd-medic-demo-dispatch (Lambda console) with {"workflow":"recover","dryRun":true}

      Step by step: Lambda, etcd-medic-demo-recover, Durable executions, recover-demo-3f1c0a9b5d7e2468
      https://console.aws.amazon.com/lambda/home?region=eu-central-1#/functions/etcd-medic-demo-recover
      "
    `);
  });

  it('of an escalation says first what to do', () => {
    const message = composeMessage(report('escalation'), place);

    expect(message.subject).toBe('ACT NOW - Escalated: demo, recovery from NOSPACE');
    expect(message.body).toMatchInlineSnapshot(`
      "R2: cp-3 does not answer: no answer within 5 s. While a voter is away no other may be defragmented (R2), and its file cannot be seen to be below its quota, so the alarm stays armed (R7). Nothing in etcd was changed: bring it back or remove it from the cluster, then run again.

      Cluster: demo
      What: recovery from NOSPACE
      Result: escalated
      Started by: alarm etcd-medic-demo-nospace
      When: 2026-11-20 02:13 UTC, took 26 s

      Database files:
      cp-1 (leader): 2.00 GiB, 100 % of its quota, NOSPACE
      cp-2: 2.00 GiB, 100 % of its quota, NOSPACE
      cp-3: no answer within 5 s

      To see what is left to do, changing nothing:
      press Test on etcd-medic-demo-dispatch (Lambda console) with {"workflow":"recover","dryRun":true}

      To keep etcd-medic from acting while you work:
      aws ssm put-parameter --overwrite --name /etcd-medic/demo/mode --value observe

      Step by step: Lambda, etcd-medic-demo-recover, Durable executions, recover-demo-3f1c0a9b5d7e2468
      https://console.aws.amazon.com/lambda/home?region=eu-central-1#/functions/etcd-medic-demo-recover
      "
    `);
  });

  it('R12: of what a guard has held back begins with the one thing to do, and names only kinds with something to say', () => {
    const raise = { 'vulnerabilityreports.aquasecurity.github.io': { maxStaleShare: 0.84, maxDeletes: 2_520 } };
    const kind = { listed: 0, stale: 0, deleted: 0, skipped: 0, reasons: {} };
    const pruned = [
      { ...kind, resource: 'reports.openreports.io', note: NOT_SERVED },
      { ...kind, resource: 'policyreports.wgpolicyk8s.io', listed: 40 },
      {
        ...kind,
        resource: 'ephemeralreports.reports.kyverno.io',
        listed: 20,
        stale: 14,
        deleted: 14,
        directly: true as const,
      },
      {
        ...kind,
        resource: 'vulnerabilityreports.aquasecurity.github.io',
        listed: 3_000,
        stale: 2_520,
        staleBytes: 31_457_280,
      },
    ];
    const reason = `Deleted 14 stale reports of 1 kind. ${adviceOn(raise)}. R12: 2,520 of 3,000 seem stale.`;

    const message = composeMessage(
      report('run-finished', {
        workflow: 'prune',
        outcome: 'escalated',
        canWait: true,
        raise,
        reason,
        pruned,
        members: [],
      }),
      place,
    );

    expect(message.subject).toBe('Held back, can wait for the day: demo, pruning of reports');
    expect(message.body).toMatchInlineSnapshot(`
      "Some stale reports were not deleted unasked. Look at a few of them; if they may go, allow it for one run:
      press Test on etcd-medic-demo-dispatch (Lambda console) with
      {"workflow":"prune","limits":{"vulnerabilityreports.aquasecurity.github.io":{"maxStaleShare":0.84,"maxDeletes":2520}}}

      Deleted 14 stale reports of 1 kind. R12: 2,520 of 3,000 seem stale.

      Cluster: demo
      What: pruning of reports
      Result: held back by a guard, the rest is done
      Started by: alarm etcd-medic-demo-nospace
      When: 2026-11-20 02:13 UTC, took 2 min 51 s

      Reports:
      vulnerabilityreports.aquasecurity.github.io: 0 of 2,520 stale deleted (about 30.0 MiB), 3,000 in all
      ephemeralreports.reports.kyverno.io: 14 of 14 stale deleted directly in etcd, 20 in all

      Step by step: Lambda, etcd-medic-demo-prune, Durable executions, recover-demo-3f1c0a9b5d7e2468
      https://console.aws.amazon.com/lambda/home?region=eu-central-1#/functions/etcd-medic-demo-prune
      "
    `);
  });

  it('R16: of a run that the switch kept from acting says how to let it', () => {
    const reason = 'R16: the switch says observe: nothing was changed. 2 steps are planned.';
    const plan = [step('compact cp-1', ''), step('defragment cp-2', '')];

    const message = composeMessage(report('escalation', { outcome: 'planned', reason, plan, members: [] }), place);

    expect(message.subject).toBe('Only planned: demo, recovery from NOSPACE');
    expect(message.body).toMatchInlineSnapshot(`
      "R16: the switch says observe: nothing was changed. 2 steps are planned.

      Cluster: demo
      What: recovery from NOSPACE
      Result: only planned
      Started by: alarm etcd-medic-demo-nospace
      When: 2026-11-20 02:13 UTC, took 26 s

      Planned, not done:
      compact cp-1
      defragment cp-2

      To have it done, turn the switch:
      aws ssm put-parameter --overwrite --name /etcd-medic/demo/mode --value auto
      then press Test on etcd-medic-demo-dispatch (Lambda console) with {"workflow":"recover"}

      Step by step: Lambda, etcd-medic-demo-recover, Durable executions, recover-demo-3f1c0a9b5d7e2468
      https://console.aws.amazon.com/lambda/home?region=eu-central-1#/functions/etcd-medic-demo-recover
      "
    `);
  });

  it('of a night says which members were left alone, and why', () => {
    const { members } = report('run-finished');
    const [first, second, third] = members.map(({ after, ...member }) => ({ ...member, before: after, after }));
    if (!first || !second || !third) throw new Error('the sample has three members');
    const message = composeMessage(
      report('run-finished', {
        workflow: 'maintain',
        outcome: 'maintained',
        trigger: {
          kind: 'schedule',
          source: 'arn:aws:scheduler:eu-central-1:111122223333:schedule/default/etcd-medic-demo-maintain',
        },
        reason: '1 of 3 members was defragmented.',
        members: [
          { ...first, defragmented: false, note: 'nothing to gain' },
          { ...second, before: { dbSize: 300 * 1024 ** 2, dbSizeInUse: 1, alarms: [] } },
          { ...third, isLearner: true, quotaBytes: 'none' },
        ],
      }),
      { ...place, execution: undefined },
    );

    expect(message.subject).toBe('Done: demo, maintenance');
    expect(message.body).toMatchInlineSnapshot(`
      "1 of 3 members was defragmented.

      Cluster: demo
      What: maintenance
      Result: done
      Started by: schedule etcd-medic-demo-maintain
      When: 2026-11-20 02:13 UTC, took 2 min 51 s

      Database files, before -> after:
      cp-1 (leader): 41.0 MiB, 2 % of its quota; nothing to gain
      cp-2: 300 MiB -> 41.0 MiB, 2 % of its quota
      cp-3 (learner): 41.0 MiB

      Step by step: Lambda, etcd-medic-demo-maintain, Durable executions
      https://console.aws.amazon.com/lambda/home?region=eu-central-1#/functions/etcd-medic-demo-maintain
      "
    `);
  });

  it('of a pruning says how many of which reports', () => {
    const kind = { listed: 20_000, stale: 6_000, deleted: 5_998, skipped: 2, reasons: { 'owner gone': 6_000 } };
    const pruned = [
      { ...kind, resource: 'policyreports.wgpolicyk8s.io', deleted: 0, note: 'more than half seems stale' },
      { ...kind, resource: 'sbomreports.aquasecurity.github.io', stale: 0, deleted: 0 },
      { ...kind, resource: 'vulnerabilityreports.aquasecurity.github.io', staleBytes: 72_000_000 },
    ];
    const reason = '5,998 stale reports were deleted.';

    const { body } = composeMessage(
      sampleReport({ workflow: 'prune', outcome: 'pruned', reason, members: [], pruned }),
      place,
    );

    // The largest first, and nothing of those of which nothing is to be said.
    expect(body).not.toContain('sbomreports');
    expect(body).toContain(
      'Reports:\n' +
        'vulnerabilityreports.aquasecurity.github.io: 5,998 of 6,000 stale deleted (about 68.7 MiB), 20,000 in all\n' +
        'policyreports.wgpolicyk8s.io: 0 of 6,000 stale deleted, 20,000 in all; more than half seems stale\n',
    );
  });

  it.each<[Outcome, string]>([
    ['recovered', 'Recovered'],
    ['maintained', 'Done'],
    ['pruned', 'Done'],
    ['nothing-to-do', 'Nothing to do'],
    ['planned', 'Only planned'],
    ['healthy', 'Healthy'],
    ['refused', 'ACT NOW - Refused'],
    ['escalated', 'ACT NOW - Escalated'],
    ['skipped', 'Skipped'],
    ['failed', 'ACT NOW - Failed'],
  ])('of a run that is %s begins with "%s"', (outcome, words) => {
    const { subject, body } = composeMessage(sampleReport({ outcome }), place);

    expect(subject).toBe(`${words}: demo, recovery from NOSPACE`);
    // What to do stands with what must be done, and nowhere else.
    expect(body.includes('"dryRun":true')).toBe(words.startsWith('ACT NOW'));
    expect(body.includes('--value observe')).toBe(words.startsWith('ACT NOW'));
  });

  it('says that a member went away, and which alarm is still armed', () => {
    const [member] = sampleReport().members;
    if (!member) throw new Error('the sample has a member');
    const armed = { dbSize: 2_100_000_000, dbSizeInUse: 40_000_000, alarms: ['NOSPACE', 'CORRUPT'] };
    const members = [
      { ...member, name: 'cp-1', after: armed },
      { ...member, name: 'cp-2', isLeader: false, after: undefined, note: 'connection refused' },
      { ...member, name: '', isLeader: false, before: undefined, after: undefined },
    ];

    const { body } = composeMessage(sampleReport({ outcome: 'escalated', members }), place);

    expect(body).toContain(
      'cp-1 (leader): 1.96 GiB, 98 % of its quota, NOSPACE and CORRUPT\n' +
        'cp-2: 1.96 GiB -> no answer; connection refused\n' +
        '8e9e05c52164694d: no answer\n',
    );
  });

  it('has a subject that SNS takes, for the longest name', () => {
    const { subject } = composeMessage(sampleReport({ outcome: 'escalated', cluster: 'ä'.repeat(200) }), place);

    expect(subject).toMatch(/^[ -~]{1,99}$/);
  });

  it('stays short, however much there is to tell', () => {
    const [member] = sampleReport().members;
    if (!member) throw new Error('the sample has a member');
    const many = Array.from({ length: 40 }, (_, i) => ({ ...member, name: `cp-${i}`, note: 'x'.repeat(500) }));

    const { body } = composeMessage(sampleReport({ reason: 'y'.repeat(5_000), members: many }), place);

    expect(body.length).toBeLessThan(4_500);
    expect(body).toContain('and 31 more');
  });

  it('R15: has no key in it, and nothing that a terminal acts on', () => {
    const key = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----';

    const { body } = composeMessage(sampleReport({ reason: `${key} refused \u001b[31mred` }), place);

    expect(body).not.toContain('MHcCAQEE');
    expect(body).not.toContain('\u001b');
    expect(body).toContain('refused');
  });

  it.each([
    ['arn:aws:sns:eu-west-1:1:t', 'https://console.aws.amazon.com/lambda/home?region=eu-west-1#'],
    ['arn:aws-cn:sns:cn-north-1:1:t', 'https://console.amazonaws.cn/lambda/home?region=cn-north-1#'],
    ['arn:aws-us-gov:sns:us-gov-west-1:1:t', 'https://console.amazonaws-us-gov.com/lambda/home?region=us-gov-west-1#'],
    ['arn:aws-iso:sns:us-iso-east-1:1:t', undefined],
  ])('from %s links to the console of that partition', (topicArn, link) => {
    const { body } = composeMessage(sampleReport(), { ...place, topicArn });

    if (link === undefined) expect(body).not.toContain('https:');
    else expect(body).toContain(`${link}/functions/etcd-medic-demo-recover`);
  });
});

describe('a duration', () => {
  it.each([
    [0, '0 s'],
    [59_499, '59 s'],
    [59_500, '1 min 0 s'],
    [90_000, '1 min 30 s'],
    [14_400_000, '4 h 0 min'],
    [-5, '0 s'],
  ])('of %d ms is "%s"', (ms, words) => {
    expect(duration(ms)).toBe(words);
  });
});
