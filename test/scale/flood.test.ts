// A flood of reports fills etcd, and nobody is awake: through the API server, and in etcd itself where there is none.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordProducers } from '../../functions/aws/producer-records.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { pruneHandler } from '../../functions/prune/handler.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, putThrough } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { putBytes, storedKeys } from '../../lab/kubernetes/bulk.ts';
import { type Kind, kindNamed } from '../../lab/kubernetes/kinds.ts';
import type { NewObject } from '../../lab/kubernetes/objects.ts';
import { startRealApiServer, whyNoRealApiServer } from '../../lab/kubernetes/real-api-server.ts';
import { alarmPlane } from '../../lab/runs/alarm.ts';

const QUOTA_BYTES = 16 * 1024 * 1024;
const REPORT_BYTES = 10_000;
const HOUR_MS = 60 * 60 * 1000;
const EPHEMERAL = kindNamed('EphemeralReport');
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

  it.each([
    ['without owners', []],
    ['whose owner lives', [OWNER]],
  ])('for the moment, %s and unwritten for an hour, is recovered', async (_, ownerReferences) => {
    await flood(EPHEMERAL, { ownerReferences, ...writtenAgo(3 * HOUR_MS) });

    const report = await alarm();

    await expectRecovered(report);
    expect(report.pruned).toContainEqual(
      expect.objectContaining({ resource: EPHEMERAL_NAME, deleted: expect.any(Number) }),
    );
    expect(report.pruned?.some(({ directly }) => directly)).toBe(false);
    expect(await api.list(EPHEMERAL)).toEqual([]);
  });

  it.each([
    ['without owners', []],
    ['whose owner lives', [OWNER]],
  ])(
    '%s is deleted in etcd where every API server is dead, and what was written just now stays',
    async (_, ownerReferences) => {
      const fresh = { name: 'fresh', ownerReferences: [OWNER], ...writtenAgo(60_000) };
      await api.create(EPHEMERAL, [fresh]);
      await flood(EPHEMERAL, { ownerReferences, ...writtenAgo(3 * HOUR_MS) });
      await api.kill();

      const report = await alarm();

      await expectRecovered(report);
      expect(report.pruned).toContainEqual(expect.objectContaining({ resource: EPHEMERAL_NAME, directly: true }));
      expect(await storedKeys(plane, EPHEMERAL)).toEqual([
        '/registry/reports.kyverno.io/ephemeralreports/default/fresh',
      ]);
      expect(await storedKeys(plane, LIVING)).toHaveLength(20);
    },
  );

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

  it('of leftovers is deleted in etcd where every API server is dead', async () => {
    const leftover = kindNamed('AdmissionReport');
    await flood(leftover, { ownerReferences: [OWNER], ...writtenAgo(48 * HOUR_MS) });
    await api.kill();

    const report = await alarm();

    await expectRecovered(report);
    expect(await storedKeys(plane, leftover)).toEqual([]);
    expect(await storedKeys(plane, LIVING)).toHaveLength(20);
  });

  it.each([
    ['that is not allowed', { prune: { direct: 'never' } }, /The API server could not be used/],
    ['it is encrypted at rest', {}, /it is encrypted at rest/],
    ['etcd has nothing under the prefix', { kubernetes: { etcdPrefix: '/prod' } }, /no key under \/prod\/ in etcd/],
  ])('is left alone with every API server dead where %s', async (_, overrides, why) => {
    await api.create(EPHEMERAL, [{ name: 'a' }]);
    await putBytes(plane, EPHEMERAL, { namespace: 'default', name: 'a' }, Buffer.from('k8s:enc:aescbc:v1:key:\0'));
    await flood(EPHEMERAL, writtenAgo(3 * HOUR_MS));
    await api.kill();
    const before = await storedKeys(plane, EPHEMERAL);

    const { outcome, reason } = await alarm(overrides);

    expect(outcome).toBe('escalated');
    expect(reason).toMatch(why);
    expect(await storedKeys(plane, EPHEMERAL)).toEqual(before);
    expect(await listAlarms(plane)).not.toEqual([]);
  });
});

const EPHEMERAL_NAME = 'ephemeralreports.reports.kyverno.io';

function living(number: number): NewObject {
  const labels = { 'app.kubernetes.io/managed-by': 'trivy-operator' };
  return { name: `replicaset-web-${number}`, labels, ownerReferences: [OWNER], content: { report: {} } };
}

function writtenAgo(ms: number): Pick<NewObject, 'creationTimestamp' | 'lastWrittenAt'> {
  const at = `${new Date(Date.now() - ms).toISOString().slice(0, 19)}Z`;
  return { creationTimestamp: at, lastWrittenAt: at };
}

/** Of three days ago; no Deployment of it is there. */
async function floodOfTrivy(): Promise<void> {
  const labels = { 'app.kubernetes.io/managed-by': 'trivy-operator' };
  await flood(AUDIT, { labels, ownerReferences: [OWNER], ...writtenAgo(72 * HOUR_MS) });
}

/** Until NOSPACE. */
async function flood(kind: Kind, of: Omit<NewObject, 'name'>): Promise<void> {
  for (let page = 0; ; page++) {
    const filler = 'x'.repeat(REPORT_BYTES);
    const names = Array.from({ length: 50 }, (_, i) => `flood-${page}-${i}`);
    try {
      await api.create(
        kind,
        names.map((name) => ({ ...of, name, content: { spec: { filler } } })),
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

interface Overrides {
  readonly kubernetes?: Readonly<Record<string, unknown>>;
  readonly prune?: Readonly<Record<string, unknown>>;
}

async function alarm({ kubernetes = {}, ...rest }: Overrides = {}): Promise<RunReport> {
  const configuration = { kubernetes: { ...api.configuration(), ...kubernetes }, ...rest };
  return (await alarmPlane(aws, plane, configuration, prune)).recovery;
}
