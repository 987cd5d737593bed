// Whom a call reaches behind an address that leads to several members: what each answers, and what etcd itself says
// that it did.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { WrongMemberError } from '../../functions/etcd/errors.ts';
import { connectMember, DEFAULT_DEADLINES } from '../../functions/etcd/member-client.ts';
import { MetricsPage } from '../../functions/etcd/metrics.ts';
import { quotaFromMetrics } from '../../functions/etcd/quota.ts';
import type { MemberClient } from '../../functions/etcd/types.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { LoadBalancer } from '../../lab/control-plane/load-balancer.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { defragmentations, metricsOf } from '../../lab/runs/recover.ts';
import { materialOf, rejection } from './material.ts';

const MiB = 1024 * 1024;

describe.each(['3.4.23', '3.5.30'])('R19: an address that leads to several members of etcd %s', (version) => {
  let plane: ControlPlane;
  let tls: TlsMaterial | undefined;
  let balancer: LoadBalancer;
  let leadsTo = 'cp-1';

  beforeAll(async () => {
    plane = await startControlPlane({ version, memberQuotaBytes: { 'cp-2': 64 * MiB } });
    tls = await materialOf(plane);
    balancer = await LoadBalancer.listen(() => plane.member(leadsTo).endpoint);
  });
  afterAll(async () => {
    await balancer?.[Symbol.asyncDispose]();
    await plane?.stop();
  });

  /** A client for cp-1 at the shared address. */
  function clientOfFirst(): MemberClient {
    return connectMember({ endpoint: balancer.endpoint, memberId: plane.member('cp-1').id, tls });
  }

  function lead(name: string): void {
    leadsTo = name;
    balancer.breakOff();
  }

  const reads: [string, (client: MemberClient) => Promise<unknown>][] = [
    ['Status', (client) => client.status()],
    ['MemberList', (client) => client.memberList()],
    ['Range', (client) => client.checkHealth()],
    ['Range', (client) => client.checkServing()],
    ['Alarm', (client) => client.alarms()],
    ['Range', (client) => client.keyRange({ from: '\0', to: '\0', limit: 1 })],
  ];
  // 3.4 answers Alarm without saying who it is, and with the list that is the whole cluster's.
  const told = reads.filter(([method]) => version !== '3.4.23' || method !== 'Alarm');
  it.each(told)('an answer to %s by another member does not count, and the right one does', async (method, read) => {
    await using client = clientOfFirst();
    lead('cp-2');

    const error = await rejection(read(client));
    lead('cp-1');
    await expect.poll(() => succeeds(read(client)), { timeout: 30_000 }).toBe(true);

    const [meant, found] = ['cp-1', 'cp-2'].map((name) => plane.member(name).id);
    expect(error).toBeInstanceOf(WrongMemberError);
    expect(error).toMatchObject({ method, outcome: 'not-done', mixUp: { meant, found, done: false } });
    expect(error.message).toContain(`${balancer.endpoint}: member ${found} answered instead of member ${meant}`);
  });

  const changes: [string, (client: MemberClient) => Promise<unknown>][] = [
    ['Put', (client) => client.put('/shared-address', 'x')],
    ['DeleteRange', (client) => client.delete('/untouched')],
    ['Compact', async (client) => client.compact(1n)],
    ['Defragment', (client) => client.defragment()],
    ['MoveLeader', (client) => client.moveLeader(plane.member('cp-3').id)],
    ['Alarm', (client) => client.disarmNospace(plane.member('cp-1').id)],
    ['Snapshot', (client) => firstOf(client.snapshot())],
  ];
  it.each(changes)('%s is not sent to another member than the one it is meant for', async (method, change) => {
    lead('cp-1');
    await using client = clientOfFirst();
    await expect.poll(() => succeeds(client.status()), { timeout: 30_000 }).toBe(true);
    const before = await startedCalls('cp-2', method);
    lead('cp-2');

    const error = await rejection(change(client));

    expect(error).toBeInstanceOf(WrongMemberError);
    expect(error).toMatchObject({ method, outcome: 'not-done', mixUp: { done: false } });
    expect(await startedCalls('cp-2', method)).toBe(before);
  });

  it('R5: a change whose proven connection breaks is done by nobody else, whenever it breaks', async () => {
    await using client = clientOfFirst();
    const asked = await defragmentations(plane);
    let answered = 0;
    for (let i = 0; i < 24; i++) {
      lead('cp-1');
      await client.status().catch(() => undefined);
      const outcome = client.defragment().then(
        () => 'done',
        (error: unknown) => error,
      );
      // From before the proof is answered until after the change is.
      await new Promise((resolve) => (i % 12 === 0 ? resolve(undefined) : setTimeout(resolve, i % 12)));
      lead('cp-2');
      if ((await outcome) === 'done') answered++;
    }

    const done = await defragmentations(plane);
    expect(done['cp-2']).toBe(asked['cp-2']);
    expect((done['cp-1'] ?? 0) - (asked['cp-1'] ?? 0)).toBeGreaterThanOrEqual(answered);
  });

  it("R8: another member's /metrics tell neither the quota nor the open snapshots", async () => {
    await using client = clientOfFirst();
    lead('cp-1');
    const own = await client.quota();
    leadsTo = 'cp-2';
    // The connection stays, and leads to whom it did.
    const kept = await client.quota();
    balancer.breakOff();

    using page = new MetricsPage(balancer.endpoint, tls);
    const quota = quotaFromMetrics(page, DEFAULT_DEADLINES.statusMs, plane.member('cp-1').id);
    const errors = [await rejection(quota), await rejection(client.openSnapshots())];
    // What led elsewhere is not kept.
    leadsTo = 'cp-1';
    const again = await client.openSnapshots();

    expect([own, kept]).toMatchObject([{ bytes: 32 * MiB }, { bytes: 32 * MiB }]);
    expect(again).toBe(0);
    const words = `member ${plane.member('cp-2').id} answered instead of member ${plane.member('cp-1').id}`;
    for (const error of errors) expect(error.message).toContain(words);
    expect(errors.map(({ name }) => name)).toEqual(['QuotaUnreadableError', 'WrongMemberError']);
  });

  it('a member counts the snapshots that are being read of it', async () => {
    const { id: memberId, endpoint } = plane.member('cp-1');
    await using client = connectMember({ endpoint, memberId, tls });
    await using reader = connectMember({ endpoint, memberId, tls });
    // More than what a member may send ahead.
    for (let i = 0; i < 16; i++) await client.put(`/large/${i}`, 'x'.repeat(MiB));
    const before = await client.openSnapshots();

    const reading = reader.snapshot()[Symbol.asyncIterator]();
    await reading.next();
    const during = await client.openSnapshots();
    await reading.return?.();

    expect([before, during]).toEqual([0, 1]);
    await expect.poll(() => client.openSnapshots(), { timeout: 30_000 }).toBe(0);
  });

  /** How often a member was asked for a method, by its own count. */
  async function startedCalls(name: string, method: string): Promise<number> {
    const page = await metricsOf(plane, plane.member(name).endpoint);
    const line = new RegExp(`^grpc_server_started_total\\{.*grpc_method="${method}".* (\\d+)$`, 'm');
    return Number(line.exec(page)?.[1]);
  }
});

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

async function firstOf(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _piece of stream) break;
}
