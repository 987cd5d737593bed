// Reads what the page shows: the probe's last look, the lease and the last runs from the state table, and the switch.
import { type AttributeValue, DynamoDBClient, GetItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { CONTENTS_RECORD } from '../aws/history.ts';
import { readSwitch } from '../aws/switch.ts';
import { describeError } from '../contract/errors.ts';
import { scheduleOf } from '../contract/policies.ts';
import { PROBE_RECORD } from '../contract/probe-record.ts';
import { workflowsOf } from '../contract/workflows.ts';
import type { WidgetEnvironment } from './environment.ts';
import { parseContents, parseLook, parseReport } from './records.ts';
import type { HeldLease, Situation } from './situation.ts';

/** Fewer would hide a month's one recovery among the nights; more are too narrow to tell apart on a small screen. */
const MAX_RUNS = 20;

/** Of copies: recoveries' have no history, and there may be some among the nights'. */
const MAX_COPIES = 5;

/** A page has 1 MB; reports have 10 kB as a rule, and 350 kB at most. */
const MAX_PAGES = 8;

/** A person is waiting: two attempts of this length, and the page says what is missing. */
const clientSettings = {
  maxAttempts: 2,
  requestHandler: { connectionTimeout: 1_500, requestTimeout: 3_500, throwOnRequestTimeout: true },
};

/** The SDK's own attempts for the switch may take longer than a person waits. */
const SWITCH_TIMEOUT_MS = 7_000;

type Item = Readonly<Record<string, AttributeValue>>;

/**
 * Never throws: what can't be read or understood is left out, and `problems` says so.
 * @param now milliseconds since 1970
 */
export async function readSituation(environment: WidgetEnvironment, now: number): Promise<Situation> {
  const { cluster, table, switchParameter, dispatchArn } = environment;
  const problems: string[] = [];
  const attempt = async <Value>(what: string, work: () => Promise<Value>): Promise<Value | null> => {
    try {
      return await work();
    } catch (error) {
      problems.push(`${what} could not be read: ${describeError(error)}`);
      return null;
    }
  };
  const client = new DynamoDBClient(clientSettings);
  try {
    const item = (record: string) => readItem(client, table, cluster.name, record);
    const [look, lease, runs, contents, mode] = await Promise.all([
      attempt("The probe's last look", async () => parseLook(await item(PROBE_RECORD))),
      attempt('The lease', async () => leaseOf(await item('lease'))),
      attempt('The last runs', () => readRuns(client, table, cluster.name)),
      attempt('What fills it', () => readContents(client, table, cluster.name)),
      readMode(switchParameter),
    ]);
    for (const problem of runs?.problems ?? []) problems.push(problem);
    return {
      cluster: cluster.name,
      now,
      look,
      lease,
      runs: runs?.reports ?? [],
      contents,
      mode,
      schedules: workflowsOf(cluster).flatMap((workflow) => {
        const nightly = scheduleOf(cluster, workflow);
        return nightly ? [{ workflow, schedule: nightly.schedule }] : [];
      }),
      workflows: workflowsOf(cluster),
      dispatchArn,
      problems,
    };
  } finally {
    client.destroy();
  }
}

async function readItem(
  client: DynamoDBClient,
  table: string,
  cluster: string,
  record: string,
): Promise<Item | undefined> {
  const Key = { cluster: { S: cluster }, record: { S: record } };
  return (await client.send(new GetItemCommand({ TableName: table, Key }))).Item;
}

/** The newest first. A report that is not understood costs the page no other one. */
async function readRuns(client: DynamoDBClient, table: string, cluster: string) {
  const items: Item[] = [];
  let from: Record<string, AttributeValue> | undefined;
  for (let page = 0; page < MAX_PAGES && items.length < MAX_RUNS; page++) {
    const { Items = [], LastEvaluatedKey } = await client.send(
      new QueryCommand({
        TableName: table,
        KeyConditionExpression: '#cluster = :cluster AND begins_with(#record, :run)',
        ProjectionExpression: '#record, #report',
        ExpressionAttributeNames: { '#cluster': 'cluster', '#record': 'record', '#report': 'report' },
        ExpressionAttributeValues: { ':cluster': { S: cluster }, ':run': { S: 'run#' } },
        ScanIndexForward: false,
        Limit: MAX_RUNS - items.length,
        ExclusiveStartKey: from,
      }),
    );
    items.push(...Items);
    from = LastEvaluatedKey;
    if (from === undefined) break;
  }
  const parsed = items.map(parseReport);
  return {
    reports: parsed.flatMap((run) => ('report' in run ? [run.report] : [])),
    problems: parsed.flatMap((run) => ('problem' in run ? [run.problem] : [])),
  };
}

async function readContents(client: DynamoDBClient, table: string, cluster: string) {
  const { Items = [] } = await client.send(
    new QueryCommand({
      TableName: table,
      KeyConditionExpression: '#cluster = :cluster AND begins_with(#record, :contents)',
      ExpressionAttributeNames: { '#cluster': 'cluster', '#record': 'record' },
      ExpressionAttributeValues: { ':cluster': { S: cluster }, ':contents': { S: CONTENTS_RECORD } },
      ScanIndexForward: false,
      Limit: MAX_COPIES,
    }),
  );
  return parseContents(Items);
}

function leaseOf(item: Item | undefined): HeldLease | null {
  if (item === undefined) return null;
  return {
    workflow: item.workflow?.S ?? '(unknown)',
    acquiredAt: Number(item.acquiredAt?.N ?? 0),
    expiresAt: Number(item.expiresAt?.N ?? 0),
    isEnded: item.endedRun !== undefined,
  };
}

async function readMode(parameterName: string): Promise<Situation['mode']> {
  const { promise: tooLong, resolve } = Promise.withResolvers<Situation['mode']>();
  const timer = setTimeout(
    () => resolve({ mode: 'observe', detail: `parameter ${parameterName} was not read in time`, isProblem: true }),
    SWITCH_TIMEOUT_MS,
  );
  try {
    return await Promise.race([readSwitch({ parameterName }), tooLong]);
  } finally {
    clearTimeout(timer);
  }
}
