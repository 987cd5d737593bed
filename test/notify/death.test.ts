// The notify function on executions that Lambda ended: what becomes of the lease, and who hears of it.
import { afterEach, describe, expect, it } from 'vitest';
import { recordRun } from '../../functions/aws/history.ts';
import { createLease, TAKEOVER_MARGIN_MS } from '../../functions/aws/lease.ts';
import { LeaseLostError } from '../../functions/contract/errors.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { LONGEST_INVOCATION_MS } from '../../functions/contract/times.ts';
import { NotificationError } from '../../functions/notify/errors.ts';
import { sampleReport } from '../contract/sample-report.ts';
import { type Setting, sampleEvent, startSetting } from './setting.ts';

const EXECUTION =
  'arn:aws:lambda:eu-central-1:111122223333:function:etcd-medic-demo-recover:7/durable-execution/recover-demo-3f1c0a9b5d7e2468/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9';
const died = (changes: object = {}) => sampleEvent('durable-execution-failed', changes);

let setting: Setting | undefined;
const start = async (configuration?: object) => {
  setting = await startSetting(configuration);
  return setting;
};
afterEach(() => setting?.[Symbol.asyncDispose]());

/** As the run that died would have left it. */
const leaveReport = (table: string, changes: Partial<RunReport> = {}, execution = EXECUTION) =>
  recordRun({
    table,
    execution,
    report: sampleReport({ startedAt: '2026-11-20T02:13:12.004Z', finishedAt: '2026-11-20T02:13:50.000Z', ...changes }),
  });

describe('a run that died', () => {
  it.each([
    ['durable-execution-failed', 'The run failed (FAILED)', 'took 42 s', 'Its lease was freed'],
    [
      'durable-execution-timed-out',
      'The run did not end within the time that it may take (TIMED_OUT)',
      'took 4 h 0 min',
      'its lease is kept until 2026-11-20 06:28 UTC',
    ],
    [
      'durable-execution-stopped',
      'The run was stopped by somebody (STOPPED)',
      'took 8 min 29 s',
      'its lease is kept until 2026-11-20 02:36 UTC',
    ],
  ])('(%s) is told, and what becomes of its lease', async (name, words, took, leaseWords) => {
    const { aws, notify, holdLease } = await start();
    await holdLease(EXECUTION);

    const result = await notify(sampleEvent(name));

    expect(result).toEqual({ told: [aws.sns.topic], ignored: null });
    expect(aws.sns.messages).toMatchObject([{ subject: 'ACT NOW - Failed: demo, recovery from NOSPACE' }]);
    expect(aws.sns.messages[0]?.message).toContain(words);
    expect(aws.sns.messages[0]?.message).toContain(took);
    expect(aws.sns.messages[0]?.message).toContain(leaseWords);
  });

  it('R9: frees its lease where it failed: then none of its invocations is at work', async () => {
    const { notify, holdLease, leaseOwner } = await start();
    await holdLease(EXECUTION);

    await notify(died());

    expect(await leaseOwner()).toBeUndefined();
  });

  it.each(['durable-execution-timed-out', 'durable-execution-stopped'])(
    'R9: (%s) leaves its lease in nobody’s hands until an invocation that may be at work has ended',
    async (name) => {
      const { aws, notify, holdLease } = await start();
      await holdLease(EXECUTION);
      const lease = (owner: string, now = Date.now()) =>
        createLease({ table: aws.table, cluster: 'demo', owner, workflow: 'recover', ttlMs: 60_000, now: () => now });
      const endedAt = new Date();
      const event = sampleEvent(name, { endTimestamp: endedAt.toISOString() });
      const until = endedAt.getTime() + LONGEST_INVOCATION_MS + TAKEOVER_MARGIN_MS;

      await notify(event);
      await notify(event);

      await expect(lease(EXECUTION).renew()).rejects.toThrow(LeaseLostError);
      expect(await lease('another run', until).acquire()).toMatchObject({
        kind: 'held',
        by: EXECUTION,
        until: new Date(until).toISOString(),
        ended: true,
      });
      expect(await lease('another run', until + 1).acquire()).toEqual({ kind: 'acquired' });
    },
  );

  it('puts an escalation on the bus, with a report in its stead', async () => {
    const { aws, notify } = await start();

    await notify(died());

    expect(aws.events).toMatchObject([
      {
        bus: 'default',
        source: 'etcd-medic',
        detailType: 'Etcd Medic Escalation',
        detail: {
          cluster: 'demo',
          workflow: 'recover',
          outcome: 'failed',
          reason: expect.stringContaining('left no report'),
          startedAt: '2026-11-20T02:13:11.345Z',
          finishedAt: '2026-11-20T02:13:52.870Z',
          members: [],
          steps: [],
        },
      },
    ]);
  });

  it('its escalation is told to nobody a second time', async () => {
    const { aws, notify } = await start();
    await notify(died());
    const [{ source, detailType, detail } = { source: '', detailType: '', detail: {} }] = aws.events;

    const result = await notify({ source, 'detail-type': detailType, time: '2026-11-20T02:13:53Z', detail });

    expect(result.ignored).toContain('Etcd Medic Escalation');
    expect(aws.sns.messages).toHaveLength(1);
  });

  it.each([
    ['another run', EXECUTION.replace('9f7d84c9', 'aaaaaaaa')],
    [
      'the run that it pruned for',
      'arn:aws:lambda:eu-central-1:111122223333:function:etcd-medic-demo-maintain:3/durable-execution/maintain-demo-1/1',
    ],
  ])('R9: leaves the lease to %s', async (_, owner) => {
    const { aws, notify, holdLease, leaseOwner } = await start();
    await holdLease(owner);

    await notify(died());

    expect(await leaseOwner()).toBe(owner);
    expect(aws.sns.messages[0]?.message).toContain('It held no lease');
  });

  it('is told once, however often its event is delivered, and escalates once', async () => {
    const { aws, notify } = await start();

    await notify(died());
    await notify(died());

    expect(aws.sns.messages).toHaveLength(1);
    expect(aws.events).toHaveLength(1);
  });

  it('after it had left its report and told it, frees its lease and says no more', async () => {
    const { aws, notify, holdLease, leaseOwner } = await start();
    await holdLease(EXECUTION);
    const report = sampleReport({ startedAt: '2026-11-20T02:13:12.004Z', finishedAt: '2026-11-20T02:13:50.000Z' });
    await recordRun({ table: aws.table, execution: EXECUTION, report });
    await notify({
      source: 'etcd-medic',
      'detail-type': 'Etcd Recovery Finished',
      time: report.finishedAt,
      detail: report,
    });
    expect(aws.sns.messages).toHaveLength(1);

    const result = await notify(died());

    expect(await leaseOwner()).toBeUndefined();
    expect(result.told).toEqual([]);
    expect(aws.sns.messages).toHaveLength(1);
    expect(aws.events).toEqual([]);
  });

  it('between leaving its report and telling it: the report is told', async () => {
    const { aws, notify } = await start();
    await leaveReport(aws.table, { outcome: 'escalated', reason: 'R2: cp-3 does not answer.' });

    await notify(died());

    expect(aws.sns.messages).toMatchObject([{ message: expect.stringContaining('R2: cp-3 does not answer.') }]);
    expect(aws.events).toEqual([]);
  });

  it('is not mistaken for another run of the same minute', async () => {
    const { aws, notify } = await start();
    await leaveReport(aws.table, {}, EXECUTION.replace('9f7d84c9', 'aaaaaaaa'));

    await notify(died());

    expect(aws.sns.messages[0]?.message).toContain('left no report');
  });

  it('is found in the history by the event’s own time where it says nothing of its beginning and end', async () => {
    const { aws, notify } = await start();
    await leaveReport(aws.table);

    await notify(died({ startTimestamp: undefined, endTimestamp: undefined }));

    expect(aws.sns.messages[0]?.message).not.toContain('left no report');
  });

  it('is told also where the table cannot be used, and the event is tried again for the lease', async () => {
    const { aws, notify, holdLease, leaseOwner } = await start();
    await holdLease(EXECUTION);
    process.env.ETCD_MEDIC_TABLE = 'no-such-table';

    await expect(notify(died())).rejects.toThrow(NotificationError);
    expect(aws.sns.messages[0]?.message).toContain('Its lease could not be freed');
    process.env.ETCD_MEDIC_TABLE = aws.table;
    await notify(died());

    expect(await leaseOwner()).toBeUndefined();
  });

  it('frees its lease and escalates where no topic takes the message, and is told with the next attempt', async () => {
    const { aws, notify, holdLease, leaseOwner } = await start();
    await holdLease(EXECUTION);
    aws.sns.refusing.set(aws.sns.topic, 403);

    await expect(notify(died())).rejects.toThrow(NotificationError);
    expect(await leaseOwner()).toBeUndefined();
    expect(aws.events).toHaveLength(1);
    aws.sns.refusing.clear();
    await notify(died());

    expect(aws.sns.messages).toHaveLength(1);
    expect(aws.events).toHaveLength(1);
  });

  it('is told where the bus refuses the escalation, which comes with the next attempt', async () => {
    const { aws, notify } = await start();
    aws.eventBridge.refuse('entries');

    await expect(notify(died())).rejects.toThrow('refused "Etcd Medic Escalation": InternalFailure');
    aws.eventBridge.refuse(undefined);
    await notify(died());

    expect(aws.sns.messages).toHaveLength(1);
    expect(aws.events).toHaveLength(1);
  });

  it('needs no more of AWS than its role allows, which test/lib/notifications.test.ts lists', async () => {
    const { aws, notify } = await start();
    aws.sns.refusing.set(aws.sns.topic, 403);
    await expect(notify(died())).rejects.toThrow(NotificationError);
    aws.sns.refusing.clear();
    await notify(died());
    await notify(died());

    expect([...new Set(aws.calls.map(({ action }) => action))].sort()).toEqual([
      'dynamodb:DeleteItem',
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      'dynamodb:Query',
      'dynamodb:UpdateItem',
      'events:PutEvents',
      'sns:Publish',
    ]);
  });

  it.each([
    ['runs', died({ status: 'RUNNING' }), 'RUNNING'],
    ['succeeded', died({ status: 'SUCCEEDED' }), 'SUCCEEDED'],
    [
      'is another cluster’s',
      died({ durableExecutionArn: EXECUTION.replace('etcd-medic-demo-recover', 'etcd-medic-demo-eu-recover') }),
      'etcd-medic-demo-eu-recover is no workflow of cluster demo',
    ],
  ])('is none that %s', async (_, event, reason) => {
    const { aws, notify } = await start();

    const result = await notify(event);

    expect(result.ignored).toContain(reason);
    expect(aws.calls).toEqual([]);
  });
});
