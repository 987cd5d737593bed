// The guard asked once more directly before a change, inside of the change's own step.
import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { describeError } from '../../functions/contract/errors.ts';
import { GuardError, Journal } from '../../functions/engine/journal.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

interface Ended {
  readonly problem?: string;
  readonly switchedOff?: boolean;
  readonly changing: boolean;
}

/** A step whose checks take so long before its change. */
async function change(
  checksMs: number,
  { guard, turned }: { guard: () => Promise<undefined>; turned?: () => string | undefined },
) {
  let changed = false;
  const handler = withDurableExecution(async (_event: unknown, context: DurableContext): Promise<Ended> => {
    const journal = new Journal(context, guard);
    journal.watchSwitch(async () => turned?.());
    try {
      await journal.step('change', { retried: 'failures' }, async ({ confirm }) => {
        vi.setSystemTime(Date.now() + checksMs);
        await confirm();
        changed = true;
        return { outcome: 'done', detail: 'changed' };
      });
      return { changing: journal.changing };
    } catch (error) {
      if (!(error instanceof GuardError)) throw error;
      return { problem: describeError(error), switchedOff: error.switchedOff, changing: journal.changing };
    }
  });
  const { result } = await runLocally(handler, {}, { skipTime: true });
  return { ...(result as Ended), changed };
}

/** Says yes so often. */
function yes(times: number): () => Promise<undefined> {
  return async () => {
    if (times-- <= 0) throw new Error('R9: the lease is not this run’s any more');
    return undefined;
  };
}

describe('directly before a change', () => {
  it('R9: a lease that was lost while the step made its checks ends it there, once and for all', async () => {
    expect(await change(10_000, { guard: yes(1) })).toEqual({
      problem: expect.stringMatching(/R9: .*: "change" and all after it were not done/),
      switchedOff: false,
      changing: false,
      changed: false,
    });
  });

  it('R16: so does the switch', async () => {
    const answers = [undefined, 'the parameter says observe'];

    expect(await change(10_000, { guard: yes(9), turned: () => answers.shift() })).toMatchObject({
      problem: expect.stringContaining('R16: the parameter says observe'),
      switchedOff: true,
      changed: false,
    });
  });

  it('what was asked a moment ago is not asked again', async () => {
    expect(await change(1_000, { guard: yes(1) })).toEqual({ changing: true, changed: true });
  });

  it('a change that was let through is remembered', async () => {
    expect(await change(10_000, { guard: yes(2) })).toEqual({ changing: true, changed: true });
  });
});
