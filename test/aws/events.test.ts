import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PublishError, publishReport } from '../../functions/aws/events.ts';
import { SetupError } from '../../functions/contract/errors.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { sampleReport, step } from '../contract/sample-report.ts';

let aws: AwsStandIn;

beforeEach(async () => {
  aws = await startAws();
  aws.enter();
});
afterEach(() => aws.stop());

const EXECUTION = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-demo-recover:1/durable-execution/a/1';
const publish = (report: RunReport) => publishReport({ bus: aws.bus, report, execution: EXECUTION });

describe('publishing a report', () => {
  it.each([
    ['recover', 'Etcd Recovery Finished'],
    ['maintain', 'Etcd Maintenance Finished'],
    ['prune', 'Report Pruning Finished'],
  ] as const)('puts the report of %s on the bus as "%s"', async (workflow, detailType) => {
    const report = sampleReport({ workflow });

    const published = await publish(report);

    expect(published).toEqual({ detailTypes: [detailType], shortened: false });
    expect(aws.events).toMatchObject([{ bus: 'default', source: 'etcd-medic', detailType, detail: report }]);
  });

  it.each([
    { outcome: 'escalated', kind: 'manual', escalates: true },
    { outcome: 'failed', kind: 'schedule', escalates: true },
    { outcome: 'refused', kind: 'alarm', escalates: true },
    { outcome: 'refused', kind: 'manual', escalates: false },
    { outcome: 'refused', kind: 'alarm', escalates: false, workflow: 'maintain' },
    { outcome: 'escalated', kind: 'schedule', escalates: true, workflow: 'maintain' },
    { outcome: 'skipped', kind: 'alarm', escalates: false },
    { outcome: 'recovered', kind: 'alarm', escalates: false },
  ] as const)(
    'calls a person: $escalates, when a run that $kind began is $outcome',
    async ({ outcome, kind, escalates, ...others }) => {
      await publish(sampleReport({ outcome, trigger: { kind, source: 'test' }, ...others }));

      const [finished, ...calls] = aws.events.map(({ detailType }) => detailType);
      expect(finished).toMatch(/Finished$/);
      expect(calls).toEqual(escalates ? ['Etcd Medic Escalation'] : []);
    },
  );

  it.each([
    ['refused', true],
    ['nothing-to-do', false],
    ['planned', false],
  ] as const)('calls a person where a rehearsal is %s: %s', async (outcome, escalates) => {
    const trigger = { kind: 'schedule', source: 'test', rehearsal: true } as const;

    const { detailTypes } = await publish(sampleReport({ outcome, workflow: 'prune', dryRun: true, trigger }));

    expect(detailTypes.includes('Etcd Medic Escalation')).toBe(escalates);
  });

  it('fails when the bus refuses an event, and says which and why', async () => {
    aws.eventBridge.refuse('entries');

    const published = publish(sampleReport({ outcome: 'escalated' }));

    await expect(published).rejects.toThrow(PublishError);
    await expect(published).rejects.toThrow(
      'bus default: refused 2 of 2 events: "Etcd Recovery Finished": InternalFailure Try again.; "Etcd Medic Escalation"',
    );
    expect(aws.events).toEqual([]);
  });

  it('fails when there is no such bus', async () => {
    aws.eventBridge.refuse('request');

    await expect(publish(sampleReport())).rejects.toThrow(SetupError);
  });

  it('shortens a report that is too large for an event, and says so in it', async () => {
    const steps = Array.from({ length: 400 }, (_, i) => step(`step ${i}`, 'ü'.repeat(2_000)));

    const { shortened } = await publish(sampleReport({ outcome: 'escalated', steps }));

    expect(shortened).toBe(true);
    expect(aws.events).toHaveLength(2);
    expect(aws.events[0]?.detail).toMatchObject({ cluster: 'demo', reason: expect.stringContaining('shortened') });
  });

  it.each([
    ['more steps', { steps: Array.from({ length: 20_000 }, (_, i) => step(`step ${i}`, 'short')) }],
    ['longer reasons', { reason: 'x'.repeat(600_000) }],
  ])('fits a report of %s than an event can ever hold', async (_what, changes) => {
    await publish(sampleReport(changes));

    expect(aws.events[0]?.detailBytes).toBeLessThan(256 * 1024);
  });

  it('R15: cuts out what looks like a key', async () => {
    const steps = [step('snapshot', '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY----- refused')];

    await publish(sampleReport({ steps }));

    expect(JSON.stringify(aws.events[0]?.detail)).not.toContain('MHcCAQEE');
    expect(JSON.stringify(aws.events[0]?.detail)).toContain('refused');
  });
});
