// R10: a crash at every checkpoint of a recovery that has to prune, from the pruning on. Whatever was lost, nothing is
// deleted or defragmented but what has to be, and the cluster takes writes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, putThrough, waitForAlarm } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';
import type { ChainedInvokeEnd } from '../../lab/execution/local-operations.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { startRealApiServer, whyNoRealApiServer } from '../../lab/kubernetes/real-api-server.ts';
import { createOwners, GONE, trivyReport } from '../../lab/kubernetes/sample-cluster.ts';
import { only, VULNERABILITY_REPORTS } from '../../lab/runs/prune.ts';
import { defragmentations, executeRecover, type RecoverOptions, recordsOf } from '../../lab/runs/recover.ts';

const PRUNE_FUNCTION = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-prune:live';
const MiB = 1024 * 1024;
const REPORT = kindNamed('VulnerabilityReport');
const LIVE_REPORTS = 100;
/** Sixty per cent of the quota are live. */
const content = { report: { filler: 'x'.repeat(25_000) } };

let plane: ControlPlane;
let aws: AwsStandIn;
let api: TestApiServer;
/** The checkpoint that begins the pruning, in a run that nothing else happens to. */
let beforePruning = 0;

// The stand-in of an API server keeps nothing in etcd, so that deleting there makes no room: this needs the real one.
describe.skipIf(whyNoRealApiServer() !== undefined)('R10: a crash at any checkpoint from the pruning on', () => {
  beforeAll(async () => {
    trackAttempts();
    aws = await startAws();
    aws.enter();
    plane = await startControlPlane({ quotaBytes: 4 * MiB });
    api = await startRealApiServer({ plane });
    await createOwners(api);
    const names = Array.from({ length: LIVE_REPORTS }, (_, i) => `live-${i}`);
    await api.create(
      REPORT,
      names.map((name) => trivyReport(name, { content })),
    );
    let prunes = false;
    const undisturbed = await recoverWith({
      onOperation: ({ name }) => {
        prunes ||= name === 'prune';
      },
      onCheckpoint: (checkpoint) => {
        if (!prunes) beforePruning = checkpoint;
      },
    });
    expect(undisturbed.report?.outcome, undisturbed.problem).toBe('recovered');
  });
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]();
    await plane?.stop();
    await aws?.stop();
  });

  it.each([
    ['is lost with its checkpoint', 'crashAtCheckpoint'],
    ['comes right after its checkpoint', 'crashAfterCheckpoint'],
  ] as const)('that %s: prunes what is stale and nothing else, recovers, leaves no lease', async (_name, kind) => {
    expect(beforePruning).toBeGreaterThan(5);
    let crashes = 0;
    // Until a run is through before its crash: how many checkpoints there are is a run's own, as an election may add
    // some.
    for (let k = beforePruning; ; k++) {
      const run = await recoverWith({ [kind]: k });

      const at = `crash at checkpoint ${k}, where ${beforePruning} begins the pruning: ${run.problem}`;
      expect(run.report?.outcome, at).toBe('recovered');
      expect(run.report?.pruned?.[0], at).toMatchObject({ stale: run.stale, deleted: run.stale });
      expect(run.left, at).toHaveLength(LIVE_REPORTS);
      expect(
        run.left.every((name) => name.startsWith('live-')),
        at,
      ).toBe(true);
      // The first one twice: before, which showed that the data itself was too much, and after.
      expect(run.defragmented.toSorted(), at).toEqual([1, 1, 2]);
      expect(await listAlarms(plane), at).toEqual([]);
      for (const { endpoint } of plane.members)
        expect(await putThrough(plane, endpoint), at).toMatchObject({ ok: true });
      expect(await recordsOf(aws), at).not.toContain('lease');
      if (run.checkpoints < k) break;
      crashes++;
    }
    expect(crashes).toBeGreaterThan(10);
  });
});

/** Fills the quota with stale reports, then runs a recovery. */
async function recoverWith(options: RecoverOptions) {
  await fillWithStale();
  const stale = (await api.list(REPORT)).length - LIVE_REPORTS;
  const before = await defragmentations(plane);
  process.env.ETCD_MEDIC_PRUNE_FUNCTION = PRUNE_FUNCTION;
  const { result, error, checkpoints } = await executeRecover(plane, {
    configuration: { kubernetes: api.configuration(), prune: { kinds: only(VULNERABILITY_REPORTS) } },
    invoke: prune,
    ...options,
  }).finally(() => delete process.env.ETCD_MEDIC_PRUNE_FUNCTION);
  const after = await defragmentations(plane);
  const report = result as RunReport | undefined;
  return {
    report,
    problem: error?.message ?? report?.reason,
    checkpoints,
    stale,
    left: (await api.list(REPORT)).map(({ name }) => name),
    defragmented: Object.entries(after).map(([name, count]) => count - (before[name] ?? 0)),
  };
}

/** The durable child that the recovery invokes. */
async function prune(reference: string, payload: string): Promise<ChainedInvokeEnd> {
  expect(reference).toBe(PRUNE_FUNCTION);
  const { handler } = await import('../../functions/prune/handler.ts');
  const options = { skipTime: true, remainingTimeMs: () => 900_000 };
  const { status, result, error } = await runLocally(handler, JSON.parse(payload), options);
  if (status === 'SUCCEEDED') return { result: JSON.stringify(result) };
  return { error: { type: error?.type ?? 'Error', message: error?.message ?? '' } };
}

async function fillWithStale(): Promise<void> {
  for (let number = 0; ; number++) {
    try {
      await api.create(REPORT, [trivyReport(`stale-${number}`, { ...GONE, content })]);
    } catch (error) {
      if (!String(error).includes('database space exceeded')) throw error;
      await waitForAlarm(plane, 'NOSPACE');
      return;
    }
  }
}
