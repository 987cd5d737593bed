// The function as it is deployed, through the real SDK client, against a stand-in of Lambda's Invoke on 127.0.0.1.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { Context } from 'aws-lambda';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Command } from '../../functions/contract/command.ts';
import { InvalidInputError, SetupError } from '../../functions/contract/errors.ts';
import { WorkflowNotStartedError } from '../../functions/dispatch/errors.ts';
import { startWorkflow } from '../../functions/dispatch/start.ts';

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
});
const { handler } = await import('../../functions/dispatch/handler.ts');

const RECOVER_ARN = 'arn:aws:lambda:eu-central-1:111122223333:function:etcd-medic-demo-recover:live';
const EXECUTION_ARN = `${RECOVER_ARN.replace(/:live$/, ':7')}/durable-execution`;
const command: Command = {
  cluster: 'demo',
  workflow: 'recover',
  trigger: { kind: 'manual', source: 'manual' },
  dryRun: true,
};

let lambda: LambdaStandIn;

beforeEach(async () => {
  lambda = await startLambda();
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  vi.stubEnv('AWS_ENDPOINT_URL_LAMBDA', lambda.url);
  vi.stubEnv('ETCD_MEDIC_CLUSTER', JSON.stringify({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:2379'] } }));
  vi.stubEnv('ETCD_MEDIC_WORKFLOWS', JSON.stringify({ recover: RECOVER_ARN }));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await lambda.stop();
});

describe('startWorkflow', () => {
  const start = { functionArn: RECOVER_ARN, name: 'recover-demo-0123456789abcdef', command };

  it('invokes the qualified function asynchronously under the name, with the command as its payload', async () => {
    const started = await startWorkflow(start);

    expect(started).toEqual({ executionArn: `${EXECUTION_ARN}/${start.name}`, alreadyStarted: false, refusals: [] });
    expect(lambda.requests).toEqual([
      { path: `/2015-03-31/functions/${RECOVER_ARN}/invocations`, type: 'Event', name: start.name, payload: command },
    ]);
  });

  it('takes a name that another payload has for a run that is there', async () => {
    lambda.answers.push([409, 'DurableExecutionAlreadyStartedException']);

    const started = await startWorkflow(start);

    expect(started).toEqual({ executionArn: undefined, alreadyStarted: true, refusals: [] });
    expect(lambda.requests).toHaveLength(1);
  });

  it.each([
    [429, 'TooManyRequestsException'],
    [500, 'ServiceException'],
  ])('tries again after a %i', async (status, type) => {
    lambda.answers.push([status, type]);

    const started = await startWorkflow(start);

    expect(started.alreadyStarted).toBe(false);
    expect(lambda.requests.map(({ name }) => name)).toEqual([start.name, start.name]);
  });

  it.each([
    ['stays throttled', 429, 'TooManyRequestsException', 3],
    ['has no such function', 404, 'ResourceNotFoundException', 1],
  ])('says what was tried and what came back where Lambda %s', async (_what, status, type, attempts) => {
    lambda.answers.push(...Array.from({ length: attempts }, (): Answer => [status, type]));

    const error = await startWorkflow(start, { tryUntil: Date.now() }).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(WorkflowNotStartedError);
    expect(error).toMatchObject({
      message: expect.stringContaining(`${start.name} on ${RECOVER_ARN}`),
      cause: { name: type },
    });
    expect(lambda.requests).toHaveLength(attempts);
  });

  it('says so where nobody listens', async () => {
    await lambda.stop();

    const error = await startWorkflow(start, { tryUntil: Date.now() }).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(WorkflowNotStartedError);
    expect(error).toMatchObject({ message: expect.stringContaining('ECONNREFUSED') });
  });

  it('refuses an ARN without alias or version before anything is sent', async () => {
    const unqualified = { ...start, functionArn: RECOVER_ARN.replace(/:live$/, '') };

    await expect(startWorkflow(unqualified)).rejects.toThrow(SetupError);
    expect(lambda.requests).toEqual([]);
  });
});

describe('the handler', () => {
  it('answers with what it started', async () => {
    const result = await handler(sample('alarm-eventbridge'), context());

    const executionName = lambda.requests[0]?.name;
    expect(result).toEqual({
      started: [
        {
          workflow: 'recover',
          dryRun: false,
          executionName,
          executionArn: `${EXECUTION_ARN}/${executionName}`,
          lookAt: `Lambda, etcd-medic-demo-recover, Durable executions, ${executionName}`,
        },
      ],
      ignored: [],
    });
    expect(executionName).toMatch(/^recover-demo-[0-9a-f]{16}$/);
  });

  it('ten deliveries over four routes, at once, are one run', async () => {
    const routes = ['alarm-eventbridge', 'alarm-action', 'alarm-sns', 'alarm-sns-eventbridge'];
    const deliveries = Array.from({ length: 10 }, (_, i) => sample(routes[i % routes.length] ?? ''));

    const results = await Promise.all(deliveries.map((event, i) => handler(event, context(`request-${i}`))));

    expect(lambda.requests).toHaveLength(10);
    expect(lambda.executions.size).toBe(1);
    expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
  });

  it('answers with the reasons where it started nothing', async () => {
    const result = await handler(sample('alarm-eventbridge-ok'), context());

    expect(result).toEqual({ started: [], ignored: [expect.stringContaining('only ALARM starts a workflow')] });
    expect(lambda.requests).toEqual([]);
  });

  it('starts what the alarms of the configuration ask for', async () => {
    const alarms = [{ name: 'EtcdNoSpace', workflow: 'recover' }];
    const etcd = { endpoints: ['http://127.0.0.1:2379'] };
    vi.stubEnv('ETCD_MEDIC_CLUSTER', JSON.stringify({ name: 'demo', etcd, alarms }));

    const result = await handler(sample('alertmanager-sns'), context());

    expect(result).toMatchObject({ started: [{ workflow: 'recover' }], ignored: [] });
    expect([...lambda.executions.values()]).toMatchObject([{ trigger: { source: 'alertmanager:EtcdNoSpace' } }]);
  });

  it.each([
    ['alarm-quota-usage', 'maintain'],
    ['manual-maintain', 'maintain'],
    ['schedule-prune', 'prune'],
    ['manual-prune-dry-run', 'prune'],
  ])('starts what %s.json asks for on the function of %s', async (file, workflow) => {
    const arn = RECOVER_ARN.replace('recover', workflow);
    vi.stubEnv('ETCD_MEDIC_WORKFLOWS', JSON.stringify({ recover: RECOVER_ARN, [workflow]: arn }));

    const result = await handler(sample(file), context());

    expect(result).toMatchObject({ started: [{ workflow }], ignored: [] });
    expect(lambda.requests.map(({ path }) => path)).toEqual([`/2015-03-31/functions/${arn}/invocations`]);
  });

  it.each([
    ['an event that is not understood', sample('schedule-without-input'), InvalidInputError, 'found nothing'],
    [
      'a workflow that is not deployed',
      sample('schedule'),
      SetupError,
      '"maintain" is not deployed in this stack (deployed: recover)',
    ],
  ])('throws for %s, so that the event ends in the dead-letter queue', async (_what, event, type, words) => {
    const error = await Promise.resolve(handler(event, context())).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ message: expect.stringContaining(words) });
    expect(lambda.requests).toEqual([]);
  });

  it.each([
    ['ETCD_MEDIC_CLUSTER', '', 'ETCD_MEDIC_CLUSTER: found nothing'],
    ['ETCD_MEDIC_CLUSTER', '{', 'ETCD_MEDIC_CLUSTER: (the whole document): found text that is not JSON'],
    ['ETCD_MEDIC_WORKFLOWS', '{"recover":"recover:live"}', 'recover: found "recover:live", expected a function\'s ARN'],
    ['ETCD_MEDIC_WORKFLOWS', '{"reboot":"x"}', 'reboot: found a field that is not known here'],
  ])('%s being %j is told by name', async (variable, value, words) => {
    vi.stubEnv(variable, value);

    const error = await Promise.resolve(handler(sample('manual-recover'), context())).catch(
      (thrown: unknown) => thrown,
    );

    expect(error).toMatchObject({ message: expect.stringContaining(words) });
  });
});

type Answer = readonly [status: number, errorType: string];

interface LambdaStandIn {
  readonly url: string;
  readonly requests: { path: string; type: unknown; name: string; payload: unknown }[];
  /** Started runs: name -> payload. */
  readonly executions: Map<string, unknown>;
  /** Errors to give before the next success. */
  readonly answers: Answer[];
  stop(): Promise<void>;
}

/** Names are idempotency keys: the same one with the same payload is the run that is there, with another one a 409. */
async function startLambda(): Promise<LambdaStandIn> {
  const requests: LambdaStandIn['requests'] = [];
  const executions: LambdaStandIn['executions'] = new Map();
  const answers: Answer[] = [];
  const server = createServer(async (request, response) => {
    const payload: unknown = JSON.parse(await body(request));
    const name = String(request.headers['x-amz-durable-execution-name']);
    const path = decodeURIComponent(request.url ?? '');
    requests.push({ path, type: request.headers['x-amz-invocation-type'], name, payload });
    const taken = executions.has(name) && JSON.stringify(executions.get(name)) !== JSON.stringify(payload);
    const refusal =
      answers.shift() ?? (taken ? ([409, 'DurableExecutionAlreadyStartedException'] as const) : undefined);
    if (refusal !== undefined) {
      response.writeHead(refusal[0], { 'x-amzn-errortype': refusal[1], 'content-type': 'application/json' });
      response.end(JSON.stringify({ Type: 'User', Message: 'told to' }));
      return;
    }
    executions.set(name, payload);
    response.writeHead(202, { 'x-amz-durable-execution-arn': `${EXECUTION_ARN}/${name}` }).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the stand-in has no port');
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { url: `http://127.0.0.1:${address.port}`, requests, executions, answers, stop };
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function sample(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../events/${file}.json`, import.meta.url), 'utf8'));
}

function context(awsRequestId = '3f1c6a52-7e0d-4b7c-8a55-0a1f6f8f9d21'): Context {
  return {
    awsRequestId,
    callbackWaitsForEmptyEventLoop: false,
    functionName: 'etcd-medic-demo-dispatch',
    functionVersion: '1',
    invokedFunctionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:etcd-medic-demo-dispatch',
    logGroupName: '/aws/lambda/etcd-medic-demo-dispatch',
    logStreamName: 'test',
    memoryLimitInMB: '256',
    getRemainingTimeInMillis: () => 60_000,
    done: () => undefined,
    fail: () => undefined,
    succeed: () => undefined,
  };
}
