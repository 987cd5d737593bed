// A real defragmentation that takes longer than every patience: the member that is at it is neither away nor silent,
// and is waited for.
import { readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { observe } from '../../functions/control-plane/observe.ts';
import { checkOthersHealthy } from '../../functions/control-plane/voters.ts';
import { discoverMembers } from '../../functions/etcd/discovery.ts';
import { decide } from '../../functions/recover/decide.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import { readMemberLog } from '../../lab/control-plane/member-log.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { SlowedDown } from '../../lab/control-plane/slow-member.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { defragmentations, executeRecover } from '../../lab/runs/recover.ts';
import { materialOf } from '../etcd/material.ts';

const MiB = 1024 * 1024;
/** Longer than the 10 s that a voter has to answer in, and longer than a kubelet's first back-off. */
const LONG_MS = 15_000;
/**
 * A live part of 44 MB takes 0.28 to 0.6 s of the processor to write anew, as the machine is: more than runs within
 * `SLOW_MS`. What is asked meanwhile takes up to two.
 */
const PACE = { runsMs: 5, standsMs: 495 };
/** The 10 s that a voter has to answer in, the time that its Status then has, and more. */
const SLOW_MS = 25_000;
/** In etcd's log, from when on its reads wait. */
const BEGINS = '"msg":"defragmenting"';
const BEGUN_WITHIN_MS = 60_000;

let plane: ControlPlane;
let aws: AwsStandIn;
let tls: TlsMaterial | undefined;
beforeAll(async () => {
  trackAttempts();
  aws = await startAws();
  aws.enter();
  // A member that stands still for half a second at a time is no reason for an election.
  plane = await startControlPlane({
    quotaBytes: 64 * MiB,
    flags: ['--heartbeat-interval=500', '--election-timeout=5000'],
  });
  tls = await materialOf(plane);
});
afterAll(async () => {
  await plane?.stop();
  await aws?.stop();
});
beforeEach(async () => {
  await fillWithReports(plane, { reports: 220, reportBytes: 200_000 });
});

/**
 * Has a member defragmented by hand, for LONG_MS at least. Returns once it is at it, and nothing else of this process
 * happens until then: whatever is at its turn comes after it.
 */
function defragmentSlowly(name: string): { readonly ended: Promise<unknown> } {
  const { endpoint, logFile, pid = 0 } = plane.member(name);
  const { size } = statSync(logFile);
  const ended = plane.etcdctl(['defrag', `--endpoints=${endpoint}`, '--command-timeout=300s']);
  ended.catch(() => {});
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const giveUpAt = Date.now() + BEGUN_WITHIN_MS;
  while (!readFileSync(logFile).subarray(size).includes(BEGINS)) {
    if (Date.now() > giveUpAt) throw new Error(`${name} did not begin its defragmentation`);
    Atomics.wait(pause, 0, 0, 1);
  }
  const slowed = new SlowedDown(pid, PACE);
  setTimeout(() => slowed[Symbol.dispose](), SLOW_MS);
  return { ended };
}

async function loggedDefragmentations(name: string) {
  return readMemberLog(await readFile(plane.member(name).logFile, 'utf8')).defragmentations;
}

/** Of the last one, by etcd's own log. */
async function tookMs(name: string): Promise<number> {
  const last = (await loggedDefragmentations(name)).at(-1);
  return (last?.finishedAt ?? 0) - (last?.startedAt ?? 0);
}

describe('a defragmentation that takes more than 15 s', () => {
  it('R11: its member is at work, and neither silent nor away, and no kubelet is restarted for it', async () => {
    const { name: leader } = await leaderOf(plane);
    const { name, id } = plane.members.find((member) => member.name !== leader) ?? plane.member('cp-1');
    const nodes = plane.members.map((member) => {
      const { hostname } = new URL(member.endpoint);
      return { instanceId: `i-${member.name}`, name: member.name, ipAddress: hostname, online: true };
    });

    const { ended } = defragmentSlowly(name);
    await using cluster = await discoverMembers({ endpoints: plane.endpoints, tls });
    const voters = plane.members;
    const another = voters.find((voter) => voter.id !== id);
    const [observation, refusal] = await Promise.all([
      observe(cluster, undefined),
      checkOthersHealthy(cluster, voters, another).catch((error: unknown) => error),
    ]);
    await ended;

    expect(await tookMs(name)).toBeGreaterThan(LONG_MS);
    const member = observation.members.find((each) => each.id === id);
    expect(member).toMatchObject({ healthy: false, busy: true, silent: false });
    expect(member?.problem).toContain('it is at work');
    expect(decide({ ...observation, nodes }, { watchSeconds: 0 }).kind).not.toBe('restart-kubelets');
    expect(refusal).toMatchObject({ name: 'MemberBusyError', message: expect.stringContaining(`${name} is at work`) });
    await using after = await discoverMembers({ endpoints: plane.endpoints, tls });
    await checkOthersHealthy(after, voters, undefined);
  });

  it('R5: a run that is resumed in the middle of its own waits for it, and does not send it again', async () => {
    const firstTurn = await checkpointOfFirstTurn();
    await fillWithReports(plane, { reports: 220, reportBytes: 200_000 });
    const before = await defragmentations(plane);
    const rules = watchRules(plane);
    let slow: { readonly name: string; readonly ended: Promise<unknown> } | undefined;

    // The invocation dies at the first member's turn. What it has sent by then is under way: here it is sent by hand.
    const { result } = await executeRecover(plane, {
      crashAfterCheckpoint: firstTurn,
      onOperation: ({ name = '', to }) => {
        const turn = memberAtItsTurn(name)?.name;
        if (turn !== undefined && to === 'STARTED' && slow === undefined) {
          slow = { name: turn, ...defragmentSlowly(turn) };
        }
      },
    });

    const report = result as RunReport | undefined;
    await slow?.ended;
    expect(await tookMs(slow?.name ?? '')).toBeGreaterThan(LONG_MS);
    expect(report?.outcome, report?.reason).toBe('recovered');
    const after = await defragmentations(plane);
    const each = plane.members.map(({ name }) => (after[name] ?? 0) - (before[name] ?? 0));
    expect(each).toEqual([1, 1, 1]);
    expect(await rules.violations()).toEqual([]);
  });

  /** By the name of a durable operation. */
  function memberAtItsTurn(operation: string) {
    return plane.members.find(({ id }) => operation === `defragment ${id}`);
  }

  /** Of a recovery that nothing happens to. */
  async function checkpointOfFirstTurn(): Promise<number> {
    let checkpoint = 0;
    let first: number | undefined;
    const { result } = await executeRecover(plane, {
      onCheckpoint: (number) => {
        checkpoint = number;
      },
      onOperation: ({ name = '', to }) => {
        if (memberAtItsTurn(name) && to === 'STARTED') first ??= checkpoint;
      },
    });
    const report = result as RunReport | undefined;
    if (report?.outcome !== 'recovered' || first === undefined) throw new Error(`no first turn: ${report?.reason}`);
    return first;
  }
});
