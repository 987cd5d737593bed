import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { Context } from 'aws-lambda';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordRun } from '../../functions/aws/history.ts';
import { createLease } from '../../functions/aws/lease.ts';
import type { KeptContents } from '../../functions/contract/contents.ts';
import { storeLook } from '../../functions/probe/store.ts';
import { handler } from '../../functions/widget/handler.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { sampleReport, step } from '../contract/sample-report.ts';
import { elementsOf, textOf } from './markup.ts';
import { iso, look, member, nightsCopy } from './situations.ts';

const dispatchArn = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-demo-dispatch';
const cluster = {
  name: 'demo',
  etcd: { endpoints: ['http://10.0.0.1:2379'] },
  maintain: { schedule: { cron: '30 2 * * ? *', timeZone: 'Europe/Berlin' } },
};

let aws: AwsStandIn;

beforeEach(async () => {
  aws = await startAws();
  aws.enter();
  vi.stubEnv('ETCD_MEDIC_CLUSTER', JSON.stringify(cluster));
  vi.stubEnv('ETCD_MEDIC_DISPATCH', dispatchArn);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await aws.stop();
});

async function call(event: unknown = { widgetContext: { theme: 'light', width: 1_200 } }): Promise<string> {
  const context = { functionName: 'etcd-medic-demo-widget', awsRequestId: 'r-1' } as Context;
  return handler(event, context);
}

const freshLook = (members = [member(1), member(2), member(3)]) => look(members, { at: iso(Date.now() - 20_000) });

function recordAt(hoursAgo: number, changes: Parameters<typeof sampleReport>[0] = {}) {
  const startedAt = iso(Date.now() - hoursAgo * 3_600_000);
  const report = sampleReport({ startedAt, finishedAt: startedAt, ...changes });
  return recordRun({ table: aws.table, report, execution: `arn:run-${hoursAgo}` });
}

async function put(record: string, attributes: Readonly<Record<string, { S: string }>>): Promise<void> {
  const client = new DynamoDBClient({});
  const Item = { cluster: { S: 'demo' }, record: { S: record }, ...attributes };
  await client.send(new PutItemCommand({ TableName: aws.table, Item }));
  client.destroy();
}

describe('the widget', () => {
  it('draws a cluster of which nothing is known yet', async () => {
    const text = textOf(await call());

    expect(text).toContain('No look yet');
    expect(text).toContain('No run has ended yet');
    expect(text).not.toContain('Incomplete');
  });

  it('draws what probe, runs and lease have written', async () => {
    await storeLook({ table: aws.table, cluster: 'demo', look: freshLook() });
    await recordAt(30, { outcome: 'escalated', reason: 'Too much is alive.' });
    await recordAt(3);
    const lease = { table: aws.table, cluster: 'demo', owner: 'arn:run-c', workflow: 'maintain', ttlMs: 60_000 };
    await createLease(lease).acquire();

    const text = textOf(await call());

    for (const part of ['Healthy', 'ip-10-0-2-11', '1.96 GiB → 39.1 MiB', 'Maintenance at work', 'settled since']) {
      expect(text).toContain(part);
    }
    expect(text).not.toContain('Incomplete');
  });

  it('shows what the last copy with its history was full of, and passes over a record that is not understood', async () => {
    const contents = (hour: number, changes: Partial<KeptContents> = {}) => ({
      contents: { ...nightsCopy, at: iso(Date.now() - hour * 3_600_000), ...changes },
    });
    await recordAt(30, contents(30, { bytes: 700_000_000 }));
    await recordAt(5, contents(5, { bytes: 40_000_000, isCompacted: true }));
    await put('contents#2099-01-01T00:00:00.000Z#00000000', { contents: { S: '{"kinds":1}' } });

    const text = textOf(await call());

    expect(text).toContain('What fills it 668 MiB as copied');
    expect(text).toContain('30 h ago');
    expect(text).not.toContain('Incomplete');
  });

  it('says of a run that was ended from outside until when what is left of it keeps others away', async () => {
    const lease = { table: aws.table, cluster: 'demo', owner: 'arn:run-c', workflow: 'maintain', ttlMs: 60_000 };
    await createLease(lease).acquire();
    await createLease(lease).retire(Date.now() + 10 * 60_000);

    const text = textOf(await call());

    expect(text).toContain('Maintenance ended from outside');
    expect(text).toContain('no run begins before');
    expect(text).not.toContain('at work');
  });

  it('reads, and does nothing else', async () => {
    await call();

    expect(new Set(aws.calls.map(({ action }) => action))).toEqual(
      new Set(['dynamodb:GetItem', 'dynamodb:Query', 'ssm:GetParameter']),
    );
  });

  it("shows nothing of another cluster's", async () => {
    await storeLook({ table: aws.table, cluster: 'demo-2', look: freshLook() });
    await recordAt(3, { cluster: 'demo-2' });

    expect(textOf(await call())).toContain('No run has ended yet');
  });

  it('shows the newest twenty runs, the newest first, also where they are long', async () => {
    const steps = Array.from({ length: 60 }, () => step('defragment', 'x'.repeat(2_000)));
    for (let number = 1; number <= 22; number++) await recordAt(number, { reason: `run ${number};`, steps });

    const text = textOf(await call());

    const shown = [...text.matchAll(/run (\d+);/g)].map(([, number]) => Number(number));
    expect(shown).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  it('shows the switch', async () => {
    aws.ssm.parameters.set(aws.switchParameter, 'observe');

    expect(textOf(await call())).toContain('switch observe : plans, changes nothing');
  });

  it('buttons call dispatch, for the workflows that this cluster has', async () => {
    const endpoints = elementsOf(await call()).filter(({ name }) => name === 'cwdb-action');

    expect(endpoints.map(({ attributes }) => attributes.get('endpoint'))).toEqual(Array(4).fill(dispatchArn));
  });

  it('offers pruning where the API server is configured', async () => {
    const kubernetes = { server: 'https://10.0.0.1:6443', credentials: { caFile: 'ca', tokenFile: 'token' } };
    vi.stubEnv('ETCD_MEDIC_CLUSTER', JSON.stringify({ ...cluster, kubernetes }));

    const text = textOf(await call());

    expect(text).toContain('Dry run: prune');
    expect(text).toMatch(/Next: (Pruning|Maintenance) in/);
  });

  it('answers with its documentation in markdown, without reading anything', async () => {
    expect(await call({ describe: true })).toMatch(/^## etcd-medic\n/);
    expect(aws.calls).toEqual([]);
  });

  it.each([
    ["the probe's record", () => put('probe', { look: { S: '{"at":"yesterday"}' } }), "The probe's last look"],
    ["the probe's record has no look", () => put('probe', {}), "The probe's last look"],
    ['a report', () => put('run#2026-03-01T02:00:00.000Z#0a0b0c0d', { report: { S: 'not JSON' } }), 'The run run#2026'],
    [
      'a report of another version',
      () => put('run#2026-03-01T02:00:00.000Z#0a0b0c0d', { report: { S: '{"outcome":"amazing"}' } }),
      'outcome: found "amazing"',
    ],
  ])('says what it does not understand, and shows the rest: %s', async (_, write, words) => {
    await recordAt(3, { reason: 'Writes again.' });
    await write();

    const text = textOf(await call());

    expect(text).toContain('Incomplete:');
    expect(text).toContain(words);
    expect(text).toContain('Writes again.');
  });

  it('says so where the table cannot be read', async () => {
    vi.stubEnv('ETCD_MEDIC_TABLE', 'no-such-table');

    const text = textOf(await call());

    expect(text).toContain("Incomplete: The probe's last look could not be read");
    expect(text).toContain('Dry run: recover');
  });

  it('says so where the switch cannot be read', async () => {
    aws.ssm.refuseNext('GetParameter', 1, 'AccessDeniedException');

    expect(textOf(await call())).toMatch(/Switch: parameter .* could not be read.*AccessDeniedException/);
  });

  it.each(['ETCD_MEDIC_TABLE', 'ETCD_MEDIC_SWITCH', 'ETCD_MEDIC_DISPATCH', 'ETCD_MEDIC_CLUSTER'])(
    'fails where %s is not set',
    async (name) => {
      vi.stubEnv(name, '');

      await expect(call()).rejects.toThrow(name);
    },
  );
});
