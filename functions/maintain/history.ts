// What earlier runs on this cluster tell of how fast its members are defragmented: read from the reports in the state table.
import * as z from 'zod/mini';
import { clientDefaults, isSetupProblem } from '../run/aws.ts';
import { InvalidInputError, SetupError } from '../run/errors.ts';
import { HistoryError } from '../run/history.ts';
import { validate } from '../run/validate.ts';
import type { SeenRate } from './stall.ts';

/** A month of nights with pruning before each; DynamoDB ends the answer at 1 MB in any case. */
const REPORTS_READ = 60;
/** Of a file below this most of the time goes into everything but writing it, so that it tells nothing of a large one. */
const MEASURABLE_BYTES = 16 * 1024 * 1024;
/** No disk writes 1 GB a second: such a step was resumed after a crash, and found its work done. */
const PLAUSIBLE_BYTES_PER_MS = 1_000_000;

const reportSchema = z.object({
  members: z.array(
    z.object({
      id: z.string(),
      defragmented: z.boolean(),
      durationMs: z.optional(z.number()),
      after: z.optional(z.object({ dbSize: z.number() })),
    }),
  ),
});

export interface SeenRates {
  /** Newest first. */
  readonly rates: readonly SeenRate[];
  /** How many runs' reports were read. */
  readonly reports: number;
  /** Reports that could not be understood: another version's, or shortened too much. */
  readonly unreadable: number;
}

/**
 * @throws SetupError when there is no such table or it must not be read
 * @throws HistoryError when the table did not answer
 */
export async function readRates({
  table,
  cluster,
}: {
  readonly table: string;
  readonly cluster: string;
}): Promise<SeenRates> {
  const reports = await readReports(table, cluster);
  const read = reports.map(ratesOf);
  return {
    rates: read.flatMap((rates) => rates ?? []),
    reports: reports.length,
    unreadable: read.filter((rates) => rates === undefined).length,
  };
}

/** @returns the newest reports' JSON, newest first */
async function readReports(table: string, cluster: string): Promise<string[]> {
  const { DynamoDBClient, QueryCommand } = await import('@aws-sdk/client-dynamodb');
  const client = new DynamoDBClient(clientDefaults);
  try {
    const { Items = [] } = await client.send(
      new QueryCommand({
        TableName: table,
        KeyConditionExpression: '#cluster = :cluster AND begins_with(#record, :run)',
        ProjectionExpression: '#report',
        ExpressionAttributeNames: { '#cluster': 'cluster', '#record': 'record', '#report': 'report' },
        ExpressionAttributeValues: { ':cluster': { S: cluster }, ':run': { S: 'run#' } },
        ScanIndexForward: false,
        Limit: REPORTS_READ,
      }),
    );
    return Items.map(({ report }) => report?.S ?? '');
  } catch (cause) {
    const message = `history of ${cluster} in table ${table}: earlier reports could not be read`;
    throw isSetupProblem(cause) ? new SetupError(message, { cause }) : new HistoryError(message, { cause });
  } finally {
    client.destroy();
  }
}

/** @returns undefined where the report could not be understood */
function ratesOf(json: string): readonly SeenRate[] | undefined {
  let members: z.output<typeof reportSchema>['members'];
  try {
    ({ members } = validate(reportSchema, JSON.parse(json), 'report'));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof InvalidInputError) return undefined;
    throw error;
  }
  return members.flatMap(({ id: memberId, defragmented, durationMs = 0, after }) => {
    if (!defragmented || durationMs <= 0 || after === undefined || after.dbSize < MEASURABLE_BYTES) return [];
    const bytesPerMs = after.dbSize / durationMs;
    return bytesPerMs > PLAUSIBLE_BYTES_PER_MS ? [] : [{ memberId, bytesPerMs }];
  });
}
