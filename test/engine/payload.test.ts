// What a step records is at most 256 KB ("Lambda quotas"), whatever a server has answered with: more would end the
// execution, in the middle of a sweep.
import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLease } from '../../functions/aws/lease.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { conduct } from '../../functions/engine/conduct.ts';
import { Journal } from '../../functions/engine/journal.ts';
import type { Ends, RecordedStep, StepResult } from '../../functions/engine/step.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';
import { PAYLOAD_LIMIT_BYTES } from '../../lab/execution/local-operations.ts';

const HUGE = 'ü'.repeat(PAYLOAD_LIMIT_BYTES);

beforeAll(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
});

/** A workflow of these steps, and what was recorded of each. */
async function run(work: (journal: Journal) => Promise<RecordedStep<Ends>>) {
  const recorded: number[] = [];
  const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
    const journal = new Journal(context, async () => 1_000);
    const step = await work(journal);
    const after = await journal.step('after', {}, async () => ({ outcome: 'done', detail: 'went on' }));
    return { step, after };
  });
  const { status, result, error } = await runLocally(
    handler,
    {},
    {
      skipTime: true,
      onOperation: ({ result: payload = '' }) => recorded.push(Buffer.byteLength(payload)),
    },
  );
  return { status, error, recorded, ...(result as { step: RecordedStep<Ends>; after: RecordedStep<Ends> }) };
}

const failing = async (): Promise<StepResult> => {
  throw new Error(`The API server answered: ${HUGE}`);
};
const full = async (): Promise<StepResult<{ done: readonly string[] }>> => ({
  outcome: 'done',
  detail: 'found them',
  data: Array.from({ length: 20_000 }, (_, i) => `a namespace of ${i}`),
});

describe('a step', () => {
  it('whose words are huge is recorded with their beginning', async () => {
    const { status, step, after, recorded } = await run((journal) => journal.step('read', {}, failing));

    expect(status).toBe('SUCCEEDED');
    expect(step).toMatchObject({
      outcome: 'failed',
      detail: expect.stringMatching(/^The API server answered: ü{100,4000}…$/),
    });
    expect(after).toMatchObject({ outcome: 'done' });
    expect(Math.max(...recorded)).toBeLessThan(32 * 1024);
  });

  it('whose words are huge keeps its data', async () => {
    const { step } = await run((journal) =>
      journal.step('read', {}, async () => ({ outcome: 'done', detail: HUGE, data: { revision: '7' } })),
    );

    expect(step).toMatchObject({ outcome: 'done', data: { revision: '7' }, detail: expect.stringMatching(/^ü+…$/) });
  });

  it('whose data is huge has failed, and says so', async () => {
    const { status, step, after } = await run((journal) => journal.step('read', {}, full));

    expect(status).toBe('SUCCEEDED');
    expect(step).toMatchObject({
      outcome: 'failed',
      detail: expect.stringMatching(
        /^what came of it is too large to be recorded \(\d{6} bytes, .*It was: done: found them$/,
      ),
    });
    expect(step).not.toHaveProperty('data');
    expect(after).toMatchObject({ outcome: 'done' });
  });

  it('of a change whose data is huge is still known to have changed something', async () => {
    const { step } = await run((journal) =>
      journal.step<{ done: readonly string[] }>('delete', {}, async ({ confirm }) => {
        await confirm();
        return full();
      }),
    );

    expect(step).toMatchObject({ outcome: 'failed', changing: true });
  });

  it('that only just fits is recorded as it is', async () => {
    const data = 'x'.repeat(PAYLOAD_LIMIT_BYTES - 2_000);
    const { step, recorded } = await run((journal) =>
      journal.step('read', {}, async () => ({ outcome: 'done', detail: 'whole', data })),
    );

    expect(step).toMatchObject({ outcome: 'done', detail: 'whole', data });
    expect(Math.max(...recorded)).toBeLessThanOrEqual(PAYLOAD_LIMIT_BYTES);
  });
});

describe('a poll', () => {
  it('whose look has huge words looks on', async () => {
    const { status, step } = await run((journal) =>
      journal.poll('wait', { everySeconds: 5, withinSeconds: 60 }, async ({ look }) =>
        look < 3 ? { outcome: 'unknown', detail: HUGE, again: true } : { outcome: 'done', detail: 'there' },
      ),
    );

    expect(status).toBe('SUCCEEDED');
    expect(step).toMatchObject({ outcome: 'done', detail: 'there', looks: 3 });
  });

  it('whose look has huge data ends, as failed', async () => {
    const { status, step } = await run((journal) =>
      journal.poll<{ done: readonly string[] }>('wait', { everySeconds: 5, withinSeconds: 60 }, async () => ({
        ...(await full()),
        again: true,
      })),
    );

    expect(status).toBe('SUCCEEDED');
    expect(step).toMatchObject({ outcome: 'failed', looks: 1, timeUp: false });
  });
});

describe('a report', () => {
  it('of many long steps is what a run that waits for it can be given', async () => {
    const handler = withDurableExecution(async (_event: unknown, context: DurableContext): Promise<RunReport> => {
      const command = {
        cluster: 'demo',
        workflow: 'prune',
        trigger: { kind: 'manual', source: 'manual' },
        dryRun: false,
      } as const;
      const lease = createLease({ table: undefined, cluster: 'demo', owner: 'me', workflow: 'prune', ttlMs: 60_000 });
      const sinks = { history: undefined, bus: undefined };
      return conduct({ command, context, lease, sinks }, async (journal) => {
        for (let i = 0; i < 3; i++) {
          await journal.step(`read ${i}`, {}, async () => ({ outcome: 'done', detail: 'x'.repeat(200_000) }));
        }
        return { outcome: 'pruned', reason: 'All is well.', members: [] };
      });
    });
    const { status, result } = await runLocally(handler, {}, { skipTime: true });

    expect(status).toBe('SUCCEEDED');
    expect(result).toMatchObject({ outcome: 'pruned', reason: expect.stringMatching(/^All is well\. \(This copy/) });
    expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThanOrEqual(PAYLOAD_LIMIT_BYTES);
  });
});
