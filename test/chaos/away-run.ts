// One run on a plane of its own in which one member is killed (kill -9) when a step begins, and started again after so
// long as a kubelet's first back-off and a start take. A process of its own for each, since they mostly wait:
// `away.test.ts` runs many at a time.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunReport } from '../../functions/contract/report.ts';
import { LEADER_STALL_MS } from '../../functions/maintain/stall.ts';
import { startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, putThrough } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import type { OperationChange } from '../../lab/execution/local-operations.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
/** A kubelet's first back-off is 10 s; etcd starts within 3. */
const AWAY_MS = 13_000;
/** A machine with many planes on two cores stands still for a second now and then: that must not be an election. */
const SLOW_ELECTIONS = ['--election-timeout=3000', '--heartbeat-interval=300'];

export interface AwayCase {
  readonly workflow: 'recover' | 'maintain';
  /**
   * The name of the durable operation at whose beginning it is killed, as a regular expression, and which one of that
   * name.
   */
  readonly step: string;
  readonly occurrence: number;
  /** 0 is the leader as the run begins, 1 and 2 the followers. */
  readonly victim: number;
}

export interface AwayOutcome {
  /** The step came, and the member was killed. */
  readonly killed: boolean;
  readonly outcome: string;
  readonly reason: string;
  /** What the report says of waiting, step by step. */
  readonly waits: readonly string[];
  readonly violations: readonly string[];
  readonly alarms: number;
  /** Members that don't take a write at the end. */
  readonly unwritable: readonly string[];
}

async function run({ workflow, step, occurrence, victim }: AwayCase): Promise<AwayOutcome> {
  const aws = await startAws();
  aws.enter();
  await using plane = await startControlPlane({
    quotaBytes: workflow === 'recover' ? 8 * MiB : 64 * MiB,
    flags: SLOW_ELECTIONS,
  });
  try {
    if (workflow === 'recover') await fillWithReports(plane, { reportBytes: 30_000 });
    else await churn(plane, { reports: 20, reportBytes: 30_000, rewrites: 10 });
    const { name: leader } = await leaderOf(plane);
    const byRole = [leader, ...plane.members.map(({ name }) => name).filter((name) => name !== leader)];
    const name = byRole[victim] ?? leader;
    const rules = watchRules(plane, { leaderStallMs: workflow === 'maintain' ? LEADER_STALL_MS : 0 });
    let seen = 0;
    let back: Promise<void> | undefined;
    const options = {
      skipTime: false,
      onOperation: ({ name: operation = '', from, to }: OperationChange) => {
        if (from !== undefined || to !== 'STARTED' || !new RegExp(step).test(operation)) return;
        if (++seen === occurrence) back = away(plane, name);
      },
    };
    const report = await (workflow === 'recover' ? recoverPlane(plane, options) : maintainPlane(plane, options));
    await back;
    await plane.ready();
    return {
      killed: back !== undefined,
      outcome: report.outcome,
      reason: report.reason,
      waits: waitsOf(report),
      violations: await rules.violations(),
      alarms: (await listAlarms(plane)).length,
      unwritable: await unwritable(plane),
    };
  } finally {
    await aws.stop();
  }
}

async function away(plane: ControlPlane, name: string): Promise<void> {
  await plane.stopMember(name, 'SIGKILL');
  await sleep(AWAY_MS);
  plane.startMember(name);
}

function waitsOf({ steps }: RunReport): string[] {
  return steps.flatMap(({ name, detail }) => {
    const waited = /waited \d+ s for .*$/.exec(detail)?.[0];
    return waited === undefined ? [] : [`${name}: ${waited}`];
  });
}

async function unwritable(plane: ControlPlane): Promise<string[]> {
  const puts = plane.members.map(async ({ name, endpoint }) => ({ name, put: await putThrough(plane, endpoint) }));
  return (await Promise.all(puts)).flatMap(({ name, put }) => (put.ok ? [] : [name]));
}

const [, script, given] = process.argv;
if (script === import.meta.filename && given !== undefined) {
  console.log(JSON.stringify(await run(JSON.parse(given))));
}
