// What keeps a night's maintenance from changing anything, on real etcd and over the wire of the services around it.
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { raiseCorrupt, raiseNospace, snapshotOfState } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { settled } from '../../lab/control-plane/settle.ts';
import { churn, type MaintainOptions, maintainPlane } from '../../lab/runs/maintain.ts';
import { defragmentations, outcomes, recordsOf } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;

let plane: ControlPlane;
let aws: AwsStandIn;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  plane = await startControlPlane({ quotaBytes: 64 * MiB });
  await churn(plane, { reports: 50, reportBytes: 20_000, rewrites: 10 });
});
afterAll(async () => {
  await aws?.stop();
  await plane?.stop();
});

/** A run that must leave revision, sizes and alarms as they were. */
async function unchanging(options: MaintainOptions = {}) {
  const before = await snapshotOfState(plane);
  const report = await maintainPlane(plane, options);
  expect(await snapshotOfState(plane), report.reason).toEqual(before);
  expect(await defragmentations(plane)).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
  return report;
}

describe('maintain, where it must not act', () => {
  it('plans in a dry run, without a lease, and names each step and each member', async () => {
    const report = await unchanging({ dryRun: true, policy: { prune: true } });

    expect(report.outcome).toBe('planned');
    expect(report.plan?.map(({ name }) => name)).toEqual([
      ...['snapshot', 'compare', 'prune', 'revision', 'compact', 'canary', 'leave cp-1', 'leave cp-2', 'leave cp-3'],
    ]);
    expect(outcomes(report).lease).toBe('skipped');
  });

  it('R16: ends with the plan where the switch says observe', async () => {
    aws.ssm.parameters.set(aws.switchParameter, 'observe');

    const report = await unchanging();

    aws.ssm.parameters.set(aws.switchParameter, 'auto');
    expect(report.outcome).toBe('planned');
    expect(report.reason).toContain('R16');
  });

  it('R9: is skipped while a recovery holds the lease', async () => {
    await holdLease(Date.now() + 600_000);

    const report = await unchanging();

    await holdLease(0);
    expect(report.outcome).toBe('skipped');
    expect(report.reason).toContain('held by the recover run');
  });

  it('comes too late where its window has ended', async () => {
    const at = new Date(Date.now() - 121 * 60_000).toISOString();

    const report = await unchanging({ trigger: { kind: 'schedule', source: 'nightly', at } });

    expect(report.outcome).toBe('refused');
    expect(report.reason).toContain('the maintenance window ended');
  });

  it('R13: changes nothing where no snapshot can be taken', async () => {
    aws.s3.fail({ operation: 'CreateMultipartUpload', how: 'AccessDenied' });

    const report = await unchanging();

    aws.s3.fail(undefined);
    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain('R13');
  });

  it('R2: is refused while a voter is away, and names it', async () => {
    await plane.stopMember('cp-2');
    const before = await snapshotOfState(plane);

    const report = await maintainPlane(plane);

    expect(await snapshotOfState(plane)).toEqual(before);
    plane.startMember('cp-2');
    await plane.ready(['cp-2']);
    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/^R2: 1 of 3 voters away\. cp-2/);
  });

  it('leaves NOSPACE to recover', async () => {
    await raiseNospace(plane, plane.member('cp-1').id);
    await settled(plane);

    const report = await unchanging();

    expect(report.outcome).toBe('refused');
    expect(report.reason).toContain('recover answers that');
  });

  it('R1: escalates CORRUPT', async () => {
    await raiseCorrupt(plane, plane.member('cp-1').id);
    await settled(plane);

    const report = await unchanging();

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toMatch(/^R1: CORRUPT on cp-1/);
    expect(await recordsOf(aws)).not.toContain('lease');
  });
});

/** As a recovery of somebody else's, until `expiresAt` (milliseconds since 1970). */
async function holdLease(expiresAt: number): Promise<void> {
  const client = new DynamoDBClient({});
  try {
    const Item = {
      cluster: { S: 'control-plane' },
      record: { S: 'lease' },
      owner: { S: 'arn:aws:lambda:eu-west-1:111122223333:function:recover:live/durable-execution/somebody-else' },
      workflow: { S: 'recover' },
      expiresAt: { N: String(expiresAt) },
    };
    await client.send(new PutItemCommand({ TableName: aws.table, Item }));
  } finally {
    client.destroy();
  }
}
