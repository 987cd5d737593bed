// A member that serves HTTP/1.1 at another URL (--listen-client-http-urls) is told as what it is, with what to do.
import { describe, expect, it } from 'vitest';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import { freePorts } from '../../lab/control-plane/ports.ts';
import { recoverPlane } from '../../lab/runs/recover.ts';
import { materialOf, rejection } from './material.ts';

const TOLD_BY_STATUS = await versionsHere(['3.6.16', '3.7.3']);

async function withHttpElsewhere(version: string, tls: boolean) {
  const [port = 0] = await freePorts(1);
  const flags = [`--listen-client-http-urls=${tls ? 'https' : 'http'}://127.0.0.1:${port}`];
  return startControlPlane({ version, members: 1, tls, flags });
}

describe('R8: the quota of a member that serves gRPC alone at its client URL', () => {
  it.each([
    ['3.5.16', true],
    ['3.5.30', true],
    ['3.5.30', false],
  ])('is unreadable on etcd %s (TLS: %s), with the flag that makes it so and what to set', async (version, tls) => {
    await using plane = await withHttpElsewhere(version, tls);
    const endpoint = plane.endpoints[0] ?? '';
    await using client = connectMember({ endpoint, tls: await materialOf(plane) });

    const { message } = await rejection(client.quota());

    expect(message).toContain(`GET /metrics at ${endpoint}: the quota could not be read`);
    expect(message).toContain('the member has --listen-client-http-urls, so its /metrics is at that other URL');
    expect(message).toContain('Configure `etcd.quotaBytes`');
    expect(message).toContain('from etcd 3.6.6 on it tells its quota without this page');
  });

  it.each(TOLD_BY_STATUS)('is known on etcd %s all the same', async (version) => {
    await using plane = await withHttpElsewhere(version, true);
    await using client = connectMember({ endpoint: plane.endpoints[0] ?? '', tls: await materialOf(plane) });

    expect(await client.quota()).toMatchObject({ kind: 'limit', source: 'status' });
  });

  it('is taken from the configuration where that says it', async () => {
    await using plane = await withHttpElsewhere('3.5.30', true);

    const { members } = await recoverPlane(plane, { dryRun: true, configuration: { etcd: { quotaBytes: 4_000_000 } } });

    expect(members).toMatchObject([{ quotaBytes: 4_000_000 }]);
  });
});
