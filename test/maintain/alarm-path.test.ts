// From the alarm on quota usage to a maintained cluster, over the wire of the services, while somebody goes on filling
// etcd.
import { readFile } from 'node:fs/promises';
import type { Context } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { handler as dispatch } from '../../functions/dispatch/handler.ts';
import { handler as maintain } from '../../functions/maintain/handler.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { churn, SMALL_FILES, sizesOf } from '../../lab/runs/maintain.ts';
import { recordsOf } from '../../lab/runs/recover.ts';

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
});

const MiB = 1024 * 1024;
const QUOTA_BYTES = 24 * MiB;
/** 2 MB live; each rewrite of them all is 2 MB more. */
const FLOOD = { reports: 100, reportBytes: 20_000, rewrites: 1 };
const CLUSTER = 'demo';
const ALARM = 'etcd-medic-demo-quota-usage';

let plane: ControlPlane;
let aws: AwsStandIn;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
  const functionArn = aws.lambda.register('etcd-medic-demo-maintain', {
    durable: maintain,
    options: { skipTime: true, remainingTimeMs: () => 900_000 },
  });
  process.env.ETCD_MEDIC_WORKFLOWS = JSON.stringify({ maintain: functionArn });
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(
    plane.configuration({ name: CLUSTER, maintain: SMALL_FILES, alarms: [{ name: ALARM, workflow: 'maintain' }] }),
  );
});
afterAll(async () => {
  await aws?.stop();
  await plane?.stop();
});

/** CloudWatch's event of that alarm. */
async function alarmEvent(day: number): Promise<unknown> {
  const text = await readFile(new URL('../../events/alarm-eventbridge.json', import.meta.url), 'utf8');
  return JSON.parse(
    text.replaceAll('etcd-medic-demo-nospace', ALARM).replaceAll('2026-11-20T02:13', `2026-11-${day}T02:13`),
  );
}

async function usage(): Promise<number> {
  return Math.max(...Object.values(await sizesOf(plane)).map(({ dbSize }) => dbSize)) / QUOTA_BYTES;
}

describe('the alarm on quota usage', () => {
  it('starts maintenance, and NOSPACE never comes, however long the flood lasts', async () => {
    let written = 0;
    const outcomes: string[] = [];
    for (let day = 10; day < 12; day++) {
      for (let rewrites = 8; (await usage()) < 0.8; rewrites = 1) {
        await churn(plane, { ...FLOOD, rewrites });
        written += rewrites * FLOOD.reports * FLOOD.reportBytes;
      }
      const { started } = await dispatch(await alarmEvent(day), {
        awsRequestId: crypto.randomUUID(),
        getRemainingTimeInMillis: () => 60_000,
      } as Context);
      expect(started).toMatchObject([{ workflow: 'maintain' }]);
      await churn(plane, FLOOD); // while it runs
      written += FLOOD.reports * FLOOD.reportBytes;
      const execution = await aws.lambda.executions.at(-1)?.result;
      const report = execution?.result as RunReport;
      outcomes.push(`${report.outcome}: ${report.trigger.kind}`);
      expect(
        report.members.every(({ defragmented }) => defragmented),
        report.reason,
      ).toBe(true);
      expect(await usage()).toBeLessThan(0.4);
      expect(await listAlarms(plane)).toEqual([]);
    }

    expect(outcomes).toEqual(['maintained: alarm', 'maintained: alarm']);
    // Without maintenance there had been no room for it.
    expect(written).toBeGreaterThan(QUOTA_BYTES);
    expect(aws.events.map(({ detailType }) => detailType)).toEqual(Array(2).fill('Etcd Maintenance Finished'));
    const records = (await recordsOf(aws, CLUSTER)).map((record) => record.split('#')[0]);
    expect(records).toEqual(['contents', 'contents', 'run', 'run']);
    const snapshots = aws.calls.filter(({ action }) => action === 's3:PutObject' || action.includes('Upload'));
    expect(snapshots.length).toBeGreaterThan(0);
  });
});
