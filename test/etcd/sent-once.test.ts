import { get } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { raiseNospace } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { materialOf, rejection } from './material.ts';
import { unavailable } from './stand-ins.ts';

describe('a call is sent once', () => {
  let plane: ControlPlane;
  let tls: TlsMaterial | undefined;
  let endpoint: string;

  beforeAll(async () => {
    plane = await startControlPlane({ version: '3.5.30', members: 1 });
    tls = await materialOf(plane);
    endpoint = plane.endpoints[0] ?? '';
  });
  afterAll(() => plane?.stop());

  /** The sum of a counter's lines on the member's own /metrics page. */
  async function counted(line: RegExp): Promise<number> {
    const page = await new Promise<string>((resolve, reject) => {
      get(new URL('/metrics', endpoint), { ...tls, agent: false }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve(text));
      }).on('error', reject);
    });
    return page
      .split('\n')
      .filter((text) => line.test(text))
      .reduce((sum, text) => sum + Number(text.split(' ').at(-1)), 0);
  }

  const puts = /^grpc_server_started_total\{.*grpc_method="Put"/;
  const defragmentations = /^etcd_disk_backend_defrag_duration_seconds_count/;

  it('when it succeeds, and when the member refuses it', async () => {
    await using client = connectMember({ endpoint, tls });
    const before = await counted(puts);
    await client.put('/once', 'x');
    const [member] = plane.members;
    await raiseNospace(plane, member?.id ?? '');
    await rejection(client.put('/once', 'x'));
    await rejection(client.put('/once', 'x'));

    expect((await counted(puts)) - before).toBe(3);
    await client.disarmNospace(member?.id ?? '');
  });

  it('R5: when there is no answer in time: a defragmentation runs once at most', async () => {
    await using writer = connectMember({ endpoint, tls });
    // A file that takes longer than a millisecond.
    for (let i = 0; i < 16; i++) await writer.put(`/large/${i}`, 'x'.repeat(1024 * 1024));
    await using client = connectMember({ endpoint, tls, deadlines: { defragmentMs: 1 } });
    const before = await counted(defragmentations);

    const error = await rejection(client.defragment());

    expect(error).toMatchObject({ name: 'EtcdTimeoutError', outcome: 'unknown', method: 'Defragment' });
    await client.checkServing();
    await wait(500); // what would have been sent again would have come by now
    expect((await counted(defragmentations)) - before).toBeLessThanOrEqual(1);
  });

  it('R19: and not at all where the member does not say directly before who it is', async () => {
    await using client = connectMember({ endpoint, tls, deadlines: { statusMs: 300 } });
    await expect
      .poll(
        () =>
          client.status().then(
            () => true,
            () => false,
          ),
        { timeout: 30_000 },
      )
      .toBe(true);
    const before = await counted(defragmentations);

    plane.pause('cp-1');
    const error = await rejection(client.defragment());
    plane.resume('cp-1');

    expect(error).toMatchObject({ name: 'EtcdTimeoutError', outcome: 'not-done', method: 'Defragment' });
    expect(error.message).toContain('not sent');
    await wait(500); // what would have been sent would have come by now
    expect((await counted(defragmentations)) - before).toBe(0);
  });

  it('when the server says UNAVAILABLE, which gRPC clients like to try again', async () => {
    await using server = await unavailable();
    await using client = connectMember({ endpoint: `http://${server.hostAndPort}` });

    const error = await rejection(client.status());

    expect(error.name).toBe('QuorumLostError');
    expect(server.count()).toBe(1);
  });

  it('and after a member was killed and is back, the same client finds it again', async () => {
    await using client = connectMember({ endpoint, tls });
    await client.status();

    plane.kill('cp-1');
    await expect.poll(() => plane.members[0]?.pid, { timeout: 30_000 }).not.toBeUndefined();
    await plane.ready();

    await expect
      .poll(async () => (await client.status().catch(() => undefined))?.version, { timeout: 30_000 })
      .toBe('3.5.30');
  });
});
