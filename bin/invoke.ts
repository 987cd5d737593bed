// Runs a function's own handler in this process, against whatever a configuration file names. Its standard output is
// the RunReport and nothing else; everything else it says goes to standard error.
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type Command, parseCommand } from '../functions/contract/command.ts';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { describeError, InvalidInputError } from '../functions/contract/errors.ts';
import { checkLimits, kindsToPrune } from '../functions/contract/kinds.ts';
import { exitCode, type RunReport } from '../functions/contract/report.ts';
import { WORKFLOW_NAMES, type WorkflowName } from '../functions/contract/workflows.ts';
import { executionName } from '../functions/dispatch/execution-name.ts';
import { parseTrigger } from '../functions/dispatch/parse.ts';
import { type LocalExecutionResult, runLocally } from '../lab/execution/local-execution.ts';
import type { ChainedInvokeEnd } from '../lab/execution/local-operations.ts';
import { workflowHandler } from '../lab/execution/workflow-handler.ts';
import { lastLines, progressLine } from './progress.ts';
import { readConfiguration, readJson } from './read-configuration.ts';

const FUNCTIONS = ['dispatch', ...WORKFLOW_NAMES, 'probe'] as const;
const USAGE = `npm run -s invoke -- <${FUNCTIONS.join('|')}> --config cluster.json [--event event.json] [--dry-run]`;

const HELP = `${USAGE}

Runs a function in this process, against the cluster of a configuration file. Standard output is its report as JSON,
everything else goes to standard error.

  --config FILE  one cluster's configuration
  --event FILE   the function's event as JSON; dispatch needs one. Limits for one run of prune go in here:
                 { "limits": { "<plural>.<group>": { "maxStaleShare": 1, "maxDeletes": 5000 } } }
  --dry-run      look and plan, change nothing
  --help         this text

Exit code: 0 done or nothing to do, 1 failed, 2 a person should look.

npm run -s invoke -- contents --help says how it is told what fills a database.
`;

/** What stands for the prune function's ARN here: recover and maintain have it run in this process. */
const PRUNE_HERE = 'prune, in this process';

// Logs and metrics are written to standard output by Powertools, as Lambda wants it; here it belongs to the report.
const writeReport = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
// Powertools says so much about its environment that the lines of interest drown.
process.env.POWERTOOLS_LOG_LEVEL ??= 'WARN';
process.env.POWERTOOLS_METRICS_DISABLED ??= 'true';

try {
  const args = process.argv.slice(2);
  const isHelp = args.some((arg) => arg === '--help' || arg === '-h');
  if (args[0] === 'contents') {
    const { CONTENTS_HELP, contentsCommand } = await import('./contents.ts');
    writeReport(isHelp ? CONTENTS_HELP : `${JSON.stringify(await contentsCommand(args.slice(1)), null, 2)}\n`);
  } else if (isHelp) writeReport(HELP);
  else {
    const report = await invoke(args);
    process.stderr.write(lastLines(report));
    writeReport(`${JSON.stringify(report, null, 2)}\n`);
    process.exitCode = exitCode(report.outcome);
  }
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}

/** @throws InvalidInputError, SetupError for what could not be read or is not there */
async function invoke(args: readonly string[]): Promise<RunReport> {
  const { name, config, event, dryRun } = readArguments(args);
  const configuration = await readConfiguration(config);
  const input = event === undefined ? undefined : await readJson(event);
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(configuration);
  if (configuration.kubernetes !== undefined) process.env.ETCD_MEDIC_PRUNE_FUNCTION = PRUNE_HERE;
  if (name === 'probe') return probe(input, dryRun);
  const requests = name === 'dispatch' ? dispatch(input, configuration) : [order(name, input, configuration)];
  if (typeof requests === 'string') return nothingStarted(requests, configuration, dryRun);
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

/** What dispatch starts for an event; here in this process instead of by Lambda's Invoke. Or why it starts nothing. */
function dispatch(event: unknown, configuration: ClusterConfiguration): Request[] | string {
  if (event === undefined) {
    throw new InvalidInputError('command line', [
      '--event: found nothing, expected a file with the event that dispatch is to read',
    ]);
  }
  const { name: cluster, alarms, prune } = configuration;
  const context = { cluster, alarms, requestId: randomUUID(), kinds: prune.kinds };
  const decisions = parseTrigger(event, context);
  const requests = decisions.flatMap((decision) => {
    if (decision.kind !== 'start') return [];
    const { command } = decision;
    const { requestId: _, ...withoutRequest } = command.trigger;
    const byHand = command.trigger.kind === 'manual';
    return [
      {
        // No request of Lambda's has brought it.
        command: byHand ? { ...command, trigger: { ...withoutRequest, source: 'invoke' } } : command,
        executionArn: localArn(`${executionName(decision.command, decision.cause)}/${randomUUID()}`),
      },
    ];
  });
  if (requests.length > 0) return requests;
  return decisions.flatMap((decision) => (decision.kind === 'ignore' ? [decision.reason] : [])).join('; ');
}

/** A workflow's own event is a Command; what a person leaves out of it is filled in. */
function order(name: WorkflowName, event: unknown, { name: cluster, prune }: ClusterConfiguration): Request {
  const fields = typeof event === 'object' && event !== null ? event : {};
  const { by: saidBy, ...given }: { readonly by?: unknown } = { ...fields };
  const manual = {
    kind: 'manual',
    source: 'invoke',
    at: new Date().toISOString(),
    ...(saidBy !== undefined && { saidBy }),
  };
  const command = parseCommand(
    event === undefined || fields === event ? { cluster, workflow: name, trigger: manual, ...given } : event,
  );
  if (command.workflow !== name) {
    throw new InvalidInputError('event', [`workflow: found "${command.workflow}", expected "${name}"`]);
  }
  if (command.limits !== undefined) checkLimits(command.limits, kindsToPrune(prune.kinds), 'event');
  return { command, executionArn: localArn(randomUUID()) };
}

async function run({ command, executionArn }: Request): Promise<RunReport> {
  const execution = await execute(command, executionArn);
  if (execution.status === 'FAILED') throw new Error(execution.error?.message ?? 'the execution failed without a word');
  return execution.result as RunReport;
}

async function execute(command: Command, executionArn: string): Promise<LocalExecutionResult> {
  return runLocally(await workflowHandler(command.workflow), command, {
    executionArn,
    invoke: pruneHere,
    onOperation: (change) => {
      const line = progressLine(change);
      if (line !== undefined) process.stderr.write(`${line}\n`);
    },
  });
}

/** What Lambda does for `context.invoke`. */
async function pruneHere(functionName: string, payload: string): Promise<ChainedInvokeEnd> {
  if (functionName !== PRUNE_HERE) throw new Error(`no function ${functionName} can be run here`);
  const { status, result, error } = await execute(parseCommand(JSON.parse(payload)), localArn(randomUUID()));
  if (status === 'SUCCEEDED') return { result: JSON.stringify(result) };
  return { error: error ?? { type: 'Error', message: 'the execution failed without a word' } };
}

/** Not durable: one look, and its answer. */
async function probe(event: unknown, dryRun: boolean): Promise<RunReport> {
  const { handler } = await import('../functions/probe/handler.ts');
  return handler(dryRun ? { dryRun } : (event ?? {}));
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
