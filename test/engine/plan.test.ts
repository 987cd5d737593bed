// The plan is what is gone over: what a dry run prints is done in that order, by the same data.
import { afterEach, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { turnsOf } from '../../functions/control-plane/sweep.ts';
import { carryOut } from '../../functions/engine/plan.ts';
import { raiseNospace } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
/** Elections would change the plan between the two runs. */
const CALM = ['--election-timeout=5000'];

type Options = NonNullable<Parameters<typeof startControlPlane>[0]>;

let plane: ControlPlane | undefined;
afterEach(async () => {
  await plane?.stop();
  plane = undefined;
});

async function fullPlane(options: Options): Promise<ControlPlane> {
  plane = await startControlPlane({ quotaBytes: 8 * MiB, flags: CALM, ...options });
  await fillWithReports(plane, { reportBytes: 30_000 });
  return plane;
}

const DEEDS = /^(snapshot|revision|compact|move leader|defragment .*|sizes|disarm|canary|watch)$/;
const planned = ({ plan = [] }: RunReport) => plan.map(({ name }) => name).filter((name) => DEEDS.test(name));
const done = ({ steps }: RunReport) => steps.map(({ name }) => name).filter((name) => DEEDS.test(name));

describe('a plan', () => {
  it.each<[string, Options]>([
    ['three members', {}],
    ['one member', { members: 1 }],
    ['members of which one is nearly empty by its quota', { memberQuotaBytes: { 'cp-2': 256 * MiB } }],
  ])('of a recovery is what is done, step by step: %s', async (_which, options) => {
    const full = await fullPlane(options);

    const dry = await recoverPlane(full, { dryRun: true });
    const real = await recoverPlane(full);

    expect(real.outcome, real.reason).toBe('recovered');
    expect(planned(dry)).toContain('compact');
    expect(done(real)).toEqual(planned(dry));
  });

  it('of a recovery without anything to defragment is as short as what is done', async () => {
    plane = await startControlPlane({ quotaBytes: 64 * MiB, flags: CALM });
    for (const { id } of plane.members) await raiseNospace(plane, id);

    const dry = await recoverPlane(plane, { dryRun: true });
    const real = await recoverPlane(plane);

    expect(planned(dry)).toEqual(['snapshot', 'disarm', 'canary', 'watch']);
    expect(done(real)).toEqual(planned(dry));
  });

  it('of a night is what is done, but for the leader where it may lead on, and the sizes in between', async () => {
    plane = await startControlPlane({ quotaBytes: 64 * MiB, flags: CALM });
    await churn(plane, { reports: 20, reportBytes: 20_000, rewrites: 30 });
    // As dbSizeInUse says what is live only after a compaction, the dry run sees what is worth it after one alone.
    const before = await maintainPlane(plane);
    await churn(plane, { reports: 20, reportBytes: 20_000, rewrites: 30 });

    const dry = await maintainPlane(plane, { dryRun: true });
    const real = await maintainPlane(plane);

    expect(before.outcome, before.reason).toBe('maintained');
    expect(real.outcome, real.reason).toBe('maintained');
    const upToCanary = planned(dry).slice(0, planned(dry).indexOf('canary') + 1);
    expect(upToCanary).toEqual(['snapshot', 'revision', 'compact', 'canary']);
    expect(done(real).slice(0, upToCanary.length)).toEqual(upToCanary);
    const left = real.members.filter(({ defragmented }) => defragmented).map(({ name }) => `defragment ${name}`);
    expect(
      done(real)
        .filter((name) => name.startsWith('defragment'))
        .sort(),
    ).toEqual(left.sort());
  });
});

describe('going over a plan', () => {
  it('does each in its order, and what is left where one finds that it has changed', async () => {
    const done: string[] = [];

    await carryOut([{ action: 'a' }, { action: 'b' }, { action: 'c' }], async ({ action }, left) => {
      done.push(action);
      return action === 'a' ? [...left.toReversed(), { action: 'a again' }] : undefined;
    });

    expect(done).toEqual(['a', 'c', 'b', 'a again']);
  });

  it('ends with the step that throws', async () => {
    const done: string[] = [];
    const going = carryOut([{ action: 'a' }, { action: 'b' }], async ({ action }) => {
      done.push(action);
      throw new Error('no');
    });

    await expect(going).rejects.toThrow('no');
    expect(done).toEqual(['a']);
  });

  it('R3: whoever leads is last, after the leadership was moved', () => {
    expect(turnsOf(['a', 'b', 'c'], 'a')).toEqual([
      { action: 'defragment', memberId: 'b' },
      { action: 'defragment', memberId: 'c' },
      { action: 'move-leader', fromMemberId: 'a' },
      { action: 'defragment', memberId: 'a' },
    ]);
    expect(turnsOf(['a'], undefined)).toEqual([{ action: 'defragment', memberId: 'a' }]);
    expect(turnsOf(['a'], 'b')).toEqual([{ action: 'defragment', memberId: 'a' }]);
  });
});
