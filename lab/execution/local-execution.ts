// Runs a durable function's handler in this process, from its event to its result: what the durable execution service
// does, with its record in memory. For `npm run invoke`, the demo and the tests, which can also make it crash.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CheckpointDurableExecutionRequest,
  type DurableExecutionClient,
  DurableExecutionClientError,
  type DurableExecutionInvocationInput,
  DurableExecutionInvocationInputWithClient,
  type DurableExecutionInvocationOutput,
  type DurableLambdaHandler,
  type WireOperation,
} from '@aws/durable-execution-sdk-js';
import type { Context } from 'aws-lambda';
import { currentInvocation, LocalInvocation } from './local-attempts.ts';
import { type ChainedInvokeEnd, type OperationChange, OperationRecord } from './local-operations.ts';

/** How long one invocation may run in Lambda at most; a local one says how much of it is left, and isn't cut off. */
const INVOCATION_MS = 15 * 60 * 1_000;

export interface LocalExecutionOptions {
  /** Waits and retry delays take no time: the clock jumps to whatever is due next. @default false */
  readonly skipTime?: boolean;
  /** Waits and retry delays are so many times shorter, for a world whose own clock is sped up as much. @default 1 */
  readonly speed?: number;
  /**
   * The k-th checkpoint request (from 1) is lost and its invocation dies; the next one replays what was recorded.
   * Needs `trackAttempts()`, called before the handler was made.
   */
  readonly crashAtCheckpoint?: number;
  /** The k-th checkpoint request is recorded, but the invocation dies before it learns so. Needs `trackAttempts()`. */
  readonly crashAfterCheckpoint?: number;
  /**
   * What an invocation is told of the time that it has left, in milliseconds; `invocation` counts from 1.
   * @default 15 minutes less what it has used; nothing with `skipTime`, so that the SDK does not wait inside of an
   *   invocation
   */
  readonly remainingTimeMs?: (invocation: number) => number;
  /** Called with each checkpoint request's number, from 1, before it is recorded. */
  readonly onCheckpoint?: (checkpoint: number) => void;
  /** Called at every change of an operation's status. */
  readonly onOperation?: (change: OperationChange) => void;
  /** @default one that no other execution has */
  readonly executionArn?: string;
  /**
   * Runs a function that the execution invokes durably, by the name or ARN that it gives; `payload` and what it
   * resolves to are JSON.
   * @default there is no such function: the invoke fails
   */
  readonly invoke?: (functionName: string, payload: string) => Promise<ChainedInvokeEnd>;
  /** A workflow that never gets further ends in an error. @default 1000 */
  readonly maxInvocations?: number;
  /**
   * Given each invocation's own client, instead of the handler: for a server that lets the handler use the SDK's
   * API client. Such a handler finds the rest of a long record by the client's `getExecutionState`.
   */
  readonly serve?: (client: DurableExecutionClient) => void;
}

export interface LocalExecutionResult {
  readonly status: 'SUCCEEDED' | 'FAILED';
  /** What the handler returned, after JSON. */
  readonly result?: unknown;
  readonly error?: { readonly type: string; readonly message: string };
  readonly executionArn: string;
  /** How many times the handler was called. */
  readonly invocations: number;
  /** How many checkpoint requests with updates there were: crashes can be played at 1 to this many. */
  readonly checkpoints: number;
}

/**
 * Runs `handler` until its execution has succeeded or failed. Between invocations it waits until the next operation is
 * due.
 * @param payload the event; JSON
 * @throws DurableExecutionClientError when the payload is larger than the service takes
 * @throws whatever the handler's invocation throws: with Lambda it would be invoked again, here something is wrong
 */
export async function runLocally(
  handler: DurableLambdaHandler,
  payload: unknown,
  options: LocalExecutionOptions = {},
): Promise<LocalExecutionResult> {
  return new LocalExecution(handler, payload, options).run();
}

class LocalExecution {
  readonly #handler: DurableLambdaHandler;
  readonly #options: LocalExecutionOptions;
  readonly #arn: string;
  readonly #record: OperationRecord;
  #skippedMs = 0;
  #invocations = 0;
  #checkpoints = 0;
  #token = 0;
  /** By operation id: functions that run for this execution. */
  readonly #running = new Map<string, Promise<void>>();
  /** Ended since the last invocation or checkpoint. */
  #ended: string[] = [];

  constructor(handler: DurableLambdaHandler, payload: unknown, options: LocalExecutionOptions) {
    this.#handler = handler;
    this.#options = options;
    this.#arn = options.executionArn ?? newExecutionArn();
    const onChange = options.onOperation ?? (() => {});
    this.#record = new OperationRecord(JSON.stringify(payload), () => this.#now(), onChange);
  }

  async run(): Promise<LocalExecutionResult> {
    const { maxInvocations = 1_000 } = this.#options;
    for (let invocations = 1; invocations <= maxInvocations; invocations++) {
      this.#invocations = invocations;
      const output = await this.#invoke();
      if (output === 'crashed') continue;
      const counts = { executionArn: this.#arn, invocations, checkpoints: this.#checkpoints };
      if (output.Status === 'SUCCEEDED') {
        const text = this.#record.executionResult ?? output.Result;
        return { status: 'SUCCEEDED', result: text === undefined ? undefined : JSON.parse(text), ...counts };
      }
      if (output.Status === 'FAILED') {
        const { ErrorType: type = 'Error', ErrorMessage: message = '' } = output.Error;
        return { status: 'FAILED', error: { type, message }, ...counts };
      }
      await this.#untilNextIsDue();
    }
    throw new Error(`${this.#arn} was invoked ${maxInvocations} times and has not come to an end`);
  }

  async #invoke(): Promise<DurableExecutionInvocationOutput | 'crashed'> {
    const invocation = new LocalInvocation();
    const UpdatedOperationIds = [...this.#record.wakeDue().flatMap(({ Id }) => Id ?? []), ...this.#ended.splice(0)];
    // Lambda hands the record over as JSON, so dates arrive as texts.
    const operations: WireOperation[] = JSON.parse(JSON.stringify(this.#record.snapshot()));
    const { promise: crash, reject: die } = Promise.withResolvers<never>();
    crash.catch(() => {}); // seen below, if the handler's own end isn't seen first
    const client = this.#client(invocation, die);
    const { serve } = this.#options;
    const input: DurableExecutionInvocationInput = {
      DurableExecutionArn: this.#arn,
      CheckpointToken: this.#nextToken(),
      UpdatedOperationIds,
      InitialExecutionState: serve
        ? { Operations: operations.slice(0, 1), NextMarker: '1' }
        : { Operations: operations },
    };
    serve?.(client);
    const event = serve ? input : new DurableExecutionInvocationInputWithClient(input, client);
    try {
      const answer = currentInvocation.run(invocation, () => this.#handler(event, this.#context()));
      return await Promise.race([answer, crash]);
    } catch (error) {
      if (!invocation.crashed) throw error;
      await invocation.untilIdle();
      return 'crashed';
    } finally {
      invocation.over = true;
    }
  }

  /** An invocation's own line to the record. Once the invocation is over, nothing on it is ever answered. */
  #client(invocation: LocalInvocation, die: (error: Error) => void): DurableExecutionClient {
    const crash = (checkpoint: number): Error => {
      if (!invocation.tracked) throw new Error('To play a crash, call trackAttempts() before the handler is made');
      invocation.crashed = true;
      invocation.over = true;
      const error = new DurableExecutionClientError(`crash played at checkpoint ${checkpoint}`);
      die(error);
      return error;
    };
    return {
      getExecutionState: async ({ Marker = '0' }) => ({ Operations: this.#record.snapshot().slice(Number(Marker)) }),
      checkpoint: async (request) => {
        if (invocation.over) return new Promise(() => {});
        const counts = (request.Updates ?? []).length > 0;
        const checkpoint = counts ? ++this.#checkpoints : undefined;
        if (checkpoint !== undefined) this.#options.onCheckpoint?.(checkpoint);
        if (checkpoint !== undefined && checkpoint === this.#options.crashAtCheckpoint) throw crash(checkpoint);
        const response = this.#checkpoint(request);
        if (checkpoint !== undefined && checkpoint === this.#options.crashAfterCheckpoint) throw crash(checkpoint);
        return response;
      },
    };
  }

  #checkpoint({ CheckpointToken, Updates = [] }: CheckpointDurableExecutionRequest) {
    if (CheckpointToken !== String(this.#token)) {
      throw new DurableExecutionClientError(`Invalid Checkpoint Token: ${CheckpointToken}`);
    }
    // A request without updates is a look at what has become due.
    const woken = [...this.#record.wakeDue(), ...this.#record.operations(this.#ended.splice(0))];
    const Operations = [...woken, ...this.#record.apply(Updates)];
    this.#startChainedInvokes();
    return { CheckpointToken: this.#nextToken(), NewExecutionState: { Operations } };
  }

  #startChainedInvokes(): void {
    for (const { id, functionName, payload } of this.#record.chainedInvokes.splice(0)) {
      const missing = { error: { type: 'ResourceNotFoundException', message: `Function not found: ${functionName}` } };
      const run = this.#options.invoke?.(functionName, payload) ?? Promise.resolve(missing);
      const ended = run
        .catch((error: unknown): ChainedInvokeEnd => ({ error: { type: 'Error', message: String(error) } }))
        .then((end) => {
          this.#record.endChainedInvoke(id, end);
          this.#running.delete(id);
          this.#ended.push(id);
        });
      this.#running.set(id, ended);
    }
  }

  async #untilNextIsDue(): Promise<void> {
    // A function that runs for this execution takes real time, also where waits are skipped.
    if (this.#running.size > 0) {
      await Promise.race(this.#running.values());
      return;
    }
    const due = this.#record.nextDueMs();
    // Nothing waits for time: what was awaited came to be due in the moment the invocation ended.
    if (due === undefined) return;
    const waitMs = Math.max(0, due - this.#now());
    const { skipTime = false, speed = 1 } = this.#options;
    const sleptMs = skipTime ? 0 : waitMs / speed;
    if (!skipTime) await sleep(sleptMs);
    this.#skippedMs += waitMs - sleptMs;
  }

  #now(): number {
    return Date.now() + this.#skippedMs;
  }

  #nextToken(): string {
    return String(++this.#token);
  }

  #context(): Context {
    const started = Date.now();
    const [functionArn = this.#arn] = this.#arn.split('/');
    const functionName = functionArn.split(':')[6] ?? 'local';
    return {
      callbackWaitsForEmptyEventLoop: true,
      functionName,
      functionVersion: functionArn.split(':')[7] ?? '1',
      invokedFunctionArn: functionArn,
      memoryLimitInMB: '512',
      awsRequestId: randomUUID(),
      logGroupName: `/aws/lambda/${functionName}`,
      logStreamName: 'local',
      // With no time left the SDK doesn't wait inside an invocation, so that every wait is one that can be skipped.
      getRemainingTimeInMillis: () => {
        if (this.#options.remainingTimeMs) return this.#options.remainingTimeMs(this.#invocations);
        return this.#options.skipTime ? 0 : INVOCATION_MS - (Date.now() - started);
      },
      done: () => {},
      fail: () => {},
      succeed: () => {},
    };
  }
}

function newExecutionArn(): string {
  return `arn:aws:lambda:us-east-1:000000000000:function:local:1/durable-execution/local/${randomUUID()}`;
}
