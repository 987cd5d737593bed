// R10: a crash at every checkpoint of a night's maintenance, each on real etcd. Whatever was lost, the next attempt
// ends well.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { churn, executeMaintain } from '../../lab/runs/maintain.ts';
import { defragmentations, recordsOf } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
/** Two waits, with a look at the alarms between them. */
const POLICY = { revisionAgeSeconds: 70 };

let plane: ControlPlane;
let aws: AwsStandIn;
/** How many checkpoints a run has that nothing happens to. */
let checkpoints = 0;

beforeAll(async () => {
  trackAttempts();
  aws = await startAws();
  aws.enter();
  plane = await startControlPlane({ quotaBytes: 64 * MiB });
  const run = await maintainWith({});
  expect(run.report?.outcome, run.report?.reason).toBe('maintained');
  checkpoints = run.checkpoints;
});

afterAll(async () => {
  await plane?.stop();
  await aws?.stop();
});

async function maintainWith(crash: { crashAtCheckpoint?: number; crashAfterCheckpoint?: number }) {
  await churn(plane, { reports: 20, reportBytes: 30_000, rewrites: 10 });
  const before = await defragmentations(plane);
  const execution = await executeMaintain(plane, { policy: POLICY, ...crash });
  const after = await defragmentations(plane);
  const defragmented = Object.entries(after).map(([name, count]) => count - (before[name] ?? 0));
  return { ...execution, report: execution.result as RunReport | undefined, defragmented };
}

describe('R10: a crash at any checkpoint', () => {
  it.each([
    ['is lost with its checkpoint', 'crashAtCheckpoint'],
    ['comes right after its checkpoint', 'crashAfterCheckpoint'],
  ] as const)('that %s: maintains, defragments nobody twice, leaves no lease', async (_name, kind) => {
    expect(checkpoints).toBeGreaterThan(20);
    for (let k = 1; k <= checkpoints; k++) {
      const run = await maintainWith({ [kind]: k });

      const at = `crash at checkpoint ${k} of ${checkpoints}: ${run.error?.message ?? run.report?.reason}`;
      expect(run.report?.outcome, at).toBe('maintained');
      expect(run.invocations, at).toBeGreaterThan(2);
      expect(run.defragmented, at).toEqual([1, 1, 1]);
      expect(await listAlarms(plane), at).toEqual([]);
      expect(await recordsOf(aws), at).not.toContain('lease');
    }
  });
});
