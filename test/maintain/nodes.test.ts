// A night's maintenance on a cluster whose nodes are under Systems Manager: a disk that can't be seen is not written
// on.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { type OnNodes, SPEED, startOnNodes, stopOnNodes } from '../../lab/runs/on-nodes.ts';
import { defragmentations } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;

let here: OnNodes;
beforeAll(async () => {
  here = await startOnNodes({ quotaBytes: 64 * MiB });
  await churn(here.plane, { reports: 50, reportBytes: 20_000, rewrites: 10 });
});
afterAll(async () => {
  await stopOnNodes(here ?? {});
});

describe('maintain, on nodes', () => {
  it('R6: leaves the member alone whose disk cannot be looked at, says so, and maintains the others', async () => {
    Object.assign(here.plane.node('cp-2'), { pingStatus: 'ConnectionLost' });

    const report = await maintainPlane(here.plane, {
      skipTime: false,
      speed: SPEED,
      configuration: { etcd: { endpoints: undefined } },
    });

    expect(report.outcome, report.reason).toBe('maintained');
    expect(report.reason).toMatch(/Left alone: cp-2: R6: .*offline/);
    expect(report.members[1]).toMatchObject({ name: 'cp-2', defragmented: false, note: expect.stringContaining('R6') });
    expect(await defragmentations(here.plane)).toEqual({ 'cp-1': 1, 'cp-2': 0, 'cp-3': 1 });
  });
});
