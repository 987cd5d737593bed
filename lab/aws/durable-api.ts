// The wire side of a durable function's record: CheckpointDurableExecution and GetDurableExecutionState.
import {
  type DurableExecutionClient,
  DurableExecutionClientErrorScope,
  isDurableExecutionClientError,
  type WireOperation,
  type WireTimestamp,
} from '@aws/durable-execution-sdk-js';
import { type ApiCall, errorResponse, type Request, type Response } from './server.ts';

/**
 * @param what the last part of the path: `checkpoint` or `state`
 * @param client the execution's line to its record; undefined when there is no such execution
 */
export async function answerDurableCall(
  what: string,
  executionArn: string,
  client: DurableExecutionClient | undefined,
  { method, query, body }: Request,
  calls: ApiCall[],
): Promise<Response> {
  if (client === undefined) return errorResponse(404, 'ResourceNotFoundException', `No execution ${executionArn}`);
  try {
    if (method === 'POST' && what === 'checkpoint') {
      calls.push({ action: 'lambda:CheckpointDurableExecution', resource: executionArn });
      const answer = await client.checkpoint({ ...JSON.parse(body), DurableExecutionArn: executionArn });
      const Operations = answer.NewExecutionState?.Operations?.map(onTheWire);
      return { status: 200, body: { ...answer, NewExecutionState: { Operations } } };
    }
    if (method === 'GET' && what === 'state') {
      calls.push({ action: 'lambda:GetDurableExecutionState', resource: executionArn });
      const [CheckpointToken, Marker] = [query.get('CheckpointToken') ?? '', query.get('Marker') ?? undefined];
      const answer = await client.getExecutionState({ DurableExecutionArn: executionArn, CheckpointToken, Marker });
      return { status: 200, body: { ...answer, Operations: answer.Operations?.map(onTheWire) } };
    }
  } catch (error) {
    if (!isDurableExecutionClientError(error)) throw error;
    const lost = error.scope === DurableExecutionClientErrorScope.INVOCATION && !error.message.startsWith('Invalid');
    return errorResponse(lost ? 503 : 400, lost ? 'ServiceException' : 'InvalidParameterValueException', error.message);
  }
  return errorResponse(404, 'UnknownOperationException', what);
}

/** The API writes times as seconds since 1970, where an invocation's event has texts. */
function onTheWire({ StartTimestamp, EndTimestamp, StepDetails, WaitDetails, ...rest }: WireOperation): object {
  return {
    ...rest,
    StartTimestamp: seconds(StartTimestamp),
    EndTimestamp: seconds(EndTimestamp),
    StepDetails: StepDetails && { ...StepDetails, NextAttemptTimestamp: seconds(StepDetails.NextAttemptTimestamp) },
    WaitDetails: WaitDetails && { ScheduledEndTimestamp: seconds(WaitDetails.ScheduledEndTimestamp) },
  };
}

function seconds(timestamp: WireTimestamp | undefined): number | undefined {
  return timestamp === undefined ? undefined : new Date(timestamp).getTime() / 1_000;
}
