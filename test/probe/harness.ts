// Runs the probe function's own handler as Lambda would, and reads what it left: metrics and log on standard output,
// its record in the table.
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Socket } from 'node:net';
import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { vi } from 'vitest';
import type { ClusterConfiguration } from '../../functions/contract/configuration.ts';
import { PROBE_RECORD, type ProbeLook } from '../../functions/contract/probe-record.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import type { AwsStandIn } from '../../lab/aws/stand-in.ts';

/** One line of embedded metric format. */
export interface MetricLine {
  readonly _aws: {
    readonly Timestamp: number;
    readonly CloudWatchMetrics: readonly {
      readonly Namespace: string;
      readonly Dimensions: readonly (readonly string[])[];
      readonly Metrics: readonly { readonly Name: string; readonly Unit: string }[];
    }[];
  };
  readonly [name: string]: unknown;
}

export interface Written<Result> {
  /** What the work returned, or threw. */
  readonly outcome: PromiseSettledResult<Result>;
  readonly metrics: readonly MetricLine[];
  readonly logs: readonly Readonly<Record<string, unknown>>[];
}

/** Runs `work`, and takes what it writes to standard output and standard error. */
export async function captured<Result>(work: () => Promise<Result>): Promise<Written<Result>> {
  const lines: Record<string, unknown>[] = [];
  const spies = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      for (const line of String(chunk).trimEnd().split('\n')) lines.push(JSON.parse(line));
      return true;
    }),
  );
  try {
    const [outcome] = await Promise.allSettled([work()]);
    const isMetric = (line: Record<string, unknown>): line is Record<string, unknown> & MetricLine => '_aws' in line;
    return { outcome, metrics: lines.filter(isMetric), logs: lines.filter((line) => !isMetric(line)) };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

export interface HandlerOptions {
  readonly event?: unknown;
  /** @default true */
  readonly inLambda?: boolean;
}

/** The handler in this process. In Lambda it must have a table: enter the stand-ins of AWS before. */
export async function runHandler(
  configuration: ClusterConfiguration,
  { event = {}, inLambda = true }: HandlerOptions = {},
): Promise<Written<RunReport>> {
  const { handler } = await import('../../functions/probe/handler.ts');
  vi.stubEnv('ETCD_MEDIC_CLUSTER', JSON.stringify(configuration));
  vi.stubEnv('AWS_LAMBDA_FUNCTION_NAME', inLambda ? 'etcd-medic-control-plane-probe' : undefined);
  // As in Lambda, where nobody has said anything else.
  for (const name of ['POWERTOOLS_METRICS_DISABLED', 'POWERTOOLS_DEV']) vi.stubEnv(name, undefined);
  try {
    return await captured(() => handler(event));
  } finally {
    vi.unstubAllEnvs();
  }
}

export function reportOf({ outcome }: Written<RunReport>): RunReport {
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

/** The metrics with one value a name: of the cluster, and of each member by the dimension `member`. */
export function figuresOf(lines: readonly MetricLine[]) {
  const values = (line: MetricLine) =>
    Object.fromEntries(
      line._aws.CloudWatchMetrics.flatMap(({ Metrics }) => Metrics).map(({ Name }) => [Name, line[Name]]),
    );
  const ofCluster = lines.filter((line) => line.member === undefined);
  return {
    cluster: Object.assign({}, ...ofCluster.map(values)) as Record<string, unknown>,
    members: Object.fromEntries(
      lines.flatMap((line) => (line.member === undefined ? [] : [[String(line.member), values(line)] as const])),
    ),
  };
}

/** The probe's record in the table; undefined: there is none. */
export async function recordOf(
  aws: AwsStandIn,
  cluster = 'control-plane',
): Promise<{ readonly at: string | undefined; readonly look: ProbeLook } | undefined> {
  const client = new DynamoDBClient({});
  try {
    const Key = { cluster: { S: cluster }, record: { S: PROBE_RECORD } };
    const { Item } = await client.send(new GetItemCommand({ TableName: aws.table, Key, ConsistentRead: true }));
    return Item && { at: Item.at?.S, look: JSON.parse(Item.look?.S ?? 'null') };
  } finally {
    client.destroy();
  }
}

/**
 * Runs `work`, and notes every connection that it opens: not those of the tests' own clients, which go on beside it.
 */
export async function connectionsOf<Result>(
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly sockets: readonly Socket[] }> {
  const inside = new AsyncLocalStorage<true>();
  const sockets: Socket[] = [];
  const note = (message: unknown) => {
    if (!inside.getStore() || typeof message !== 'object' || message === null || !('socket' in message)) return;
    if (message.socket instanceof Socket) sockets.push(message.socket);
  };
  subscribe('net.client.socket', note);
  try {
    return { result: await inside.run(true, work), sockets };
  } finally {
    unsubscribe('net.client.socket', note);
  }
}
