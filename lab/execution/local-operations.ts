// The record of one durable execution, kept in memory as the service keeps it: which operations there are, how far each
// is, when the next one is due.
import {
  DurableExecutionClientError,
  DurableExecutionClientErrorScope,
  type OperationStatus,
  type OperationUpdate,
  type WireOperation,
} from '@aws/durable-execution-sdk-js';

/** What the service takes as one operation's payload, and as an execution's input. */
export const PAYLOAD_LIMIT_BYTES = 256 * 1024;
/** "Lambda quotas": durable operations of one execution. */
export const OPERATIONS_LIMIT = 3_000;
/** "OperationUpdate" and "StepOptions", "WaitOptions" in the Lambda API reference. */
const NAME = /^[\x20-\x7e]{1,256}$/;
const LONGEST_DELAY_SECONDS = 31_622_400;

/** One operation went from one status to another; for showing progress. */
export interface OperationChange {
  readonly id: string;
  /** The step's name; undefined for operations without one. */
  readonly name: string | undefined;
  readonly type: string;
  /** `Step`, `Wait`, `WaitForCondition`, `ParallelBranch`, … */
  readonly subType: string | undefined;
  /** Undefined: the operation is new. */
  readonly from: OperationStatus | undefined;
  readonly to: OperationStatus;
  /** What it recorded, as JSON. */
  readonly result: string | undefined;
  readonly problem: string | undefined;
}

/** A function that an execution has asked the service to run for it. */
export interface ChainedInvoke {
  /** Of the operation that waits for it. */
  readonly id: string;
  readonly functionName: string;
  /** JSON. */
  readonly payload: string;
}

/** How that ended: what the function returned, as JSON, or its error. */
export type ChainedInvokeEnd =
  | { readonly result: string | undefined }
  | { readonly error: { readonly type: string; readonly message: string } };

const TERMINAL: ReadonlySet<OperationStatus | undefined> = new Set([
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
  'TIMED_OUT',
  'STOPPED',
]);

export class OperationRecord {
  readonly #operations = new Map<string, WireOperation>();
  readonly #now: () => number;
  readonly #onChange: (change: OperationChange) => void;
  /** Asked for and not begun yet: whoever runs the execution takes them from here. */
  readonly chainedInvokes: ChainedInvoke[] = [];
  /** Set when a result too large for the invocation's answer was checkpointed instead. */
  executionResult: string | undefined;

  /** @throws DurableExecutionClientError when the input is larger than the service takes */
  constructor(input: string, now: () => number, onChange: (change: OperationChange) => void) {
    checkSize('execution input', input);
    this.#now = now;
    this.#onChange = onChange;
    const StartTimestamp = new Date(now());
    const ExecutionDetails = { InputPayload: input };
    this.#operations.set('execution', {
      Id: 'execution',
      Type: 'EXECUTION',
      Status: 'STARTED',
      StartTimestamp,
      ExecutionDetails,
    });
  }

  /**
   * Records a checkpoint request: all of its updates or, when one is refused, none.
   * @returns the operations as they are now
   * @throws DurableExecutionClientError as the service would, which fails the execution
   */
  apply(updates: readonly OperationUpdate[]): readonly WireOperation[] {
    const staged = new Map<string, WireOperation>();
    for (const update of updates) {
      const { Id: id, ParentId: parent, Type: type } = update;
      if (id === undefined) throw refusal('Operation update must have an Id.');
      checkUpdate(update);
      if (type === 'EXECUTION') {
        this.executionResult = update.Payload;
        continue;
      }
      if (parent !== undefined && (staged.get(parent) ?? this.#operations.get(parent))?.Type !== 'CONTEXT') {
        throw refusal('Invalid parent operation id.');
      }
      staged.set(id, this.#next(staged.get(id) ?? this.#operations.get(id), update));
    }
    const added = [...staged.keys()].filter((id) => !this.#operations.has(id)).length;
    const operations = this.#operations.size - 1 + added; // without the execution itself
    if (operations > OPERATIONS_LIMIT) {
      throw refusal(`The execution has ${operations} durable operations: there may be at most ${OPERATIONS_LIMIT}.`);
    }
    for (const operation of staged.values()) this.#set(operation);
    for (const { Type, Action, Id: id = '', Payload: payload = 'null', ChainedInvokeOptions } of updates) {
      if (Type !== 'CHAINED_INVOKE' || Action !== 'START') continue;
      this.chainedInvokes.push({ id, functionName: ChainedInvokeOptions?.FunctionName ?? '', payload });
    }
    return [...staged.values()];
  }

  /** These operations as they are now. */
  operations(ids: readonly string[]): readonly WireOperation[] {
    return ids.flatMap((id) => this.#operations.get(id) ?? []);
  }

  /** Records the end of a chained invoke. */
  endChainedInvoke(id: string, end: ChainedInvokeEnd): void {
    const operation = this.#operations.get(id);
    if (operation === undefined) throw new Error(`no operation ${id} was recorded`);
    const EndTimestamp = new Date(this.#now());
    if ('error' in end) {
      const ChainedInvokeDetails = { Error: { ErrorType: end.error.type, ErrorMessage: end.error.message } };
      this.#set({ ...operation, Status: 'FAILED', EndTimestamp, ChainedInvokeDetails });
    } else {
      checkSize(`result of "${operation.Name ?? id}"`, end.result);
      this.#set({ ...operation, Status: 'SUCCEEDED', EndTimestamp, ChainedInvokeDetails: { Result: end.result } });
    }
  }

  /** Lets what is due by now go on: waits are over, steps waiting for their next attempt are ready. */
  wakeDue(): readonly WireOperation[] {
    const woken: WireOperation[] = [];
    for (const operation of this.#operations.values()) {
      if ((dueMs(operation) ?? Number.POSITIVE_INFINITY) > this.#now()) continue;
      const waited = operation.Type === 'WAIT';
      const next: WireOperation = waited
        ? { ...operation, Status: 'SUCCEEDED', EndTimestamp: new Date(this.#now()) }
        : { ...operation, Status: 'READY' };
      woken.push(next);
    }
    for (const operation of woken) this.#set(operation);
    return woken;
  }

  /** When the next operation is due, in milliseconds since 1970; undefined: none waits for time. */
  nextDueMs(): number | undefined {
    const due = [...this.#operations.values()].flatMap((operation) => dueMs(operation) ?? []);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /**
   * What a new invocation is given. As in the service, what is inside a finished child context is gone, unless the
   * context asked to keep it because its result is too large to record (`ReplayChildren`).
   */
  snapshot(): readonly WireOperation[] {
    const gone = new Set<string>();
    return [...this.#operations].flatMap(([id, operation]) => {
      const parent = operation.ParentId === undefined ? undefined : this.#operations.get(operation.ParentId);
      const keeps = !TERMINAL.has(parent?.Status) || parent?.ContextDetails?.ReplayChildren === true;
      if (parent === undefined || (keeps && !gone.has(parent.Id ?? ''))) return [operation];
      gone.add(id);
      return [];
    });
  }

  #next(before: WireOperation | undefined, update: OperationUpdate): WireOperation {
    if (TERMINAL.has(before?.Status)) {
      throw refusal(
        `Cannot ${update.Action} operation "${update.Name ?? update.Id}": it is already ${before?.Status}.`,
      );
    }
    const at = new Date(this.#now());
    const { Id, ParentId, Name, Type, SubType, Payload: Result, Error: problem } = update;
    const base: WireOperation = before ?? { Id, ParentId, Name, Type, SubType, Status: 'STARTED', StartTimestamp: at };
    const finished: WireOperation = {
      ...base,
      Status: update.Action === 'FAIL' ? 'FAILED' : 'SUCCEEDED',
      EndTimestamp: at,
    };
    // The service counts attempts when they end: a step in its first one has 0.
    const attempts = base.StepDetails?.Attempt ?? 0;
    switch (`${Type} ${update.Action}`) {
      case 'STEP START':
        return { ...base, Status: 'STARTED', StepDetails: { ...base.StepDetails, Attempt: attempts } };
      case 'STEP SUCCEED':
      case 'STEP FAIL':
        return { ...finished, StepDetails: { Attempt: attempts + 1, Result, Error: problem } };
      case 'STEP RETRY': {
        const NextAttemptTimestamp = later(at, update.StepOptions?.NextAttemptDelaySeconds ?? 0);
        return {
          ...base,
          Status: 'PENDING',
          StepDetails: { Attempt: attempts + 1, Result, Error: problem, NextAttemptTimestamp },
        };
      }
      case 'WAIT START':
        return { ...base, WaitDetails: { ScheduledEndTimestamp: later(at, update.WaitOptions?.WaitSeconds ?? 0) } };
      case 'CHAINED_INVOKE START':
      case 'CONTEXT START':
        return base;
      case 'CONTEXT SUCCEED':
      case 'CONTEXT FAIL':
        return {
          ...finished,
          ContextDetails: { Result, Error: problem, ReplayChildren: update.ContextOptions?.ReplayChildren },
        };
      default:
        throw refusal(`${update.Action} of a ${Type} is something that a local execution can't do.`);
    }
  }

  #set(operation: WireOperation): void {
    const { Id: id = '', Name: name, Type: type = 'STEP', SubType: subType, Status: to = 'STARTED' } = operation;
    const from = this.#operations.get(id)?.Status;
    this.#operations.set(id, operation);
    if (from === to) return;
    const details = operation.StepDetails ?? operation.ContextDetails ?? operation.ChainedInvokeDetails;
    this.#onChange({
      id,
      name,
      type,
      subType,
      from,
      to,
      result: details?.Result,
      problem: details?.Error?.ErrorMessage,
    });
  }
}

function dueMs({ Status, StepDetails, WaitDetails }: WireOperation): number | undefined {
  const due =
    Status === 'STARTED'
      ? WaitDetails?.ScheduledEndTimestamp
      : Status === 'PENDING'
        ? StepDetails?.NextAttemptTimestamp
        : undefined;
  return due === undefined ? undefined : new Date(due).getTime();
}

function later(at: Date, seconds: number): Date {
  return new Date(at.getTime() + seconds * 1_000);
}

function checkUpdate({ Id, Name, Type, Payload, StepOptions, WaitOptions }: OperationUpdate): void {
  if (Name !== undefined && !NAME.test(Name)) {
    throw refusal(
      `Value '${Name}' at 'updates.name' failed to satisfy constraint: pattern [\\x20-\\x7E]+, length 1 to 256.`,
    );
  }
  for (const seconds of [StepOptions?.NextAttemptDelaySeconds, WaitOptions?.WaitSeconds]) {
    if (seconds === undefined || (Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST_DELAY_SECONDS))
      continue;
    throw refusal(
      `A delay of ${seconds} s in "${Name ?? Id}": it must be a whole number from 1 to ${LONGEST_DELAY_SECONDS}.`,
    );
  }
  checkSize(`${Type} payload of "${Name ?? Id}"`, Payload);
}

function checkSize(what: string, payload: string | undefined): void {
  const size = Buffer.byteLength(payload ?? '');
  if (size > PAYLOAD_LIMIT_BYTES) {
    throw refusal(`${what} is ${size} bytes: it must be at most ${PAYLOAD_LIMIT_BYTES} bytes.`);
  }
}

/** A request that the service refuses for good: the execution fails. */
function refusal(message: string): DurableExecutionClientError {
  return new DurableExecutionClientError(message, { scope: DurableExecutionClientErrorScope.EXECUTION });
}
