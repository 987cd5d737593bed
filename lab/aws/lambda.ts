// Lambda as far as dispatch and durable workflows need it: Invoke, whose execution names start a run once, and the two
// calls by which a durable function keeps its record.
import { randomUUID } from 'node:crypto';
import type { DurableExecutionClient, DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { type LocalExecutionOptions, type LocalExecutionResult, runLocally } from '../execution/local-execution.ts';
import type { ChainedInvokeEnd } from '../execution/local-operations.ts';
import { answerDurableCall } from './durable-api.ts';
import {
  type ApiCall,
  errorResponse,
  type Request,
  type Response,
  type RunningServer,
  signerOf,
  startServer,
} from './server.ts';

const FUNCTION_ARN_PREFIX = 'arn:aws:lambda:eu-west-1:111122223333:function:';

/**
 * "Lambda quotas": what an invocation's payload may be. An asynchronous one of a megabyte is taken since the end of
 * 2025; the older limit holds here, since that is also what an execution's input may be.
 */
const MOST_BYTES = { Event: 256 * 1024, RequestResponse: 6 * 1024 * 1024 };

/** The alias under which functions are registered. */
const ALIAS = 'live';
const VERSION = '1';

interface StandInFunction {
  readonly durable: DurableLambdaHandler;
  readonly options?: Omit<LocalExecutionOptions, 'executionArn' | 'serve'>;
  /**
   * The handler uses the SDK's API client, over HTTP. That client remembers its first endpoint for the life of the
   * process, so only one stand-in a test file can have such functions. @default false
   */
  readonly overTheWire?: boolean;
}

interface Sleep {
  readonly wakingTakesMs: number;
  /** Since it was called. */
  wakesAt: number | undefined;
}

/** One run of a durable function. */
interface StandInExecution {
  readonly functionName: string;
  readonly name: string;
  readonly arn: string;
  readonly payload: string;
  readonly result: Promise<LocalExecutionResult>;
}

export interface LambdaStandIn extends RunningServer {
  readonly executions: readonly StandInExecution[];
  /** @returns the function's ARN with its alias, as dispatch is given it */
  register(functionName: string, fn: StandInFunction): string;
  /**
   * Nobody has called it for weeks: it is inactive, and the first invocation fails and wakes it, which takes so long.
   */
  fallAsleep(functionName: string, wakingTakesMs: number): void;
}

export async function startLambda(calls: ApiCall[]): Promise<LambdaStandIn> {
  const functions = new Map<string, StandInFunction>();
  const executions: StandInExecution[] = [];
  const clients = new Map<string, DurableExecutionClient>();
  const asleep = new Map<string, Sleep>();

  /** As the Lambda Developer Guide has it, "Lambda function states": inactive, then pending, then active. */
  function refusalOf(functionName: string): { status: number; type: string; message: string } | undefined {
    const sleep = asleep.get(functionName);
    if (sleep === undefined) return undefined;
    if (sleep.wakesAt === undefined) {
      sleep.wakesAt = Date.now() + sleep.wakingTakesMs;
      const message = 'The function is inactive and its VPC connection is no longer available.';
      return { status: 502, type: 'ResourceNotReadyException', message };
    }
    if (Date.now() < sleep.wakesAt) {
      const message =
        'The operation cannot be performed at this time. The function is currently in the following state: Pending';
      return { status: 409, type: 'ResourceConflictException', message };
    }
    asleep.delete(functionName);
    return undefined;
  }

  /**
   * What the service does for `context.invoke`: it needs a version or an alias, as any invoke of a durable function.
   */
  async function invokeDurably(signedBy: string, reference: string, payload: string): Promise<ChainedInvokeEnd> {
    const { functionName, qualifier } = parseReference(reference, null);
    // With the role of the function that asks for it.
    calls.push({ action: 'lambda:InvokeFunction', resource: reference, signedBy });
    const fn = functions.get(functionName);
    if (fn === undefined || qualifier !== ALIAS) {
      return { error: { type: 'ResourceNotFoundException', message: `Function not found: ${reference}` } };
    }
    const refusal = refusalOf(functionName);
    if (refusal !== undefined) return { error: refusal };
    const { status, result, error } = await start(functionName, fn, randomUUID(), payload).result;
    if (status === 'SUCCEEDED') return { result: JSON.stringify(result ?? null) };
    return { error: { type: error?.type ?? 'Error', message: error?.message ?? '' } };
  }

  function start(functionName: string, fn: StandInFunction, name: string, payload: string): StandInExecution {
    const executionArn = `${FUNCTION_ARN_PREFIX}${functionName}:${VERSION}/durable-execution/${name}/${randomUUID()}`;
    const serve = fn.overTheWire
      ? { serve: (client: DurableExecutionClient) => clients.set(executionArn, client) }
      : {};
    const invoke = (reference: string, input: string) => invokeDurably(functionName, reference, input);
    const options = { invoke, ...fn.options, ...serve, executionArn };
    const result = runLocally(fn.durable, JSON.parse(payload || 'null'), options);
    result.catch(() => {}); // whoever awaits the execution sees it
    const execution = { functionName, name, arn: executionArn, payload, result };
    executions.push(execution);
    return execution;
  }

  async function invoke(reference: string, request: Request): Promise<Response> {
    const { functionName, qualifier } = parseReference(reference, request.query.get('Qualifier'));
    calls.push({ action: 'lambda:InvokeFunction', resource: reference, ...signerOf(request.headers) });
    const fn = functions.get(functionName);
    if (fn === undefined || (qualifier !== undefined && qualifier !== ALIAS)) {
      return errorResponse(404, 'ResourceNotFoundException', `Function not found: ${reference}`);
    }
    if (qualifier === undefined) return invalid('You cannot invoke a durable function using an unqualified ARN.');
    const name = header(request, 'x-amz-durable-execution-name') ?? randomUUID();
    if (!/^[A-Za-z0-9-_]{1,64}$/.test(name)) return invalid(`Durable execution name "${name}" is not valid.`);
    const type = header(request, 'x-amz-invocation-type') === 'Event' ? 'Event' : 'RequestResponse';
    const bytes = Buffer.byteLength(request.body);
    if (bytes > MOST_BYTES[type]) {
      const message = `${bytes} byte payload is too large for the ${type} invocation type (limit ${MOST_BYTES[type]} bytes)`;
      return errorResponse(413, 'RequestTooLargeException', message);
    }
    const refusal = refusalOf(functionName);
    if (refusal !== undefined) return errorResponse(refusal.status, refusal.type, refusal.message);
    // Names are kept until long after an execution has ended, so a finished one counts as well.
    const known = executions.find((execution) => execution.functionName === functionName && execution.name === name);
    if (known !== undefined && known.payload !== request.body) {
      return errorResponse(409, 'DurableExecutionAlreadyStartedException', `Execution "${name}" has another payload.`);
    }
    const execution = known ?? start(functionName, fn, name, request.body);
    const headers = { 'X-Amz-Durable-Execution-Arn': execution.arn, 'X-Amz-Executed-Version': VERSION };
    if (type === 'Event') return { status: 202, headers, body: '' };
    const { status, result, error } = await execution.result;
    if (status === 'SUCCEEDED') return { status: 200, headers, body: JSON.stringify(result ?? null) };
    const body = { errorType: error?.type, errorMessage: error?.message };
    return { status: 200, headers: { ...headers, 'X-Amz-Function-Error': 'Unhandled' }, body };
  }

  const server = await startServer(async (request) => {
    const [, , kind, encodedName = '', what = ''] = request.path.split('/');
    const name = decodeURIComponent(encodedName);
    if (kind === 'functions' && what === 'invocations') return invoke(name, request);
    if (kind === 'durable-executions') return answerDurableCall(what, name, clients.get(name), request, calls);
    return errorResponse(404, 'UnknownOperationException', request.path);
  });
  return {
    url: server.url,
    executions,
    register: (functionName, fn) => {
      functions.set(functionName, fn);
      return `${FUNCTION_ARN_PREFIX}${functionName}:${ALIAS}`;
    },
    fallAsleep: (functionName, wakingTakesMs) => {
      asleep.set(functionName, { wakingTakesMs, wakesAt: undefined });
    },
    [Symbol.asyncDispose]: async () => {
      // What runs in the background still needs its record.
      await Promise.allSettled(executions.map(({ result }) => result));
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A function is named by its name or its ARN, with its alias behind a colon or in the query. */
function parseReference(
  reference: string,
  query: string | null,
): { functionName: string; qualifier: string | undefined } {
  const parts = reference.startsWith('arn:') ? reference.split(':').slice(6) : reference.split(':');
  return { functionName: parts[0] ?? '', qualifier: parts[1] ?? query ?? undefined };
}

function header(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function invalid(message: string): Response {
  return errorResponse(400, 'InvalidParameterValueException', message);
}
