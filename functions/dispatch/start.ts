// Starts a workflow: one asynchronous Invoke of a durable function under the name that its cause has.
import { DurableExecutionAlreadyStartedException, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { Command } from '../run/command.ts';
import { describeError, SetupError } from '../run/errors.ts';
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
}

/** A qualified ARN has eight parts: `arn:aws:lambda:<region>:<account>:function:<name>:<alias or version>`. */
export const QUALIFIED_FUNCTION_ARN = /^arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+:[\w$-]+$/;

/** An Invoke of type Event answers within milliseconds; three attempts of this length fit a function's 60 seconds. */
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Sends the command. Sending it again under the same name starts nothing new, so the SDK's own retry is left on.
 * @throws SetupError for an ARN without alias or version
 * @throws WorkflowNotStartedError with the service's error as its cause
 */
export async function startWorkflow({ functionArn, name, command }: Start): Promise<Started> {
  if (!QUALIFIED_FUNCTION_ARN.test(functionArn)) {
    throw new SetupError(`found the function "${functionArn}", expected its ARN with an alias or a version`);
  }
  const client = new LambdaClient({
    requestHandler: { connectionTimeout: 3_000, requestTimeout: REQUEST_TIMEOUT_MS, throwOnRequestTimeout: true },
  });
  try {
    const answer = await client.send(
      new InvokeCommand({
        FunctionName: functionArn,
        InvocationType: 'Event',
        DurableExecutionName: name,
        Payload: new TextEncoder().encode(JSON.stringify(command)),
      }),
    );
    return { executionArn: answer.DurableExecutionArn, alreadyStarted: false };
  } catch (error) {
    if (error instanceof DurableExecutionAlreadyStartedException) {
      return { executionArn: undefined, alreadyStarted: true };
    }
    throw new WorkflowNotStartedError(
      `starting ${name} on ${functionArn} failed: ${describeError(error)}. The event can be sent again: it starts one run at most.`,
      { cause: error },
    );
  } finally {
    client.destroy();
  }
}
