import { DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordRun } from '../../functions/aws/history.ts';
import { SetupError } from '../../functions/contract/errors.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { sampleReport, step } from '../contract/sample-report.ts';

let aws: AwsStandIn;

beforeEach(async () => {
  aws = await startAws();
  aws.enter();
});
afterEach(() => aws.stop());

async function items() {
  const client = new DynamoDBClient({});
  const query = new QueryCommand({
    TableName: aws.table,
    KeyConditionExpression: '#cluster = :cluster',
    ExpressionAttributeNames: { '#cluster': 'cluster' },
    ExpressionAttributeValues: { ':cluster': { S: 'demo' } },
  });
  const { Items = [] } = await client.send(query);
  client.destroy();
  return Items;
}

describe('the history', () => {
  it('keeps a run’s report for 400 days', async () => {
    const report = sampleReport();

    const { record } = await recordRun({ table: aws.table, report, execution: 'arn:run-a' });

    const [item] = await items();
    expect(record).toMatch(/^run#2026-03-01T02:00:00\.000Z#[0-9a-f]{8}$/);
    expect(item).toMatchObject({ record: { S: record }, outcome: { S: 'recovered' }, execution: { S: 'arn:run-a' } });
    expect(JSON.parse(item?.report?.S ?? '')).toEqual(report);
    expect(new Date(Number(item?.expiresAtEpochSeconds?.N) * 1_000).toISOString()).toBe('2027-04-05T02:00:00.000Z');
  });

  it('R10: has a run once, however often it is written', async () => {
    const report = sampleReport();

    await recordRun({ table: aws.table, report, execution: 'arn:run-a' });
    await recordRun({ table: aws.table, report, execution: 'arn:run-a' });
    await recordRun({ table: aws.table, report, execution: 'arn:run-b' });

    expect(await items()).toHaveLength(2);
  });

  it('shortens a report that an item can’t hold', async () => {
    const report = sampleReport({ steps: Array.from({ length: 500 }, () => step('defragment', 'x'.repeat(1_500))) });

    const { shortened } = await recordRun({ table: aws.table, report, execution: 'arn:run-a' });

    const [item] = await items();
    expect(shortened).toBe(true);
    expect(JSON.parse(item?.report?.S ?? '')).toMatchObject({ reason: expect.stringContaining('shortened') });
  });

  it('fails on a table that is not there', async () => {
    const recorded = recordRun({ table: 'no-such-table', report: sampleReport(), execution: 'arn:run-a' });

    await expect(recorded).rejects.toThrow(SetupError);
  });
});
