// R13: a snapshot is proven by etcd's own hash of its contents, and what does not match stops any run. Real etcd.
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeSnapshot } from '../../functions/control-plane/snapshot.ts';
import { discoverMembers } from '../../functions/etcd/discovery.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, snapshotOfState } from '../../lab/control-plane/alarms.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { replaceInFile } from '../../lab/control-plane/damage.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { defragmentations, outcomes, recoverPlane } from '../../lab/runs/recover.ts';
import { materialOf } from '../etcd/material.ts';

const MiB = 1024 * 1024;
const KNOWN = { key: '/registry/configmaps/default/known', value: 'as it was written' };
const A_DAY = { reports: 20, reportBytes: 20_000, rewrites: 5 };
const versions = await versionsHere(['3.4.23', '3.5.16', '3.5.30', '3.6.16', '3.7.3']);
const DIFFERS = 'R13: the snapshot does not have the contents that its member says it has';

let aws: AwsStandIn;
let plane: ControlPlane | undefined;
beforeEach(async () => {
  aws = await startAws();
  aws.enter();
});
afterEach(async () => {
  await plane?.stop();
  await aws.stop();
});

async function start(version = '3.5.30', quotaBytes = 64 * MiB): Promise<ControlPlane> {
  plane = await startControlPlane({ version, quotaBytes });
  await put(plane, KNOWN.value);
  return plane;
}

async function put(here: ControlPlane, value: string): Promise<bigint> {
  const [first = ''] = here.endpoints;
  const request = { key: Buffer.from(KNOWN.key), value: Buffer.from(value) };
  const { header } = await withMember(here, first, (client) => client.kv.put(request, within(10_000)));
  return BigInt(header.revision);
}

async function take(here: ControlPlane) {
  await using cluster = await discoverMembers({ endpoints: here.endpoints, tls: await materialOf(here) });
  const voters = here.members.map(({ id, name }) => ({ id, name }));
  return await takeSnapshot({ cluster, voters, clusterName: 'demo', bucket: aws.s3.bucket });
}

/** Does it once all of the snapshot has left its member, and before it is stored. */
async function whileStored(work: () => Promise<unknown>): Promise<void> {
  aws.s3.slowDown(MiB);
  await expect.poll(() => aws.s3.operations, { timeout: 60_000, interval: 20 }).toContain('PutObject');
  await work();
  aws.s3.slowDown(undefined);
}

/** On every member: whichever the snapshot is of. */
async function damage(here: ControlPlane): Promise<void> {
  await Promise.all(here.members.map(({ dbFile }) => replaceInFile(dbFile, KNOWN.value, 'as it was wrItten')));
}

describe('a snapshot', () => {
  it.each(versions)('R13: is proven by the HashKV of its member, of etcd %s', async (version) => {
    const here = await start(version);
    await churn(here, A_DAY);

    const { outcome, detail, data } = await take(here);

    expect(outcome, detail).toBe('done');
    expect(data?.proof).toMatchObject({ kind: 'proven', answer: { compactRevision: '-1' } });
    expect(detail).toMatch(/; proven: by HashKV of cp-\d at revision \d+ \(compacted to -1\), [0-9a-f]{8};/);
  });

  it('R13: is proven also where somebody compacts an older revision, and all write on, while it is stored', async () => {
    const here = await start();
    await churn(here, A_DAY);
    const revision = await put(here, 'older');
    await put(here, 'newer');

    const taking = take(here);
    await whileStored(async () => {
      await here.etcdctl([`--endpoints=${here.endpoints[0]}`, 'compact', '--physical', `${revision}`]);
      await put(here, 'newest');
    });
    const { outcome, detail, data } = await taking;

    expect(outcome, detail).toBe('done');
    expect(data?.proof).toMatchObject({ kind: 'proven', answer: { compactRevision: `${revision}` } });
  });

  it('R13: is not proven, and kept, where somebody compacts all that is in it', async () => {
    const here = await start();
    await churn(here, A_DAY);

    const taking = take(here);
    await whileStored(async () => {
      const newest = await put(here, 'newest');
      await here.etcdctl([`--endpoints=${here.endpoints[0]}`, 'compact', '--physical', `${newest}`]);
    });
    const { outcome, detail, data } = await taking;

    expect(outcome, detail).toBe('done');
    expect(data?.proof.kind).toBe('unknown');
    expect(detail).toContain('; not proven: ');
    expect(aws.s3.objects).toHaveLength(1);
  });

  it('R13: differs where the member has other contents by then, and is kept', async () => {
    const here = await start();
    await churn(here, A_DAY);

    const taking = take(here);
    await whileStored(() => damage(here));
    const { outcome, detail, data } = await taking;

    expect(outcome).toBe('refused');
    expect(data?.proof.kind).toBe('differs');
    expect(detail).toMatch(
      /; it differs: by HashKV of cp-\d at revision \d+ \(compacted to -1\) it would be [0-9a-f]{8}, and it is [0-9a-f]{8};/,
    );
    expect(aws.s3.objects).toHaveLength(1);
  });
});

describe('a run whose snapshot is not what its member has', () => {
  it('R13: changes nothing in a night, also where a failed snapshot may be passed over', async () => {
    const here = await start();
    await churn(here, A_DAY);
    const before = await snapshotOfState(here);

    const running = maintainPlane(here, { configuration: { snapshot: { onFailure: 'continue' } } });
    await whileStored(() => damage(here));
    const report = await running;

    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toContain(`${DIFFERS}, so nothing was changed: `);
    expect(outcomes(report)).toMatchObject({ snapshot: 'refused' });
    expect(outcomes(report)).not.toHaveProperty('compact');
    expect(await snapshotOfState(here)).toEqual(before);
    expect(await defragmentations(here)).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
  });

  it('R13: defragments no second member in a recovery, and disarms nothing', async () => {
    const here = await start('3.5.30', 16 * MiB);
    await fillWithReports(here, { reportBytes: 50_000 });
    const armed = await listAlarms(here);

    const running = recoverPlane(here);
    await whileStored(() => damage(here));
    const report = await running;

    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toContain(`${DIFFERS}, so no second voter was defragmented: `);
    expect(Object.values(await defragmentations(here)).reduce((sum, count) => sum + count)).toBe(1);
    expect(await listAlarms(here)).toEqual(armed);
  });
});

describe('a run whose snapshot would not be through in time', () => {
  it('R13: does not begin it where even the fastest of the last ones was too slow, and changes nothing', async () => {
    const here = await start();
    await churn(here, A_DAY);
    await keepCopy({ bytes: 20 * MiB, tookMs: 20 * 3_600_000 });
    const before = await snapshotOfState(here);

    const report = await maintainPlane(here);

    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toMatch(
      /^R13: no snapshot could be taken, so nothing was changed: R13: a copy of cp-\d was not begun: [\d.]+ MiB take \d+ min at 291 B a second, and there are 12 /,
    );
    expect(outcomes(report)).not.toHaveProperty('compact');
    expect(await snapshotOfState(here)).toEqual(before);
    expect(aws.s3.operations).not.toContain('PutObject');
  });

  it('puts it off to the next invocation where this one has too little time left', async () => {
    const here = await start();
    await churn(here, A_DAY);
    const puts: number[] = [];

    const report = await maintainPlane(here, {
      remainingTimeMs: (invocation) => {
        puts[invocation] ??= aws.s3.operations.filter((each) => each === 'PutObject').length;
        return invocation < 3 ? 120_000 : 900_000;
      },
    });

    expect(report.outcome, report.reason).toBe('maintained');
    expect(report.snapshot?.proven).toBe(true);
    expect(puts.slice(1, 4)).toEqual([0, 0, 0]);
    expect(puts.at(-1)).toBe(1);
  });
});

/** As an earlier night has left it in the table. */
async function keepCopy({ bytes, tookMs }: { readonly bytes: number; readonly tookMs: number }): Promise<void> {
  const at = new Date(Date.now() - 24 * 3_600_000).toISOString();
  const counted = { keys: 1, liveBytes: 1, revisions: 1, historyBytes: 1, freeBytes: 1 };
  const contents = { bytes, at, tookMs, revision: '1', ...counted, kinds: [], otherKinds: 0 };
  const client = new DynamoDBClient({});
  try {
    const Item = {
      cluster: { S: 'control-plane' },
      record: { S: `contents#${at}#earlier` },
      contents: { S: JSON.stringify(contents) },
    };
    await client.send(new PutItemCommand({ TableName: aws.table, Item }));
  } finally {
    client.destroy();
  }
}
