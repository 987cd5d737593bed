// Looks in the history for the report of a run of which only the execution is known.
import { DynamoDBClient, paginateQuery } from '@aws-sdk/client-dynamodb';
import { clientDefaults, isSetupProblem } from '../aws/client.ts';
import { HistoryError } from '../aws/history.ts';
import { InvalidInputError, SetupError } from '../contract/errors.ts';
import { tryJson } from '../contract/json.ts';
import { parseReport, type RunReport } from '../contract/report.ts';
import type { Death } from './notice.ts';

/** An execution may last 4 hours, and a report is named by the time at which its run began. */
const LONGEST_RUN_MS = 24 * 60 * 60_000;
/** Between the clocks of Lambda's hosts. */
const CLOCKS_MS = 60_000;

/**
 * @returns the report that the run has left, or undefined
 * @throws SetupError, HistoryError where the table can't be read; InvalidInputError for a report that is none
 */
export async function findReport(
  table: string,
  cluster: string,
  { execution, startedAt, endedAt }: Pick<Death, 'execution' | 'startedAt' | 'endedAt'>,
): Promise<RunReport | undefined> {
  const from = startedAt === undefined ? Date.parse(endedAt) - LONGEST_RUN_MS : Date.parse(startedAt) - CLOCKS_MS;
  const client = new DynamoDBClient(clientDefaults);
  const pages = paginateQuery(
    { client },
    {
      TableName: table,
      // `~` is behind all that a time is written with, so this ends with the last run that began in that millisecond.
      KeyConditionExpression: '#cluster = :cluster AND #record BETWEEN :from AND :to',
      FilterExpression: '#execution = :execution',
      ProjectionExpression: '#report',
      ExpressionAttributeNames: {
        '#cluster': 'cluster',
        '#record': 'record',
        '#execution': 'execution',
        '#report': 'report',
      },
      ExpressionAttributeValues: {
        ':cluster': { S: cluster },
        ':from': { S: `run#${new Date(from).toISOString()}` },
        ':to': { S: `run#${new Date(Date.parse(endedAt) + CLOCKS_MS).toISOString()}~` },
        ':execution': { S: execution },
      },
      ConsistentRead: true,
    },
  );
  try {
    for await (const { Items = [] } of pages) {
      const text = Items[0]?.report?.S;
      if (text !== undefined) return parseReport(tryJson(text), `the report of ${execution}`);
    }
    return undefined;
  } catch (cause) {
    if (cause instanceof InvalidInputError) throw cause;
    const message = `history of ${cluster} in table ${table}: the report of ${execution} could not be looked for`;
    throw isSetupProblem(cause) ? new SetupError(message, { cause }) : new HistoryError(message, { cause });
  } finally {
    client.destroy();
  }
}
