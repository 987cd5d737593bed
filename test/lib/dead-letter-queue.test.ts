import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { workflowsOf } from '../../functions/contract/workflows.ts';
import { text } from './permissions.ts';
import { sampleCluster, synth } from './synth.ts';

describe('DeadLetterQueue', () => {
  it('is encrypted, takes TLS only, and keeps what it gets for 14 days', () => {
    using synthesis = synth();

    const template = synthesis.template();

    template.hasResourceProperties('AWS::SQS::Queue', {
      SqsManagedSseEnabled: true,
      MessageRetentionPeriod: 14 * 24 * 60 * 60,
    });
    template.hasResourceProperties('AWS::SQS::QueuePolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        ]),
      },
    });
  });

  it('gets what the functions, the rules and the schedules give up on', () => {
    using synthesis = synth();

    const template = synthesis.template();
    const functions = Object.values(template.findResources('AWS::Lambda::Function'));
    const rules = Object.values(template.findResources('AWS::Events::Rule'));
    const schedules = Object.values(template.findResources('AWS::Scheduler::Schedule'));

    const [queueId] = Object.keys(template.findResources('AWS::SQS::Queue'));
    const queue = `\${${queueId}.Arn}`;
    const withQueue = functions.filter((fn) => fn.Properties.DeadLetterConfig !== undefined);
    expect(withQueue.map((fn) => fn.Properties.FunctionName).sort()).toEqual(
      ['dispatch', 'notify', ...workflowsOf(sampleCluster)].map((name) => `etcd-medic-demo-${name}`).sort(),
    );
    for (const fn of withQueue) expect(text(fn.Properties.DeadLetterConfig.TargetArn)).toBe(queue);
    // What comes every minute is worthless a minute later.
    const lasting = rules.filter((rule) => rule.Properties.ScheduleExpression === undefined);
    expect(lasting.length).toBeGreaterThan(1);
    for (const rule of lasting) expect(text(rule.Properties.Targets[0].DeadLetterConfig.Arn)).toBe(queue);
    expect(schedules.map((schedule) => schedule.Properties.Name).sort()).toEqual(
      ['maintain', ...workflowsOf(sampleCluster).map((name) => `dry-${name}`)]
        .map((name) => `etcd-medic-demo-${name}`)
        .sort(),
    );
    for (const each of schedules) expect(text(each.Properties.Target.DeadLetterConfig.Arn)).toBe(queue);
  });
});
