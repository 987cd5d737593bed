// Two nights' copies of a real member, with known writes between them: what the second one tells of the first.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readContentsHistory } from '../../functions/aws/contents-history.ts';
import { recordRun } from '../../functions/aws/history.ts';
import type { ReportContents } from '../../functions/contract/contents.ts';
import { takeSnapshot } from '../../functions/control-plane/snapshot.ts';
import { discoverMembers } from '../../functions/etcd/discovery.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { sampleReport } from '../contract/sample-report.ts';

const DAY_MINUTES = 24 * 60;
const CALL_MS = 10_000;

let aws: AwsStandIn;
let plane: ControlPlane;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  plane = await startControlPlane({ members: 1, tls: false });
});
afterAll(async () => {
  await plane?.stop();
  await aws?.stop();
});

const report = (number: number) => `/registry/aquasecurity.github.io/vulnerabilityreports/default/report-${number}`;
const lease = (number: number) => `/registry/leases/kube-node-lease/node-${number}`;

async function change(work: { readonly put?: readonly string[]; readonly del?: readonly string[] }): Promise<void> {
  const [endpoint = ''] = plane.endpoints;
  const key = (name: string) => Buffer.from(name);
  await withMember(plane, endpoint, async (client) => {
    for (const name of work.put ?? [])
      await client.kv.put({ key: key(name), value: Buffer.alloc(500) }, within(CALL_MS));
    for (const name of work.del ?? []) await client.kv.deleteRange({ key: key(name) }, within(CALL_MS));
  });
}

async function night(): Promise<ReportContents> {
  await using cluster = await discoverMembers({ endpoints: plane.endpoints });
  const voters = plane.members.map(({ id, name }) => ({ id, name }));
  const { bucket } = aws.s3;
  const { data, detail } = await takeSnapshot({ cluster, voters, clusterName: 'demo', bucket, table: aws.table });
  expect(detail).not.toContain('not told');
  if (data?.contents === undefined) throw new Error(`no contents: ${detail}`);
  return data.contents;
}

/** As if it had been so long ago: nobody waits for a day here. */
async function record(contents: ReportContents, minutesAgo: number): Promise<string> {
  const at = new Date(Date.parse(contents.at ?? '') - minutesAgo * 60_000).toISOString();
  const { execution } = { execution: createHash('sha256').update(at).digest('hex') };
  await recordRun({ table: aws.table, report: sampleReport({ contents: { ...contents, at } }), execution });
  return at;
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

it('tells by kind what was written between two nights, exactly where keys stay, and never too much', async () => {
  await change({ put: [...numbers(0, 20).map(report), ...numbers(0, 5).map(lease)] });
  const first = await night();
  const at = await record(first, DAY_MINUTES);

  // 40 of keys that stay; a key that is new, three times; one that is new and gone again; one of old that went.
  await change({ put: [0, 1, 2, 3].flatMap(() => numbers(0, 10).map(lease).slice(0, 10)) });
  await change({ put: [report(0), report(1), report(20), report(20), report(20), report(21)] });
  await change({ del: [report(21), report(19)] });
  const second = await night();

  const of = (resource: string) => second.kinds.find((kind) => kind.resource === resource);
  const minutes = (Date.parse(second.at ?? '') - Date.parse(at)) / 60_000;
  expect(first.earlier).toBeUndefined();
  expect(first.kinds[0]).not.toHaveProperty('growth');
  // Leases: 4 times 10 puts, of 5 keys that were there and 5 that came: exactly.
  expect(of('leases')).toMatchObject({ keys: 10, versions: 5 + 40 });
  expect((of('leases')?.growth?.writesPerMinute ?? 0) * minutes).toBeCloseTo(40, 6);
  // Reports: 2 of old keys, 3 of a new one; 1 was of a key that is gone, and one version went with an old key.
  const told = (of('vulnerabilityreports.aquasecurity.github.io')?.growth?.writesPerMinute ?? 0) * minutes;
  expect(told).toBeCloseTo(2 + 3 - 1, 6);
  expect(of('vulnerabilityreports.aquasecurity.github.io')?.growth).toMatchObject({ since: at, keysPerDay: 0 });
  const revisions = BigInt(second.revision) - BigInt(first.revision);
  expect(Number(revisions)).toBe(40 + 6 + 2);
  expect((second.earlier?.revisionsPerMinute ?? 0) * minutes).toBeCloseTo(48, 6);
});

it('reads what was kept, the newest first, and passes over what it does not understand', async () => {
  const { nights } = await readContentsHistory(aws.table, 'demo');
  const [newest] = nights;
  if (newest === undefined) throw new Error('nothing was kept');
  const older = await record(newest, DAY_MINUTES);
  const broken = { ...newest, kinds: 'many' } as unknown as ReportContents;
  await record(broken, 2 * DAY_MINUTES);

  const read = await readContentsHistory(aws.table, 'demo');

  expect(read.nights.map(({ at }) => at)).toEqual([...nights.map(({ at }) => at), older].sort().reverse());
  expect(read.unreadable).toBe(1);
  await expect(readContentsHistory(aws.table, 'stranger')).resolves.toEqual({ nights: [], unreadable: 0 });
  await expect(readContentsHistory('no-table', 'demo')).rejects.toThrow('earlier contents could not be read');
});
