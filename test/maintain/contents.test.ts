// What fills the database is told on a night that keeps no copy, too. Real etcd, AWS by its stand-in.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readContentsHistory } from '../../functions/aws/contents-history.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { outcomes } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
const A_DAY = { reports: 20, reportBytes: 20_000, rewrites: 10 };
const NO_COPY = { configuration: { snapshot: false } };

let aws: AwsStandIn;
let plane: ControlPlane | undefined;
beforeEach(async () => {
  aws = await startAws();
  aws.enter();
});
afterEach(async () => {
  await plane?.stop();
  await aws.stop();
});

it("reads a follower's Snapshot stream before the compaction, stores it nowhere, and keeps what was told", async () => {
  plane = await startControlPlane({ quotaBytes: 64 * MiB });
  await churn(plane, A_DAY);
  const { name: leader } = await leaderOf(plane);

  const report = await maintainPlane(plane, NO_COPY);

  expect(report.outcome, report.reason).toBe('maintained');
  expect(outcomes(report)).toMatchObject({ snapshot: 'skipped', contents: 'done', compact: 'done' });
  const step = report.steps.find(({ name }) => name === 'contents');
  expect(step?.detail).toMatch(/ of cp-\d, a follower, read in \d+\.\d s and stored nowhere$/);
  expect(step?.detail).not.toContain(`of ${leader},`);
  // Ten times twenty reports, of which the last twenty are live.
  const [reports] = report.contents?.kinds ?? [];
  expect(reports).toMatchObject({ keys: 20, revisions: 180, versions: 200 });
  expect(aws.s3.operations).toEqual([]);
  const { nights } = await readContentsHistory(aws.table, 'control-plane');
  expect(nights).toEqual([report.contents]);
});

it('reads nothing where that is switched off, or where nobody but the leader could be read', async () => {
  plane = await startControlPlane({ members: 1, quotaBytes: 64 * MiB });
  await churn(plane, A_DAY);
  const alone = await maintainPlane(plane, NO_COPY);
  await plane.stop();
  plane = await startControlPlane({ quotaBytes: 64 * MiB });
  await churn(plane, A_DAY);
  const off = await maintainPlane(plane, { ...NO_COPY, policy: { contents: false } });

  for (const report of [alone, off]) {
    expect(report.outcome, report.reason).toBe('maintained');
    expect(outcomes(report)).not.toHaveProperty('contents');
    expect(report).not.toHaveProperty('contents');
  }
});
