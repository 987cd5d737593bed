// The one way to wait for something: a single durable operation, that a crash and a lost lease can come between.
import { setTimeout as sleep } from 'node:timers/promises';
import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { describeError } from '../../functions/contract/errors.ts';
import { type Guard, GuardError, Journal } from '../../functions/engine/journal.ts';
import type { LookAgain, PolledStep, Polling } from '../../functions/engine/poll.ts';
import type { NoData } from '../../functions/engine/step.ts';
import type { StepName } from '../../functions/engine/step-name.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { type LocalExecutionOptions, runLocally } from '../../lab/execution/local-execution.ts';

const every30 = { everySeconds: 30, withinSeconds: 300 } as const;

beforeAll(() => trackAttempts());

interface Ended {
  readonly step?: PolledStep<NoData, string>;
  readonly problem?: string;
  readonly reported: readonly string[];
}

/** A workflow of one poll; `operations` are the names of all that it took. */
async function poll(
  polling: Polling<string>,
  look: LookAgain<NoData, string>,
  {
    guard = async () => undefined,
    name = 'poll',
    ...options
  }: LocalExecutionOptions & { guard?: Guard; name?: StepName } = {},
) {
  const operations: string[] = [];
  const pauses: number[] = [];
  const handler = withDurableExecution(async (_event: unknown, context: DurableContext): Promise<Ended> => {
    const journal = new Journal(context, guard);
    const reported = () => journal.steps.map((step) => `${step.name}: ${step.outcome}`);
    try {
      const step = await journal.poll(name, polling, look);
      return { step, reported: reported() };
    } catch (error) {
      if (!(error instanceof GuardError)) throw error;
      return { problem: describeError(error), reported: reported() };
    }
  });
  const outcome = await runLocally(
    handler,
    {},
    {
      skipTime: true,
      onOperation: ({ name: operation = '', from, to, result }) => {
        if (from === undefined) operations.push(operation);
        if (to === 'PENDING') pauses.push(JSON.parse(result ?? '').pauseSeconds);
      },
      ...options,
    },
  );
  return { ...outcome, ended: outcome.result as Ended, operations, pauses };
}

describe('a poll', () => {
  it('is one durable operation, however often it looks, and knows what the last look said', async () => {
    const { ended, operations, pauses } = await poll(every30, async ({ look, memory }) => {
      const detail = `look ${look} after ${memory ?? 'none'}`;
      if (look < 4) return { outcome: 'unknown', detail, again: true, memory: detail };
      return { outcome: 'done', detail };
    });

    expect(ended.step).toMatchObject({
      outcome: 'done',
      detail: 'look 4 after look 3 after look 2 after look 1 after none',
    });
    expect(ended.step).toMatchObject({ looks: 4, waitedSeconds: 90, timeUp: false });
    expect(operations).toEqual(['poll']);
    expect(pauses).toEqual([30, 30, 30]);
    expect(ended.reported).toEqual(['poll: done']);
  });

  it('leaves no line in the report where it is quiet', async () => {
    const { ended } = await poll({ ...every30, quiet: true }, async () => ({ outcome: 'done', detail: 'seen' }));

    expect(ended.reported).toEqual([]);
  });

  it('ends when its time is waited, with a last look at the end of it', async () => {
    const polling = { everySeconds: ({ look }: { look: number }) => look * 10, withinSeconds: 45 };
    const { ended, pauses } = await poll(polling, async () => ({ outcome: 'unknown', detail: 'away', again: true }));

    expect(ended.step).toMatchObject({ outcome: 'unknown', looks: 4, waitedSeconds: 45, timeUp: true });
    expect(pauses).toEqual([10, 20, 15]);
  });

  it('takes a look that throws for its end, as failed', async () => {
    const { ended, status } = await poll(every30, async ({ look }) => {
      if (look === 2) throw new Error('the line is cut');
      return { outcome: 'unknown', detail: 'away', again: true };
    });

    expect(status).toBe('SUCCEEDED');
    expect(ended.step).toMatchObject({ outcome: 'failed', detail: 'the line is cut', looks: 2, timeUp: false });
  });

  it('R9: asks the guard before each look, and does not look where that says no', async () => {
    let guarded = 0;
    const looks: number[] = [];
    const { ended } = await poll(
      every30,
      async ({ look }) => {
        looks.push(look);
        return { outcome: 'unknown', detail: 'away', again: true };
      },
      {
        name: { report: 'wait for zürich-1', operation: 'wait for 8e9e05c52164694d' },
        guard: async () => {
          if (++guarded === 3) throw new Error('R9: the lease is lost');
          return undefined;
        },
      },
    );

    expect(looks).toEqual([1, 2]);
    expect(ended.problem).toBe('R9: the lease is lost: "wait for zürich-1" and all after it were not done');
    expect(ended.reported).toEqual(['wait for zürich-1: failed']);
  });

  it('asks nobody where it only reads', async () => {
    const { ended } = await poll({ ...every30, guarded: false }, async () => ({ outcome: 'done', detail: 'seen' }), {
      guard: async () => {
        throw new Error('lost');
      },
    });

    expect(ended.step).toMatchObject({ outcome: 'done', detail: 'seen', looks: 1 });
  });

  it('puts a look off to a fresh invocation where too little of this one is left, and forgets nothing', async () => {
    const remaining = [900_000, 900_000, 1_000, 900_000];
    const polling = { ...every30, neededMs: 60_000 };
    const { ended, pauses } = await poll(
      polling,
      async ({ look, memory = '' }) => {
        return { outcome: 'done', detail: `${memory}${look}`, again: look < 3, memory: `${memory}${look}` };
      },
      { remainingTimeMs: (invocation) => remaining[invocation - 1] ?? 900_000 },
    );

    expect(ended.step).toMatchObject({ detail: '123', looks: 3, waitedSeconds: 60 });
    expect(pauses).toEqual([30, 30, 1]);
  });

  it('gives up a look for which no invocation has the time', async () => {
    const looks: number[] = [];
    const { ended, invocations } = await poll({ ...every30, neededMs: 60_000 }, async ({ look }) => {
      looks.push(look);
      return { outcome: 'done', detail: '' };
    });

    expect(looks).toEqual([]);
    expect(ended.step).toMatchObject({
      outcome: 'skipped',
      detail: 'too little of this invocation is left',
      timeUp: true,
    });
    expect(invocations).toBe(3);
  });

  it.each(['crashAtCheckpoint', 'crashAfterCheckpoint'] as const)(
    'R10: goes on after %s from the last look that was recorded, whichever it is',
    async (crash) => {
      const look =
        (looks: number[]): LookAgain<NoData, string> =>
        async ({ look, memory = '' }) => {
          looks.push(look);
          await sleep(2); // or its beginning would be recorded together with its end
          const detail = `${memory}${look}`;
          return { outcome: 'done', detail, again: look < 4, memory: detail };
        };
      const { checkpoints } = await poll(every30, look([]));
      expect(checkpoints).toBeGreaterThan(6);
      for (let k = 1; k <= checkpoints; k++) {
        const looks: number[] = [];

        const { ended, operations, invocations } = await poll(every30, look(looks), { [crash]: k });

        expect(ended.step, `${crash} ${k}`).toMatchObject({ detail: '1234', looks: 4, waitedSeconds: 90 });
        expect(operations, `${crash} ${k}`).toEqual(['poll']);
        // One look at most was begun a second time, and the others were made once, in their order.
        expect(looks.length, `${crash} ${k}`).toBeLessThanOrEqual(5);
        expect([...new Set(looks)], `${crash} ${k}`).toEqual([1, 2, 3, 4]);
        expect(invocations, `${crash} ${k}`).toBeGreaterThan(1);
      }
    },
  );

  it('tries for a minute what is safe to repeat, where it is to be retried', async () => {
    let calls = 0;
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
      const journal = new Journal(context, async () => undefined);
      return journal.step('call', { retried: 'failures' }, async () => {
        calls++;
        throw new Error('500');
      });
    });

    const { result } = await runLocally(handler, {}, { skipTime: true });

    expect(result).toMatchObject({ outcome: 'failed', detail: '500', waitedSeconds: 60, timeUp: true });
    expect(calls).toBe(13);
  });
});

describe('names of operations', () => {
  it.each([
    ['a name in Chinese', '北京一号', '????'],
    ['one with an umlaut', 'zürich-1', 'z?rich-1'],
    ['line breaks and control characters', 'a\nb\tc\u0007', 'a?b?c?'],
    ['seven nodes as EC2 names them', 'x'.repeat(339), 'x'.repeat(256)],
    ['nothing', '', 'step'],
  ])('are made of what the service takes: %s', async (_which, name, operation) => {
    const { status, operations } = await poll(every30, async () => ({ outcome: 'done', detail: '' }), { name });

    expect(status).toBe('SUCCEEDED');
    expect(operations).toEqual([operation]);
  });
});
