// DynamoDB by dynalite, a real implementation of its conditional writes, with the table that the stack makes.
import { once } from 'node:events';
import type { Server } from 'node:http';
import { createRequire } from 'node:module';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import * as z from 'zod/mini';
import { type ApiCall, close, listen, type RunningServer, signerOf } from './server.ts';

export interface DynamoDbStandIn extends RunningServer {
  /** The table's name: keys `cluster` and `record`. */
  readonly table: string;
}

const TABLE = 'etcd-medic-test';

// dynalite is CommonJS and brings no types.
const load = createRequire(import.meta.url);
const dynalite: (options: { createTableMs: number }) => Server = load('dynalite');

// It measures items in characters where the service does in bytes of UTF-8 ("DynamoDB item sizes and formats").
const measures: { itemSize: (item: object, ...rest: unknown[]) => number } = load('dynalite/db');
const { itemSize } = measures;
measures.itemSize = (item, ...rest) => {
  const text = JSON.stringify(item);
  return itemSize(item, ...rest) + Buffer.byteLength(text) - text.length;
};

export async function startDynamoDb(calls: ApiCall[]): Promise<DynamoDbStandIn> {
  const server = dynalite({ createTableMs: 0 });
  const url = await listen(server);
  await createTable(url);
  server.prependListener('request', async (request) => {
    const action = String(request.headers['x-amz-target']).split('.')[1];
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    try {
      await once(request, 'end');
    } catch {
      // The client went away while it was sending: that is no call.
      return;
    }
    const body = asked.parse(JSON.parse(Buffer.concat(chunks).toString()));
    const keys = leadingKeys(body);
    calls.push({
      action: `dynamodb:${action}`,
      resource: body.TableName ?? '*',
      ...(keys.length > 0 && { conditions: { 'dynamodb:LeadingKeys': keys } }),
      ...signerOf(request.headers),
    });
  });
  return { url, table: TABLE, [Symbol.asyncDispose]: () => close(server) };
}

const partition = z.object({ cluster: z.optional(z.object({ S: z.string() })) });
const asked = z.object({
  TableName: z.optional(z.string()),
  Item: z.optional(partition),
  Key: z.optional(partition),
  KeyConditionExpression: z.optional(z.string()),
  ExpressionAttributeNames: z._default(z.record(z.string(), z.string()), {}),
  ExpressionAttributeValues: z._default(z.record(z.string(), z.object({ S: z.optional(z.string()) })), {}),
});

/** The partitions that a request touches, each by the value of `cluster`. */
function leadingKeys(body: z.output<typeof asked>): readonly string[] {
  const { Item, Key, KeyConditionExpression = '', ExpressionAttributeNames, ExpressionAttributeValues } = body;
  const queried = [...KeyConditionExpression.matchAll(/(\S+) = (:\w+)/g)].flatMap(([, name = '', value = '']) =>
    (ExpressionAttributeNames[name] ?? name) === 'cluster' ? (ExpressionAttributeValues[value]?.S ?? []) : [],
  );
  return [Item?.cluster?.S, Key?.cluster?.S, ...queried].filter((key) => key !== undefined);
}

async function createTable(endpoint: string): Promise<void> {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = new DynamoDBClient({ endpoint, credentials, region: 'eu-west-1' });
  try {
    await client.send(
      new CreateTableCommand({
        TableName: TABLE,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [
          { AttributeName: 'cluster', AttributeType: 'S' },
          { AttributeName: 'record', AttributeType: 'S' },
        ],
        KeySchema: [
          { AttributeName: 'cluster', KeyType: 'HASH' },
          { AttributeName: 'record', KeyType: 'RANGE' },
        ],
      }),
    );
  } finally {
    client.destroy();
  }
}
