// Somebody defragments by hand while a recovery is at work: what shrank before the history was gone tells nothing of
// live data (R4, R5).
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { defragmentations, executeRecover, type RecoverOptions } from '../../lab/runs/recover.ts';
import { defragmentMeanwhile } from './meanwhile.ts';

const MiB = 1024 * 1024;
const SLOW_ELECTIONS = ['--election-timeout=3000'];

let plane: ControlPlane;
/** The members in the order of the sweep. */
let order: readonly string[];
let before: Readonly<Record<string, number>>;
beforeAll(async () => {
  trackAttempts();
  plane = await startControlPlane({ quotaBytes: 16 * MiB, flags: SLOW_ELECTIONS });
});
afterAll(async () => {
  await plane?.stop();
});
beforeEach(async () => {
  await fillWithReports(plane, { reportBytes: 50_000 });
  const { name: leader } = await leaderOf(plane);
  order = [...plane.members.map(({ name }) => name).filter((name) => name !== leader), leader];
  before = await defragmentations(plane);
});

/** How often each was defragmented, by anybody, in the order of the sweep. */
async function counts(): Promise<readonly number[]> {
  const now = await defragmentations(plane);
  return order.map((name) => (now[name] ?? 0) - (before[name] ?? 0));
}

/** Has somebody defragment `names` once, when the operation has ended. */
function when(operation: RegExp, ...names: string[]): Pick<RecoverOptions, 'onOperation'> {
  let done = false;
  return {
    onOperation: ({ name = '', to }) => {
      if (done || !operation.test(name) || to !== 'SUCCEEDED') return;
      done = true;
      defragmentMeanwhile(plane, ...names);
    },
  };
}

async function recovered(options: RecoverOptions): Promise<RunReport> {
  const { result, error } = await executeRecover(plane, options);
  const report = result as RunReport;
  expect(report?.outcome, error?.message ?? report.reason).toBe('recovered');
  expect(await listAlarms(plane)).toEqual([]);
  return report;
}

describe('R4, R5: somebody defragments', () => {
  it('before the compaction: that is no measure of live data, and everybody is defragmented once more', async () => {
    const [first = '', second = ''] = order;

    await recovered(when(/^observe$/, first, second));

    expect(await counts()).toEqual([2, 2, 1]);
  });

  it('before the compaction, whose checkpoint is lost: the same', async () => {
    const [first = ''] = order;
    let checkpoint = 0;
    let compacted = 0;
    await recovered({
      onCheckpoint: (number) => {
        checkpoint = number;
      },
      onOperation: ({ name, to }) => {
        if (name === 'compact' && to === 'SUCCEEDED') compacted = checkpoint;
      },
    });
    await fillWithReports(plane, { reportBytes: 50_000 });
    before = await defragmentations(plane);

    await recovered({ ...when(/^observe$/, first), crashAtCheckpoint: compacted });

    expect(compacted).toBeGreaterThan(0);
    const { [first]: own = 0, ...others } = Object.fromEntries((await counts()).map((count, i) => [order[i], count]));
    expect(own).toBe(2);
    expect(Object.values(others)).toEqual([1, 1]);
  });

  it('between the compaction and its turn: it is done, and nobody pretends to know how long it took', async () => {
    const [first = ''] = order;

    const report = await recovered(when(/^compact$/, first));

    expect(await counts()).toEqual([1, 1, 1]);
    const { defragmented, durationMs } = report.members.find(({ name }) => name === first) ?? {};
    expect(defragmented).toBe(true);
    expect(durationMs).toBeUndefined();
    expect(report.steps.find(({ name }) => name === `defragment ${first}`)?.detail).toContain('since the compaction');
  });

  it('after its turn: nobody minds', async () => {
    const [first = ''] = order;

    await recovered(when(/^defragment /, first));

    expect(await counts()).toEqual([2, 1, 1]);
  });
});
