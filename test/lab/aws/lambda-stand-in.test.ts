import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AwsStandIn, startAws } from '../../../lab/aws/stand-in.ts';

const once = { retryStrategy: () => ({ shouldRetry: false }) };

let aws: AwsStandIn;
let client: LambdaClient;

beforeEach(async () => {
  aws = await startAws();
  aws.enter();
  client = new LambdaClient({});
});
afterEach(async () => {
  client.destroy();
  await aws.stop();
});

function register(options = {}) {
  const runs: unknown[] = [];
  const handler = withDurableExecution(async (event: { n: number }, context: DurableContext) => {
    const doubled = await context.step('double', async () => runs.push(event) && event.n * 2, once);
    await context.wait('pause', { seconds: 1 });
    return context.step('again', async () => doubled * 2, once);
  });
  const arn = aws.lambda.register('recover', { durable: handler, options: { skipTime: true }, ...options });
  return { arn, runs };
}

const invoke = (FunctionName: string, DurableExecutionName: string, payload: unknown, InvocationType?: 'Event') =>
  client.send(
    new InvokeCommand({ FunctionName, DurableExecutionName, Payload: JSON.stringify(payload), InvocationType }),
  );

describe('the stand-in of Lambda', () => {
  it('starts one run of ten invocations of one name, at once and later', async () => {
    const { arn, runs } = register();

    const atOnce = await Promise.all(Array.from({ length: 10 }, () => invoke(arn, 'cause-1', { n: 3 }, 'Event')));
    await aws.lambda.executions[0]?.result;
    const later = await invoke(arn, 'cause-1', { n: 3 }, 'Event');

    expect(new Set([...atOnce, later].map(({ DurableExecutionArn }) => DurableExecutionArn)).size).toBe(1);
    expect(atOnce[0]?.DurableExecutionArn).toContain(':function:recover:1/durable-execution/cause-1/');
    expect(later.StatusCode).toBe(202);
    expect(runs).toHaveLength(1);
  });

  it('starts a run for each name', async () => {
    const { arn, runs } = register();

    await Promise.all(['cause-1', 'cause-2'].map((name) => invoke(arn, name, { n: 3 })));

    expect(runs).toHaveLength(2);
  });

  it('refuses a name that was used for another event', async () => {
    const { arn } = register();
    await invoke(arn, 'cause-1', { n: 3 });

    await expect(invoke(arn, 'cause-1', { n: 4 })).rejects.toMatchObject({
      name: 'DurableExecutionAlreadyStartedException',
    });
  });

  it.each([
    ['a function without its alias', 'recover', 'cause-1', 'InvalidParameterValueException'],
    ['an alias that is not there', 'recover:old', 'cause-1', 'ResourceNotFoundException'],
    ['a function that is not there', 'maintain:live', 'cause-1', 'ResourceNotFoundException'],
    ['a name with a dot', 'recover:live', 'cause.1', 'InvalidParameterValueException'],
    ['a name that is too long', 'recover:live', 'x'.repeat(65), 'InvalidParameterValueException'],
  ])('refuses %s', async (_what, functionName, name, error) => {
    const { runs } = register();

    await expect(invoke(functionName, name, { n: 3 }, 'Event')).rejects.toMatchObject({ name: error });
    expect(runs).toEqual([]);
  });

  it('answers a synchronous invocation with the result', async () => {
    const { arn } = register();

    const { StatusCode, Payload } = await invoke(arn, 'cause-1', { n: 3 });

    expect(StatusCode).toBe(200);
    expect(JSON.parse(Payload?.transformToString() ?? '')).toBe(12);
  });

  it('answers with the error of a run that failed', async () => {
    const failing = withDurableExecution(async () => {
      throw new RangeError('out of it');
    });
    const arn = aws.lambda.register('failing', { durable: failing });

    const { FunctionError, Payload } = await invoke(arn, 'cause-1', {});

    expect(FunctionError).toBe('Unhandled');
    expect(JSON.parse(Payload?.transformToString() ?? '')).toEqual({
      errorType: 'RangeError',
      errorMessage: 'out of it',
    });
  });

  // Only one test can: see `overTheWire`.
  it('keeps a record over HTTP for the SDK’s own client', async () => {
    const { arn, runs } = register({ overTheWire: true, options: {} });

    const { Payload } = await invoke(arn, 'cause-1', { n: 3 });

    const actions = new Set(aws.calls.map(({ action }) => action));
    expect(JSON.parse(Payload?.transformToString() ?? '')).toBe(12);
    expect(runs).toHaveLength(1);
    expect([...actions].toSorted()).toEqual([
      'lambda:CheckpointDurableExecution',
      'lambda:GetDurableExecutionState',
      'lambda:InvokeFunction',
    ]);
  });
});
