// lab/execution/ by somebody else's measure: AWS's own local runner takes the same handlers through the same situation,
// and what comes of it may not differ. It is given real time, since its skipping of time also ends what really waits
// (docs/decisions.md).
import {
  type DurableExecutionClient,
  DurableExecutionInvocationInputWithClient,
  type DurableLambdaHandler,
} from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Command } from '../../functions/contract/command.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { createOwners, createReports, KEPT } from '../../lab/kubernetes/sample-cluster.ts';
import { startStandIn } from '../../lab/kubernetes/stand-in.ts';
import { churn, nightlyCommand, SMALL_FILES, sizesOf } from '../../lab/runs/maintain.ts';
import { clear, reportNames } from '../../lab/runs/prune.ts';
import { manualCommand } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
const PRUNE_FUNCTION = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-control-plane-prune:live';
const EXECUTIONS =
  'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-control-plane-recover:1/durable-execution/';

/** An execution as its engine tells it. */
interface Told {
  readonly report: RunReport;
  readonly operations: readonly Operation[];
}

interface Operation {
  readonly name: string | undefined;
  readonly type: string | undefined;
  readonly subType: string | undefined;
  readonly status: string | undefined;
}

/** Runs a handler to its end; `children` are the functions that it may invoke durably. */
type Engine = (
  handler: DurableLambdaHandler,
  command: Command,
  children: Readonly<Record<string, DurableLambdaHandler>>,
) => Promise<Told>;

const ours: Engine = async (handler, command, children) => {
  const operations = new Map<string, Operation>();
  const options = { skipTime: true, remainingTimeMs: () => 900_000 };
  const { result, error } = await runLocally(handler, command, {
    ...options,
    onOperation: ({ id, name, type, subType, to: status }) => operations.set(id, { name, type, subType, status }),
    invoke: async (name, payload) => {
      const child = children[name];
      if (child === undefined) throw new Error(`no function ${name}`);
      const { result } = await runLocally(child, JSON.parse(payload), options);
      return { result: JSON.stringify(result) };
    },
  });
  if (error) throw new Error(error.message);
  return { report: result as RunReport, operations: [...operations.values()] };
};

const official: Engine = async (handler, command, children) => {
  const runner = new LocalDurableTestRunner<RunReport>({ handlerFunction: namedByArn(handler) });
  for (const [name, child] of Object.entries(children)) runner.registerDurableFunction(name, namedByArn(child));
  const run = await runner.run({ payload: command });
  const report = run.getResult();
  if (report === undefined) throw new Error('the execution has no result');
  const operations = run.getOperations().map((operation) => ({
    name: operation.getName(),
    type: operation.getType(),
    subType: operation.getSubType(),
    status: operation.getStatus(),
  }));
  return { report, operations };
};

/** The runner names an execution by a bare UUID, Lambda by an ARN: of a command's `parent` nothing else is taken. */
function namedByArn(handler: DurableLambdaHandler): DurableLambdaHandler {
  return (event, context) => {
    if (!DurableExecutionInvocationInputWithClient.isInstance(event))
      throw new TypeError('no client came with the event');
    const { DurableExecutionArn, durableExecutionClient: runner } = event;
    const client: DurableExecutionClient = {
      getExecutionState: (request) => runner.getExecutionState({ ...request, DurableExecutionArn }),
      checkpoint: (request) => runner.checkpoint({ ...request, DurableExecutionArn }),
    };
    const input = { ...event, DurableExecutionArn: `${EXECUTIONS}${DurableExecutionArn}` };
    return handler(new DurableExecutionInvocationInputWithClient(input, client), context);
  };
}

interface Situation {
  /** Brings it about, the same each time. */
  readonly prepare: () => Promise<void>;
  readonly configuration: unknown;
  readonly handler: () => Promise<{ readonly handler: DurableLambdaHandler }>;
  readonly command: Command;
  readonly children?: Parameters<Engine>[2];
  /** What is left behind, by who keeps it. */
  readonly left: () => Promise<unknown>;
}

/**
 * What may not differ between two runs in the same situation: not times, sizes, revisions and the words that hold them.
 */
async function run(engine: Engine, { prepare, configuration, handler, command, children = {}, left }: Situation) {
  await prepare();
  // Each with a table of its own: a night goes by what earlier nights have recorded.
  await using aws = await startAws();
  aws.enter();
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(configuration);
  process.env.ETCD_MEDIC_PRUNE_FUNCTION = PRUNE_FUNCTION;
  try {
    const { report, operations } = await engine((await handler()).handler, command, children);
    return {
      outcome: report.outcome,
      members: report.members.map(({ name, defragmented }) => [name, defragmented]),
      pruned: report.pruned?.map(({ staleBytes: _, ...counts }) => counts),
      steps: report.steps.map(({ name, outcome }) => `${name}: ${outcome}`),
      operations: operations.map(({ name, type, subType, status }) => `${type} ${subType} ${name}: ${status}`),
      // Which, not how often: the lease is renewed by the clock.
      calls: [...new Set(aws.calls.map(({ action }) => action))].toSorted(),
      left: await left(),
    };
  } finally {
    delete process.env.ETCD_MEDIC_PRUNE_FUNCTION;
    delete process.env.ETCD_MEDIC_CLUSTER;
  }
}

let api: TestApiServer;
beforeAll(async () => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
  await LocalDurableTestRunner.setupTestEnvironment();
  api = await startStandIn();
});
afterAll(async () => {
  await api?.[Symbol.asyncDispose]();
  await LocalDurableTestRunner.teardownTestEnvironment();
});

async function createSample(): Promise<void> {
  await clear(api);
  await createOwners(api);
  await createReports(api);
}

describe('AWS’s own local runner and ours', () => {
  it('take a recovery the same way: outcome, steps, durable operations, calls to AWS', async () => {
    await using plane = await startControlPlane({ quotaBytes: 8 * MiB, flags: ['--election-timeout=3000'] });
    const situation: Situation = {
      prepare: async () => {
        await fillWithReports(plane, { reportBytes: 50_000 });
        await lead(plane, 'cp-1');
      },
      configuration: plane.configuration(),
      handler: () => import('../../functions/recover/handler.ts'),
      command: manualCommand,
      left: () => listAlarms(plane),
    };

    const [a, b] = [await run(ours, situation), await run(official, situation)];

    expect(b).toEqual(a);
    expect(b).toMatchObject({ outcome: 'recovered', left: [] });
    expect(b.operations).toContain(`STEP WaitForCondition defragment ${plane.member('cp-1').id}: SUCCEEDED`);
  });

  it('take a night the same way, with its pruning as a durable child', async () => {
    // Of one member: the order of several goes by what their files would gain.
    await using plane = await startControlPlane({ members: 1, quotaBytes: 64 * MiB });
    const { handler: prune } = await import('../../functions/prune/handler.ts');
    const situation: Situation = {
      prepare: async () => {
        await createSample();
        await churn(plane, { reports: 50, reportBytes: 20_000, rewrites: 10 });
      },
      configuration: plane.configuration({
        maintain: { ...SMALL_FILES, prune: true },
        kubernetes: api.configuration(),
      }),
      handler: () => import('../../functions/maintain/handler.ts'),
      command: nightlyCommand,
      children: { [PRUNE_FUNCTION]: prune },
      left: async () => ({
        reports: await reportNames(api),
        small: Object.values(await sizesOf(plane)).every(({ dbSize }) => dbSize < 2 * MiB),
      }),
    };

    const [a, b] = [await run(ours, situation), await run(official, situation)];

    expect(b).toEqual(a);
    expect(b).toMatchObject({ outcome: 'maintained', members: [['cp-1', true]], left: { reports: KEPT, small: true } });
    expect(b.operations).toContain('CHAINED_INVOKE ChainedInvoke prune: SUCCEEDED');
  });

  it('take a pruning the same way', async () => {
    const situation: Situation = {
      prepare: createSample,
      configuration: {
        name: manualCommand.cluster,
        etcd: { endpoints: ['http://127.0.0.1:2379'] },
        kubernetes: api.configuration(),
      },
      handler: () => import('../../functions/prune/handler.ts'),
      command: { ...manualCommand, workflow: 'prune' },
      left: () => reportNames(api),
    };

    const [a, b] = [await run(ours, situation), await run(official, situation)];

    expect(b).toEqual(a);
    expect(b).toMatchObject({ outcome: 'pruned', left: KEPT });
  });
});

/** Who leads decides on the order of a sweep. */
async function lead(plane: ControlPlane, name: string): Promise<void> {
  for (let leader = await leaderOf(plane); leader.name !== name; leader = await leaderOf(plane)) {
    await plane.etcdctl([`--endpoints=${leader.endpoint}`, 'move-leader', plane.member(name).id]);
  }
}
