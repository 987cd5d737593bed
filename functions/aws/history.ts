// Keeps each run's report beside the lease, so that a person can look back over a year of nights; and, in an item of
// its own, what the run's copy of the database was full of, so that another run can tell growth without all reports.
import { createHash } from 'node:crypto';
import type { ReportContents } from '../contract/contents.ts';
import { EtcdMedicError, redact, SetupError } from '../contract/errors.ts';
import type { RunReport } from '../contract/report.ts';
import { fitReport } from '../contract/shorten.ts';
import { clientDefaults, isSetupProblem } from './client.ts';

/** A year, and some weeks to still compare with the same month of the last one. */
const RETENTION_DAYS = 400;

/** DynamoDB's items end at 400 kB, names and keys included. */
const MAX_REPORT_BYTES = 350_000;

/** The sort key's beginning of a copy's contents: ISO 8601 follows, so that items are in the order of time. */
export const CONTENTS_RECORD = 'contents#';

/** The report could not be written to the table; the run itself is not changed by that. */
export class HistoryError extends EtcdMedicError {
  override readonly name = 'HistoryError';
}

export interface RecordRunOptions {
  readonly table: string;
  readonly report: RunReport;
  /** The durable execution's ARN. */
  readonly execution: string;
}

/**
 * Writes the report as one item, and what the run's copy was full of as another. Repeating it writes the same items
 * again (R10).
 * @returns the item's sort key, `run#<startedAt>#<8 hexadecimal digits of the execution>`, and whether details were cut
 * @throws SetupError when there is no such table or it must not be written to
 * @throws HistoryError when the table did not answer
 */
export async function recordRun({ table, report, execution }: RecordRunOptions): Promise<RecordedRun> {
  const run = createHash('sha256').update(execution).digest('hex').slice(0, 8);
  const record = `run#${report.startedAt}#${run}`;
  const { json, shortened } = fitReport(report, MAX_REPORT_BYTES);
  const expiresAtEpochSeconds = Math.floor(Date.parse(report.startedAt) / 1_000) + RETENTION_DAYS * 24 * 60 * 60;
  const { DynamoDBClient, PutItemCommand } = await import('@aws-sdk/client-dynamodb');
  const client = new DynamoDBClient(clientDefaults);
  const common = {
    cluster: { S: report.cluster },
    execution: { S: execution },
    expiresAtEpochSeconds: { N: String(expiresAtEpochSeconds) },
  };
  const items = [
    {
      ...common,
      record: { S: record },
      workflow: { S: report.workflow },
      outcome: { S: report.outcome },
      report: { S: json },
    },
    ...contentsItems(report.contents, run).map((item) => ({ ...common, ...item })),
  ];
  try {
    for (const Item of items) await client.send(new PutItemCommand({ TableName: table, Item }));
    return { record, shortened };
  } catch (cause) {
    const message = `history of ${report.cluster} in table ${table}: the report could not be written`;
    throw isSetupProblem(cause) ? new SetupError(message, { cause }) : new HistoryError(message, { cause });
  } finally {
    client.destroy();
  }
}

/** None where nothing was told, or not when. */
function contentsItems(contents: ReportContents | undefined, run: string) {
  if (contents?.at === undefined) return [];
  // R15: keys are whatever anybody has written.
  const json = JSON.stringify(contents, (_key, value: unknown) => (typeof value === 'string' ? redact(value) : value));
  return [{ record: { S: `${CONTENTS_RECORD}${contents.at}#${run}` }, contents: { S: json } }];
}

export interface RecordedRun {
  readonly record: string;
  readonly shortened: boolean;
}
