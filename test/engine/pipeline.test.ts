import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { durableWorkflow, type WorkflowCore } from '../../functions/engine/pipeline.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { type LocalExecutionOptions, runLocally } from '../../lab/execution/local-execution.ts';
import { sampleReport } from '../contract/sample-report.ts';

const command = {
  cluster: 'demo',
  workflow: 'recover',
  trigger: { kind: 'alarm', source: 'etcd-medic-demo-nospace' },
} as const;
const once = { retryStrategy: () => ({ shouldRetry: false }) };

let lines: Record<string, unknown>[];

beforeEach(() => {
  lines = [];
  vi.stubEnv('DURABLE_EXECUTION_PLUGINS', '');
  trackAttempts();
  // Node's console, and so the logger, sends warnings and errors to the other one.
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      lines.push(JSON.parse(String(chunk)));
      return true;
    });
  }
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const core: WorkflowCore = async (_command, context, { logger }) => {
  await context.step('look', async ({ logger }) => logger.info('looked'), once);
  logger.info('after the look');
  await context.wait('pause', { minutes: 2 });
  await context.step('do', async () => 'done', once);
  logger.info('after the deed');
  return sampleReport();
};

const run = (workflow: WorkflowCore, event: unknown, options: LocalExecutionOptions = {}) =>
  runLocally(durableWorkflow(workflow), event, { skipTime: true, ...options });
const messages = () => lines.flatMap(({ message }) => message ?? []);
const metrics = () => lines.filter(({ _aws }) => _aws !== undefined);

describe('a durable workflow', () => {
  it('ends in its report, and its core gets a checked command', async () => {
    const seen: unknown[] = [];

    const outcome = await run(async (checked, ...rest) => {
      seen.push(checked);
      return core(checked, ...rest);
    }, command);

    expect(outcome).toMatchObject({ status: 'SUCCEEDED', result: sampleReport() });
    expect(seen[0]).toEqual({ ...command, dryRun: false });
  });

  it('fails on an event that is not a command, before anything is done', async () => {
    let ran = false;
    const outcome = await run(
      async () => {
        ran = true;
        return sampleReport();
      },
      { ...command, workflow: 'reboot' },
    );

    expect(outcome).toMatchObject({ status: 'FAILED', error: { type: 'InvalidInputError' } });
    expect(outcome.error?.message).toContain('workflow: found "reboot"');
    expect(ran).toBe(false);
  });

  it('writes each line of its log once over all replays, with the run’s name on it', async () => {
    const { invocations, executionArn } = await run(core, command);

    expect(invocations).toBeGreaterThan(1);
    expect(messages()).toEqual(['run started', 'looked', 'after the look', 'after the deed', 'run finished']);
    const own = lines.filter(({ message }) => message !== undefined);
    for (const line of own) expect(line).toMatchObject({ cluster: 'demo', workflow: 'recover', executionArn });
  });

  it('puts out its metrics once over all replays', async () => {
    await run(async (checked, context, tools) => {
      const report = await core(checked, context, tools);
      await context.wait('one more replay', { seconds: 5 });
      return report;
    }, command);

    expect(metrics()).toHaveLength(1);
    expect(metrics()[0]).toMatchObject({
      cluster: 'demo',
      workflow: 'recover',
      outcome: 'recovered',
      RunOutcome: 1,
      DurationMs: 90_000,
      ReclaimedBytes: 2_059_000_000,
      _aws: { CloudWatchMetrics: [{ Namespace: 'etcd-medic' }] },
    });
  });

  it('puts the largest five kinds of a copy with its history out as metrics, and all others as one', async () => {
    const growth = { keysPerDay: 0, liveBytesPerDay: 0, writesPerMinute: 7.5, since: '2026-03-01T02:00:00.000Z' };
    const kinds = ['a', 'kind with ümlauts', 'b', 'Bearer abc.def.ghi', 'c', 'd', 'e', 'f'].map((resource, index) => ({
      ...{
        resource,
        keys: 1,
        liveBytes: 100 - index,
        revisions: 1,
        historyBytes: 1_000 - index,
        namespaces: 0,
        largest: [],
      },
      ...(resource === 'a' && { growth }),
    }));
    const contents = {
      ...{
        bytes: 20_000,
        at: '2026-03-02T02:00:00.000Z',
        revision: '9',
        keys: 8,
        freeBytes: 0,
        revisions: 8,
        otherKinds: 4,
      },
      ...{ liveBytes: 1_000, historyBytes: 9_000, kinds },
    };

    await run(async () => sampleReport({ contents }), command);
    const published = metrics().slice(1);
    lines = [];
    await run(async () => sampleReport({ contents: { ...contents, isCompacted: true } }), command);

    expect(
      published.map(({ kind, KindLiveBytes, KindHistoryBytes }) => [kind, KindLiveBytes, KindHistoryBytes]),
    ).toEqual([
      ['a', 100, 1_000],
      ['b', 98, 998],
      ['c', 96, 996],
      ['d', 95, 995],
      ['e', 94, 994],
      ['other kinds', 1_000 - 483, 9_000 - 4_983],
    ]);
    expect(published.map(({ KindWritesPerMinute }) => KindWritesPerMinute)).toEqual([7.5, ...Array(5).fill(undefined)]);
    for (const line of published) {
      const [{ Namespace, Dimensions }] = (line._aws as { CloudWatchMetrics: [Record<string, unknown>] })
        .CloudWatchMetrics;
      expect([Namespace, Dimensions]).toEqual(['etcd-medic', [['cluster', 'kind']]]);
    }
    expect(metrics()).toHaveLength(1);
  });

  it('writes no line and no metric a second time after a crash that lost nothing', async () => {
    const { checkpoints } = await run(core, command);
    for (let k = 1; k <= checkpoints; k++) {
      lines = [];

      await run(core, command, { crashAfterCheckpoint: k });

      expect(metrics(), `crash after checkpoint ${k}`).toHaveLength(1);
      expect(messages(), `crash after checkpoint ${k}`).toEqual([...new Set(messages())]);
      expect(messages(), `crash after checkpoint ${k}`).toContain('looked');
    }
    expect(checkpoints).toBeGreaterThan(3);
  });

  it('counts a run that broke as failed, and fails with its error', async () => {
    const outcome = await run(async (_command, context: DurableContext) => {
      await context.step('look', async () => {}, once);
      throw new TypeError('broken: Bearer abc.def.ghi');
    }, command);

    expect(outcome).toMatchObject({ status: 'FAILED', error: { type: 'TypeError' } });
    expect(metrics()).toHaveLength(1);
    expect(metrics()[0]).toMatchObject({ outcome: 'failed', RunOutcome: 1 });
    expect(messages()).toContain('run failed');
  });

  it('R15: writes no key and no token to its log', async () => {
    await run(async (_command, _context, { logger }) => {
      logger.warn('answer', { text: 'Bearer abc.def.ghi', nested: { key: '-----BEGIN PRIVATE KEY-----\nMIIB' } });
      logger.error('failed', new Error('-----BEGIN RSA PRIVATE KEY-----\nMIIB'));
      return sampleReport();
    }, command);

    expect(messages()).toEqual(expect.arrayContaining(['answer', 'failed']));
    expect(JSON.stringify(lines)).not.toMatch(/MIIB|abc\.def/);
  });
});
