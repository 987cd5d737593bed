import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { needsAPerson } from '../../functions/aws/events.ts';
import { createLease } from '../../functions/aws/lease.ts';
import type { Command } from '../../functions/contract/command.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { LEASE_TTL_MS, LONGEST_INVOCATION_MS } from '../../functions/contract/times.ts';
import { conduct } from '../../functions/engine/conduct.ts';
import { durableWorkflow } from '../../functions/engine/pipeline.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';

const CLUSTER = 'demo';
const HOLDER = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-demo-maintain:1/durable-execution/night/1';
const alarm = { kind: 'alarm', source: 'etcd-medic-demo-nospace', at: '2026-11-21T02:00:00.000Z' } as const;
const manual = { kind: 'manual', source: 'manual' } as const;

let aws: AwsStandIn;

beforeAll(async () => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
  aws = await startAws();
  aws.enter();
});
afterEach(async () => {
  for (const owner of [HOLDER]) await leaseOf(owner, 'maintain').release();
});
afterAll(() => aws.stop());

const leaseOf = (owner: string, workflow: string) =>
  createLease({ table: aws.table, cluster: CLUSTER, owner, workflow, ttlMs: LEASE_TTL_MS });

const sinks = { history: undefined, bus: undefined };

/** A run that does nothing; `onWait` is called at each wait for its turn. */
async function run(
  command: Pick<Command, 'workflow' | 'trigger' | 'parent'>,
  onWait: (count: number) => Promise<unknown> = async () => {},
): Promise<RunReport> {
  let waits = 0;
  let waited: Promise<unknown> = Promise.resolve();
  const handler = durableWorkflow(async (order, context) => {
    await waited;
    const owner = order.parent ?? context.executionContext.durableExecutionArn;
    const lease = leaseOf(owner, order.workflow);
    return conduct({ command: order, context, lease, borrowed: order.parent !== undefined, sinks }, async () => ({
      outcome: 'nothing-to-do',
      reason: 'a test',
      members: [],
    }));
  });
  const { result } = await runLocally(
    handler,
    { cluster: CLUSTER, ...command },
    {
      skipTime: true,
      onOperation: ({ name, to }) => {
        if (name === 'lease' && to === 'PENDING') waited = onWait(++waits);
      },
    },
  );
  return result as RunReport;
}

describe('R9: whose turn it is', () => {
  it("an alarm's run waits until the run of another workflow has let go of the lease", async () => {
    await leaseOf(HOLDER, 'maintain').acquire();
    const waits: number[] = [];

    const report = await run({ workflow: 'recover', trigger: alarm }, async (count) => {
      waits.push(count);
      if (count === 3) await leaseOf(HOLDER, 'maintain').release();
    });

    expect(report.outcome).toBe('nothing-to-do');
    expect(waits).toEqual([1, 2, 3]);
    expect(report.steps.find(({ name }) => name === 'lease')).toMatchObject({ outcome: 'done' });
  });

  it('it does not wait for ever, and then a person is told', async () => {
    await leaseOf(HOLDER, 'maintain').acquire();
    let waits = 0;

    const report = await run({ workflow: 'recover', trigger: alarm }, async () => {
      // The holder is at work all the while.
      if (++waits % 10 === 0) await leaseOf(HOLDER, 'maintain').renew();
    });

    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/^R9: waited 4 hours .* in vain/);
    expect(report.reason).toContain(HOLDER);
    expect(needsAPerson(report)).toBe(true);
    // 480 invocations, each with a little wait of the SDK's own: 13 s, and minutes on a busy machine.
  }, 600_000);

  it('a night waits for its turn, too', async () => {
    await leaseOf(HOLDER, 'prune').acquire();

    const report = await run({ workflow: 'maintain', trigger: { ...alarm, kind: 'schedule' } }, async () =>
      leaseOf(HOLDER, 'prune').release(),
    );

    expect(report.outcome).toBe('nothing-to-do');
  });

  it.each([
    ['of its own workflow, which is at work on the same thing', { workflow: 'maintain', trigger: alarm }],
    ['of another workflow, where a person asked', { workflow: 'recover', trigger: manual }],
  ] as const)('no run waits for one %s', async (_which, command) => {
    await leaseOf(HOLDER, 'maintain').acquire();
    let waits = 0;

    const report = await run(command, async () => waits++);

    expect(report.outcome).toBe('skipped');
    expect(waits).toBe(0);
  });

  it.each([
    ['its own workflow', { workflow: 'maintain', trigger: { ...alarm, kind: 'schedule' } }],
    ['another workflow', { workflow: 'recover', trigger: alarm }],
    ['its own workflow, where a person asked', { workflow: 'maintain', trigger: manual }],
    ['another workflow, where a person asked', { workflow: 'recover', trigger: manual }],
  ] as const)('a run waits for what is left of one that was ended from outside: one of %s', async (_which, command) => {
    const ended = leaseOf(HOLDER, 'maintain');
    await ended.acquire();
    await ended.retire(Date.now() + LONGEST_INVOCATION_MS);
    let waits = 0;

    const report = await run(command, async () => {
      // The time is over.
      if (++waits === 2) await ended.retire(Date.now() - LONGEST_INVOCATION_MS);
    });

    expect(report.outcome).toBe('nothing-to-do');
    expect(waits).toBe(2);
  });

  it('a child does not wait, and does nothing, where the run that it works for was ended from outside', async () => {
    await leaseOf(HOLDER, 'maintain').acquire();
    await leaseOf(HOLDER, 'maintain').retire(Date.now() + LONGEST_INVOCATION_MS);
    let waits = 0;

    const report = await run({ workflow: 'prune', trigger: manual, parent: HOLDER }, async () => waits++);

    expect(report.outcome).toBe('skipped');
    expect(waits).toBe(0);
    await leaseOf(HOLDER, 'maintain').retire(Date.now() - LONGEST_INVOCATION_MS);
  });

  it('a child works under the lease of its parent, and leaves it to it', async () => {
    await leaseOf(HOLDER, 'maintain').acquire();

    const report = await run({ workflow: 'prune', trigger: manual, parent: HOLDER });

    expect(report.outcome).toBe('nothing-to-do');
    expect(await leaseOf(HOLDER, 'maintain').renew()).toBe('renewed');
    // It is the parent's still: a run of the parent's workflow is not to wait for it.
    expect(await leaseOf('arn:aws:another', 'maintain').acquire()).toMatchObject({
      kind: 'held',
      workflow: 'maintain',
    });
  });

  it('a child does not take the lease in the name of a parent that has let go of it', async () => {
    const report = await run({ workflow: 'prune', trigger: manual, parent: HOLDER });

    expect(report.outcome).toBe('skipped');
    expect(await leaseOf('arn:aws:another', 'recover').acquire()).toEqual({ kind: 'acquired' });
    await leaseOf('arn:aws:another', 'recover').release();
  });

  it('a child whose parent has lost the lease changes nothing', async () => {
    await leaseOf('arn:aws:another', 'recover').acquire();

    const report = await run({ workflow: 'prune', trigger: manual, parent: HOLDER });
    await leaseOf('arn:aws:another', 'recover').release();

    expect(report.outcome).toBe('skipped');
  });
});

describe('R16: the switch, while a run is under way', () => {
  it('stops the run before its next change, and what was done stays done', async () => {
    let switchedOff: string | undefined;
    const done: string[] = [];
    const handler = durableWorkflow(async (order, context) => {
      const owner = context.executionContext.durableExecutionArn;
      return conduct({ command: order, context, lease: leaseOf(owner, order.workflow), sinks }, async (journal) => {
        journal.watchSwitch(async () => switchedOff);
        for (const name of ['first', 'second']) {
          await journal.step(name, {}, async () => {
            done.push(name);
            switchedOff = 'parameter /etcd-medic/demo/mode says observe';
            return { outcome: 'done', detail: name };
          });
        }
        return { outcome: 'maintained', reason: 'all done', members: [] };
      });
    });

    const { result } = await runLocally(
      handler,
      { cluster: CLUSTER, workflow: 'maintain', trigger: manual },
      { skipTime: true },
    );

    expect(done).toEqual(['first']);
    expect((result as RunReport).outcome).toBe('failed');
    expect((result as RunReport).reason).toMatch(/^R16: .* says observe: "second" and all after it were not done$/);
    expect(await leaseOf(HOLDER, 'maintain').acquire()).toEqual({ kind: 'acquired' }); // it let go of its own
  });
});
