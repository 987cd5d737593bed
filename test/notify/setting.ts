// What every test of the notify function has around it: the stand-ins, the sample events, and a look into the table.
import { readFileSync } from 'node:fs';
import { DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import type { RunReport } from '../../functions/contract/report.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';

// Before the handler is loaded: it makes its logger then.
process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
const { handler } = await import('../../functions/notify/handler.ts');

export interface Setting extends AsyncDisposable {
  readonly aws: AwsStandIn;
  /** Hands the event to the handler, as Lambda does. */
  notify(event: unknown): ReturnType<typeof handler>;
  /** Writes the lease as another run holds it, or this one. */
  holdLease(owner: string): Promise<void>;
  /** @returns the ARN of the execution that holds the lease, or undefined */
  leaseOwner(): Promise<string | undefined>;
}

/** @param notifyConfiguration the configuration's `notify` @default none */
export async function startSetting(notifyConfiguration?: object): Promise<Setting> {
  const before = process.env.ETCD_MEDIC_CLUSTER;
  const aws = await startAws();
  aws.enter();
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify({
    name: 'demo',
    etcd: { endpoints: ['http://127.0.0.1:2379'] },
    ...(notifyConfiguration && { notify: notifyConfiguration }),
  });
  const client = new DynamoDBClient({});
  const lease = { cluster: { S: 'demo' }, record: { S: 'lease' } };
  return {
    aws,
    notify: async (event) => handler(event, context),
    holdLease: async (owner) => {
      const Item = { ...lease, owner: { S: owner }, expiresAt: { N: String(Date.now() + 60_000) } };
      await client.send(new PutItemCommand({ TableName: aws.table, Item }));
    },
    leaseOwner: async () => {
      const { Item } = await client.send(
        new GetItemCommand({ TableName: aws.table, Key: lease, ConsistentRead: true }),
      );
      return Item?.owner?.S;
    },
    [Symbol.asyncDispose]: async () => {
      client.destroy();
      if (before === undefined) delete process.env.ETCD_MEDIC_CLUSTER;
      else process.env.ETCD_MEDIC_CLUSTER = before;
      await aws.stop();
    },
  };
}

export interface SampleEvent {
  readonly source: string;
  readonly 'detail-type': string;
  readonly time: string;
  readonly resources: readonly string[];
  readonly detail: object;
}

/** One of events/, with changes to its detail. */
export function sampleEvent(name: string, changes: object = {}): SampleEvent {
  const event: SampleEvent = JSON.parse(readFileSync(new URL(`../../events/${name}.json`, import.meta.url), 'utf8'));
  return { ...event, detail: { ...event.detail, ...changes } };
}

/** The event of a run's end, of the report that run-finished.json has, with changes. */
export function finished(changes: Partial<RunReport> = {}): SampleEvent {
  return sampleEvent('run-finished', changes);
}

const context: Context = {
  awsRequestId: '2b6b4a53-0c6b-4c1e-8a52-4a1f3f0a7b11',
  callbackWaitsForEmptyEventLoop: false,
  functionName: 'etcd-medic-demo-notify',
  functionVersion: '$LATEST',
  invokedFunctionArn: 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-demo-notify',
  logGroupName: '/aws/lambda/etcd-medic-demo-notify',
  logStreamName: 'test',
  memoryLimitInMB: '256',
  getRemainingTimeInMillis: () => 45_000,
  done: () => {},
  fail: () => {},
  succeed: () => {},
};
