import { describe, expect, it } from 'vitest';
import { text } from './permissions.ts';
import { sampleCluster, synth } from './synth.ts';

const ownAlarms = [
  { name: 'etcd is nearly full', workflow: 'maintain' },
  { name: 'etcd-medic-demo-nospace', workflow: 'recover' },
];

describe('AlarmTriggers', () => {
  it.each([
    ['of the stack alone', [], ['etcd-medic-demo-nospace']],
    ['of the user besides, each once', ownAlarms, ['etcd-medic-demo-nospace', 'etcd is nearly full']],
  ])('passes on a change into ALARM, and only from the alarms %s', (_, alarms, expected) => {
    using synthesis = synth([{ ...sampleCluster, alarms }]);

    const rules = Object.values(synthesis.template().findResources('AWS::Events::Rule'));

    expect(rules.map((rule) => rule.Properties.EventPattern)).toEqual([
      {
        source: ['aws.cloudwatch'],
        'detail-type': ['CloudWatch Alarm State Change'],
        detail: { alarmName: expected, state: { value: ['ALARM'] } },
      },
    ]);
  });

  it('lets exactly these alarms of this account call dispatch by themselves, and the rule', () => {
    using synthesis = synth([{ ...sampleCluster, alarms: ownAlarms }]);

    const template = synthesis.template();
    const permissions = Object.values(template.findResources('AWS::Lambda::Permission')).map((p) => p.Properties);

    const [ruleId] = Object.keys(template.findResources('AWS::Events::Rule'));
    const alarmArn = `arn:\${AWS::Partition}:cloudwatch:\${AWS::Region}:\${AWS::AccountId}:alarm:`;
    expect(permissions.map((p) => [p.Principal, text(p.SourceArn), text(p.SourceAccount)].join(' '))).toEqual([
      `lambda.alarms.cloudwatch.amazonaws.com ${alarmArn}etcd-medic-demo-nospace \${AWS::AccountId}`,
      `lambda.alarms.cloudwatch.amazonaws.com ${alarmArn}etcd is nearly full \${AWS::AccountId}`,
      `events.amazonaws.com \${${ruleId}.Arn} undefined`,
    ]);
  });
});
