// What happens to a recovery on its way: too little time, members that go away, an alarm that comes back.
import { afterEach, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { listAlarms, raiseNospace } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlaneOptions } from '../../lab/control-plane/options.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { defragmentations, executeRecover, outcomes, recoverPlane } from '../../lab/runs/recover.ts';
import { writeMeanwhile } from './meanwhile.ts';

const MiB = 1024 * 1024;
const QUOTA_BYTES = 16 * MiB;
/** Where it counts who leads: a machine that stands still for a second or two has no election by itself. */
const SLOW_ELECTIONS = ['--election-timeout=3000'];

let plane: ControlPlane | undefined;
afterEach(async () => {
  await plane?.stop();
  plane = undefined;
});

async function fullPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  plane = await startControlPlane({ quotaBytes: QUOTA_BYTES, ...options });
  await fillWithReports(plane, { reportBytes: 50_000 });
  return plane;
}

describe('recover, when something happens on the way', () => {
  it('puts a step off to a fresh invocation where too little time is left for it', async () => {
    const plane = await fullPlane({ members: 1 });

    const execution = await executeRecover(plane, {
      remainingTimeMs: (invocation) => (invocation === 1 ? 60_000 : 900_000),
    });

    const report = execution.result as RunReport;
    expect(report.outcome, report.reason).toBe('recovered');
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 1 });
    expect(report.steps.map(({ name }) => name).filter((name) => name.startsWith('defragment'))).toEqual([
      'defragment cp-1',
    ]);
  });

  it('looks again where a voter is away for a moment', async () => {
    const plane = await fullPlane();
    await plane.stopMember('cp-2');

    const report = await recoverPlane(plane, {
      onOperation: ({ name, to }) => {
        if (name === 'observe' && to === 'PENDING') plane.startMember('cp-2');
      },
      skipTime: false,
    });

    expect(report.outcome, report.reason).toBe('recovered');
  });

  it('R14: stops the sweep at the first member that is away, and says what is done and what is not', async () => {
    const plane = await fullPlane({ flags: SLOW_ELECTIONS });
    const leaderLast = (await recoverPlane(plane, { dryRun: true })).plan?.map(({ name }) => name) ?? [];
    const sweep = leaderLast
      .filter((name) => name.startsWith('defragment '))
      .map((name) => name.slice('defragment '.length));
    const [first, second] = sweep;

    let stopped: Promise<void> | undefined;
    const report = await recoverPlane(plane, {
      onOperation: ({ name, to }) => {
        if (name === `defragment ${plane.member(first ?? '').id}` && to === 'SUCCEEDED')
          stopped = plane.stopMember(second ?? '', 'SIGKILL');
      },
    });

    await stopped;
    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain(`Defragmented: ${first}`);
    expect(report.members.filter(({ defragmented }) => defragmented).map(({ name }) => name)).toEqual([first]);
    expect(outcomes(report)).not.toHaveProperty('disarm');
    plane.startMember(second ?? '');
    await plane.ready();
    expect(await listAlarms(plane)).toHaveLength(3);
  });

  it('R7: an alarm that comes back while it is watched is escalated, not disarmed again', async () => {
    const plane = await fullPlane();
    const [member] = plane.members;
    let raised: Promise<void> | undefined;

    const report = await recoverPlane(plane, {
      configuration: { recover: { watchSeconds: 3 } },
      onOperation: ({ name, from }) => {
        if (name === 'canary' && from !== undefined) raised ??= raiseNospace(plane, member?.id ?? '');
      },
      skipTime: false,
    });

    await raised;
    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain('came back');
    expect(await listAlarms(plane)).toEqual([{ memberId: member?.id, type: 'NOSPACE' }]);
  });

  it('R7: a file that is nearly at its quota again at the end is not called recovered', async () => {
    const plane = await fullPlane();

    const report = await recoverPlane(plane, {
      onOperation: ({ name = '', to }) => {
        if (/^watch/.test(name) && to === 'SUCCEEDED') writeMeanwhile(plane, 0.96);
      },
    });

    expect(await listAlarms(plane)).toEqual([]);
    expect(report.outcome, report.reason).toBe('escalated');
    // The largest file has that share; the others' may be a little smaller.
    expect(report.reason).toMatch(/cp-[123] has .*, 9[67] % of its quota of 16.0 MiB/);
    expect(report.reason).toContain('Largest: /registry/');
  });
});
