// What each copy of a cluster's database was full of, in the state table: an item a copy, of a few kB.
import { type KeptContents, keptContentsSchema } from '../contract/contents.ts';
import { SetupError } from '../contract/errors.ts';
import { tryJson } from '../contract/json.ts';
import { clientDefaults, isSetupProblem } from './client.ts';
import { CONTENTS_RECORD, HistoryError } from './history.ts';

/** Two weeks of nights, with some recoveries among them. */
const MOST_READ = 20;

export interface ReadContents {
  /** Newest first. */
  readonly nights: readonly KeptContents[];
  /** Of another version, or not a record at all. */
  readonly unreadable: number;
}

/**
 * @param cluster its name
 * @throws SetupError when there is no such table or it must not be read
 * @throws HistoryError when the table did not answer
 */
export async function readContentsHistory(table: string, cluster: string): Promise<ReadContents> {
  const { DynamoDBClient, QueryCommand } = await import('@aws-sdk/client-dynamodb');
  const client = new DynamoDBClient(clientDefaults);
  try {
    const { Items = [] } = await client.send(
      new QueryCommand({
        TableName: table,
        KeyConditionExpression: '#cluster = :cluster AND begins_with(#record, :contents)',
        ProjectionExpression: '#kept',
        ExpressionAttributeNames: { '#cluster': 'cluster', '#record': 'record', '#kept': 'contents' },
        ExpressionAttributeValues: { ':cluster': { S: cluster }, ':contents': { S: CONTENTS_RECORD } },
        ScanIndexForward: false,
        Limit: MOST_READ,
      }),
    );
    const nights = Items.flatMap(({ contents }) => keptContentsSchema.safeParse(tryJson(contents?.S ?? '')).data ?? []);
    return { nights, unreadable: Items.length - nights.length };
  } catch (cause) {
    const message = `history of ${cluster} in table ${table}: earlier contents could not be read`;
    throw isSetupProblem(cause) ? new SetupError(message, { cause }) : new HistoryError(message, { cause });
  } finally {
    client.destroy();
  }
}
