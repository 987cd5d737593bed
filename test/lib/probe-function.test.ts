import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterEach, describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { readEnvironment } from '../../functions/probe/environment.ts';
import { ClusterNetwork } from '../../lib/cluster-network.ts';
import { ProbeFunction } from '../../lib/probe-function.ts';
import { StateTable } from '../../lib/state-table.ts';
import { permissionsOf, TRACING, text } from './permissions.ts';
import { cdkContext, sampleCluster } from './synth.ts';

const { network: _, ...withoutNetwork } = sampleCluster;
const nodes = { tag: { key: 'cluster', value: 'demo' } };
const NAME = 'etcd-medic-demo-probe';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A stack with the probe and its table alone, and no bundle. */
function probeStack(cluster: unknown = sampleCluster) {
  const outdir = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-synth-'));
  folders.push(outdir);
  const app = new App({ outdir, context: { ...cdkContext, 'aws:cdk:bundling-stacks': [] } });
  const stack = new Stack(app, 'Probe');
  const configuration = parseCluster(cluster);
  const network = ClusterNetwork.of(stack, 'Network', configuration);
  new ProbeFunction(stack, 'Probe', { cluster: configuration, table: new StateTable(stack, 'State'), network });
  return { app, stack };
}

const templateOf = (cluster?: unknown) => Template.fromStack(probeStack(cluster).stack);

describe('ProbeFunction', () => {
  it('is a plain function in the VPC that knows its cluster and its table', () => {
    const template = templateOf();

    const [tableId] = Object.keys(template.findResources('AWS::DynamoDB::Table'));
    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: NAME,
      Runtime: 'nodejs24.x',
      DurableConfig: Match.absent(),
      DeadLetterConfig: Match.absent(),
      Timeout: 15,
      MemorySize: 512,
      VpcConfig: {
        SecurityGroupIds: [sampleCluster.network.securityGroupId],
        SubnetIds: sampleCluster.network.subnetIds,
      },
      Environment: {
        Variables: {
          ETCD_MEDIC_CLUSTER: Match.serializedJson(Match.objectLike({ name: 'demo' })),
          ETCD_MEDIC_TABLE: { Ref: tableId },
          POWERTOOLS_SERVICE_NAME: NAME,
        },
      },
    });
  });

  it('is started every minute, and never again for a minute that is over', () => {
    const template = templateOf();

    const [functionId] = Object.keys(
      template.findResources('AWS::Lambda::Function', { Properties: { FunctionName: NAME } }),
    );
    template.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(1 minute)',
      State: 'ENABLED',
      Targets: [
        {
          Arn: { 'Fn::GetAtt': [functionId, 'Arn'] },
          RetryPolicy: { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 },
        },
      ],
    });
    template.hasResourceProperties('AWS::Lambda::EventInvokeConfig', {
      FunctionName: { Ref: functionId },
      MaximumEventAgeInSeconds: 60,
      MaximumRetryAttempts: 0,
    });
  });

  it('may write its look beside its own cluster’s records, read its secret, and nothing else', () => {
    const template = templateOf(withoutNetwork);

    const [tableId] = Object.keys(template.findResources('AWS::DynamoDB::Table'));
    const [logsId] = Object.keys(template.findResources('AWS::Logs::LogGroup'));
    const { secretArn } = sampleCluster.etcd.credentials;
    expect(permissionsOf(template, NAME)).toEqual([
      `Allow dynamodb:PutItem on \${${tableId}.Arn} if { ForAllValues:StringEquals: { dynamodb:LeadingKeys: [demo] } }`,
      `Allow dynamodb:Query on \${${tableId}.Arn} if { ForAllValues:StringEquals: { dynamodb:LeadingKeys: [demo] } }`,
      `Allow logs:CreateLogStream on \${${logsId}.Arn}`,
      `Allow logs:PutLogEvents on \${${logsId}.Arn}`,
      `Allow secretsmanager:GetSecretValue on ${secretArn}`,
      `Allow secretsmanager:GetSecretValue on ${secretArn}-??????`,
      ...TRACING,
    ]);
  });

  it('may read no secret where etcd is plain http', () => {
    const template = templateOf({ name: 'demo', etcd: { endpoints: ['http://10.0.0.11:2379'] } });

    expect(permissionsOf(template, NAME).join()).not.toContain('secretsmanager');
  });

  it.each([
    ['lists the nodes where they are its way to the members', { credentials: sampleCluster.etcd.credentials }, true],
    ['does not list nodes where it is told the endpoints', sampleCluster.etcd, false],
  ])('%s, and sends them nothing', (_name, etcd, lists) => {
    const template = templateOf({ ...sampleCluster, etcd, nodes });

    const ssm = permissionsOf(template, NAME).filter((line) => line.includes('ssm:'));
    expect(ssm).toEqual(lists ? ['Allow ssm:DescribeInstanceInformation on *'] : []);
  });

  it('keeps its many lines for a week only', () => {
    const template = templateOf();

    template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 7 });
    template.hasResourceProperties('AWS::Lambda::Function', { LoggingConfig: { LogFormat: 'JSON' } });
  });

  it.each([
    ['with a network', sampleCluster],
    ['without a network', withoutNetwork],
    [
      'that finds etcd by its nodes',
      { ...sampleCluster, etcd: { credentials: sampleCluster.etcd.credentials }, nodes },
    ],
    ['over plain http', { name: 'demo', etcd: { endpoints: ['http://10.0.0.11:2379'] } }],
  ])('has no finding of AWS Solutions and no warning of the CDK: %s', (_name, cluster) => {
    const { app } = probeStack(cluster);

    const findings = new AwsSolutionsChecks().validateScope(app).violations.map(({ ruleName }) => ruleName);
    const messages = app.synth().stacks.flatMap((stack) => stack.messages.map(({ id, entry }) => [id, entry.data]));

    expect(findings).toEqual([]);
    expect(messages).toEqual([]);
  });

  it('has what its code asks for in Lambda', () => {
    const template = templateOf();

    const [fn] = Object.values(template.findResources('AWS::Lambda::Function', { Properties: { FunctionName: NAME } }));
    const variables = Object.entries(fn?.Properties.Environment.Variables).map(([name, value]) => [name, text(value)]);
    const environment = readEnvironment({ ...Object.fromEntries(variables), AWS_LAMBDA_FUNCTION_NAME: NAME });

    expect(environment).toMatchObject({ inLambda: true, configuration: { name: 'demo' } });
  });

  it('has a description that fits into the 256 characters of Lambda, for the longest name too', () => {
    const name = 'a'.repeat(39);

    const template = templateOf({ ...sampleCluster, name });

    const functions = Object.values(template.findResources('AWS::Lambda::Function'));
    expect(functions.map((fn) => fn.Properties.Description.length <= 256)).toEqual([true]);
    expect(functions.map((fn) => fn.Properties.FunctionName.length <= 64)).toEqual([true]);
  });
});
