// Reads what runs have left in the state table, of one kind of record.
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { SetupError } from '../contract/errors.ts';
import { clientDefaults, isSetupProblem } from './client.ts';
import { HistoryError } from './history.ts';

export interface RecordsWanted {
  /** The cluster's name. */
  readonly cluster: string;
  /** What their sort key begins with; a time in ISO 8601 follows. */
  readonly prefix: string;
  /** Names of attributes. */
  readonly attributes: readonly string[];
  readonly most: number;
}

/**
 * The newest records, newest first; DynamoDB ends the answer at 1 MB in any case.
 * @param what could not be done, for the errors' message
 * @throws SetupError when there is no such table or it must not be read
 * @throws HistoryError when the table did not answer
 */
export async function newestRecords(
  table: string,
  { cluster, prefix, attributes, most }: RecordsWanted,
  what: string,
): Promise<readonly Record<string, AttributeValue>[]> {
  const { DynamoDBClient, QueryCommand } = await import('@aws-sdk/client-dynamodb');
  const client = new DynamoDBClient(clientDefaults);
  const names = Object.fromEntries(['cluster', 'record', ...attributes].map((name) => [`#${name}`, name]));
  try {
    const { Items = [] } = await client.send(
      new QueryCommand({
        TableName: table,
        KeyConditionExpression: '#cluster = :cluster AND begins_with(#record, :prefix)',
        ProjectionExpression: attributes.map((name) => `#${name}`).join(', '),
        ExpressionAttributeNames: names,
        ExpressionAttributeValues: { ':cluster': { S: cluster }, ':prefix': { S: prefix } },
        ScanIndexForward: false,
        Limit: most,
      }),
    );
    return Items;
  } catch (cause) {
    throw isSetupProblem(cause) ? new SetupError(what, { cause }) : new HistoryError(what, { cause });
  } finally {
    client.destroy();
  }
}
