// The function behind every trigger: reads the event, starts the workflows that it asks for, and says what it did and
// why.
import { createLogger } from '../aws/logger.ts';
import { onRequest } from '../aws/request.ts';
import type { Command } from '../contract/command.ts';
import { SetupError } from '../contract/errors.ts';
import { functionName } from '../contract/names.ts';
import { type DispatchEnvironment, readEnvironment } from './environment.ts';
import { executionName } from './execution-name.ts';
import { type Dispatch, parseTrigger } from './parse.ts';
import { LAST_TRY_MS, startWorkflow, TRY_FOR_MS } from './start.ts';

/** What the console shows after Test. */
export interface DispatchResult {
  readonly started: readonly {
    readonly workflow: Command['workflow'];
    readonly dryRun: boolean;
    readonly executionName: string;
    /** Where in the console the run is seen. */
    readonly lookAt: string;
    /** Null where the name is taken by a run with another payload: Lambda doesn't say which run that is. */
    readonly executionArn: string | null;
  }[];
  /** Why the rest of the event started nothing, one sentence each. */
  readonly ignored: readonly string[];
}

const logger = createLogger('etcd-medic-dispatch');

/** For what comes after the last try: an error that is told is worth more than one second of trying. */
const AFTERWARDS_MS = 3_000;

/** Errors are thrown on, so that Lambda tries the event again and then keeps it in the dead-letter queue. */
export const handler = onRequest<DispatchResult>(logger, async (event, context) => {
  const leftMs = context.getRemainingTimeInMillis() - LAST_TRY_MS - AFTERWARDS_MS;
  const tryUntil = Date.now() + Math.min(TRY_FOR_MS, leftMs);
  const { cluster, workflows } = readEnvironment(process.env);
  logger.appendKeys({ cluster: cluster.name });
  const decisions = parseTrigger(event, {
    cluster: cluster.name,
    alarms: cluster.alarms,
    requestId: context.awsRequestId,
    kinds: cluster.prune.kinds,
  });

  const ignored = decisions.flatMap((decision) => (decision.kind === 'ignore' ? [decision.reason] : []));
  for (const reason of ignored) logger.info('ignored', { reason });

  // All are looked up before the first is started: an event is not carried out by half for want of configuration.
  const orders = decisions.flatMap((decision) => (decision.kind === 'start' ? [toOrder(decision, workflows)] : []));
  const started: DispatchResult['started'][number][] = [];
  for (const { cause, ...start } of orders) {
    const { executionArn = null, alreadyStarted, refusals } = await startWorkflow(start, { tryUntil });
    const { name, command } = start;
    const { workflow, dryRun } = command;
    const lookAt = `Lambda, ${functionName(cluster.name, workflow)}, Durable executions, ${name}`;
    started.push({ workflow, dryRun, executionName: name, executionArn, lookAt });
    logger.info(alreadyStarted ? 'already started' : 'started', {
      command,
      cause,
      executionName: name,
      executionArn,
      ...(refusals.length > 0 && { refusals }),
    });
  }
  return { started, ignored };
});

function toOrder(
  { command, cause }: Extract<Dispatch, { kind: 'start' }>,
  workflows: DispatchEnvironment['workflows'],
) {
  const functionArn = workflows[command.workflow];
  if (functionArn === undefined) {
    const known = Object.keys(workflows).join(', ') || 'none';
    throw new SetupError(
      `the workflow "${command.workflow}" is not deployed in this stack (deployed: ${known}); nothing was started`,
    );
  }
  return { cause, functionArn, name: executionName(command, cause), command };
}
