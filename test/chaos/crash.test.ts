// R10: a crash at every checkpoint of a recovery, each on real etcd. Whatever was lost, the next attempt ends well.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { defragmentations, executeRecover, recordsOf } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;

let plane: ControlPlane;
let aws: AwsStandIn;

beforeAll(async () => {
  trackAttempts();
  aws = await startAws();
  aws.enter();
  plane = await startControlPlane({ quotaBytes: 8 * MiB });
});

afterAll(async () => {
  await plane?.stop();
  await aws?.stop();
});

async function fill(): Promise<void> {
  await fillWithReports(plane, { reportBytes: 30_000 });
}

async function recoverWith(crash: { crashAtCheckpoint: number } | { crashAfterCheckpoint: number }) {
  await fill();
  const before = await defragmentations(plane);
  const rules = watchRules(plane, { snapshots: aws.s3 });
  const { result, error, invocations, checkpoints } = await executeRecover(plane, crash);
  const after = await defragmentations(plane);
  const defragmented = Object.entries(after).map(([name, count]) => count - (before[name] ?? 0));
  const violations = await rules.violations();
  return { report: result as RunReport | undefined, error, invocations, checkpoints, defragmented, violations };
}

describe('R10: a crash at any checkpoint', () => {
  it.each([
    ['is lost with its checkpoint', 'crashAtCheckpoint'],
    ['comes right after its checkpoint', 'crashAfterCheckpoint'],
  ] as const)('that %s: recovers, defragments nobody twice, leaves no lease', async (_name, kind) => {
    let crashes = 0;
    // Until a run is through before its crash: how many checkpoints there are is a run's own, as an election may add
    // some.
    for (let k = 1; ; k++) {
      const run = await recoverWith(
        kind === 'crashAtCheckpoint' ? { crashAtCheckpoint: k } : { crashAfterCheckpoint: k },
      );

      const at = `crash at checkpoint ${k}: ${run.error?.message ?? run.report?.reason}`;
      expect(run.report?.outcome, at).toBe('recovered');
      expect(run.defragmented, at).toEqual([1, 1, 1]);
      expect(run.violations, at).toEqual([]);
      expect(await listAlarms(plane), at).toEqual([]);
      expect(await recordsOf(aws), at).not.toContain('lease');
      if (run.checkpoints < k) break;
      expect(run.invocations, at).toBeGreaterThan(2);
      crashes++;
    }
    expect(crashes).toBeGreaterThan(15);
  });
});
