import { describe, expect, it } from 'vitest';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { MetricsPage } from '../../functions/etcd/metrics.ts';
import { parseQuota, quotaFromMetrics, quotaFromStatus } from '../../functions/etcd/quota.ts';
import type { MemberStatus } from '../../functions/etcd/types.ts';
import { rejection } from './material.ts';
import { etcdStatus, hanging, plainHttp } from './stand-ins.ts';

const GiB = 1024 ** 3;

describe("a member's quota", () => {
  it.each([
    ['etcd_server_quota_backend_bytes 2.147483648e+09', { kind: 'limit', bytes: 2 * GiB, source: 'metrics' }],
    ['etcd_server_quota_backend_bytes 3.3554432e+07', { kind: 'limit', bytes: 33_554_432, source: 'metrics' }],
    ['etcd_server_quota_backend_bytes -1', { kind: 'none', source: 'metrics' }],
    ['etcd_server_quota_backend_bytes 0', undefined],
    ['etcd_server_quota_backend_bytes NaN', undefined],
    ['# TYPE etcd_server_quota_backend_bytes gauge', undefined],
    ['', undefined],
  ])('R8: is read from the metrics line "%s"', (line, quota) => {
    const page = `# HELP etcd_server_quota_backend_bytes Current backend storage quota size in bytes.\n${line}\nother 1\n`;

    expect(parseQuota(page)).toEqual(quota);
  });

  it.each([
    ['3.6.6', 2 * GiB, 2 * GiB],
    ['3.6.11', 2 * GiB, 2 * GiB],
    ['3.7.0', 2 * GiB, 2 * GiB],
    ['4.0.0', 2 * GiB, 2 * GiB],
    ['3.6.5', 2 * GiB, undefined],
    ['3.5.30', 2 * GiB, undefined],
    ['3.6.6', 0, undefined],
    ['3.6.6', -1, undefined],
    ['3.6.6', undefined, undefined],
    ['weird', 2 * GiB, undefined],
  ])('R8, R17: of etcd %s, Status with %s says %s', (version, dbSizeQuota, bytes) => {
    const status = { version, dbSizeQuota } as MemberStatus;

    expect(quotaFromStatus(status)).toEqual(bytes && { kind: 'limit', bytes, source: 'status' });
  });

  it('comes with the one Status call from etcd 3.6.6 on, beyond 32 bits too', async () => {
    await using server = await etcdStatus('3.6.7', 8 * GiB);
    await using client = connectMember({ endpoint: `http://${server.hostAndPort}` });

    const quota = await client.quota();

    expect(quota).toEqual({ kind: 'limit', bytes: 8 * GiB, source: 'status' });
    expect(server.count()).toBe(1);
    expect(await client.status()).toMatchObject({
      version: '3.6.7',
      dbSizeQuota: 8 * GiB,
      memberId: '2',
      revision: 3n,
    });
  });

  it('R8: is unreadable, not a guess, where Status is not to be believed and there is no /metrics', async () => {
    await using server = await etcdStatus('3.6.5', 8 * GiB);
    await using client = connectMember({ endpoint: `http://${server.hostAndPort}`, deadlines: { statusMs: 20_000 } });

    const error = await rejection(client.quota());

    expect(error).toMatchObject({ name: 'QuotaUnreadableError', method: 'GET /metrics' });
    expect(error.message).toContain('etcd.quotaBytes');
  });

  it.each([
    ['answers with another page', plainHttp, 20_000, /no etcd_server_id/],
    ['hangs', hanging, 300, /no answer within 300 ms/],
  ] as const)('R8: is unreadable where /metrics %s', async (_name, start, timeoutMs, message) => {
    await using server = await start();

    using metrics = new MetricsPage(`http://${server.hostAndPort}`, undefined);

    const error = await rejection(quotaFromMetrics(metrics, timeoutMs, '2'));

    expect(error.name).toBe('QuotaUnreadableError');
    expect(error.message).toMatch(message);
  });
});
