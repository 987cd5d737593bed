// A recovery with something going wrong at each of its steps. Afterwards no acknowledged write is lost, no rule was
// broken, and the cluster is recovered, or was left so that the next run recovers it.

import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { writeAllAlong } from '../../lab/control-plane/acknowledged.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { defragmentations, recordsOf, recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
/** Waits of the engine and of the kubelets are so many times shorter. */
const SPEED = 5;
/** How long a member hangs or is cut off: longer than most calls, shorter than a run. */
const TROUBLE_MS = 4_000;

let plane: ControlPlane;
let aws: AwsStandIn;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  plane = await startControlPlane({ quotaBytes: 16 * MiB, proxies: true, kubeletSpeed: SPEED });
});
afterAll(async () => {
  await aws?.stop();
  await plane?.stop();
});
beforeEach(async () => {
  for (const { kubelet } of plane.members) kubelet.restart(); // the back-offs of the last case
  await plane.ready();
  await fillWithReports(plane, { reportBytes: 50_000 });
});

type Fault = (leader: string, follower: string) => { readonly heal: () => void };
const passing = (begin: () => void, end: () => void) => {
  begin();
  let healed = false;
  const heal = () => {
    if (!healed) end();
    healed = true;
  };
  setTimeout(heal, TROUBLE_MS);
  return { heal };
};
const kill: (name: string) => ReturnType<Fault> = (name) => {
  if (plane.member(name).pid !== undefined) plane.kill(name);
  return { heal: () => {} };
};
const hang = (name: string) =>
  passing(
    () => plane.pause(name),
    () => plane.resume(name),
  );
const FAULTS: Readonly<Record<string, Fault>> = {
  'the leader is killed': (leader) => kill(leader),
  'a follower is killed': (_leader, follower) => kill(follower),
  'the leader hangs': (leader) => hang(leader),
  'a follower hangs': (_leader, follower) => hang(follower),
  'a follower is cut off': (_leader, follower) =>
    passing(
      () => void plane.cut(follower, { peers: true }),
      () => plane.heal(follower),
    ),
};

/** The names of a run's durable steps, as they begin. */
const STEPS: readonly (readonly [string, RegExp, number])[] = [
  ['observe', /^observe$/, 1],
  ['compact', /^compact$/, 1],
  ['the first defragmentation', /^defragment [0-9a-f]+$/, 1],
  ['the comparison', /^compare$/, 1],
  ['snapshot', /^snapshot$/, 1],
  ['the second defragmentation', /^defragment [0-9a-f]+$/, 2],
  ['moving the leader', /^move leader/, 1],
  ['the last defragmentation', /^defragment [0-9a-f]+$/, 3],
  ['disarm', /^disarm$/, 1],
  ['canary', /^canary$/, 1],
  ['the watch', /^watch$/, 1],
];

describe.each(Object.entries(FAULTS))('%s', (_name, fault) => {
  it.each(STEPS)('during %s', async (_step, pattern, occurrence) => {
    // Prepare
    const { name: leader } = await leaderOf(plane);
    const follower = plane.members.find(({ name }) => name !== leader)?.name ?? '';
    await using writer = writeAllAlong(plane);
    const rules = watchRules(plane, { snapshots: aws.s3 });
    let seen = 0;
    let trouble: ReturnType<Fault> | undefined;

    // Act
    const report = await recoverPlane(plane, {
      skipTime: false,
      speed: SPEED,
      onOperation: ({ name, from, to }) => {
        if (name === undefined || from !== undefined || to !== 'STARTED' || !pattern.test(name)) return;
        if (++seen === occurrence) trouble = fault(leader, follower);
      },
    });

    // Assess
    expect(trouble, 'the step that the fault belongs to did not come').toBeDefined();
    trouble?.heal();
    await plane.ready();
    const told = `${report.outcome}: ${report.reason}`;
    if (report.outcome !== 'recovered') {
      expect(report.reason, told).not.toBe('');
      const again = await recoverPlane(plane, { skipTime: false, speed: SPEED });
      expect(['recovered', 'nothing-to-do'], `${told}; then ${again.outcome}: ${again.reason}`).toContain(
        again.outcome,
      );
    }
    expect(await listAlarms(plane), told).toEqual([]);
    // The writer's own connections come back a moment after the members do.
    for (let i = 0; i < 100 && writer.acknowledged === 0; i++) await new Promise((resolve) => setTimeout(resolve, 100));
    await writer.stop();
    const { losses, acknowledged } = await writer.verify();
    expect(losses, told).toEqual([]);
    expect(acknowledged).toBeGreaterThan(0);
    expect(await rules.violations(), told).toEqual([]);
    expect(await recordsOf(aws)).not.toContain('lease');
    console.log(`${_name}, during ${_step}: ${told}`);
  });
});

describe('the services', () => {
  it('R9: a lease that somebody else took ends the run before its next change', async () => {
    const before = await defragmentations(plane);
    const armed = await listAlarms(plane);
    let stolen: Promise<unknown> | undefined;

    const report = await recoverPlane(plane, {
      skipTime: false,
      speed: SPEED,
      onOperation: ({ name, from, to }) => {
        if (name === 'snapshot bucket' && from === undefined && to === 'STARTED') stolen = steal();
      },
    });

    await stolen;
    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toContain('R9');
    expect(await defragmentations(plane)).toEqual(before);
    expect(armed.length).toBeGreaterThan(0);
    expect(await listAlarms(plane)).toEqual(armed);
    expect(await recordsOf(aws)).toContain('lease');
    await steal('nobody', 0);
  });

  it('R9: a lease that is lost while a step waits for a member ends it before its change', async () => {
    const before = await defragmentations(plane);
    const { name: leader } = await leaderOf(plane);
    let trouble: Promise<void> | undefined;

    const report = await recoverPlane(plane, {
      skipTime: false,
      speed: SPEED,
      onOperation: ({ name = '', from, to }) => {
        if (trouble !== undefined || from !== undefined || to !== 'STARTED' || !/^defragment /.test(name)) return;
        // Neither the one whose turn it is nor the leader: the turn waits for it.
        const other = plane.members.find((member) => member.name !== leader && !name.endsWith(member.id))?.name ?? '';
        plane.pause(other);
        trouble = stealBehind(other);
      },
    });

    await trouble;
    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toContain('R9');
    expect(await defragmentations(plane)).toEqual(before);
    await steal('nobody', 0);
  });

  it('R16: a switch turned before the first change ends in the plan, with the members', async () => {
    const before = await defragmentations(plane);
    const armed = await listAlarms(plane);

    const report = await recoverPlane(plane, {
      skipTime: false,
      speed: SPEED,
      onOperation: ({ name, to }) => {
        if (name === 'observe' && to === 'SUCCEEDED') aws.ssm.parameters.set(aws.switchParameter, 'observe');
      },
    });

    aws.ssm.parameters.set(aws.switchParameter, 'auto');
    expect(report.outcome, report.reason).toBe('planned');
    expect(report.reason).toMatch(/^R16: .*nothing was changed/);
    expect(report.plan?.map(({ name }) => name)).toEqual(expect.arrayContaining(['compact', 'disarm']));
    expect(report.members.map(({ before: sizes }) => sizes?.alarms)).toEqual([['NOSPACE'], ['NOSPACE'], ['NOSPACE']]);
    expect(await defragmentations(plane)).toEqual(before);
    expect(await listAlarms(plane)).toEqual(armed);
  });

  it('a bus that refuses: recovered all the same, and the report says that nobody was told', async () => {
    aws.eventBridge.refuse('request');

    const report = await recoverPlane(plane, { skipTime: false, speed: SPEED });

    aws.eventBridge.refuse(undefined);
    expect(report.outcome, report.reason).toBe('recovered');
    expect(report.steps.find(({ name }) => name === 'bus')).toMatchObject({ outcome: 'failed' });
  });

  it('R13: an S3 that refuses half-way: nothing in etcd is changed, and no part is left', async () => {
    aws.s3.fail({ operation: 'UploadPart', how: 'cut', after: 1 });
    const before = await defragmentations(plane);

    const configuration = { snapshot: { order: 'before-compaction' } };
    const report = await recoverPlane(plane, { skipTime: false, speed: SPEED, configuration });

    aws.s3.fail(undefined);
    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toContain('R13');
    expect(await defragmentations(plane)).toEqual(before);
    expect(aws.s3.openUploads).toEqual([]);
  });
});

/**
 * Once the step has renewed its lease, takes it; and only then, when that is no news any more, lets the member go on.
 */
async function stealBehind(paused: string): Promise<void> {
  const earlier = await renewedAt();
  while ((await renewedAt()) === earlier) await sleep(10);
  await steal();
  await sleep(TROUBLE_MS);
  plane.resume(paused);
}

async function renewedAt(): Promise<string | undefined> {
  const client = new DynamoDBClient({});
  try {
    const Key = { cluster: { S: 'control-plane' }, record: { S: 'lease' } };
    const { Item } = await client.send(new GetItemCommand({ TableName: aws.table, Key, ConsistentRead: true }));
    return Item?.renewedAt?.N;
  } finally {
    client.destroy();
  }
}

/** Writes another owner into the lease. */
async function steal(
  owner = 'arn:aws:lambda:eu-west-1:111122223333:somebody-else',
  expiresAt = Date.now() + 600_000,
): Promise<void> {
  const client = new DynamoDBClient({});
  try {
    await client.send(
      new PutItemCommand({
        TableName: aws.table,
        Item: {
          cluster: { S: 'control-plane' },
          record: { S: 'lease' },
          owner: { S: owner },
          workflow: { S: 'maintain' },
          expiresAt: { N: String(expiresAt) },
        },
      }),
    );
  } finally {
    client.destroy();
  }
}
