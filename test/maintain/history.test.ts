// What earlier reports in the table tell of the members' rates, over DynamoDB's wire.
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordRun } from '../../functions/aws/history.ts';
import { SetupError } from '../../functions/contract/errors.ts';
import { readRates } from '../../functions/maintain/history.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { sampleReport } from '../contract/sample-report.ts';

const MiB = 1024 * 1024;

let aws: AwsStandIn;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
});
afterAll(async () => {
  await aws?.stop();
});

let clusters = 0;
const freshCluster = () => `cluster-${++clusters}`;

interface Defragmented {
  readonly id: string;
  readonly liveMiB: number;
  readonly ms: number;
  readonly defragmented?: boolean;
}

async function record(cluster: string, day: number, members: readonly Defragmented[]): Promise<void> {
  const startedAt = new Date(Date.UTC(2026, 0, day, 2, 30)).toISOString();
  const [sample] = sampleReport().members;
  if (sample === undefined) throw new Error('the sample report has no member');
  const report = {
    ...sampleReport(),
    cluster,
    startedAt,
    members: members.map(({ id, liveMiB, ms, defragmented = true }) => ({
      ...sample,
      id,
      defragmented,
      durationMs: ms,
      before: { dbSize: 2 * liveMiB * MiB, dbSizeInUse: liveMiB * MiB, alarms: [] },
      after: { dbSize: liveMiB * MiB, dbSizeInUse: liveMiB * MiB, alarms: [] },
    })),
  };
  await recordRun({ table: aws.table, report, execution: `arn:aws:test:${cluster}:${day}` });
}

describe('readRates', () => {
  it('gives what each defragmentation wrote a millisecond, newest first, of this cluster alone', async () => {
    const cluster = freshCluster();
    await record(cluster, 3, [{ id: 'a', liveMiB: 100, ms: 2000 }]);
    await record(cluster, 20, [
      { id: 'a', liveMiB: 100, ms: 1000 },
      { id: 'b', liveMiB: 100, ms: 4000 },
    ]);
    await record(freshCluster(), 21, [{ id: 'a', liveMiB: 100, ms: 100_000 }]);

    expect(await readRates({ table: aws.table, cluster })).toEqual({
      rates: [
        { memberId: 'a', bytesPerMs: (100 * MiB) / 1000 },
        { memberId: 'b', bytesPerMs: (100 * MiB) / 4000 },
        { memberId: 'a', bytesPerMs: (100 * MiB) / 2000 },
      ],
      reports: 2,
      unreadable: 0,
    });
  });

  it('learns from recoveries too, of what was live before them, whatever was written since', async () => {
    const cluster = freshCluster();
    const [sample] = sampleReport().members;
    if (sample === undefined) throw new Error('the sample report has no member');
    const sizes = (dbSizeInUse: number, dbSize: number) => ({ dbSize, dbSizeInUse, alarms: [] });
    const member = { ...sample, id: 'a', defragmented: true, durationMs: 1000 };
    const members = [{ ...member, before: sizes(100 * MiB, 2000 * MiB), after: sizes(300 * MiB, 400 * MiB) }];
    const report = { ...sampleReport(), cluster, workflow: 'recover' as const, members };
    await recordRun({ table: aws.table, report, execution: 'arn:aws:test:recover' });

    expect(await readRates({ table: aws.table, cluster })).toMatchObject({
      rates: [{ memberId: 'a', bytesPerMs: (100 * MiB) / 1000 }],
    });
  });

  it('learns that a member was slower than this, whose defragmentation was sent and never came to its end', async () => {
    const cluster = freshCluster();
    const [sample] = sampleReport().members;
    if (sample === undefined) throw new Error('the sample report has no member');
    const after = { dbSize: 4000 * MiB, dbSizeInUse: 2000 * MiB, alarms: [] };
    const members = [{ ...sample, id: 'a', name: 'cp-1', defragmented: false, durationMs: undefined, after }];
    const startedAt = new Date(0).toISOString();
    const step = { name: 'defragment cp-1', startedAt, durationMs: 100_000, outcome: 'unknown' as const, detail: '' };
    const report = { ...sampleReport(), cluster, members, steps: [step] };
    await recordRun({ table: aws.table, report, execution: 'arn:aws:test:killed' });

    expect(await readRates({ table: aws.table, cluster })).toMatchObject({
      rates: [{ memberId: 'a', bytesPerMs: (2000 * MiB) / 100_000 }],
    });
  });

  it.each([
    ['was not defragmented', { id: 'a', liveMiB: 100, ms: 1000, defragmented: false }],
    ['is too small to measure a rate with', { id: 'a', liveMiB: 15, ms: 1000 }],
    ['was found done after a crash, faster than any disk', { id: 'a', liveMiB: 2000, ms: 5 }],
  ])('learns nothing of a member that %s', async (_name, member) => {
    const cluster = freshCluster();
    await record(cluster, 1, [member]);

    expect(await readRates({ table: aws.table, cluster })).toMatchObject({ rates: [], reports: 1 });
  });

  it('passes over a report that it cannot understand, and counts it', async () => {
    const cluster = freshCluster();
    await record(cluster, 1, [{ id: 'a', liveMiB: 100, ms: 1000 }]);
    const client = new DynamoDBClient({});
    for (const [i, text] of ['{"members":[{"id":7}]}', '{ cut'].entries()) {
      const Item = { cluster: { S: cluster }, record: { S: `run#2027-01-0${i + 1}` }, report: { S: text } };
      await client.send(new PutItemCommand({ TableName: aws.table, Item }));
    }
    client.destroy();

    expect(await readRates({ table: aws.table, cluster })).toMatchObject({
      rates: [{ memberId: 'a' }],
      reports: 3,
      unreadable: 2,
    });
  });

  it('throws SetupError where there is no such table', async () => {
    await expect(readRates({ table: 'not-there', cluster: 'c' })).rejects.toThrow(SetupError);
  });
});
