// Writes the probe's last look into the state table, over the one before.
import * as z from 'zod/mini';
import { isSetupProblem } from '../aws/client.ts';
import { EtcdMedicError, redact, SetupError } from '../contract/errors.ts';
import { tryJson } from '../contract/json.ts';
import { PROBE_RECORD, type ProbeLook, probeLookSchema } from '../contract/probe-record.ts';

/** The look could not be written: the dashboard goes on showing the one before. */
export class LookNotStoredError extends EtcdMedicError {
  override readonly name = 'LookNotStoredError';
}

/** All attempts together. A table that hangs must not hold up the probe beyond its 10 seconds. */
export const STORE_DEADLINE_MS = 1_500;

export interface StoreLookOptions {
  readonly table: string;
  readonly cluster: string;
  readonly look: ProbeLook;
}

/** Of the look before, whoever wrote it. */
const before = z.pick(probeLookSchema, { answered: true });

/**
 * @returns who had answered by the look before, as it said; nobody where there was none, or none that can be read
 * @throws SetupError when there is no such table or it must not be written to
 * @throws LookNotStoredError when the table did not answer in time
 */
export async function storeLook({ table, cluster, look }: StoreLookOptions): Promise<readonly string[]> {
  const { DynamoDBClient, PutItemCommand } = await import('@aws-sdk/client-dynamodb');
  const client = new DynamoDBClient({ maxAttempts: 2 });
  // R15: an endpoint or a problem may hold what must not be shown.
  const json = JSON.stringify(look, (_key, value: unknown) => (typeof value === 'string' ? redact(value) : value));
  try {
    const { Attributes } = await client.send(
      new PutItemCommand({
        TableName: table,
        // So that nobody has to read the table besides.
        ReturnValues: 'ALL_OLD',
        Item: { cluster: { S: cluster }, record: { S: PROBE_RECORD }, at: { S: look.at }, look: { S: json } },
      }),
      { abortSignal: AbortSignal.timeout(STORE_DEADLINE_MS) },
    );
    return answeredBefore(Attributes?.look?.S);
  } catch (cause) {
    const message = `the look at ${cluster} could not be written to table ${table}`;
    throw isSetupProblem(cause)
      ? new SetupError(`${message}: not allowed or not there`, { cause })
      : new LookNotStoredError(message, { cause });
  } finally {
    client.destroy();
  }
}

function answeredBefore(json: string | undefined): readonly string[] {
  const { data } = before.safeParse(tryJson(json ?? ''));
  return data?.answered ?? [];
}
