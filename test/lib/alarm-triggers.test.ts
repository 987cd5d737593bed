import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { describe, expect, it } from 'vitest';
import { AlarmTriggers } from '../../lib/alarm-triggers.ts';
import { alarmNames } from '../../lib/names.ts';
import { text } from './permissions.ts';
import { anyQueue, clusterWith, smallStack } from './small-stack.ts';

const usersAlarms = [
  { name: 'etcd is nearly full', workflow: 'maintain' },
  { name: 'etcd-medic-demo-nospace', workflow: 'recover' },
];
const ofTheStack = ['etcd-medic-demo-nospace', 'etcd-medic-demo-nospace-persists', 'etcd-medic-demo-quota-usage'];

function triggers(alarms: readonly unknown[]) {
  const { template } = smallStack((stack) => {
    const target = new LambdaFunction(stack, 'Dispatch', {
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromInline('//'),
    });
    const names = alarmNames(clusterWith({ alarms }));
    new AlarmTriggers(stack, 'Alarms', { alarmNames: names, target, deadLetterQueue: anyQueue(stack) });
  });
  return template;
}

describe('AlarmTriggers', () => {
  it.each([
    ['of the stack alone', [], ofTheStack],
    ['of the user besides, each once', usersAlarms, [...ofTheStack, 'etcd is nearly full']],
  ])('passes on a change into ALARM, and only from the alarms %s that start something', (_, alarms, expected) => {
    const rules = Object.values(triggers(alarms).findResources('AWS::Events::Rule'));

    expect(rules.map((rule) => rule.Properties.EventPattern)).toEqual([
      {
        source: ['aws.cloudwatch'],
        'detail-type': ['CloudWatch Alarm State Change'],
        detail: { alarmName: expected, state: { value: ['ALARM'] } },
      },
    ]);
  });

  it('keeps what it could not hand over', () => {
    const [rule] = Object.values(triggers([]).findResources('AWS::Events::Rule'));

    expect(rule?.Properties.Targets).toMatchObject([
      {
        DeadLetterConfig: { Arn: 'arn:aws:sqs:eu-central-1:111122223333:dead-letters' },
        RetryPolicy: { MaximumEventAgeInSeconds: 24 * 60 * 60, MaximumRetryAttempts: 185 },
      },
    ]);
  });

  it('lets exactly these alarms of this account call dispatch by themselves, and the rule', () => {
    const template = triggers(usersAlarms);
    const permissions = Object.values(template.findResources('AWS::Lambda::Permission')).map((p) => p.Properties);

    const [ruleId] = Object.keys(template.findResources('AWS::Events::Rule'));
    const alarmArn = `arn:\${AWS::Partition}:cloudwatch:\${AWS::Region}:\${AWS::AccountId}:alarm:`;
    expect(permissions.map((p) => [p.Principal, text(p.SourceArn), text(p.SourceAccount)].join(' '))).toEqual([
      ...[...ofTheStack, 'etcd is nearly full'].map(
        (name) => `lambda.alarms.cloudwatch.amazonaws.com ${alarmArn}${name} \${AWS::AccountId}`,
      ),
      `events.amazonaws.com \${${ruleId}.Arn} undefined`,
    ]);
  });
});
