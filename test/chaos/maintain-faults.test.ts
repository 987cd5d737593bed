// A night's maintenance on real etcd with something going wrong on the way that takes its time.

import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordRun } from '../../functions/aws/history.ts';
import { LEADER_STALL_MS } from '../../functions/maintain/stall.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { writeAllAlong } from '../../lab/control-plane/acknowledged.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { defragmentations, outcomes, recordsOf } from '../../lab/runs/recover.ts';
import { sampleReport } from '../contract/sample-report.ts';

const MiB = 1024 * 1024;

let plane: ControlPlane;
let aws: AwsStandIn;
let earlier: Readonly<Record<string, number>>;
/** Members that a test has stopped. */
const paused: string[] = [];
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  plane = await startControlPlane({ quotaBytes: 128 * MiB });
});
afterAll(async () => {
  await aws?.stop();
  await plane?.stop();
});
beforeEach(async () => {
  await churn(plane, { reports: 50, reportBytes: 20_000, rewrites: 10 });
  earlier = await defragmentations(plane);
});
afterEach(async () => {
  for (const name of paused.splice(0)) plane.resume(name);
  await plane.ready();
});

async function sweptSince(): Promise<readonly string[]> {
  const now = await defragmentations(plane);
  return Object.entries(now).flatMap(([name, count]) => (count > (earlier[name] ?? 0) ? [name] : []));
}

const isDefragmentation = (name: string | undefined) => /^defragment [0-9a-f]+$/.test(name ?? '');

describe('maintain', () => {
  it.each([
    ['while the revision grows old: nothing is changed', 'refused', /^revision$/, 0],
    ['after the first member: the others are left as they are', 'escalated', /^defragment [0-9a-f]+$/, 1],
  ] as const)('R2: a member hangs %s', async (_name, outcome, at, swept) => {
    const rules = watchRules(plane, { leaderStallMs: LEADER_STALL_MS });

    const report = await maintainPlane(plane, {
      onOperation: ({ name = '', to }) => {
        if (!at.test(name) || to !== 'SUCCEEDED' || paused.length > 0) return;
        const follower = plane.members.find(({ id }) => !name.endsWith(id))?.name ?? '';
        paused.push(follower);
        plane.pause(follower);
      },
    });

    const [away = ''] = paused;
    for (const name of paused.splice(0)) plane.resume(name);
    await plane.ready();
    expect(report.outcome, report.reason).toBe(outcome);
    expect(report.reason).toContain(away);
    expect(report.reason).toContain('R2');
    expect(await sweptSince()).toHaveLength(swept);
    expect(await listAlarms(plane)).toEqual([]);
    expect(await recordsOf(aws)).not.toContain('lease');
    expect(await rules.violations()).toEqual([]);
  });

  it('goes on where a member was killed and is back within seconds, and loses no acknowledged write', async () => {
    const rules = watchRules(plane, { leaderStallMs: LEADER_STALL_MS });
    await using writer = writeAllAlong(plane);
    let killed: string | undefined;

    const report = await maintainPlane(plane, {
      onOperation: ({ name = '', to }) => {
        if (!isDefragmentation(name) || to !== 'SUCCEEDED' || killed !== undefined) return;
        killed = plane.members.find(({ id }) => !name.endsWith(id))?.name ?? '';
        plane.kill(killed);
      },
    });

    await plane.ready();
    expect(killed).toBeDefined();
    expect(report.outcome, report.reason).toBe('maintained');
    await writer.stop();
    expect((await writer.verify()).losses).toEqual([]);
    expect(await rules.violations()).toEqual([]);
  });

  it('R9: ends before its next change where somebody else took the lease', async () => {
    let stolen: Promise<void> | undefined;

    const report = await maintainPlane(plane, {
      skipTime: false,
      onOperation: ({ name, to }) => {
        if (name === 'revision' && to === 'SUCCEEDED') stolen = steal(Date.now() + 600_000);
      },
    });

    await stolen;
    await steal(0);
    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toContain('R9');
    expect(outcomes(report)).not.toHaveProperty('canary');
    expect(await sweptSince()).toEqual([]);
  });

  it('R16: ends in the plan where the switch is turned before the first change', async () => {
    const report = await maintainPlane(plane, {
      onOperation: ({ name, to }) => {
        if (name === 'observe' && to === 'SUCCEEDED') aws.ssm.parameters.set(aws.switchParameter, 'observe');
      },
    });

    aws.ssm.parameters.set(aws.switchParameter, 'auto');
    expect(report.outcome, report.reason).toBe('planned');
    expect(report.reason).toMatch(/^R16: .*nothing was changed/);
    expect(report.plan?.map(({ name }) => name)).toContain('compact');
    expect(report.members).toHaveLength(3);
    expect(await sweptSince()).toEqual([]);
  });

  it('R3: has the leader hand over first where it was slow in an earlier night', async () => {
    const { name: leader } = await leaderOf(plane);
    await recordSlowNight();
    const rules = watchRules(plane, { leaderStallMs: LEADER_STALL_MS });

    const report = await maintainPlane(plane);

    expect(report.outcome, report.reason).toBe('maintained');
    expect(await sweptSince()).toEqual(['cp-1', 'cp-2', 'cp-3']);
    expect(outcomes(report)).toMatchObject({ 'disks settle': 'done', 'move leader': 'done' });
    expect((await leaderOf(plane)).name).not.toBe(leader);
    expect(await rules.violations()).toEqual([]);
  });

  it('R3: leaves a learner alone and names it', async () => {
    const learner = await plane.addLearner();

    const report = await maintainPlane(plane);

    expect(report.outcome, report.reason).toBe('maintained');
    expect(await sweptSince()).toEqual(['cp-1', 'cp-2', 'cp-3']);
    expect(report.members.find(({ name }) => name === learner.name)).toMatchObject({
      defragmented: false,
      note: expect.stringContaining('a learner'),
    });
  });
});

/** A report by which each member wrote 0.2 kB a millisecond: 1 MB of live data takes 5 s. */
async function recordSlowNight(): Promise<void> {
  const sizes = { dbSize: 20 * MiB, dbSizeInUse: 20 * MiB, alarms: [] };
  const [sample] = sampleReport().members;
  if (sample === undefined) throw new Error('the sample report has no member');
  const members = plane.members.map(({ id, name }) => ({ ...sample, id, name, after: sizes, durationMs: 100_000 }));
  const report = sampleReport({ cluster: 'control-plane', workflow: 'maintain', outcome: 'maintained', members });
  await recordRun({ table: aws.table, report, execution: 'arn:aws:test:slow' });
}

/** Writes another owner into the lease, until `expiresAt` (milliseconds since 1970). */
async function steal(expiresAt: number): Promise<void> {
  const client = new DynamoDBClient({});
  try {
    const Item = {
      cluster: { S: 'control-plane' },
      record: { S: 'lease' },
      owner: { S: 'arn:aws:lambda:eu-west-1:111122223333:somebody-else' },
      workflow: { S: 'recover' },
      expiresAt: { N: String(expiresAt) },
    };
    await client.send(new PutItemCommand({ TableName: aws.table, Item }));
  } finally {
    client.destroy();
  }
}
