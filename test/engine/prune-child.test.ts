import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLease } from '../../functions/aws/lease.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { LEASE_TTL_MS } from '../../functions/contract/times.ts';
import { conduct } from '../../functions/engine/conduct.ts';
import { durableWorkflow } from '../../functions/engine/pipeline.ts';
import { pruneFirst } from '../../functions/engine/prune-child.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';
import type { ChainedInvokeEnd } from '../../lab/execution/local-operations.ts';
import { sampleReport } from '../contract/sample-report.ts';

const ARN = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-demo-prune:live';

let aws: AwsStandIn;
beforeAll(async () => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
  aws = await startAws();
  aws.enter();
});
afterAll(() => aws.stop());

/**
 * A maintenance that does nothing but have reports pruned.
 * @param answers what the service says, one for each invocation
 */
async function pruneWith(answers: readonly ChainedInvokeEnd[]) {
  const orders: unknown[] = [];
  const handler = durableWorkflow(async (command, context) => {
    const owner = context.executionContext.durableExecutionArn;
    const lease = createLease({ table: aws.table, cluster: 'demo', owner, workflow: 'maintain', ttlMs: LEASE_TTL_MS });
    const sinks = { history: undefined, bus: undefined };
    return conduct({ command, context, lease, sinks }, async (journal) => {
      const ended = await pruneFirst({ journal, command, pruneFunction: ARN });
      return { outcome: 'maintained', reason: ended.kind === 'failed' ? ended.problem : ended.kind, members: [] };
    });
  });
  const command = { cluster: 'demo', workflow: 'maintain', trigger: { kind: 'manual', source: 'manual' } };
  const { result } = await runLocally(handler, command, {
    skipTime: true,
    invoke: async (_name, payload) => {
      const answer = answers[Math.min(orders.length, answers.length - 1)];
      orders.push(JSON.parse(payload));
      if (answer === undefined) throw new Error('no answer was given');
      return answer;
    },
  });
  return { report: result as RunReport, orders };
}

const pruned = { result: JSON.stringify(sampleReport({ workflow: 'prune', outcome: 'pruned' })) };
const inactive = {
  error: {
    type: 'ResourceNotReadyException',
    message: 'The function is inactive and its VPC connection is no longer available.',
  },
};
const pending = {
  error: {
    type: 'ResourceConflictException',
    message:
      'The operation cannot be performed at this time. The function is currently in the following state: Pending',
  },
};

describe('pruning as a part of another run', () => {
  it('wakes a prune function that is asleep, with the same order', async () => {
    const { report, orders } = await pruneWith([inactive, pending, pending, pruned]);

    expect(report.reason).toBe('report');
    expect(orders).toHaveLength(4);
    expect(new Set(orders.map((order) => JSON.stringify(order))).size).toBe(1);
    expect(report.steps.filter(({ name }) => name === 'prune')).toMatchObject([{ outcome: 'done' }]);
  });

  it('is told as failed where the function does not wake', async () => {
    const { report, orders } = await pruneWith([inactive, pending]);

    expect(report.reason).toContain('in the following state: Pending');
    expect(orders).toHaveLength(7);
    expect(report.steps.find(({ name }) => name === 'prune')).toMatchObject({ outcome: 'failed' });
  });

  it('is not repeated where it failed for another reason', async () => {
    const { report, orders } = await pruneWith([{ error: { type: 'AccessDenied', message: 'may not invoke it' } }]);

    expect(report.reason).toContain('may not invoke it');
    expect(orders).toHaveLength(1);
  });
});
