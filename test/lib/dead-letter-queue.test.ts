import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { text } from './permissions.ts';
import { synth } from './synth.ts';

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

  it('gets what each function and the rule give up on', () => {
    using synthesis = synth();

    const template = synthesis.template();
    const functions = Object.values(template.findResources('AWS::Lambda::Function'));
    const rules = Object.values(template.findResources('AWS::Events::Rule'));

    const [queueId] = Object.keys(template.findResources('AWS::SQS::Queue'));
    expect(functions.map((fn) => text(fn.Properties.DeadLetterConfig.TargetArn))).toEqual([
      `\${${queueId}.Arn}`,
      `\${${queueId}.Arn}`,
    ]);
    expect(rules.map((rule) => text(rule.Properties.Targets[0].DeadLetterConfig.Arn))).toEqual([`\${${queueId}.Arn}`]);
  });
});
