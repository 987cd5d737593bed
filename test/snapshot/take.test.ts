import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { takeSnapshot } from '../../functions/control-plane/snapshot.ts';
import { discoverMembers, type EtcdCluster } from '../../functions/etcd/discovery.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import type { Deadlines } from '../../functions/etcd/types.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import type { TakenInProcess } from '../../lab/runs/take-snapshot.ts';
import { materialOf, rejection } from '../etcd/material.ts';
import { enterS3, type S3Environment } from './environment.ts';
import { startFlippingProxy } from './flipping-proxy.ts';
import { withRestored } from './restored.ts';

const MiB = 1024 * 1024;
const KNOWN = { key: '/known', value: 'x'.repeat(100_000) };

let environment: S3Environment;

beforeEach(async () => {
  environment = await enterS3();
});
afterEach(() => environment[Symbol.asyncDispose]());

async function writeKnown(plane: ControlPlane): Promise<void> {
  const [endpoint = ''] = plane.endpoints;
  await withMember(plane, endpoint, (client) =>
    client.kv.put({ key: Buffer.from(KNOWN.key), value: Buffer.from(KNOWN.value) }, within(10_000)),
  );
}

async function discover(plane: ControlPlane, deadlines?: Partial<Deadlines>): Promise<EtcdCluster> {
  return discoverMembers({ endpoints: plane.endpoints, tls: await materialOf(plane), deadlines });
}

/** As a workflow orders it. */
async function order(plane: ControlPlane, cluster: EtcdCluster) {
  const voters = plane.members.map(({ id, name }) => ({ id, name }));
  return { cluster, voters, clusterName: 'demo', bucket: environment.s3.bucket };
}

/** Waits until the stand-in has been asked for a part: the snapshot is under way. */
async function untilUnderWay(): Promise<void> {
  await expect.poll(() => environment.s3.operations, { timeout: 60_000 }).toContain('UploadPart');
}

describe.each(await versionsHere(['3.4.23', '3.5.16', '3.5.30', '3.6.16', '3.7.3']))(
  'R13: a snapshot of three members of etcd %s that are full',
  (version) => {
    let plane: ControlPlane;

    beforeAll(async () => {
      plane = await startControlPlane({ version, members: 3 });
      await writeKnown(plane);
      await fillWithReports(plane);
    });
    afterAll(() => plane?.stop());

    it("is one that etcd's own tools accept, and a member restored from it serves the data", async () => {
      await using cluster = await discover(plane);

      const { outcome, detail, data } = await takeSnapshot(await order(plane, cluster));

      if (data === undefined) throw new Error('no snapshot');
      const { key, bytes, revision, memberId, contents } = data;
      const [reports] = contents?.kinds ?? [];
      expect(contents).toMatchObject({ bytes, otherKinds: 0 });
      expect(reports?.resource).toBe('vulnerabilityreports.aquasecurity.github.io');
      expect((reports?.liveBytes ?? 0) + (reports?.historyBytes ?? 0)).toBeGreaterThan(bytes * 0.8);
      expect(detail).not.toContain('was not told');
      const { leaderId } = (await cluster.client(memberId)?.status()) ?? {};
      const source = plane.members.find(({ id }) => id === memberId);
      expect(outcome).toBe('done');
      expect(memberId).not.toBe(leaderId);
      expect(key).toMatch(/^demo\/\d{8}T\d{6}Z-\d+\.db$/);
      expect(detail).toContain(`s3://${environment.s3.bucket}/${key}: `);
      expect(detail).toContain(`of ${source?.name}, a follower, at revision ${revision}`);
      expect(bytes % 4096).toBe(32);
      expect(environment.s3.openUploads).toEqual([]);
      expect(environment.s3.objects).toMatchObject([
        {
          key,
          bytes,
          metadata: { cluster: 'demo', member: source?.name, 'member-id': memberId, 'etcd-version': version, revision },
        },
      ]);
      const restored = await withRestored(data, version, async ({ status, endpoint }) => {
        const read = await withMember({ credentials: undefined }, endpoint, (client) => client.get(KNOWN.key).string());
        return { status, read };
      });
      expect(restored.status.revision).toBe(Number(revision));
      expect(restored.read === KNOWN.value).toBe(true);
    });

    it('says of each voter why it could not be the source where none is healthy', async () => {
      await using cluster = await discover(plane, { healthMs: 1_500 });
      for (const { name } of plane.members) plane.pause(name);

      const error = await rejection(takeSnapshot({ ...(await order(plane, cluster)) })).finally(() => {
        for (const { name } of plane.members) plane.resume(name);
      });

      expect(error.name).toBe('NoSnapshotSourceError');
      for (const { name } of plane.members) expect(error.message).toContain(`${name}: `);
      expect(environment.s3.objects).toEqual([]);
    });
  },
);

describe('R13: a snapshot that goes wrong', () => {
  let plane: ControlPlane;

  // More than what fits into the parts and buffers on the way, so that there is a middle to break it in.
  beforeAll(async () => {
    plane = await startControlPlane({ version: '3.5.30', members: 1, tls: false, quotaBytes: 96 * MiB });
    await writeKnown(plane);
    await fillWithReports(plane);
  });
  afterAll(() => plane?.stop());
  afterEach(() => plane.ready());

  it('fails clearly where the member is killed half-way, and leaves no part behind', async () => {
    await using cluster = await discover(plane);
    environment.s3.slowDown(16 * MiB);

    const failing = rejection(takeSnapshot(await order(plane, cluster)));
    await untilUnderWay();
    plane.kill('cp-1');
    const error = await failing;

    expect(error.name).toBe('EtcdUnreachableError');
    expect(error.message).toContain(`Snapshot at ${plane.endpoints[0]}`);
    expect(environment.s3.objects).toEqual([]);
    expect(environment.s3.openUploads).toEqual([]);
  });

  it('fails clearly where the member stands still half-way, and leaves no part behind', async () => {
    await using cluster = await discover(plane, { snapshotSilenceMs: 2_500 });
    environment.s3.slowDown(16 * MiB);

    const failing = rejection(takeSnapshot(await order(plane, cluster)));
    await untilUnderWay();
    plane.pause('cp-1');
    const error = await failing.finally(() => plane.resume('cp-1'));

    expect(error.name).toBe('EtcdTimeoutError');
    expect(error.message).toMatch(/stayed silent for 2500 ms after message \d+/);
    expect(environment.s3.objects).toEqual([]);
    expect(environment.s3.openUploads).toEqual([]);
  });

  it('is refused where one byte of it was damaged on the way', async () => {
    await using proxy = await startFlippingProxy(plane.endpoints[0] ?? '', KNOWN.value.charCodeAt(0));
    await using cluster = await discoverMembers({
      endpoints: plane.endpoints,
      connect: (options) => connectMember({ ...options, endpoint: proxy.endpoint }),
    });

    const error = await rejection(takeSnapshot(await order(plane, cluster)));

    expect(proxy.flipped()).toBe(1);
    expect(error.name).toBe('SnapshotCorruptError');
    expect(environment.s3.objects).toEqual([]);
    expect(environment.s3.openUploads).toEqual([]);
  });

  it('is taken of a member whose name S3 takes in no metadata, with its id', async () => {
    await using cluster = await discover(plane);
    const voters = plane.members.map(({ id }) => ({ id, name: '北京一号' }));

    const { outcome, data } = await takeSnapshot({ ...(await order(plane, cluster)), voters });

    expect(outcome).toBe('done');
    expect(environment.s3.objects.at(-1)?.metadata).toMatchObject({ 'member-id': data?.memberId });
    expect(environment.s3.objects.at(-1)?.metadata).not.toHaveProperty('member');
  });

  it('fails where S3 refuses it, and the member goes on', async () => {
    await using cluster = await discover(plane);
    environment.s3.fail({ operation: 'UploadPart', how: 'AccessDenied', after: 2 });

    const error = await rejection(takeSnapshot(await order(plane, cluster)));

    expect(error.name).toBe('SetupError');
    expect(environment.s3.openUploads).toEqual([]);
    await cluster.client(plane.member('cp-1').id)?.checkHealth();
  });

  it('R10: is taken whole by the next try after a killed process, and what that left is taken back', async () => {
    await using cluster = await discover(plane);
    environment.s3.slowDown(8 * MiB);
    const killed = startProcess(plane);
    await untilUnderWay();
    killed.kill('SIGKILL');
    await once(killed, 'close');
    environment.s3.slowDown(undefined);
    const left = environment.s3.openUploads;

    const { detail } = await takeSnapshot(await order(plane, cluster));

    expect(left).toHaveLength(1);
    expect(detail).toContain('; taken back: 1 unfinished upload(s) of an earlier try');
    expect(environment.s3.openUploads).toEqual([]);
    expect(environment.s3.objects).toHaveLength(1);
  });

  it('is taken even where nobody may look for unfinished uploads, and says so', async () => {
    await using cluster = await discover(plane);
    environment.s3.fail({ operation: 'ListMultipartUploads', how: 'AccessDenied' });

    const { outcome, detail } = await takeSnapshot(await order(plane, cluster));

    expect(outcome).toBe('done');
    expect(detail).toContain('; unfinished uploads of an earlier try were not looked for: bucket');
    expect(environment.s3.objects).toHaveLength(1);
  });

  it('R10: may be taken twice', async () => {
    await using cluster = await discover(plane);

    const first = await takeSnapshot(await order(plane, cluster));
    const second = await takeSnapshot(await order(plane, cluster));

    expect([first.outcome, second.outcome]).toEqual(['done', 'done']);
    expect(environment.s3.openUploads).toEqual([]);
  });
});

describe('a snapshot of a member', () => {
  let plane: ControlPlane;

  beforeAll(async () => {
    plane = await startControlPlane({ members: 1, quotaBytes: 320 * MiB });
    await fillWithReports(plane);
  });
  afterAll(() => plane?.stop());

  it('needs less than 256 MiB of memory, though it is larger itself', async () => {
    const output = await text(startProcess(plane).stdout);

    const taken: TakenInProcess = JSON.parse(output);
    expect(taken.bytes).toBeGreaterThan(256 * MiB);
    expect(taken.peakRssBytes).toBeLessThan(256 * MiB);
  });

  it('is no longer sent once nobody takes it, and the connection is of use after that', async () => {
    await using client = connectMember({ endpoint: plane.endpoints[0] ?? '', tls: await materialOf(plane) });

    for (let i = 0; i < 3; i++) {
      for await (const { bytes } of client.snapshot()) {
        expect(bytes.length).toBeGreaterThan(0);
        break;
      }
    }

    await client.checkHealth();
    // etcd notes the end of every snapshot that it has been asked for.
    await expect.poll(() => snapshotsUnderWay(plane), { timeout: 20_000 }).toBe(0);
  });

  it('ends with an error where the connection is closed meanwhile', async () => {
    const client = connectMember({ endpoint: plane.endpoints[0] ?? '', tls: await materialOf(plane) });
    const reading = async () => {
      for await (const _ of client.snapshot()) await client[Symbol.asyncDispose]();
    };

    const error = await rejection(reading());

    expect(error.message).toMatch(/^Snapshot at http/);
  });
});

function startProcess(plane: ControlPlane) {
  const script = new URL('../../lab/runs/take-snapshot.ts', import.meta.url).pathname;
  const configuration = JSON.stringify(plane.configuration({ name: 'demo' }));
  return spawn(process.execPath, [script, configuration, environment.s3.bucket], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, ...environment.variables },
  });
}

/** Snapshots that the member has begun to send and not ended, by its own count. */
async function snapshotsUnderWay(plane: ControlPlane): Promise<number> {
  const { ca, cert, key } = (await materialOf(plane)) ?? {};
  const request = get(`${plane.endpoints[0]}/metrics`, { ca, cert, key, agent: false });
  const [response] = await once(request, 'response');
  const lines = (await text(response)).split('\n');
  const count = (metric: string) =>
    lines
      .filter((line) => line.startsWith(`${metric}{`) && line.includes('grpc_method="Snapshot"'))
      .reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
  const started = count('grpc_server_started_total');
  if (started === 0) throw new Error('the member does not count its snapshots');
  return started - count('grpc_server_handled_total');
}
