import { setTimeout as sleep } from 'node:timers/promises';
import {
  type DurableContext,
  type OperationUpdate,
  StepSemantics,
  withDurableExecution,
} from '@aws/durable-execution-sdk-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { trackAttempts } from '../../../lab/execution/local-attempts.ts';
import { type LocalExecutionOptions, runLocally } from '../../../lab/execution/local-execution.ts';
import { OPERATIONS_LIMIT, OperationRecord, PAYLOAD_LIMIT_BYTES } from '../../../lab/execution/local-operations.ts';

const once = { retryStrategy: () => ({ shouldRetry: false }) };

/** A workflow of every kind of operation that ours use, and a count of how often each body ran. */
function smallWorkflow() {
  const runs: string[] = [];
  let running = 0;
  let mostAtOnce = 0;
  const body = (name: string, result: unknown) => async () => {
    mostAtOnce = Math.max(mostAtOnce, ++running);
    runs.push(name);
    await new Promise((resolve) => setTimeout(resolve, 2));
    running--;
    return result;
  };
  const core = async (event: { n: number }, context: DurableContext) => {
    const first = await context.step('first', body('first', event.n), once);
    await context.wait('pause', { hours: 3 });
    const attempts = await context.step(
      'flaky',
      async ({ attempt }) => {
        await body('flaky', undefined)();
        if (attempt < 3) throw new Error('not yet');
        return attempt;
      },
      { retryStrategy: () => ({ shouldRetry: true, delay: { minutes: 5 } }) },
    );
    const polled = await context.waitForCondition('poll', async (seen: number) => seen + 1, {
      initialState: 0,
      waitStrategy: (seen) => (seen < 3 ? { shouldContinue: true, delay: { seconds: 30 } } : { shouldContinue: false }),
    });
    const child = await context.runInChildContext('child', async (inner) =>
      inner.step('inner', body('inner', 'in'), once),
    );
    const batch = await context.parallel('branches', [
      async (branch: DurableContext) => branch.step('left', body('left', 'l'), once),
      async (branch: DurableContext) => {
        await branch.wait('right pause', { seconds: 10 });
        return branch.step('right', body('right', 'r'), once);
      },
    ]);
    return { first, attempts, polled, child, batch: batch.getResults() };
  };
  return { handler: withDurableExecution(core), runs, mostAtOnce: () => mostAtOnce };
}

const expected = { first: 7, attempts: 3, polled: 3, child: 'in', batch: ['l', 'r'] };

beforeAll(() => {
  trackAttempts();
});

describe('a local execution', () => {
  it('runs every step once and skips hours of waiting in no time', async () => {
    const { handler, runs } = smallWorkflow();

    const outcome = await runLocally(handler, { n: 7 }, { skipTime: true });

    expect(outcome).toMatchObject({ status: 'SUCCEEDED', result: expected });
    expect(runs.toSorted()).toEqual(['first', 'flaky', 'flaky', 'flaky', 'inner', 'left', 'right']);
    expect(outcome.invocations).toBeGreaterThan(5);
  });

  it.each(['crashAtCheckpoint', 'crashAfterCheckpoint'] as const)(
    'comes to the same result after %s, whichever checkpoint it is',
    async (crash) => {
      const whole = smallWorkflow();
      const { checkpoints } = await runLocally(whole.handler, { n: 7 }, { skipTime: true });
      for (let k = 1; k <= checkpoints; k++) {
        const { handler, runs, mostAtOnce } = smallWorkflow();

        const outcome = await runLocally(handler, { n: 7 }, { skipTime: true, [crash]: k });

        expect(outcome, `${crash} ${k}`).toMatchObject({ status: 'SUCCEEDED', result: expected });
        expect(new Set(runs), `${crash} ${k}`).toEqual(new Set(whole.runs));
        // No body of the dead invocation runs beside those of the living one.
        expect(mostAtOnce(), `${crash} ${k}`).toBeLessThanOrEqual(whole.mostAtOnce());
      }
      expect(checkpoints).toBeGreaterThan(12);
    },
  );

  it('repeats a step whose record was lost, and none whose record was kept', async () => {
    const lost = smallWorkflow();
    const kept = smallWorkflow();

    // The second request carries the end of `first`.
    await runLocally(lost.handler, { n: 7 }, { skipTime: true, crashAtCheckpoint: 2 });
    await runLocally(kept.handler, { n: 7 }, { skipTime: true, crashAfterCheckpoint: 2 });

    expect(lost.runs.filter((name) => name === 'first')).toHaveLength(2);
    expect(kept.runs.filter((name) => name === 'first')).toHaveLength(1);
  });

  it('starts no step in an invocation that crashed', async () => {
    const runs: string[] = [];
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      const invocation = context.lambdaContext.awsRequestId;
      await context.parallel('branches', [
        async (branch: DurableContext) => branch.step('quick', async () => {}, once),
        async (branch: DurableContext) => {
          // Not durable, so a dead invocation gets past it as well.
          await sleep(200);
          await branch.step('late', async () => runs.push(invocation), once);
        },
      ]);
      await sleep(400);
    });

    const { invocations } = await runLocally(handler, {}, { skipTime: true, crashAtCheckpoint: 1 });

    expect(invocations).toBe(2);
    expect(runs).toHaveLength(1);
  });

  it('lets a step of at-most-once fail after a crash instead of running it again', async () => {
    let runs = 0;
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      const options = { ...once, semantics: StepSemantics.AtMostOncePerRetry };
      return context.step('dangerous', async () => ++runs, options);
    });

    const outcome = await runLocally(handler, {}, { skipTime: true, crashAtCheckpoint: 2 });

    expect(outcome).toMatchObject({
      status: 'FAILED',
      error: { message: expect.stringContaining('due to an interruption') },
    });
    expect(runs).toBe(1);
  });

  it('really waits where time is not skipped', async () => {
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      const before = await context.step('before', async () => Date.now(), once);
      await context.wait('pause', { seconds: 1 });
      return Date.now() - before;
    });

    const { result, invocations } = await runLocally(handler, {});

    expect(result).toBeGreaterThanOrEqual(1_000);
    expect(invocations).toBe(2);
  });

  it('wakes a waiting branch while another one works', async () => {
    const order: string[] = [];
    const woken = Promise.withResolvers<void>();
    // It works until the other one is awake, and not for ever where nobody wakes that.
    const work = () => Promise.race([woken.promise, sleep(30_000, undefined, { ref: false })]);
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      await context.parallel('branches', [
        async (branch: DurableContext) => {
          await branch.step('long', work, once);
          order.push('long');
        },
        async (branch: DurableContext) => {
          await branch.wait('short pause', { seconds: 1 });
          order.push('short');
          woken.resolve();
        },
      ]);
    });

    await runLocally(handler, {});

    expect(order).toEqual(['short', 'long']);
  });

  it('keeps the children of a context whose result is too large to record', async () => {
    let runs = 0;
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      const large = await context.runInChildContext('large', async (inner) => {
        const half = await inner.step('half', async () => `${++runs}${'x'.repeat(200_000)}`, once);
        return half + half;
      });
      await context.wait('pause', { hours: 1 });
      return large.length;
    });

    const outcome = await runLocally(handler, {}, { skipTime: true });

    expect(outcome).toMatchObject({ status: 'SUCCEEDED', result: 400_002 });
    expect(runs).toBe(1);
  });

  it('fails an execution whose step records more than the service takes', async () => {
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) =>
      context.step('huge', async () => 'x'.repeat(PAYLOAD_LIMIT_BYTES), once),
    );

    const outcome = await runLocally(handler, {});

    expect(outcome.status).toBe('FAILED');
    expect(outcome.error?.message).toContain(`"huge" is ${PAYLOAD_LIMIT_BYTES + 2} bytes`);
  });

  it('refuses an event that is larger than the service takes', async () => {
    const { handler } = smallWorkflow();

    const run = runLocally(handler, { n: 'x'.repeat(PAYLOAD_LIMIT_BYTES) });

    await expect(run).rejects.toThrow(/execution input is \d+ bytes/);
  });

  it('ends with the error of a handler that fails', async () => {
    const handler = withDurableExecution(async () => {
      throw new RangeError('out of it');
    });

    const outcome = await runLocally(handler, {});

    expect(outcome).toMatchObject({ status: 'FAILED', error: { type: 'RangeError', message: 'out of it' } });
  });

  it('runs a function that is invoked durably once, and hands over what it returns, whichever checkpoint is lost', async () => {
    const workflow = () =>
      withDurableExecution(async (event: { n: number }, context: DurableContext) => {
        const before = await context.step('before', async () => event.n, once);
        const child = await context.invoke<number, { doubled: number }>('double', 'arn:double:live', before);
        return context.step('after', async () => child.doubled + 1, once);
      });
    const asked: string[] = [];
    const invoke = async (functionName: string, payload: string) => {
      asked.push(`${functionName} ${payload}`);
      return { result: JSON.stringify({ doubled: 2 * Number(payload) }) };
    };

    const { checkpoints, ...whole } = await runLocally(workflow(), { n: 7 }, { skipTime: true, invoke });
    const crashed = [];
    for (let k = 1; k <= checkpoints; k++) {
      crashed.push(await runLocally(workflow(), { n: 7 }, { skipTime: true, invoke, crashAfterCheckpoint: k }));
    }

    expect(whole).toMatchObject({ status: 'SUCCEEDED', result: 15 });
    expect(crashed.map(({ result }) => result)).toEqual(Array.from({ length: checkpoints }, () => 15));
    expect(asked).toEqual(Array.from({ length: checkpoints + 1 }, () => 'arn:double:live 7'));
  });

  it.each([
    ['fails', async () => ({ error: { type: 'Error', message: 'it broke' } }), 'it broke'],
    ['is not there', undefined, 'Function not found: arn:missing:live'],
  ])('tells the caller where a durably invoked function %s', async (_what, invoke, message) => {
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      try {
        return await context.invoke('other', 'arn:missing:live', {});
      } catch (error) {
        return String(error);
      }
    });

    const { status, result } = await runLocally(handler, {}, { skipTime: true, ...(invoke && { invoke }) });

    expect(status).toBe('SUCCEEDED');
    expect(result).toContain(message);
  });

  it('gives up on a workflow that never ends', async () => {
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      for (;;) await context.wait('again', { seconds: 1 });
    });

    const run = runLocally(handler, {}, { skipTime: true, maxInvocations: 5 });

    await expect(run).rejects.toThrow('was invoked 5 times');
  });

  it('tells every change of an operation, with its name and its result', async () => {
    const { handler } = smallWorkflow();
    const changes: string[] = [];
    const onOperation: LocalExecutionOptions['onOperation'] = ({ name, from, to, result }) => {
      if (name === 'first' || name === 'pause')
        changes.push(`${name}: ${from ?? 'new'} -> ${to} ${result ?? ''}`.trim());
    };

    await runLocally(handler, { n: 7 }, { skipTime: true, onOperation });

    expect(changes).toEqual([
      'first: new -> STARTED',
      'first: STARTED -> SUCCEEDED 7',
      'pause: new -> STARTED',
      'pause: STARTED -> SUCCEEDED',
    ]);
  });

  it.each([
    ['a name that is not printable ASCII', 'defragment zürich-1', 1],
    ['a name of more than 256 characters', 'x'.repeat(257), 1],
    ['a wait of no time', 'pause', 0],
    ['a wait of a part of a second', 'pause', 1.5],
  ])('refuses what the service refuses: %s', async (_what, name, seconds) => {
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      await context.wait(name, { seconds });
    });

    const { status, error } = await runLocally(handler, {}, { skipTime: true });

    expect(status).toBe('FAILED');
    expect(error?.message).toMatch(/must be|failed to satisfy/);
  });

  it('takes 3,000 operations of an execution, and not one more', () => {
    const record = new OperationRecord('{}', Date.now, () => {});
    const starts = (from: number, to: number): OperationUpdate[] =>
      Array.from({ length: to - from + 1 }, (_, n) => ({ Id: `${from + n}`, Type: 'STEP', Action: 'START' }));

    record.apply(starts(1, OPERATIONS_LIMIT));
    record.apply([{ Id: '1', Type: 'STEP', Action: 'SUCCEED' }]);

    expect(() => record.apply(starts(OPERATIONS_LIMIT + 1, OPERATIONS_LIMIT + 1))).toThrow(
      /3001 durable operations: there may be at most 3000/,
    );
  });
});
