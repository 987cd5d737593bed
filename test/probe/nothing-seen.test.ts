// What a look must not take for "all well" because it has not seen it: on real etcd, in the metrics, the record and the
// words.
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseLook } from '../../functions/widget/records.ts';
import { verdictOf } from '../../functions/widget/verdict.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, raiseNospace } from '../../lab/control-plane/alarms.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { freePorts } from '../../lab/control-plane/ports.ts';
import { figuresOf, recordOf, reportOf, runHandler } from './harness.ts';

let aws: AwsStandIn;
let plane: ControlPlane | undefined;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await plane?.stop();
  plane = undefined;
});
afterAll(() => aws?.stop());

/** What the dashboard makes of the probe's record. */
async function verdict() {
  const record = await recordOf(aws);
  const item: Record<string, AttributeValue> = { look: { S: JSON.stringify(record?.look) } };
  return verdictOf({ look: parseLook(item), now: Date.parse(record?.at ?? '') });
}

/** Who was removed may have been the leader. */
async function untilServing(plane: ControlPlane, endpoint: string): Promise<void> {
  await withMember(plane, endpoint, (client) =>
    vi.waitFor(() => client.kv.range({ key: Buffer.from('any') }, within(2_000)), { timeout: 30_000, interval: 100 }),
  );
}

describe('the probe', () => {
  it('does not say that NOSPACE is over where all that answers is a member that has not heard of it', async () => {
    plane = await startControlPlane({ proxies: true });
    const [behind, ...others] = plane.members;
    await plane.cut('cp-1', { peers: true, how: 'refused' });
    await raiseNospace({ members: others, credentials: plane.credentials }, others[0]?.id ?? '');
    for (const { name } of others) await plane.stopMember(name, 'SIGKILL');
    plane.heal('cp-1');
    await withMember(plane, behind?.endpoint ?? '', (client) =>
      vi.waitFor(
        async () => {
          const { leader, errors } = await client.maintenance.status(within(2_000));
          expect({ leader, alarms: errors.filter((line) => line.includes('alarm')) }).toEqual({
            leader: '0',
            alarms: [],
          });
        },
        { timeout: 30_000, interval: 50 },
      ),
    );

    const written = await runHandler(plane.configuration());

    const { cluster } = figuresOf(written.metrics);
    expect(cluster).toMatchObject({ MembersAnswering: 1, MembersAway: 3 });
    expect(cluster).not.toHaveProperty('NospaceAlarms');
    expect(cluster).not.toHaveProperty('CorruptAlarms');
  });

  it('leaves the alarm of a member that was removed in its record, so that the dashboard shows it', async () => {
    // Otherwise nobody is removed in a cluster's first seconds.
    plane = await startControlPlane({ flags: ['--strict-reconfig-check=false'] });
    const { id } = plane.member('cp-3');
    await raiseNospace(plane, id);
    const { endpoints } = plane;
    // Through one that stays: who is removed stops, and may do so before it has answered.
    await plane.etcdctl([`--endpoints=${endpoints[0]}`, 'member', 'remove', id]);
    await plane.stopMember('cp-3');
    for (const endpoint of endpoints.slice(0, 2)) await untilServing(plane, endpoint);

    const written = await runHandler(plane.configuration({ etcd: { endpoints: endpoints.slice(0, 2) } }));

    const left = { members: plane.members.slice(0, 2), credentials: plane.credentials };
    expect(await listAlarms(left)).toEqual([{ memberId: id, type: 'NOSPACE' }]);
    expect(reportOf(written).outcome).toBe('escalated');
    expect(figuresOf(written.metrics).cluster).toMatchObject({ NospaceAlarms: 1, MembersAway: 0 });
    expect(await verdict()).toMatchObject({ level: 'alarm', headline: 'NOSPACE', detail: expect.stringContaining(id) });
  });

  it('R8: is not content with members that keep their quota to themselves, as those of RKE2 and k3s do', async () => {
    // etcd then serves nothing but gRPC on its client URLs.
    const [port] = await freePorts(1);
    plane = await startControlPlane({
      version: '3.5.30',
      members: 1,
      flags: [`--listen-client-http-urls=https://127.0.0.1:${port}`],
    });

    const written = await runHandler(plane.configuration());

    const { outcome, reason } = reportOf(written);
    expect(outcome).toBe('escalated');
    expect(reason).toMatch(
      /^The quota of cp-1 is not known, so a recovery would be refused \(R8\): .*etcd\.quotaBytes/,
    );
    expect(figuresOf(written.metrics).cluster).not.toHaveProperty('QuotaUsage');
    expect(await verdict()).toMatchObject({ level: 'attention', headline: 'Quota not known' });
  });

  it('R8: is content with them where the configuration says what their quota is', async () => {
    const [port] = await freePorts(1);
    plane = await startControlPlane({
      version: '3.5.30',
      members: 1,
      flags: [`--listen-client-http-urls=https://127.0.0.1:${port}`],
    });

    const written = await runHandler(plane.configuration({ etcd: { quotaBytes: 32 * 1024 * 1024 } }));

    expect(reportOf(written)).toMatchObject({ outcome: 'healthy', members: [{ quotaBytes: 32 * 1024 * 1024 }] });
    expect(await verdict()).toMatchObject({ level: 'ok' });
  });
});
