// From the alarm event to the recovered cluster, over the wire of Lambda, DynamoDB and EventBridge: one cause, one run
// (R9).

import { readFile } from 'node:fs/promises';
import type { Context } from 'aws-lambda';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { handler as dispatch } from '../../functions/dispatch/handler.ts';
import { handler as recover } from '../../functions/recover/handler.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { defragmentations, recordsOf } from '../../lab/runs/recover.ts';

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
});

const MiB = 1024 * 1024;
/** The sample events are about the cluster of this name. */
const CLUSTER = 'demo';

let plane: ControlPlane;
let aws: AwsStandIn;
beforeEach(async () => {
  plane = await startControlPlane({ quotaBytes: 16 * MiB });
  await fillWithReports(plane, { reportBytes: 50_000 });
  aws = await startAws();
  aws.enter();
  const functionArn = aws.lambda.register('etcd-medic-demo-recover', { durable: recover });
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(plane.configuration({ name: CLUSTER }));
  process.env.ETCD_MEDIC_WORKFLOWS = JSON.stringify({ recover: functionArn });
});
afterEach(async () => {
  await aws?.stop();
  await plane?.stop();
});

async function deliver(file: string, change: (event: never) => unknown = (event) => event) {
  const event = JSON.parse(await readFile(new URL(`../../events/${file}`, import.meta.url), 'utf8'));
  return dispatch(change(event as never), {
    awsRequestId: crypto.randomUUID(),
    getRemainingTimeInMillis: () => 60_000,
  } as Context);
}

async function reports(): Promise<RunReport[]> {
  const ended = await Promise.all(aws.lambda.executions.map(({ result }) => result));
  return ended.map(({ result }) => result as RunReport);
}

describe('an alarm event', () => {
  it('R9: delivered ten times, at once, in sequence and over three routes, starts one run', async () => {
    await Promise.all(Array.from({ length: 5 }, () => deliver('alarm-eventbridge.json')));
    for (let i = 0; i < 3; i++) await deliver('alarm-sns.json');
    const [report] = await reports();
    await deliver('alarm-action.json');
    await deliver('alarm-eventbridge.json');

    expect(aws.lambda.executions).toHaveLength(1);
    expect(report?.outcome, report?.reason).toBe('recovered');
    expect(report?.trigger).toMatchObject({
      kind: 'alarm',
      source: expect.stringContaining('etcd-medic-demo-nospace'),
    });
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 1, 'cp-2': 1, 'cp-3': 1 });
    expect(await listAlarms(plane)).toEqual([]);
    expect(aws.events.map(({ source, detailType }) => [source, detailType])).toEqual([
      ['etcd-medic', 'Etcd Recovery Finished'],
    ]);
    expect(aws.events[0]?.detail).toMatchObject({ cluster: CLUSTER, outcome: 'recovered' });
    const records = (await recordsOf(aws, CLUSTER)).map((record) => record.split('#')[0]);
    expect(records).toEqual(['contents', 'run']);
  });

  it('R9: two causes at once: one runs, the other is skipped, and no step of theirs overlaps', async () => {
    await Promise.all([deliver('alarm-eventbridge.json'), deliver('manual-recover.json')]);

    const all = await reports();
    expect(all.map(({ outcome }) => outcome).sort()).toEqual(['recovered', 'skipped']);
    const skipped = all.find(({ outcome }) => outcome === 'skipped');
    expect(skipped?.reason).toContain('Another run is at work');
    expect(skipped?.steps.map(({ name }) => name)).toEqual(['lease', 'history', 'bus']);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 1, 'cp-2': 1, 'cp-3': 1 });
    expect(await recordsOf(aws, CLUSTER)).not.toContain('lease');
  });

  it.each(['alarm-eventbridge-ok.json', 'alarm-eventbridge-insufficient-data.json', 'alarm-eventbridge-other.json'])(
    '%s starts nothing',
    async (file) => {
      const { started, ignored } = await deliver(file);

      expect(started).toEqual([]);
      expect(ignored).toHaveLength(1);
      expect(aws.lambda.executions).toHaveLength(0);
    },
  );

  it('a dry run from the console plans, changes nothing and takes no lease', async () => {
    await deliver('manual-dry-run.json');

    const [report] = await reports();
    expect(report).toMatchObject({ outcome: 'planned', dryRun: true });
    expect(aws.calls.filter(({ action }) => action === 'dynamodb:PutItem')).toHaveLength(1); // the history's
    expect(await listAlarms(plane)).toHaveLength(3);
  });
});

describe('the services around a run', () => {
  it('R15: no key material is in what a run leaves on the bus, in the table or in its record', async () => {
    await deliver('alarm-eventbridge.json');
    await reports();

    const key = await readFile(plane.credentials?.keyFile ?? '', 'utf8');
    const secretLines = key.split('\n').filter((line) => line.length > 20 && !line.startsWith('-----'));
    expect(secretLines.length).toBeGreaterThan(0);
    const left = JSON.stringify([await reports(), aws.events, aws.lambda.executions.map(({ payload }) => payload)]);
    for (const line of secretLines) expect(left).not.toContain(line);
  });

  it('a bus that refuses does not undo the recovery, and the report says so', async () => {
    aws.eventBridge.refuse('request');

    await deliver('alarm-eventbridge.json');

    const [report] = await reports();
    expect(report?.outcome).toBe('recovered');
    expect(report?.steps.find(({ name }) => name === 'bus')).toMatchObject({ outcome: 'failed' });
    expect(await recordsOf(aws, CLUSTER)).not.toContain('lease');
  });
});
