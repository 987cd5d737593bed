// From the alarm to room in etcd that only pruning makes: on the very etcd that is being recovered.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { handler as prune } from '../../functions/prune/handler.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, putThrough } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import type { NewObject } from '../../lab/kubernetes/objects.ts';
import { startRealApiServer, whyNoRealApiServer } from '../../lab/kubernetes/real-api-server.ts';
import { alarmPlane } from '../../lab/runs/alarm.ts';

const QUOTA_BYTES = 16 * 1024 * 1024;
const REPORT_BYTES = 50_000;
const DAYS_MS = 24 * 60 * 60 * 1000;
const REPORTS = kindNamed('VulnerabilityReport');

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
});

let aws: AwsStandIn;
let plane: ControlPlane;
let api: TestApiServer;

// The stand-in of an API server keeps nothing in etcd, so that deleting there makes no room: this needs the real one.
describe.skipIf(whyNoRealApiServer() !== undefined)('recover, where live reports fill the quota', () => {
  beforeEach(async () => {
    aws = await startAws();
    aws.enter();
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
    api = await startRealApiServer({ plane });
  });
  afterEach(async () => {
    await api[Symbol.asyncDispose]();
    await plane.stop();
    await aws.stop();
  });

  it('one alarm: prunes what is stale, compacts and defragments again, disarms, and writes are accepted', async () => {
    const alive = await fillWithReports({ staleOfTen: 4 });

    const { recovery, pruning } = await alarm();

    expect(recovery.outcome, recovery.reason).toBe('recovered');
    expect(pruning).toMatchObject({ outcome: 'pruned', workflow: 'prune', trigger: recovery.trigger });
    expect(recovery.pruned).toEqual(pruning?.pruned);
    expect((await api.list(REPORTS)).map(({ name }) => name).toSorted()).toEqual(alive.toSorted());
    expect(await listAlarms(plane)).toEqual([]);
    for (const { endpoint } of plane.members) expect(await putThrough(plane, endpoint)).toMatchObject({ ok: true });
    for (const { after } of recovery.members) expect(after?.dbSize).toBeLessThan(0.8 * QUOTA_BYTES);
    const order = recovery.steps.map(({ name }) => name.replace(/ cp-\d/, ''));
    expect(order.slice(order.indexOf('prune'))).toEqual(
      expect.arrayContaining(['look after prune', 'compact', 'defragment', 'disarm', 'canary', 'watch']),
    );
  });

  it('R7: where nothing is stale, nothing is deleted, the alarm stays armed, and a person is told what fills it', async () => {
    const alive = await fillWithReports({ staleOfTen: 0 });

    const { recovery, pruning } = await alarm();

    expect(recovery.outcome).toBe('escalated');
    expect(recovery.reason).toMatch(/^Full of live data: .* Pruning stale reports deleted none .*vulnerabilityreports/);
    expect(pruning?.outcome).toBe('nothing-to-do');
    expect((await api.list(REPORTS)).length).toBe(alive.length);
    expect(await listAlarms(plane)).not.toEqual([]);
  });

  it('R12: where most seem stale, they are left for a person to look at, and so is the alarm', async () => {
    await fillWithReports({ staleOfTen: 8 });
    const before = (await api.list(REPORTS)).length;

    const { recovery, pruning } = await alarm();

    expect(recovery.outcome).toBe('escalated');
    expect(pruning?.outcome).toBe('escalated');
    expect(recovery.reason).toContain('maxStaleShare');
    expect((await api.list(REPORTS)).length).toBe(before);
  });
});

/**
 * Reports until NOSPACE, whose owner is there, or gone for so many of ten.
 * @returns the names of those whose owner is there
 */
async function fillWithReports({ staleOfTen }: { readonly staleOfTen: number }): Promise<string[]> {
  const [replicaSets, old] = [kindNamed('ReplicaSet'), new Date(Date.now() - 2 * DAYS_MS)];
  const creationTimestamp = `${old.toISOString().slice(0, 19)}Z`;
  const owner = '11111111-2222-4333-8444-555555555555';
  await api.create(replicaSets, [{ name: 'web', uid: owner, content: { spec: { replicas: 1 } } }]);
  const labels = { 'app.kubernetes.io/name': 'trivy-operator' };
  await api.create(kindNamed('Deployment'), [{ name: 'trivy-operator', namespace: 'trivy-system', labels }]);
  const alive: string[] = [];
  for (let number = 0; ; number++) {
    const isStale = number % 10 < staleOfTen;
    const name = `replicaset-web-${number}`;
    if (!isStale) alive.push(name);
    const uid = isStale ? '99999999-2222-4333-8444-555555555555' : owner;
    const report: NewObject = {
      name,
      creationTimestamp,
      labels: { 'app.kubernetes.io/managed-by': 'trivy-operator' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid }],
      content: { report: { filler: 'x'.repeat(REPORT_BYTES) } },
    };
    try {
      await api.create(REPORTS, [report]);
    } catch (error) {
      if (!String(error).includes('database space exceeded')) throw error;
      // Refused is not the same as not applied: where the put itself is what fills the file, etcd keeps it and answers
      // NOSPACE.
      const kept = new Set((await api.list(REPORTS)).map((report) => report.name));
      return alive.filter((one) => kept.has(one));
    }
  }
}

function alarm() {
  return alarmPlane(aws, plane, { kubernetes: api.configuration() }, prune);
}
