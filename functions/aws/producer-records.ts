// R12: remembers which operators had a Deployment at each look, beside the lease: one look alone may be a mistake.
import * as z from 'zod/mini';
import { SetupError } from '../contract/errors.ts';
import { tryJson } from '../contract/json.ts';
import { PRODUCER_NAMES, type Producer } from '../contract/kinds.ts';
import { clientDefaults, isSetupProblem } from './client.ts';
import { HistoryError } from './history.ts';
import { newestRecords } from './records.ts';

/** A look at a complete list of Deployments. */
export interface ProducerRecord {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly producers: Readonly<Record<Producer, 'there' | 'gone'>>;
}

/** They are asked for eight days; a month of them is for a person who wants to know since when. */
const RETENTION_DAYS = 31;
/** Some a day, where people try out what a pruning would do. */
const RECORDS_READ = 50;
const PREFIX = 'producers#';

const presence = z.enum(['there', 'gone']);
const recordSchema = z.record(z.enum(PRODUCER_NAMES), presence);

/**
 * Writes one look, under the sort key `producers#<at>`.
 * @throws SetupError when there is no such table or it must not be written to
 * @throws HistoryError when the table did not answer
 */
export async function recordProducers(
  table: string,
  cluster: string,
  { at, producers }: ProducerRecord,
): Promise<void> {
  const expiresAtEpochSeconds = Math.floor(Date.parse(at) / 1_000) + RETENTION_DAYS * 24 * 60 * 60;
  const item = {
    cluster: { S: cluster },
    record: { S: `${PREFIX}${at}` },
    producers: { S: JSON.stringify(producers) },
    expiresAtEpochSeconds: { N: String(expiresAtEpochSeconds) },
  };
  const { DynamoDBClient, PutItemCommand } = await import('@aws-sdk/client-dynamodb');
  const client = new DynamoDBClient(clientDefaults);
  try {
    await client.send(new PutItemCommand({ TableName: table, Item: item }));
  } catch (cause) {
    const message = `table ${table}: which operators there are could not be recorded for ${cluster}`;
    throw isSetupProblem(cause) ? new SetupError(message, { cause }) : new HistoryError(message, { cause });
  } finally {
    client.destroy();
  }
}

/**
 * The newest looks, newest first. One that can't be understood, as another version may have written it, is left out: it
 * says nothing.
 * @throws SetupError when there is no such table or it must not be read
 * @throws HistoryError when the table did not answer
 */
export async function readProducers(table: string, cluster: string): Promise<readonly ProducerRecord[]> {
  const items = await newestRecords(
    table,
    { cluster, prefix: PREFIX, attributes: ['record', 'producers'], most: RECORDS_READ },
    `table ${table}: which operators ${cluster} had could not be read`,
  );
  return items.flatMap(({ record, producers }) => {
    const read = z.safeParse(recordSchema, tryJson(producers?.S ?? ''));
    return read.success ? [{ at: (record?.S ?? '').slice(PREFIX.length), producers: read.data }] : [];
  });
}
