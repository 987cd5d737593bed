// Reports of a producer that was uninstalled fill etcd, and nobody is awake. All other floods are test/whole's: this
// one needs no garbage collector, and a cluster that knows nothing of Trivy.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordProducers } from '../../functions/aws/producer-records.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { pruneHandler } from '../../functions/prune/handler.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, putThrough } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { storedKeys } from '../../lab/kubernetes/bulk.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import type { NewObject } from '../../lab/kubernetes/objects.ts';
import { startRealApiServer, whyNoRealApiServer } from '../../lab/kubernetes/real-api-server.ts';
import { alarmPlane } from '../../lab/runs/alarm.ts';

const QUOTA_BYTES = 16 * 1024 * 1024;
const REPORT_BYTES = 10_000;
const HOUR_MS = 60 * 60 * 1000;
const AUDIT = kindNamed('ConfigAuditReport');
const LIVING = kindNamed('VulnerabilityReport');
/** Of a server that is not there; a function waits longer. */
const prune = pruneHandler({ patienceMs: 200, timeoutMs: 5_000 });
const OWNER = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: '11111111-2222-4333-8444-555555555555' };

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
});

let aws: AwsStandIn;
let plane: ControlPlane;
let api: TestApiServer;

describe.skipIf(whyNoRealApiServer() !== undefined)('R12: a flood of reports', () => {
  beforeEach(async () => {
    aws = await startAws();
    aws.enter();
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
    api = await startRealApiServer({ plane });
    await api.create(kindNamed('ReplicaSet'), [{ ...OWNER, content: { spec: { replicas: 1 } } }]);
    await api.create(kindNamed('Deployment'), [{ name: 'kyverno', namespace: 'kyverno' }]);
    await api.create(
      LIVING,
      Array.from({ length: 20 }, (_, i) => living(i)),
    );
  });
  afterEach(async () => {
    await api[Symbol.asyncDispose]();
    await plane.stop();
    await aws.stop();
  });

  it('of an uninstalled Trivy is recovered where last night has seen it gone as well', async () => {
    await floodOfTrivy();
    const at = new Date(Date.now() - 24 * HOUR_MS).toISOString();
    await recordProducers(aws.table, 'demo', { at, producers: { trivy: 'gone', kyverno: 'there' } });

    const report = await alarm();

    await expectRecovered(report);
    expect(await storedKeys(plane, AUDIT)).toEqual([]);
    expect(await storedKeys(plane, LIVING)).toHaveLength(20);
  });

  it('of a Trivy that nobody has seen gone before is escalated, and names what is missing', async () => {
    await floodOfTrivy();

    const { outcome, reason } = await alarm();

    expect(outcome, reason).toBe('escalated');
    expect(reason).toContain('find no Deployment of it, and nobody has looked before, within eight days');
    expect((await storedKeys(plane, AUDIT)).length).toBeGreaterThan(500);
  });
});

function living(number: number): NewObject {
  const labels = { 'app.kubernetes.io/managed-by': 'trivy-operator' };
  return { name: `replicaset-web-${number}`, labels, ownerReferences: [OWNER], content: { report: {} } };
}

/** Until NOSPACE, and three days ago; no Deployment of Trivy is there. */
async function floodOfTrivy(): Promise<void> {
  const labels = { 'app.kubernetes.io/managed-by': 'trivy-operator' };
  const at = `${new Date(Date.now() - 72 * HOUR_MS).toISOString().slice(0, 19)}Z`;
  const content = { spec: { filler: 'x'.repeat(REPORT_BYTES) } };
  const report = { labels, ownerReferences: [OWNER], content, creationTimestamp: at, lastWrittenAt: at };
  for (let page = 0; ; page++) {
    const names = Array.from({ length: 50 }, (_, i) => `flood-${page}-${i}`);
    try {
      await api.create(
        AUDIT,
        names.map((name) => ({ ...report, name })),
      );
    } catch (error) {
      if (String(error).includes('database space exceeded')) return;
      throw error;
    }
  }
}

async function expectRecovered({ outcome, reason, members }: RunReport): Promise<void> {
  expect(outcome, reason).toBe('recovered');
  expect(await listAlarms(plane)).toEqual([]);
  for (const { endpoint } of plane.members) expect(await putThrough(plane, endpoint)).toMatchObject({ ok: true });
  for (const { after } of members) expect(after?.dbSize).toBeLessThan(0.5 * QUOTA_BYTES);
}

async function alarm(): Promise<RunReport> {
  return (await alarmPlane(aws, plane, { kubernetes: api.configuration() }, prune)).recovery;
}
