// Runs the recover function's own handler against a plane, as Lambda would, and reads from etcd what it really did.

import { readFile } from 'node:fs/promises';
import { get as getPlain } from 'node:http';
import { get } from 'node:https';
import { DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import type { Command } from '../../functions/contract/command.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import type { AwsStandIn } from '../aws/stand-in.ts';
import type { ControlPlane } from '../control-plane/plane.ts';
import { type LocalExecutionOptions, type LocalExecutionResult, runLocally } from '../execution/local-execution.ts';

process.env.POWERTOOLS_LOG_LEVEL ??= 'SILENT';
process.env.POWERTOOLS_METRICS_DISABLED ??= 'true';

export const manualCommand: Command = {
  cluster: 'control-plane',
  workflow: 'recover',
  trigger: { kind: 'manual', source: 'test' },
  dryRun: false,
};

export interface RecoverOptions extends LocalExecutionOptions {
  readonly dryRun?: boolean;
  /** Merged into the plane's configuration. */
  readonly configuration?: Readonly<Record<string, unknown>>;
}

/** @returns the report; throws when the execution itself failed */
export async function recoverPlane(plane: ControlPlane, options: RecoverOptions = {}): Promise<RunReport> {
  const { status, result, error } = await executeRecover(plane, options);
  if (status !== 'SUCCEEDED') throw new Error(`the execution failed: ${error?.message}`);
  return result as RunReport;
}

export async function executeRecover(plane: ControlPlane, options: RecoverOptions = {}): Promise<LocalExecutionResult> {
  const { dryRun = false, configuration, ...execution } = options;
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(plane.configuration(configuration));
  const { handler } = await import('../../functions/recover/handler.ts');
  return runLocally(
    handler,
    { ...manualCommand, dryRun },
    { skipTime: true, remainingTimeMs: () => 900_000, ...execution },
  );
}

/** How often each member has really defragmented since it was started, by etcd's own count. */
export async function defragmentations(
  plane: ControlPlane,
  names?: readonly string[],
): Promise<Record<string, number>> {
  const members = plane.members.filter(({ name }) => names === undefined || names.includes(name));
  const counts = members.map(async ({ name, endpoint }) => {
    const metrics = await metricsOf(plane, endpoint);
    const line = /^etcd_disk_backend_defrag_duration_seconds_count (\d+)$/m.exec(metrics);
    if (line?.[1] === undefined) throw new Error(`${name} does not say how often it defragmented`);
    return [name, Number(line[1])] as const;
  });
  return Object.fromEntries(await Promise.all(counts));
}

/** A member's own /metrics page. */
export async function metricsOf({ credentials }: ControlPlane, endpoint: string): Promise<string> {
  const files = credentials && {
    ca: await readFile(credentials.caFile),
    cert: await readFile(credentials.certFile),
    key: await readFile(credentials.keyFile),
  };
  return new Promise((resolve, reject) => {
    const request = (files ? get : getPlain)(`${endpoint}/metrics`, { ...files, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString()));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

/** A report's steps by name, for assertions. */
export function outcomes(report: RunReport): Record<string, string> {
  return Object.fromEntries(report.steps.map(({ name, outcome }) => [name, outcome]));
}

/** The table's records of a cluster: `lease` and one `run#…` a run; not what a pruning notes of operators. */
export async function recordsOf(aws: AwsStandIn, cluster = manualCommand.cluster): Promise<readonly string[]> {
  const client = new DynamoDBClient({});
  try {
    const query = new QueryCommand({
      TableName: aws.table,
      KeyConditionExpression: '#cluster = :cluster',
      ExpressionAttributeNames: { '#cluster': 'cluster' },
      ExpressionAttributeValues: { ':cluster': { S: cluster } },
      ConsistentRead: true,
    });
    const { Items = [] } = await client.send(query);
    const records = Items.map(({ record }) => record?.S ?? '');
    return records.filter((record) => !record.startsWith('producers#'));
  } finally {
    client.destroy();
  }
}
