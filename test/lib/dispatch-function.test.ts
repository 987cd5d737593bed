import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { permissionsOf } from './permissions.ts';
import { synth } from './synth.ts';

describe('DispatchFunction', () => {
  it('is a plain function outside of the VPC that knows its cluster and the alias of each workflow', () => {
    using synthesis = synth();

    const template = synthesis.template();

    const [aliasId] = Object.keys(template.findResources('AWS::Lambda::Alias'));
    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'etcd-medic-demo-dispatch',
      Runtime: 'nodejs24.x',
      DurableConfig: Match.absent(),
      VpcConfig: Match.absent(),
      Description: Match.stringLikeRegexp('"dryRun":true'),
      Environment: {
        Variables: {
          ETCD_MEDIC_CLUSTER: Match.serializedJson(Match.objectLike({ name: 'demo' })),
          ETCD_MEDIC_WORKFLOWS: { 'Fn::Join': ['', ['{"recover":"', { Ref: aliasId }, '"}']] },
          POWERTOOLS_SERVICE_NAME: 'etcd-medic-demo-dispatch',
        },
      },
    });
  });

  it('may start that alias and nothing else', () => {
    using synthesis = synth();

    const template = synthesis.template();
    const permissions = permissionsOf(template, 'etcd-medic-demo-dispatch');

    const [aliasId] = Object.keys(template.findResources('AWS::Lambda::Alias'));
    const [queueId] = Object.keys(template.findResources('AWS::SQS::Queue'));
    const logsId = Object.keys(template.findResources('AWS::Logs::LogGroup')).find((id) => id.startsWith('Dispatch'));
    expect(permissions).toEqual([
      `Allow lambda:InvokeFunction on \${${aliasId}}`,
      `Allow logs:CreateLogStream on \${${logsId}.Arn}`,
      `Allow logs:PutLogEvents on \${${logsId}.Arn}`,
      `Allow sqs:SendMessage on \${${queueId}.Arn}`,
    ]);
  });

  it('has descriptions that fit into the 256 characters of Lambda, for the longest name too', () => {
    using synthesis = synth([{ name: 'a'.repeat(39), etcd: { endpoints: ['http://10.0.0.11:2379'] } }]);

    const functions = Object.values(synthesis.template().findResources('AWS::Lambda::Function'));

    expect(functions.map((fn) => fn.Properties.Description.length <= 256)).toEqual([true, true]);
    expect(functions.map((fn) => fn.Properties.FunctionName.length <= 64)).toEqual([true, true]);
  });
});
