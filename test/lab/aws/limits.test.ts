// What the services document of the data that is sent to them, pinned in their stand-ins: each refuses what the service
// refuses, and what this program sends at its longest is taken.
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient, PutEventsCommand, type PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import {
  DescribeInstanceInformationCommand,
  SendCommandCommand,
  type SendCommandCommandInput,
  SSMClient,
} from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publishReport } from '../../../functions/aws/events.ts';
import { recordRun } from '../../../functions/aws/history.ts';
import type { Command } from '../../../functions/contract/command.ts';
import { documentName } from '../../../functions/contract/documents.ts';
import { IssuedSecret } from '../../../functions/credentials/secret.ts';
import { executionName } from '../../../functions/dispatch/execution-name.ts';
import { startWorkflow } from '../../../functions/dispatch/start.ts';
import { sendCommandOnce } from '../../../functions/nodes/commands.ts';
import { composeMessage } from '../../../functions/notify/message.ts';
import { publish } from '../../../functions/notify/topic.ts';
import { type AwsStandIn, startAws } from '../../../lab/aws/stand-in.ts';
import { restartKubeletDocument } from '../../../lib/documents/document-content.ts';
import { sampleReport, step } from '../../contract/sample-report.ts';
import { addNodes, bareNode } from '../../nodes/service.ts';

/** 39 characters, the most that the configuration allows. */
const CLUSTER = 'production-in-frankfurt-with-a-long-nam';
const DOCUMENT = documentName(CLUSTER, 'RestartKubelet');
const SECRET = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:etcd-medic-x';
const EXECUTION = `arn:aws-us-gov:lambda:ap-southeast-1:111122223333:function:${'x'.repeat(64)}:1/durable-execution/${'y'.repeat(64)}/${'z'.repeat(36)}`;
const KIB = 1024;

/**
 * A report in which nothing is short: nine members with notes, a thousand steps, everything in a script of three bytes
 * a letter.
 */
const longest = sampleReport({
  cluster: CLUSTER,
  outcome: 'escalated',
  reason: '滿'.repeat(300_000),
  trigger: { kind: 'alarm', source: `arn:aws:cloudwatch:eu-west-1:111122223333:alarm:${'a'.repeat(255)}` },
  members: Array.from({ length: 9 }, (_, i) => ({
    quotaBytes: null,
    defragmented: false,
    id: `8e9e05c5216469${i}d`,
    name: '成員'.repeat(100),
    endpoint: 'https://10.0.0.1:2379',
    isLeader: i === 0,
    isLearner: false,
    note: '注'.repeat(20_000),
  })),
  steps: Array.from({ length: 1_000 }, (_, i) => step(`defragment ${'成'.repeat(100)} ${i}`, '長'.repeat(5_000))),
  plan: Array.from({ length: 1_000 }, (_, i) => ({ name: `defragment ${i}`, detail: '長'.repeat(1_000) })),
});

const rehearsed = sampleReport({
  ...longest,
  dryRun: true,
  trigger: { kind: 'schedule', source: 'rehearsal', rehearsal: true },
  steps: longest.steps.map((each) => ({ ...each, outcome: 'failed' })),
});
/** Whoever may invoke a function says what has started it. */
const startedByMuch = sampleReport({
  cluster: CLUSTER,
  outcome: 'escalated',
  trigger: { kind: 'schedule', source: '鐘'.repeat(150_000) },
});

let aws: AwsStandIn;

beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  aws.ssm.documents.set(DOCUMENT, restartKubeletDocument());
});
afterAll(() => aws.stop());

const clients = {
  dynamoDb: () => new DynamoDBClient({ maxAttempts: 1 }),
  events: () => new EventBridgeClient({ maxAttempts: 1 }),
  lambda: () => new LambdaClient({ maxAttempts: 1 }),
  secrets: () => new SecretsManagerClient({ maxAttempts: 1 }),
  sns: () => new SNSClient({ maxAttempts: 1 }),
  ssm: () => new SSMClient({ maxAttempts: 1 }),
};

describe('Systems Manager', () => {
  const ids = () =>
    addNodes(
      aws.ssm,
      Array.from({ length: 51 }, (_, i) => bareNode(i + 1)),
    );
  const send = (changes: Partial<SendCommandCommandInput>) =>
    clients.ssm().send(
      new SendCommandCommand({
        DocumentName: DOCUMENT,
        InstanceIds: [...ids().slice(0, 1)],
        Parameters: { KubeletUnit: ['kubelet'] },
        TimeoutSeconds: 60,
        ...changes,
      }),
    );

  it.each<[string, Partial<SendCommandCommandInput>]>([
    ['a comment of 101 characters', { Comment: 'x'.repeat(101) }],
    ['a time of 29 s', { TimeoutSeconds: 29 }],
    ['a time of more than 30 days', { TimeoutSeconds: 2_592_001 }],
    ['no instance', { InstanceIds: [] }],
    ['51 instances', { InstanceIds: [...idsOf(51)] }],
    ['a name that no document has', { DocumentName: 'etcd medic' }],
    ['a document name of 129 characters', { DocumentName: 'x'.repeat(129) }],
    ['more than all at once', { MaxConcurrency: '101%' }],
    ['errors without a number', { MaxErrors: 'all' }],
  ])('takes no command with %s', async (_what, changes) => {
    await expect(send(changes)).rejects.toThrow(/validation error/);
  });

  it('takes no parameter that the document does not know, and none of two values', async () => {
    await expect(send({ Parameters: { Unit: ['kubelet'] } })).rejects.toMatchObject({ name: 'InvalidParameters' });
    const two = { KubeletUnit: ['kubelet', 'k3s'] };
    await expect(send({ Parameters: two })).rejects.toMatchObject({ name: 'InvalidParameters' });
  });

  it('has no page of four nodes', async () => {
    const asked = clients.ssm().send(new DescribeInstanceInformationCommand({ MaxResults: 4 }));

    await expect(asked).rejects.toThrow(/validation error/);
  });

  it('takes this program’s command, to more nodes than fit into one, of a step with the longest id', async () => {
    const sent = await sendCommandOnce({
      document: DOCUMENT,
      instanceIds: ids(),
      parameters: { KubeletUnit: 'kubelet' },
      stepId: `${EXECUTION} restart ${'node, '.repeat(200)}`,
      timeoutSeconds: 60,
    });

    expect(sent.commands.map(({ instanceIds }) => instanceIds.length)).toEqual([50, 1]);
    expect(sent.refused).toEqual([]);
  });
});

describe('SNS', () => {
  const send = (subject: string, message: string) =>
    clients.sns().send(new PublishCommand({ TopicArn: aws.sns.topic, Subject: subject, Message: message }));

  it.each([
    ['a subject of 100 characters', 'x'.repeat(100), 'text'],
    ['a subject with a line break', 'one\ntwo', 'text'],
    ['a subject that is not ASCII', 'Überlauf', 'text'],
    ['a subject that begins with a blank', ' one', 'text'],
    ['no message', 'one', ''],
    ['a message of more than 256 KiB', 'one', `${'ü'.repeat(128 * KIB)}.`],
  ])('takes no message with %s', async (_what, subject, message) => {
    await expect(send(subject, message)).rejects.toMatchObject({ name: /^InvalidParameter/ });
  });

  it.each([
    ['the longest report', longest],
    ['a rehearsal whose every step failed', rehearsed],
    ['a run that something with a long name has started', startedByMuch],
  ])('takes this program’s message of %s', async (_what, report) => {
    const place = { switchParameter: `/etcd-medic/${CLUSTER}/mode`, execution: EXECUTION, topicArn: aws.sns.topic };

    await publish(aws.sns.topic, composeMessage(report, place));

    expect(aws.sns.messages.at(-1)?.subject).toContain(CLUSTER);
  });
});

describe('EventBridge', () => {
  const entry = { Source: 'etcd-medic', DetailType: 'Test', Detail: '{}', EventBusName: 'default' };
  const put = (...Entries: PutEventsRequestEntry[]) => clients.events().send(new PutEventsCommand({ Entries }));
  /** An entry of so many bytes, as the service counts. */
  const entryOf = (bytes: number, Resources: string[] = []) => {
    const around = 14 + 'etcd-medic'.length + 'Test'.length + '{"a":""}'.length + Resources.join('').length;
    return { ...entry, Resources, Detail: `{"a":"${'x'.repeat(bytes - around)}"}` };
  };

  it('takes what is less than 256 KB with its time, texts and resources, and no more', async () => {
    const resources = ['x'.repeat(1_000)];

    expect(await put(entryOf(256 * KIB - 1, resources))).toMatchObject({ FailedEntryCount: 0 });
    await expect(put(entryOf(256 * KIB, resources))).rejects.toMatchObject({ name: 'ValidationException' });
    await expect(put(entryOf(128 * KIB), entryOf(128 * KIB))).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it('takes no more than ten entries', async () => {
    await expect(put(...Array.from({ length: 11 }, () => entry))).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });

  it.each([
    ['a detail-type of 129 characters', { DetailType: 'x'.repeat(129) }, 'InvalidArgument'],
    ['no source', { Source: '' }, 'InvalidArgument'],
    ['a source of Amazon’s', { Source: 'aws.etcd' }, 'NotAuthorizedForSourceException'],
    ['a detail that is no object', { Detail: '[]' }, 'MalformedDetail'],
  ])('takes no entry with %s, and the others', async (_what, changes, code) => {
    const before = aws.events.length;

    const answer = await put({ ...entry, ...changes }, entry);

    expect(answer).toMatchObject({ FailedEntryCount: 1, Entries: [{ ErrorCode: code }, {}] });
    expect(aws.events).toHaveLength(before + 1);
  });

  it.each([
    ['the longest report', longest],
    ['a run that something with a long name has started', startedByMuch],
  ])('takes this program’s events of %s', async (_what, report) => {
    const { detailTypes, shortened } = await publishReport({ bus: 'default', report, execution: EXECUTION });

    expect(detailTypes).toEqual(['Etcd Recovery Finished', 'Etcd Medic Escalation']);
    expect(shortened).toBe(true);
  });
});

describe('DynamoDB', () => {
  it('takes no item of more than 400 KB of UTF-8, names and keys included', async () => {
    const put = (bytes: number) => {
      const around = 'clusterreportrecord'.length + 'demo'.length + 'r'.length;
      const text = `${'ü'.repeat(1_000)}${'x'.repeat(bytes - around - 2_000)}`;
      const Item = { cluster: { S: 'demo' }, record: { S: 'r' }, report: { S: text } };
      return clients.dynamoDb().send(new PutItemCommand({ TableName: aws.table, Item }));
    };

    await put(400 * KIB - 100);
    await expect(put(400 * KIB + 1)).rejects.toThrow('Item size has exceeded the maximum allowed size');
  });

  it.each([
    ['the longest report', longest],
    ['a run that something with a long name has started', startedByMuch],
  ])('takes this program’s item of %s', async (_what, report) => {
    const { shortened } = await recordRun({ table: aws.table, report, execution: EXECUTION });

    expect(shortened).toBe(true);
  });
});

describe('Secrets Manager', () => {
  const put = (ClientRequestToken: string, SecretString: string) => {
    aws.secretsManager.create(SECRET);
    const order = { SecretId: SECRET, ClientRequestToken, SecretString, VersionStages: ['AWSPENDING'] };
    return clients.secrets().send(new PutSecretValueCommand(order));
  };

  it.each([
    ['an id of 31 characters', 'x'.repeat(31), 'text'],
    ['an id of 65 characters', 'x'.repeat(65), 'text'],
    ['a value of more than 65,536 bytes', 'x'.repeat(36), 'ü'.repeat(32 * KIB + 1)],
  ])('takes no version with %s', async (_what, id, value) => {
    await expect(put(id, value)).rejects.toMatchObject({ name: 'InvalidParameterException' });
  });

  it('takes this program’s first value, and certificates as long as they come', async () => {
    const { written } = aws.secretsManager.create(SECRET);
    using secret = new IssuedSecret(SECRET);
    // RSA of 4096 bits, and authorities of three in a row.
    const pem = (lines: number) => `${'x'.repeat(64)}\n`.repeat(lines);

    await secret.putPlaceholder();
    await secret.putPending(crypto.randomUUID(), { ca: pem(120), cert: pem(40), key: pem(52) });

    expect(written).toHaveLength(2);
  });
});

describe('Lambda', () => {
  const FUNCTION = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-demo-recover:live';
  const invoke = (name: string, Payload: string, InvocationType: 'Event' | 'RequestResponse' = 'Event') => {
    register();
    const order = { FunctionName: FUNCTION, DurableExecutionName: name, Payload, InvocationType };
    return clients.lambda().send(new InvokeCommand(order));
  };
  const register = () =>
    aws.lambda.register('etcd-medic-demo-recover', { durable: withDurableExecution(async () => null) });

  it.each([
    ['of 65 characters', 'x'.repeat(65)],
    ['with a dot', 'recover.demo'],
    ['with a colon', 'recover:demo'],
  ])('takes no execution name %s', async (_what, name) => {
    await expect(invoke(name, '{}')).rejects.toMatchObject({ name: 'InvalidParameterValueException' });
  });

  it('takes no payload of more than 256 KB to be worked on later', async () => {
    const text = (bytes: number) => `"${'x'.repeat(bytes - 2)}"`;

    expect(await invoke('fits', text(256 * KIB))).toMatchObject({ StatusCode: 202 });
    const refused = invoke('too-large', text(256 * KIB + 1));
    await expect(refused).rejects.toMatchObject({ name: 'RequestTooLargeException' });
  });

  it('takes this program’s longest command, under its name', async () => {
    register();
    const command: Command = { cluster: CLUSTER, workflow: 'maintain', trigger: longest.trigger, dryRun: false };
    const name = executionName(command, `alarm ${longest.trigger.source}`);

    const { executionArn } = await startWorkflow({ functionArn: FUNCTION, name, command });

    expect(executionArn).toContain(name);
  });
});

function idsOf(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => bareNode(i + 1).instanceId);
}
