// R9 while the lease's table does not answer: a renewal without an answer is not a lost lease.
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLease } from '../../functions/aws/lease.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { LEASE_TTL_MS } from '../../functions/contract/times.ts';
import { conduct } from '../../functions/engine/conduct.ts';
import type { Journal } from '../../functions/engine/journal.ts';
import { durableWorkflow } from '../../functions/engine/pipeline.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { type Trouble, troubled } from '../../lab/aws/trouble.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';

const CLUSTER = 'demo';
const THIEF = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-demo-maintain:1/durable-execution/night/1';
const ALL_DAY_MS = 24 * 60 * 60_000;

let aws: AwsStandIn;
let table: Trouble;

beforeAll(async () => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
  aws = await startAws();
  aws.enter();
});
beforeEach(async () => {
  table = await troubled('DYNAMODB');
});
afterEach(async () => {
  await table[Symbol.asyncDispose]();
  await leaseOf(THIEF).release();
});
afterAll(() => aws.stop());

const leaseOf = (owner: string) =>
  createLease({ table: aws.table, cluster: CLUSTER, owner, workflow: 'recover', ttlMs: LEASE_TTL_MS });

/** A run under the lease, whose own part is `work`. */
async function run(work: (journal: Journal, context: DurableContext) => Promise<void>): Promise<RunReport> {
  const handler = durableWorkflow(async (command, context) => {
    const lease = leaseOf(context.executionContext.durableExecutionArn);
    const sinks = { history: undefined, bus: undefined };
    return conduct({ command, context, lease, sinks }, async (journal) => {
      await work(journal, context);
      return { outcome: 'recovered', reason: 'a test', members: [] };
    });
  });
  const command = { cluster: CLUSTER, workflow: 'recover', trigger: { kind: 'manual', source: 'manual' } };
  const { result } = await runLocally(handler, command, { skipTime: true, remainingTimeMs: () => 2 * LEASE_TTL_MS });
  return result as RunReport;
}

const done = async () => ({ outcome: 'done', detail: 'changed' }) as const;

describe('R9: a renewal that gets no answer', () => {
  it('does not end the run while the last one covers the step, also in an invocation that has seen no renewal', async () => {
    const report = await run(async (journal, context) => {
      await journal.step('first', {}, done);
      table.begin(ALL_DAY_MS, ['UpdateItem']);
      await journal.step('second', {}, done);
      await context.wait('a fresh invocation', { seconds: 1 });
      await journal.step('third', {}, done);
    });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(table.refused).toBeGreaterThan(0);
  });

  it('is tried again where the last one does not cover the step, and the run goes on when it comes through', async () => {
    // Longer than any lease, so that it must be renewed at its beginning.
    const long = { everySeconds: 1, withinSeconds: 0, neededMs: LEASE_TTL_MS };

    const report = await run(async (journal) => {
      await journal.step('first', {}, done);
      table.begin(2_000, ['UpdateItem']);
      await journal.poll('second', long, done);
    });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(table.refused).toBeGreaterThan(0);
  });

  it('is not mistaken for one that is refused: a lease that somebody else has is lost at once', async () => {
    const report = await run(async (journal, context) => {
      await journal.step('first', {}, done);
      await journal.step('a theft', { guarded: false }, async () => {
        await leaseOf(context.executionContext.durableExecutionArn).release();
        await leaseOf(THIEF).acquire();
        return done();
      });
      await journal.step('second', {}, done);
    });

    expect(report.outcome).toBe('failed');
    expect(report.reason).toMatch(/^R9: .*"second" and all after it were not done/);
  });

  it('R9: the lease is let go of where the table does not answer at first when the run ends', async () => {
    const report = await run(async (journal) => {
      await journal.step('first', {}, async () => {
        // Waits take no time here, so it is so many calls: two tries with all that the SDK makes of them.
        table.begin(ALL_DAY_MS, ['DeleteItem'], 8);
        return done();
      });
    });

    expect(report.steps.find(({ name }) => name === 'release lease')).toMatchObject({
      outcome: 'done',
      detail: 'released',
    });
    expect(await leaseOf(THIEF).acquire()).toEqual({ kind: 'acquired' });
  });
});
