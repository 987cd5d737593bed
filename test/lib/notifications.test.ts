import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterEach, describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { readEnvironment } from '../../functions/notify/environment.ts';
import { CLAIM_MS } from '../../functions/notify/once.ts';
import { DeadLetterQueue } from '../../lib/dead-letter-queue.ts';
import { Notifications } from '../../lib/notifications.ts';
import { StateTable } from '../../lib/state-table.ts';
import { permissionsOf, TRACING, text } from './permissions.ts';
import { cdkContext } from './synth.ts';

const ON_CALL = 'arn:aws:sns:eu-central-1:111122223333:on-call';
const FUNCTION = 'etcd-medic-demo-notify';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** @param notify the configuration's `notify` */
function stackWithNotifications(notify?: object, name = 'demo') {
  const outdir = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-notifications-'));
  folders.push(outdir);
  const app = new App({ outdir, context: { ...cdkContext, 'aws:cdk:bundling-stacks': [] } });
  const stack = new Stack(app, 'Test');
  const cluster = parseCluster({ name, etcd: { endpoints: ['http://10.0.0.11:2379'] }, ...(notify && { notify }) });
  new Notifications(stack, 'Notifications', {
    cluster,
    table: new StateTable(stack, 'State'),
    deadLetterQueue: new DeadLetterQueue(stack, 'DeadLetters'),
    workflowNames: [`etcd-medic-${name}-recover`, `etcd-medic-${name}-maintain`],
  });
  const template = Template.fromStack(stack);
  const idOf = (type: string) => Object.keys(template.findResources(type))[0];
  return { app, template, idOf };
}

describe('Notifications', () => {
  it('have a topic that takes TLS only, and the alarms of this account', () => {
    const { template, idOf } = stackWithNotifications();

    const topic = { Ref: idOf('AWS::SNS::Topic') };
    template.hasResourceProperties('AWS::SNS::Topic', {
      TopicName: 'etcd-medic-demo',
      // With the AWS managed key CloudWatch could not publish, and would not say so.
      KmsMasterKeyId: Match.absent(),
    });
    template.hasResourceProperties('AWS::SNS::TopicPolicy', {
      PolicyDocument: {
        Statement: [
          Match.objectLike({
            Effect: 'Deny',
            Principal: '*',
            Action: 'sns:Publish',
            Resource: topic,
            Condition: { Bool: { 'aws:SecureTransport': 'false' } },
          }),
          {
            Sid: 'AlarmsOfThisAccount',
            Effect: 'Allow',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Action: 'sns:Publish',
            Resource: topic,
            Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
          },
        ],
      },
    });
  });

  it.each([
    ['none', undefined, []],
    ['each once', ['a@example.org', 'b@example.org', 'a@example.org'], ['a@example.org', 'b@example.org']],
  ])('subscribe the e-mail addresses of the configuration: %s', (_, emails, expected) => {
    const { template, idOf } = stackWithNotifications(emails && { emails });

    const subscriptions = Object.values(template.findResources('AWS::SNS::Subscription')).map((s) => s.Properties);

    expect(subscriptions).toEqual(
      expected.map((Endpoint) => ({ Endpoint, Protocol: 'email', TopicArn: { Ref: idOf('AWS::SNS::Topic') } })),
    );
  });

  it('pass on the reports of this cluster, and the executions of its workflows that did not succeed', () => {
    const { template } = stackWithNotifications();

    const rules = Object.values(template.findResources('AWS::Events::Rule'));

    const patterns = rules.map((rule) => rule.Properties.EventPattern);
    const arn = `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function`;
    expect(patterns).toMatchObject([
      {
        source: ['etcd-medic'],
        'detail-type': ['Etcd Recovery Finished', 'Etcd Maintenance Finished', 'Report Pruning Finished'],
        detail: { cluster: ['demo'] },
      },
      {
        source: ['aws.lambda'],
        'detail-type': ['Durable Execution Status Change'],
        detail: { status: ['FAILED', 'TIMED_OUT', 'STOPPED'] },
      },
    ]);
    expect(patterns[1].detail.durableExecutionArn.map(text)).toEqual([
      `{ prefix: ${arn}:etcd-medic-demo-recover: }`,
      `{ prefix: ${arn}:etcd-medic-demo-maintain: }`,
    ]);
  });

  it('lose no event: what can’t be handed over, and what the function gives up on, is kept', () => {
    const { template, idOf } = stackWithNotifications();

    const queue = { 'Fn::GetAtt': [idOf('AWS::SQS::Queue'), 'Arn'] };
    const target = { DeadLetterConfig: { Arn: queue }, RetryPolicy: { MaximumEventAgeInSeconds: 24 * 60 * 60 } };
    template.allResourcesProperties('AWS::Events::Rule', { Targets: [Match.objectLike(target)] });
    template.hasResourceProperties('AWS::Lambda::Function', { DeadLetterConfig: { TargetArn: queue } });
  });

  it('may publish, free the lease, read what was told, and escalate: nothing else', () => {
    const { template, idOf } = stackWithNotifications({ topicArns: [ON_CALL] });

    const permissions = permissionsOf(template, FUNCTION);

    const ofTheCluster = 'if { ForAllValues:StringEquals: { dynamodb:LeadingKeys: [demo] } }';
    const state = (action: string) =>
      `Allow dynamodb:${action} on \${${idOf('AWS::DynamoDB::Table')}.Arn} ${ofTheCluster}`;
    const bus = `arn:\${AWS::Partition}:events:\${AWS::Region}:\${AWS::AccountId}:event-bus/default`;
    expect(permissions).toEqual([
      ...['DeleteItem', 'GetItem', 'PutItem', 'Query', 'UpdateItem'].map(state),
      `Allow events:PutEvents on ${bus} if { StringEquals: { events:source: etcd-medic } }`,
      `Allow logs:CreateLogStream on \${${idOf('AWS::Logs::LogGroup')}.Arn}`,
      `Allow logs:PutLogEvents on \${${idOf('AWS::Logs::LogGroup')}.Arn}`,
      `Allow sns:Publish on \${${idOf('AWS::SNS::Topic')}}`,
      `Allow sns:Publish on ${ON_CALL}`,
      `Allow sqs:SendMessage on \${${idOf('AWS::SQS::Queue')}.Arn}`,
      ...TRACING,
    ]);
  });

  it('have a plain function outside of the VPC, with all that it looks for in its environment', () => {
    const { template } = stackWithNotifications({ topicArns: [ON_CALL] });

    const [fn] = Object.values(template.findResources('AWS::Lambda::Function'));
    const variables: Record<string, unknown> = fn?.Properties.Environment.Variables;
    const resolved = Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, typeof value === 'string' ? value : 'made-by-the-stack']),
    );
    const environment = readEnvironment({
      ...resolved,
      ETCD_MEDIC_TOPIC: ON_CALL.replace('on-call', 'etcd-medic-demo'),
    });

    expect(fn?.Properties).toMatchObject({ FunctionName: FUNCTION, Runtime: 'nodejs24.x' });
    expect(fn?.Properties).not.toHaveProperty('VpcConfig');
    expect(environment).toMatchObject({
      table: 'made-by-the-stack',
      bus: 'default',
      switchParameter: '/etcd-medic/demo/mode',
      topicArns: ['arn:aws:sns:eu-central-1:111122223333:etcd-medic-demo', ON_CALL],
    });
  });

  it('end before another attempt may take over what they have claimed', () => {
    const { template } = stackWithNotifications();

    const [fn] = Object.values(template.findResources('AWS::Lambda::Function'));

    expect(fn?.Properties.Timeout * 1_000).toBeLessThan(CLAIM_MS);
  });

  it('have descriptions and names that fit, for the longest name too', () => {
    const { template } = stackWithNotifications(undefined, 'a'.repeat(39));

    const [fn] = Object.values(template.findResources('AWS::Lambda::Function'));
    const [topic] = Object.values(template.findResources('AWS::SNS::Topic'));
    const rules = Object.values(template.findResources('AWS::Events::Rule'));

    expect(fn?.Properties.Description.length).toBeLessThanOrEqual(256);
    expect(fn?.Properties.FunctionName.length).toBeLessThanOrEqual(64);
    expect(topic?.Properties.DisplayName.length).toBeLessThanOrEqual(100);
    for (const rule of rules) expect(rule.Properties.Description.length).toBeLessThanOrEqual(512);
  });

  it('leave AWS Solutions nothing to find', () => {
    const { app } = stackWithNotifications({ emails: ['a@example.org'], topicArns: [ON_CALL] });

    const { violations } = new AwsSolutionsChecks().validateScope(app);

    expect(violations.map(({ ruleName }) => ruleName)).toEqual([]);
  });
});
