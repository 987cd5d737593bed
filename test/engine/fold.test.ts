// Steps folded into a context of their own: once it has ended, the service keeps of them what the context came to.
import { setTimeout as sleep } from 'node:timers/promises';
import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Guard, GuardError, Journal } from '../../functions/engine/journal.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { type LocalExecutionOptions, runLocally } from '../../lab/execution/local-execution.ts';

beforeAll(() => trackAttempts());

interface Ended {
  readonly sum?: number;
  readonly problem?: string;
  readonly switchedOff?: boolean;
  readonly lines: readonly string[];
  readonly changing: boolean;
}

/** A workflow of two steps folded into a turn, a wait, and one more step. `done` gets what was done, in its order. */
async function run(
  done: string[],
  options: LocalExecutionOptions & { guard?: Guard; switchedOff?: () => string } = {},
) {
  const { guard = async () => undefined, switchedOff, ...local } = options;
  const work = (name: string) => async () => {
    done.push(name);
    await sleep(2); // or its beginning would be recorded together with its end
    return { outcome: 'done', detail: name, data: name.length } as const;
  };
  const handler = withDurableExecution(async (_event: unknown, context: DurableContext): Promise<Ended> => {
    const journal = new Journal(context, guard);
    if (switchedOff !== undefined) journal.watchSwitch(async () => switchedOff());
    const told = () => ({
      lines: journal.steps.map(({ name, detail }) => `${name}: ${detail}`),
      changing: journal.changing,
    });
    try {
      const sum = await journal.fold('turn of cp-1', async (inner) => {
        const one = await inner.step<{ done: number }>('move leader', {}, async ({ confirm }) => {
          await confirm();
          return work('one')();
        });
        await inner.wait('a fresh invocation', 1);
        const two = await inner.step<{ done: number }>('defragment', { neededMs: 1_000 }, work('three'));
        inner.note('left out', { outcome: 'skipped', detail: 'as well' });
        return (one.data ?? 0) + (two.data ?? 0);
      });
      await journal.wait('a fresh invocation', 1);
      await journal.step<{ done: number }>('canary', {}, work('four'));
      return { sum, ...told() };
    } catch (error) {
      if (!(error instanceof GuardError)) throw error;
      return { problem: error.message, switchedOff: error.switchedOff, ...told() };
    }
  });
  const parents: Record<string, string | undefined> = {};
  const outcome = await runLocally(
    handler,
    {},
    {
      skipTime: true,
      remainingTimeMs: () => 900_000,
      onOperation: ({ name = '', type }) => {
        parents[name] = type;
      },
      ...local,
    },
  );
  return { ...outcome, ended: outcome.result as Ended, operations: parents };
}

describe('steps that are folded', () => {
  it('are a context in the console, and lines of the report like any others', async () => {
    const { ended, operations } = await run([]);

    expect(operations['turn of cp-1']).toBe('CONTEXT');
    expect(ended).toEqual({
      sum: 'one'.length + 'three'.length,
      lines: ['move leader: one', 'defragment: three', 'left out: as well', 'canary: four'],
      changing: true,
    });
  });

  it.each(['crashAtCheckpoint', 'crashAfterCheckpoint'] as const)(
    'R10: are done once and told whole, whichever checkpoint %s plays',
    async (crash) => {
      const { checkpoints, ended: whole } = await run([]);
      expect(checkpoints).toBeGreaterThan(7);
      for (let k = 1; k <= checkpoints; k++) {
        const done: string[] = [];

        const { ended, invocations } = await run(done, { [crash]: k });

        expect(ended, `${crash} ${k}`).toEqual(whole);
        // What was not recorded is done once more, and nothing else.
        expect(done.length, `${crash} ${k}`).toBeLessThanOrEqual(4);
        expect([...new Set(done)], `${crash} ${k}`).toEqual(['one', 'three', 'four']);
        expect(invocations, `${crash} ${k}`).toBeGreaterThan(3);
      }
    },
  );

  it('R9: a lease that is lost within them ends the run, with what was done before it', async () => {
    let asked = 0;
    const done: string[] = [];

    const { ended } = await run(done, {
      guard: async () => {
        if (++asked > 1) throw new Error('R9: the lease is lost');
        return undefined;
      },
    });

    expect(done).toEqual(['one']);
    expect(ended).toEqual({
      problem: 'R9: the lease is lost: "defragment" and all after it were not done',
      switchedOff: false,
      lines: ['move leader: one', 'defragment: R9: the lease is lost'],
      changing: true,
    });
  });

  it('R16: so does the switch', async () => {
    const { ended } = await run([], { switchedOff: () => 'the parameter says observe' });

    expect(ended).toMatchObject({ switchedOff: true, changing: false });
  });

  it('R9: renew the lease for those that follow: what was last renewed within them still covers these', async () => {
    const seen: (number | undefined)[] = [];

    await run([], {
      guard: async (renewedMs) => {
        seen.push(renewedMs);
        return seen.length * 1_000;
      },
    });

    expect(seen).toEqual([undefined, 1_000, 2_000]);
  });
});
