// The notify function on reports: who hears of what, how often, and what becomes of a topic that refuses.
import { afterEach, describe, expect, it } from 'vitest';
import { publishReport } from '../../functions/aws/events.ts';
import { InvalidInputError, SetupError } from '../../functions/contract/errors.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { sampleReport } from '../contract/sample-report.ts';
import { finished, type Setting, sampleEvent, startSetting } from './setting.ts';

const OTHER_TOPIC = 'arn:aws:sns:us-east-1:111122223333:on-call';
const byHand = { kind: 'manual', source: 'manual' } as const;
const bySchedule = { kind: 'schedule', source: 'etcd-medic-demo-maintain' } as const;
const rehearsed = { kind: 'schedule', source: 'etcd-medic-demo-dry-recover', rehearsal: true } as const;
const byAlarm = { kind: 'alarm', source: 'etcd-medic-demo-nospace' } as const;

const unreadSwitch: RunReport['steps'][number] = {
  name: 'switch',
  startedAt: '2026-03-01T02:00:00.000Z',
  durationMs: 12,
  outcome: 'failed',
  detail: 'parameter /etcd-medic/demo/mode could not be read, so nothing is changed: AccessDeniedException',
};

let setting: Setting | undefined;
const start = async (configuration?: object) => {
  setting = await startSetting(configuration);
  return setting;
};
afterEach(() => setting?.[Symbol.asyncDispose]());

const EXECUTION =
  'arn:aws:lambda:eu-central-1:111122223333:function:etcd-medic-demo-recover:7/durable-execution/night/1';

describe('a run that ended with a report', () => {
  it('is told to the topic of the stack, in words', async () => {
    const { aws, notify } = await start();

    const result = await notify(finished());

    expect(result).toEqual({ told: [aws.sns.topic], ignored: null });
    expect(aws.sns.messages).toMatchObject([
      {
        topicArn: aws.sns.topic,
        subject: 'Recovered: demo, recovery from NOSPACE',
        message: expect.stringMatching(/^The cluster takes writes again/),
      },
    ]);
  });

  it('R12: that a guard alone has held back is told once a week as long as it is the same, and needs nobody at once', async () => {
    const { aws, notify } = await start();
    const kind = {
      resource: 'vulnerabilityreports.aquasecurity.github.io',
      listed: 9,
      stale: 9,
      deleted: 0,
      skipped: 0,
    };
    const night = (day: string, reasons: Readonly<Record<string, number>>) =>
      finished({
        workflow: 'prune',
        outcome: 'escalated',
        reason: 'R12: 9 of 9 seem stale.',
        canWait: true,
        trigger: bySchedule,
        pruned: [{ ...kind, reasons, held: reasons }],
        finishedAt: `2026-03-${day}T02:00:00Z`,
      });

    await notify(night('05', { 'owner-gone': 9 }));
    await notify(night('06', { 'owner-gone': 11 }));
    await notify(night('07', { 'owner-gone': 11, 'owner-superseded': 1 }));
    await notify(night('15', { 'owner-gone': 11 }));

    expect(aws.sns.messages.map(({ subject }) => subject)).toEqual(
      Array.from({ length: 3 }, () => 'Held back, can wait for the day: demo, pruning of reports'),
    );
  });

  it('is told to every topic of the configuration, each in its own region', async () => {
    const { aws, notify } = await start({ topicArns: [OTHER_TOPIC] });
    aws.sns.topics.add(OTHER_TOPIC);

    await notify(finished());

    expect(aws.sns.messages.map(({ topicArn, region }) => [topicArn, region])).toEqual([
      [aws.sns.topic, 'eu-west-1'],
      [OTHER_TOPIC, 'us-east-1'],
    ]);
  });

  it.each<[string, boolean, Partial<RunReport>]>([
    ['recovered', true, { outcome: 'recovered', trigger: byAlarm }],
    ['escalated', true, { outcome: 'escalated', trigger: byAlarm }],
    ['failed', true, { outcome: 'failed', trigger: bySchedule }],
    ['refused, whoever asked', true, { outcome: 'refused', trigger: byHand }],
    ['skipped, after an alarm', true, { outcome: 'skipped', trigger: byAlarm }],
    ['planned, after an alarm: R16, the switch says observe', true, { outcome: 'planned', trigger: byAlarm }],
    ['planned, on a schedule', false, { outcome: 'planned', trigger: bySchedule }],
    [
      'planned, on a schedule, because nobody can tell what the switch says',
      true,
      { outcome: 'planned', trigger: bySchedule, steps: [unreadSwitch] },
    ],
    [
      'planned, in a dry run, whatever the switch says',
      false,
      { outcome: 'planned', trigger: bySchedule, dryRun: true, steps: [unreadSwitch] },
    ],
    ['planned, in a dry run', false, { outcome: 'planned', trigger: byAlarm, dryRun: true }],
    ['skipped, on a schedule', false, { outcome: 'skipped', trigger: bySchedule }],
    ['refused, in a dry run that a person asked for', false, { outcome: 'refused', trigger: byHand, dryRun: true }],
    ['failed, in a dry run that a person asked for', false, { outcome: 'failed', trigger: byHand, dryRun: true }],
    ['planned, in a rehearsal', false, { outcome: 'planned', trigger: rehearsed, dryRun: true }],
    ['nothing to do, in a rehearsal', false, { outcome: 'nothing-to-do', trigger: rehearsed, dryRun: true }],
    ['refused, in a rehearsal', true, { outcome: 'refused', trigger: rehearsed, dryRun: true }],
    ['skipped, in a rehearsal', true, { outcome: 'skipped', trigger: rehearsed, dryRun: true }],
    ['escalated, in a rehearsal', true, { outcome: 'escalated', trigger: rehearsed, dryRun: true }],
    ['failed, in a rehearsal', true, { outcome: 'failed', trigger: rehearsed, dryRun: true }],
    [
      'nothing to do, in a rehearsal that could not read the switch',
      true,
      { outcome: 'nothing-to-do', trigger: rehearsed, dryRun: true, steps: [unreadSwitch] },
    ],
    ['maintained', false, { outcome: 'maintained', trigger: bySchedule }],
    ['pruned', false, { outcome: 'pruned', trigger: bySchedule }],
    ['healthy', false, { outcome: 'healthy', trigger: byHand }],
    ['nothing to do', false, { outcome: 'nothing-to-do', trigger: byAlarm }],
  ])('%s: told without `notify.routine`: %s', async (_, told, changes) => {
    const { aws, notify } = await start();

    const result = await notify(finished(changes));

    expect(aws.sns.messages).toHaveLength(told ? 1 : 0);
    if (!told) expect(result.ignored).toContain('routine');
  });

  it('is told with `notify.routine` on the best of nights too', async () => {
    const { aws, notify } = await start({ routine: true });

    await notify(finished({ outcome: 'maintained', workflow: 'maintain', trigger: bySchedule }));

    expect(aws.sns.messages.map(({ subject }) => subject)).toEqual(['Done: demo, maintenance']);
  });

  it.each(['recover', 'maintain', 'prune'] as const)(
    'is told once, although the bus has two events of a failed %s',
    async (workflow) => {
      const { aws, notify } = await start();
      await publishReport({
        bus: aws.bus,
        execution: EXECUTION,
        report: sampleReport({ workflow, outcome: 'failed' }),
      });
      expect(aws.events).toHaveLength(2);

      for (const { source, detailType, detail } of aws.events)
        await notify({ source, 'detail-type': detailType, time: '2026-03-01T02:01:30Z', resources: [], detail });

      expect(aws.sns.messages).toHaveLength(1);
    },
  );

  it('is told once, although its event is delivered twice', async () => {
    const { aws, notify } = await start();

    const results = [await notify(finished()), await notify(finished())];

    expect(results).toEqual([
      { told: [aws.sns.topic], ignored: null },
      { told: [], ignored: null },
    ]);
    expect(aws.sns.messages).toHaveLength(1);
  });

  it('is told once, although its event is delivered twice at the same time', async () => {
    const { aws, notify } = await start();

    const results = await Promise.allSettled([notify(finished()), notify(finished()), notify(finished())]);

    expect(aws.sns.messages).toHaveLength(1);
    // Whoever finds another at it comes back later, rather than take a message for sent that may yet fail.
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(1);
  });

  it('is told apart from the next one, which began at the same alarm', async () => {
    const { aws, notify } = await start();

    await notify(finished());
    await notify(finished({ startedAt: '2026-11-20T03:13:12.004Z', finishedAt: '2026-11-20T03:16:02.517Z' }));

    expect(aws.sns.messages).toHaveLength(2);
  });

  it('is told, although the table that remembers it is not there', async () => {
    const { aws, notify } = await start();
    process.env.ETCD_MEDIC_TABLE = 'no-such-table';

    const result = await notify(finished());

    expect(result.told).toEqual([aws.sns.topic]);
    expect(aws.sns.messages).toHaveLength(1);
  });

  it('of another cluster is left to that one', async () => {
    const { aws, notify } = await start();

    const result = await notify(finished({ cluster: 'prod' }));

    expect(result.ignored).toBe('the report is of cluster prod, not of demo');
    expect(aws.calls).toEqual([]);
  });
});

describe('a topic that refuses', () => {
  it.each([
    [403, SetupError],
    [500, undefined],
  ] as const)('with %i fails the invocation, so that Lambda tries again', async (status, type) => {
    const { aws, notify } = await start();
    aws.sns.refusing.set(aws.sns.topic, status);

    const notified = notify(finished());

    await expect(notified).rejects.toThrow(`topic ${aws.sns.topic}`);
    if (type) await expect(notified).rejects.toMatchObject({ cause: expect.any(type) });
  });

  it('keeps nothing from the others, and gets its message with the next attempt, which they don’t', async () => {
    const { aws, notify } = await start({ topicArns: [OTHER_TOPIC] });

    await expect(notify(finished())).rejects.toThrow(
      `1 of 2 topics were not told "Recovered: demo, recovery from NOSPACE"`,
    );
    aws.sns.topics.add(OTHER_TOPIC);
    await notify(finished());

    expect(aws.sns.messages.map(({ topicArn }) => topicArn)).toEqual([aws.sns.topic, OTHER_TOPIC]);
  });
});

describe('an event that is not understood', () => {
  it.each([
    ['nothing', undefined],
    ['an alarm', sampleEvent('alarm-eventbridge')],
    ['a report without an outcome', finished({ outcome: undefined as never })],
    ['a report of a foreign outcome', sampleEvent('run-finished', { outcome: 'perfect' })],
    ['another source', { ...finished(), source: 'somebody.else' }],
    ['an execution without an ARN', sampleEvent('durable-execution-failed', { durableExecutionArn: undefined })],
  ])('(%s) fails the invocation, so that it ends in the dead-letter queue', async (_, event) => {
    const { aws, notify } = await start();

    await expect(notify(event)).rejects.toThrow(InvalidInputError);
    expect(aws.calls).toEqual([]);
  });

  it.each(['ETCD_MEDIC_TOPIC', 'ETCD_MEDIC_TABLE', 'ETCD_MEDIC_CLUSTER'])(
    'without %s nothing is read',
    async (name) => {
      const { notify } = await start();
      delete process.env[name];

      await expect(notify(finished())).rejects.toThrow(`${name}: found nothing`);
    },
  );
});
