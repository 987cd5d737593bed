// Seven nights on one real cluster, with a day's churn before each: the files stay as large as they are, and nobody
// stalls for nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LEADER_STALL_MS } from '../../functions/maintain/stall.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { churn, maintainPlane, sizesOf, tidyByHand } from '../../lab/runs/maintain.ts';
import { defragmentations } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
/** 20 MB live. */
const DATA = { reports: 1000, reportBytes: 20_000 };
/** A day's rewrites leave twice as much history as there is data; a quiet day none to speak of. */
const NIGHTS = [2, 2, 2, 0, 2, 2, 2].map((rewrites, i) => ({ night: i + 1, rewrites }));
/** On this night a member has been seen to already. */
const TIDIED = { night: 6, name: 'cp-2' };

let plane: ControlPlane;
let aws: AwsStandIn;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  plane = await startControlPlane({ quotaBytes: 256 * MiB });
});
afterAll(async () => {
  await aws?.stop();
  await plane?.stop();
});

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0);

describe('seven nights', () => {
  it('keep the files flat, touch nobody who has nothing to gain, break no rule, and know the rates of the nights before', async () => {
    await churn(plane, { ...DATA, rewrites: 1 });
    const largest: number[] = [];
    for (const { night, rewrites } of NIGHTS) {
      if (rewrites > 0) await churn(plane, { ...DATA, rewrites });
      if (night === TIDIED.night) await tidyByHand(plane, TIDIED.name);
      const before = await defragmentations(plane);
      const rules = watchRules(plane, { leaderStallMs: LEADER_STALL_MS });

      const report = await maintainPlane(plane, {
        policy: { revisionAgeSeconds: 300, minReclaimBytes: 10 * MiB },
        trigger: { kind: 'schedule', source: 'nightly', at: new Date().toISOString() },
      });

      expect(report.outcome, report.reason).toBe('maintained');
      const after = await defragmentations(plane);
      const swept = Object.fromEntries(
        Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]),
      );
      expect(sum(swept), `night ${night}: ${report.reason}`).toBe(rewrites === 0 ? 0 : night === TIDIED.night ? 2 : 3);
      if (night === TIDIED.night) expect(swept[TIDIED.name]).toBe(0);
      expect(await rules.violations()).toEqual([]);
      const rates = report.steps.find(({ name }) => name === 'rates')?.detail;
      expect(rates).toMatch(new RegExp(`defragmentations in the last ${night - 1} reports$`));
      if (night > 1) expect(rates).not.toMatch(/^0 /);
      const sizes = Object.values(await sizesOf(plane)).map(({ dbSize }) => dbSize);
      largest.push(Math.max(...sizes));
      console.log(`night ${night}: ${sizes.map((size) => (size / MiB).toFixed(1)).join(' ')} MiB; ${report.reason}`);
    }
    // Nothing grows from night to night: every one ends within a tenth of the first.
    for (const size of largest) expect(size).toBeLessThan(1.1 * (largest[0] ?? 0));
  });
});
