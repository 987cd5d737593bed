import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/run/configuration.ts';
import { permissionsOf, text } from './permissions.ts';
import { sampleCluster, synth } from './synth.ts';

const { network: _, ...withoutNetwork } = sampleCluster;
const SECRET = sampleCluster.etcd.credentials.secretArn;
const OWN_CODE = `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function:etcd-medic-demo-recover`;
const NETWORK_ACTIONS = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

describe('WorkflowFunction recover', () => {
  it('is a durable function on Node 24 with time for a defragmentation in each step', () => {
    using synthesis = synth();

    synthesis.template().hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'etcd-medic-demo-recover',
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Handler: 'index.handler',
      Timeout: 900,
      DurableConfig: { ExecutionTimeout: 4 * 60 * 60, RetentionPeriodInDays: 30 },
      Description: Match.stringLikeRegexp('Press Test on etcd-medic-demo-dispatch'),
    });
  });

  it('keeps every version that a run may be pinned to, and is started by the alias of the newest', () => {
    using synthesis = synth();

    const template = synthesis.template();

    const [versionId] = Object.keys(template.findResources('AWS::Lambda::Version'));
    template.hasResource('AWS::Lambda::Version', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
    template.hasResourceProperties('AWS::Lambda::Alias', {
      Name: 'live',
      FunctionVersion: { 'Fn::GetAtt': [versionId, 'Version'] },
    });
  });

  it('publishes a new version when the configuration changes, so that a running recovery keeps its own', () => {
    using before = synth();
    using after = synth([{ ...sampleCluster, recover: { watchSeconds: 60 } }]);

    const [versionBefore, versionAfter] = [before, after].map((synthesis) =>
      Object.keys(synthesis.template().findResources('AWS::Lambda::Version')),
    );

    expect(versionBefore).not.toEqual(versionAfter);
  });

  it("finds its cluster's configuration, table and bus in its environment", () => {
    using synthesis = synth();

    const template = synthesis.template();
    const variables = environmentOf(template.findResources('AWS::Lambda::Function'), 'etcd-medic-demo-recover');

    const [tableId] = Object.keys(template.findResources('AWS::DynamoDB::Table'));
    const { ETCD_MEDIC_CLUSTER: configuration, ...others } = variables;
    expect(parseCluster(JSON.parse(String(configuration)))).toEqual(parseCluster(sampleCluster));
    expect(others).toEqual({
      ETCD_MEDIC_TABLE: { Ref: tableId },
      ETCD_MEDIC_BUS: 'default',
      POWERTOOLS_SERVICE_NAME: 'etcd-medic-demo-recover',
      POWERTOOLS_METRICS_NAMESPACE: 'etcd-medic',
    });
  });

  it('stands in the configured subnets, under the configured security group', () => {
    using synthesis = synth();

    synthesis.template().hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'etcd-medic-demo-recover',
      VpcConfig: {
        SubnetIds: [...sampleCluster.network.subnetIds],
        SecurityGroupIds: [sampleCluster.network.securityGroupId],
      },
    });
  });

  it('stands in no VPC and asks for no network interface where no network is configured', () => {
    using synthesis = synth([withoutNetwork]);

    const template = synthesis.template();

    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'etcd-medic-demo-recover',
      VpcConfig: Match.absent(),
    });
    expect(permissionsOf(template, 'etcd-medic-demo-recover').join()).not.toContain('ec2:');
  });

  it('may do exactly this', () => {
    using synthesis = synth();

    const template = synthesis.template();
    const permissions = permissionsOf(template, 'etcd-medic-demo-recover');

    const [tableId] = Object.keys(template.findResources('AWS::DynamoDB::Table'));
    const [queueId] = Object.keys(template.findResources('AWS::SQS::Queue'));
    const logsId = Object.keys(template.findResources('AWS::Logs::LogGroup')).find((id) => id.startsWith('Recover'));
    const onItsItems = `on \${${tableId}.Arn} if { ForAllValues:StringEquals: { dynamodb:LeadingKeys: [demo] } }`;
    expect(permissions).toEqual(
      [
        `Allow logs:CreateLogStream on \${${logsId}.Arn}`,
        `Allow logs:PutLogEvents on \${${logsId}.Arn}`,
        `Allow lambda:CheckpointDurableExecution on ${OWN_CODE}:*`,
        `Allow lambda:GetDurableExecutionState on ${OWN_CODE}:*`,
        `Allow dynamodb:DeleteItem ${onItsItems}`,
        `Allow dynamodb:GetItem ${onItsItems}`,
        `Allow dynamodb:PutItem ${onItsItems}`,
        `Allow dynamodb:UpdateItem ${onItsItems}`,
        `Allow events:PutEvents on arn:\${AWS::Partition}:events:\${AWS::Region}:\${AWS::AccountId}:event-bus/default if ` +
          '{ StringEquals: { events:source: etcd-medic } }',
        `Allow secretsmanager:GetSecretValue on ${SECRET}`,
        `Allow secretsmanager:GetSecretValue on ${SECRET}-??????`,
        `Allow sqs:SendMessage on \${${queueId}.Arn}`,
        // Lambda needs these for the VPC; the function's own code is denied them.
        ...NETWORK_ACTIONS.map((action) => `Allow ${action} on *`),
        ...NETWORK_ACTIONS.map(
          (action) => `Deny ${action} on * if { ArnLike: { lambda:SourceFunctionArn: [${OWN_CODE}, ${OWN_CODE}:*] } }`,
        ),
      ].sort(),
    );
  });

  it('may read no secret where etcd is plain http', () => {
    using synthesis = synth([{ name: 'lab', etcd: { endpoints: ['http://10.0.0.11:2379'] } }]);

    const permissions = permissionsOf(synthesis.template(), 'etcd-medic-lab-recover');

    expect(permissions.join()).not.toContain('secretsmanager');
    expect(permissions.filter((line) => / on \*( |$)/.test(line))).toEqual([]);
  });

  it('logs JSON to a log group of its own that forgets after 90 days', () => {
    using synthesis = synth();

    const template = synthesis.template();
    const functions = Object.values(template.findResources('AWS::Lambda::Function'));
    const logGroups = functions.map((fn) => text(fn.Properties.LoggingConfig));

    expect(new Set(logGroups).size).toBe(functions.length);
    expect(logGroups.every((config) => config.includes('LogFormat: JSON'))).toBe(true);
    template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 90 });
  });
});

function environmentOf(
  functions: Readonly<Record<string, Record<string, { FunctionName?: string; Environment?: { Variables: object } }>>>,
  name: string,
): Record<string, unknown> {
  const found = Object.values(functions).find((fn) => fn.Properties?.FunctionName === name);
  return { ...found?.Properties?.Environment?.Variables };
}
