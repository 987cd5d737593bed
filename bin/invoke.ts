// Runs a function's own handler in this process, against whatever a configuration file names. Its standard output is the RunReport
// and nothing else; everything else it says goes to standard error.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { executionName } from '../functions/dispatch/execution-name.ts';
import { parseTrigger } from '../functions/dispatch/parse.ts';
import { type Command, parseCommand } from '../functions/run/command.ts';
import { type ClusterConfiguration, parseCluster } from '../functions/run/configuration.ts';
import { describeError, InvalidInputError } from '../functions/run/errors.ts';
import { exitCode, type RunReport } from '../functions/run/report.ts';
import { runLocally } from './local-execution.ts';
import { progressLine } from './progress.ts';

const FUNCTIONS = ['dispatch', 'recover', 'maintain', 'prune', 'probe'] as const;
const USAGE = `npm run -s invoke -- <${FUNCTIONS.join('|')}> --config cluster.json [--event event.json] [--dry-run]`;

/** The workflows that this version has; each is imported only when it is run. */
const WORKFLOWS: Readonly<Record<string, () => Promise<{ readonly handler: DurableLambdaHandler }>>> = {
  recover: () => import('../functions/recover/handler.ts'),
};

// Logs and metrics are written to standard output by Powertools, as Lambda wants it; here it belongs to the report.
const writeReport = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
// Powertools says so much about its environment that the lines of interest drown.
process.env.POWERTOOLS_LOG_LEVEL ??= 'WARN';
process.env.POWERTOOLS_METRICS_DISABLED ??= 'true';

try {
  const report = await invoke(process.argv.slice(2));
  writeReport(`${JSON.stringify(report, null, 2)}\n`);
  process.exitCode = exitCode(report.outcome);
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}

/** @throws InvalidInputError, SetupError for what could not be read or is not there */
async function invoke(args: readonly string[]): Promise<RunReport> {
  const { name, config, event, dryRun } = readArguments(args);
  const configuration = await readConfiguration(config);
  const input = event === undefined ? undefined : await readJson(event);
  const requests = name === 'dispatch' ? dispatch(input, configuration) : [order(name, input, configuration)];
  if (typeof requests === 'string') return nothingStarted(requests, configuration, dryRun);
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(configuration);
  const reports: RunReport[] = [];
  for (const request of requests) {
    reports.push(await run({ ...request, command: { ...request.command, dryRun: dryRun || request.command.dryRun } }));
  }
  // Where one event has several causes, the report that asks most of a person is the one to print.
  const [worst] = reports.sort((a, b) => urgency(b) - urgency(a));
  if (worst === undefined) throw new Error('a run ended without a report');
  return worst;
}

interface Request {
  readonly command: Command;
  readonly executionArn: string;
}

function readArguments(args: readonly string[]) {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (cause) {
    throw new InvalidInputError('command line', [`${describeError(cause)}; expected ${USAGE}`]);
  }
  const { values, positionals } = parsed;
  const [name, ...rest] = positionals;
  const known = FUNCTIONS.find((candidate) => candidate === name);
  if (known === undefined || rest.length > 0) {
    const found = positionals.length > 0 ? `"${positionals.join(' ')}"` : 'nothing';
    throw new InvalidInputError('command line', [
      `function: found ${found}, expected one of ${FUNCTIONS.join(', ')}. ${USAGE}`,
    ]);
  }
  if (values.config === undefined) {
    throw new InvalidInputError('command line', [
      `--config: found nothing, expected a file with one cluster's configuration. ${USAGE}`,
    ]);
  }
  return { name: known, config: values.config, event: values.event, dryRun: values['dry-run'] };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      event: { type: 'string' },
      'dry-run': { type: 'boolean', default: false },
    },
  });
}

/** Relative file names in the configuration are relative to its own folder. */
async function readConfiguration(file: string): Promise<ClusterConfiguration> {
  const configuration = parseCluster(await readJson(file), file);
  const { credentials } = configuration.etcd;
  if (credentials === undefined || 'secretArn' in credentials) return configuration;
  const absolute = (name: string) => resolve(dirname(resolve(file)), name);
  const files = {
    caFile: absolute(credentials.caFile),
    certFile: absolute(credentials.certFile),
    keyFile: absolute(credentials.keyFile),
  };
  return { ...configuration, etcd: { ...configuration.etcd, credentials: files } };
}

async function readJson(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new InvalidInputError(file, ['found no file that can be read, expected a JSON file'], { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError(file, ['(the whole document): found text that is not JSON'], { cause });
  }
}

/** What dispatch starts for an event; here in this process instead of by Lambda's Invoke. Or why it starts nothing. */
function dispatch(event: unknown, configuration: ClusterConfiguration): Request[] | string {
  if (event === undefined) {
    throw new InvalidInputError('command line', [
      '--event: found nothing, expected a file with the event that dispatch is to read',
    ]);
  }
  const context = { cluster: configuration.name, alarms: configuration.alarms, requestId: randomUUID() };
  const decisions = parseTrigger(event, context);
  const requests = decisions.flatMap((decision) => {
    if (decision.kind !== 'start') return [];
    return [
      {
        command: decision.command,
        executionArn: localArn(`${executionName(decision.command, decision.cause)}/${randomUUID()}`),
      },
    ];
  });
  if (requests.length > 0) return requests;
  return decisions.flatMap((decision) => (decision.kind === 'ignore' ? [decision.reason] : [])).join('; ');
}

/** A workflow's own event is a Command; what a person leaves out of it is filled in. */
function order(
  name: Exclude<(typeof FUNCTIONS)[number], 'dispatch'>,
  event: unknown,
  { name: cluster }: ClusterConfiguration,
): Request {
  const given = typeof event === 'object' && event !== null ? event : {};
  const manual = { kind: 'manual', source: 'invoke', at: new Date().toISOString() };
  const command = parseCommand(
    event === undefined || given === event ? { cluster, workflow: name, trigger: manual, ...given } : event,
  );
  if (command.workflow !== name) {
    throw new InvalidInputError('event', [`workflow: found "${command.workflow}", expected "${name}"`]);
  }
  return { command, executionArn: localArn(randomUUID()) };
}

async function run({ command, executionArn }: Request): Promise<RunReport> {
  const load = WORKFLOWS[command.workflow];
  if (load === undefined) {
    const known = Object.keys(WORKFLOWS).join(', ');
    throw new InvalidInputError('function', [
      `found "${command.workflow}", which this version does not have, expected ${known}`,
    ]);
  }
  const { handler } = await load();
  const execution = await runLocally(handler, command, {
    executionArn,
    onOperation: (change) => {
      const line = progressLine(change);
      if (line !== undefined) process.stderr.write(`${line}\n`);
    },
  });
  if (execution.status === 'FAILED') throw new Error(execution.error?.message ?? 'the execution failed without a word');
  return execution.result as RunReport;
}

function nothingStarted(reason: string, { name: cluster }: ClusterConfiguration, dryRun: boolean): RunReport {
  const now = new Date().toISOString();
  return {
    cluster,
    workflow: 'recover',
    outcome: 'nothing-to-do',
    reason,
    trigger: { kind: 'alarm', source: 'dispatch', at: now },
    dryRun,
    startedAt: now,
    finishedAt: now,
    members: [],
    steps: [],
  };
}

function localArn(name: string): string {
  return `arn:aws:lambda:local:000000000000:function:etcd-medic:live/durable-execution/${name}`;
}

function urgency({ outcome }: RunReport): number {
  return [0, 2, 1].indexOf(exitCode(outcome));
}
