// Starts a workflow: one asynchronous Invoke of a durable function under the name that its cause has, repeated until
// the function is awake.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DurableExecutionAlreadyStartedException,
  InvokeCommand,
  LambdaClient,
  LambdaServiceException,
} from '@aws-sdk/client-lambda';
import { isSetupProblem } from '../aws/client.ts';
import type { Command } from '../contract/command.ts';
import { describeError, SetupError } from '../contract/errors.ts';
import { WorkflowNotStartedError } from './errors.ts';

export interface Start {
  /** The function's ARN with its alias or version: Lambda runs durable functions under no other. */
  readonly functionArn: string;
  /** The idempotency key. */
  readonly name: string;
  readonly command: Command;
}

export interface Started {
  /** Undefined where Lambda doesn't tell: the name was taken by a run with another payload. */
  readonly executionArn: string | undefined;
  /** The name was taken. With the same payload Lambda answers with the run that is there, and this stays false. */
  readonly alreadyStarted: boolean;
  /** What came back before it was taken, one sentence each: the function was asleep, or Lambda had too much to do. */
  readonly refusals: readonly string[];
}

export interface Patience {
  /** No try is begun after this, in milliseconds since 1970. The first one always is. */
  readonly tryUntil: number;
  /** Between two tries. @default a second, and up to five */
  readonly pauseMs?: number;
}

/** A qualified ARN has eight parts: `arn:aws:lambda:<region>:<account>:function:<name>:<alias or version>`. */
export const QUALIFIED_FUNCTION_ARN = /^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+:[\w$-]+$/;

/**
 * Lambda makes a function that nobody has called for weeks `Inactive` and takes back its network interfaces. The
 * invocation that finds it so fails, and wakes it ("Lambda function states"); until then it is `Pending`. That takes
 * seconds as a rule; up to 90 were seen by others. What is still missing then comes with Lambda's own two retries of
 * the event, a minute and two minutes later.
 */
export const TRY_FOR_MS = 45_000;
/** How long the last try may take. */
export const LAST_TRY_MS = 10_000;

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Sends the command. Sending it again under the same name starts nothing new, so it is sent until Lambda takes it.
 * @throws SetupError for an ARN without alias or version
 * @throws WorkflowNotStartedError with the service's last error as its cause: at once where no further try can help
 */
export async function startWorkflow(
  { functionArn, name, command }: Start,
  { tryUntil, pauseMs }: Patience = { tryUntil: Date.now() + TRY_FOR_MS },
): Promise<Started> {
  if (!QUALIFIED_FUNCTION_ARN.test(functionArn)) {
    throw new SetupError(`found the function "${functionArn}", expected its ARN with an alias or a version`);
  }
  const client = new LambdaClient({
    requestHandler: { connectionTimeout: 3_000, requestTimeout: LAST_TRY_MS, throwOnRequestTimeout: true },
  });
  const invoke = new InvokeCommand({
    FunctionName: functionArn,
    InvocationType: 'Event',
    DurableExecutionName: name,
    Payload: new TextEncoder().encode(JSON.stringify(command)),
  });
  const refusals: string[] = [];
  const lastTryEnds = AbortSignal.timeout(Math.max(0, tryUntil - Date.now()) + LAST_TRY_MS);
  try {
    for (let pause = pauseMs ?? FIRST_PAUSE_MS; ; pause = pauseMs ?? Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        const { DurableExecutionArn: executionArn } = await client.send(invoke, { abortSignal: lastTryEnds });
        return { executionArn, alreadyStarted: false, refusals };
      } catch (error) {
        if (error instanceof DurableExecutionAlreadyStartedException) {
          return { executionArn: undefined, alreadyStarted: true, refusals };
        }
        refusals.push(describeRefusal(error));
        if (isFinal(error) || Date.now() + pause > tryUntil) throw notStarted(name, functionArn, refusals, error);
      }
      await sleep(pause);
    }
  } finally {
    client.destroy();
  }
}

/**
 * Also where Lambda sends them with a status of its own faults: a key, a role or a network that must be put right
 * first.
 */
const WANTS_MENDING = /^(Invalid|KMS|EC2AccessDenied)/;
/** Of those that Lambda sends as the caller's faults. */
const PASSES = /^(ResourceConflict|CodeArtifactUserPending|SnapStartNotReady|TooManyRequests|Throttl)/;

/** Whether no further try can help. Where no answer came, one can. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof Error) || isSetupProblem(error) || WANTS_MENDING.test(error.name)) return true;
  if (PASSES.test(error.name)) return false;
  const status = error instanceof LambdaServiceException ? error.$metadata.httpStatusCode : undefined;
  return status !== undefined && status >= 400 && status < 500;
}

function describeRefusal(error: unknown): string {
  const words = describeError(error);
  return error instanceof Error && !words.includes(error.name) ? `${error.name}: ${words}` : words;
}

function notStarted(
  name: string,
  functionArn: string,
  refusals: readonly string[],
  cause: unknown,
): WorkflowNotStartedError {
  const tries = refusals.length === 1 ? '' : `, ${refusals.length} times`;
  return new WorkflowNotStartedError(
    `starting ${name} on ${functionArn} failed${tries}: ${refusals.at(-1)}. The event can be sent again: it starts one run at most.`,
    { cause },
  );
}
