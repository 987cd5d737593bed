// A function that nobody has called for weeks: Lambda refuses to invoke it at first, and dispatch goes on trying.
import { readFileSync } from 'node:fs';
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import type { Context } from 'aws-lambda';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Command } from '../../functions/contract/command.ts';
import { SetupError } from '../../functions/contract/errors.ts';
import { WorkflowNotStartedError } from '../../functions/dispatch/errors.ts';
import { startWorkflow } from '../../functions/dispatch/start.ts';
import { errorResponse, type RunningServer, startServer } from '../../lab/aws/server.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { projectRoot } from '../../lib/bundling.ts';

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
});
const { handler } = await import('../../functions/dispatch/handler.ts');

const FUNCTION = 'etcd-medic-demo-recover';
const command: Command = {
  cluster: 'demo',
  workflow: 'recover',
  trigger: { kind: 'manual', source: 'manual' },
  dryRun: true,
};

describe('a function that is asleep', () => {
  let aws: AwsStandIn;
  let functionArn: string;
  const runs: unknown[] = [];

  beforeEach(async () => {
    runs.length = 0;
    aws = await startAws();
    aws.enter();
    functionArn = aws.lambda.register(FUNCTION, { durable: withDurableExecution(async (event) => runs.push(event)) });
    vi.stubEnv('ETCD_MEDIC_CLUSTER', JSON.stringify({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:2379'] } }));
    vi.stubEnv('ETCD_MEDIC_WORKFLOWS', JSON.stringify({ recover: functionArn }));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await aws.stop();
  });

  it('is woken by an alarm, and starts one run', async () => {
    aws.lambda.fallAsleep(FUNCTION, 2_000);

    const { started } = await dispatch('alarm-eventbridge');

    expect(started).toMatchObject([{ workflow: 'recover', executionArn: aws.lambda.executions[0]?.arn }]);
    await aws.lambda.executions[0]?.result;
    expect(runs).toMatchObject([{ workflow: 'recover' }]);
  });

  it('that ten deliveries of one alarm find so starts one run', async () => {
    aws.lambda.fallAsleep(FUNCTION, 1_000);

    const answers = await Promise.all(Array.from({ length: 10 }, () => dispatch('alarm-eventbridge')));

    expect(new Set(answers.map(({ started }) => started[0]?.executionArn)).size).toBe(1);
    await aws.lambda.executions[0]?.result;
    expect(runs).toHaveLength(1);
  });

  it('and does not wake in time is told with what came back, and the event is Lambda’s to try again', async () => {
    aws.lambda.fallAsleep(FUNCTION, 3_600_000);
    const start = { functionArn, name: 'recover-demo-1', command };

    const started = startWorkflow(start, { tryUntil: Date.now() + 100, pauseMs: 5 });

    await expect(started).rejects.toThrow(WorkflowNotStartedError);
    await expect(started).rejects.toThrow('currently in the following state: Pending. The event can be sent again');
    expect(aws.lambda.executions).toEqual([]);
  });

  it('is tried for as long as the invocation has left, and once where nothing is left', async () => {
    aws.lambda.fallAsleep(FUNCTION, 3_600_000);

    await expect(dispatch('alarm-eventbridge', 5_000)).rejects.toThrow(WorkflowNotStartedError);

    // The SDK's own second try is one of these.
    expect(aws.calls.filter(({ action }) => action === 'lambda:InvokeFunction').length).toBeLessThanOrEqual(3);
  });

  const dispatch = (sample: string, leftMs = 60_000) => {
    const event: unknown = JSON.parse(readFileSync(`${projectRoot}/events/${sample}.json`, 'utf8'));
    const context = { awsRequestId: crypto.randomUUID(), getRemainingTimeInMillis: () => leftMs } as Context;
    return Promise.resolve(handler(event, context));
  };
});

/** What Lambda answers with while the function wakes, or while there is too much to do. */
const WAITED_FOR = [
  [409, 'ResourceConflictException'],
  [502, 'ResourceNotReadyException'],
  [502, 'ENINotReadyException'],
  [502, 'ENILimitReachedException'],
  [502, 'EC2ThrottledException'],
  [502, 'EC2UnexpectedException'],
  [502, 'SubnetIPAddressLimitReachedException'],
  [400, 'CodeArtifactUserPendingException'],
  [409, 'SnapStartNotReadyException'],
  [429, 'TooManyRequestsException'],
  [400, 'ThrottlingException'],
  [500, 'ServiceException'],
] as const;

/** What nothing but a person mends. */
const FINAL = [
  [403, 'AccessDeniedException'],
  [404, 'ResourceNotFoundException'],
  [400, 'InvalidParameterValueException'],
  [400, 'InvalidRequestContentException'],
  [413, 'RequestTooLargeException'],
  [415, 'UnsupportedMediaTypeException'],
  [400, 'RecursiveInvocationException'],
  [502, 'InvalidRuntimeException'],
  [502, 'InvalidSecurityGroupIDException'],
  [502, 'InvalidSubnetIDException'],
  [502, 'InvalidZipFileException'],
  [502, 'EC2AccessDeniedException'],
  [502, 'KMSAccessDeniedException'],
  [502, 'KMSDisabledException'],
  [502, 'KMSInvalidStateException'],
  [502, 'KMSNotFoundException'],
  [400, 'CodeArtifactUserDeletedException'],
  [400, 'CodeArtifactUserFailedException'],
  [400, 'ModeNotSupportedException'],
  [400, 'NoPublishedVersionException'],
  [413, 'SerializedRequestEntityTooLargeException'],
  [402, 'ServiceQuotaExceededException'],
  [400, 'SnapStartException'],
  [400, 'SnapStartRegenerationFailureException'],
  [408, 'SnapStartTimeoutException'],
] as const;

describe('what Lambda answers with', () => {
  let server: RunningServer;
  let answers: (readonly [number, string])[];
  let requests: number;
  const start = {
    functionArn: `arn:aws:lambda:eu-west-1:111122223333:function:${FUNCTION}:live`,
    name: 'recover-demo-1',
    command,
  };

  beforeEach(async () => {
    answers = [];
    requests = 0;
    server = await startServer(async () => {
      requests++;
      const [status, type] = answers.shift() ?? [];
      if (status === undefined || type === undefined) return { status: 202, body: '' };
      return errorResponse(status, type, 'told to');
    });
    vi.stubEnv('AWS_ENDPOINT_URL_LAMBDA', server.url);
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await server[Symbol.asyncDispose]();
  });

  it.each(WAITED_FOR)('%i %s is tried again', async (status, type) => {
    // More than the SDK tries by itself.
    answers.push(...Array.from({ length: 4 }, () => [status, type] as const));

    const { refusals } = await startWorkflow(start, { tryUntil: Date.now() + 600_000, pauseMs: 1 });

    expect(refusals.length).toBeGreaterThanOrEqual(1);
    expect(refusals[0]).toContain(type);
    expect(requests).toBe(5);
  });

  it.each(FINAL)('%i %s is told at once', async (status, type) => {
    answers.push(...Array.from({ length: 8 }, () => [status, type] as const));

    const started = startWorkflow(start, { tryUntil: Date.now() + 600_000, pauseMs: 1 });

    await expect(started).rejects.toMatchObject({ name: 'WorkflowNotStartedError', cause: { name: type } });
    // What comes with a 502 the SDK itself tries three times.
    expect(requests).toBeLessThanOrEqual(3);
  });

  it('is known, whatever the SDK documents for Invoke', () => {
    const declared = readFileSync(
      `${projectRoot}/node_modules/@aws-sdk/client-lambda/dist-types/commands/InvokeCommand.d.ts`,
      'utf8',
    );
    const documented = [...declared.matchAll(/@throws \{@link (\w+Exception)\}/g)].map(([, name]) => name);
    // File systems that no function of ours has, the run that is there already, and the base of all.
    const others = /^(EFS|S3Files)|^(DurableExecutionAlreadyStarted|LambdaService)Exception$/;

    const known = new Set<string | undefined>([...WAITED_FOR, ...FINAL].map(([, name]) => name));
    expect(documented.length).toBeGreaterThan(30);
    expect(documented.filter((name = '') => !known.has(name) && !others.test(name))).toEqual([]);
  });

  it('is not asked for where the ARN has no alias', async () => {
    await expect(startWorkflow({ ...start, functionArn: FUNCTION })).rejects.toThrow(SetupError);
    expect(requests).toBe(0);
  });
});
