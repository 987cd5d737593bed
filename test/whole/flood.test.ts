// A flood of reports fills etcd on three members, and nobody is awake: through a whole API server, and in etcd itself
// where that is dead, can't be reached or does not come through.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import type { OwnerReference } from '../../functions/kubernetes/types.ts';
import { pruneHandler } from '../../functions/prune/handler.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, putThrough } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { putBytes, storedKeys } from '../../lab/kubernetes/bulk.ts';
import { type Kind, kindNamed } from '../../lab/kubernetes/kinds.ts';
import { findKubernetes, whyNoKubernetes } from '../../lab/kubernetes/kubernetes-binaries.ts';
import { kyvernoReports, trivyMade } from '../../lab/kubernetes/made-reports.ts';
import { type NewObject, timestamp } from '../../lab/kubernetes/objects.ts';
import { startWholeApiServer, type WholeApiServer } from '../../lab/kubernetes/whole-api-server.ts';
import { alarmPlane } from '../../lab/runs/alarm.ts';
import { guardDeletes } from './admission.ts';
import { deploy, ownerOf, until } from './workloads.ts';

const missing = await whyNoKubernetes();
if (missing !== undefined) console.warn(`floods on a whole Kubernetes are LEFT OUT: ${missing}`);

const MiB = 1024 * 1024;
const REPORT_BYTES = 10_000;
/** 5,000 such reports need 64, and four times the time. */
const QUOTA_BYTES = Number(process.env.ETCD_MEDIC_FLOOD_MIB ?? 16) * MiB;
/** What fits into that, at least. */
const FLOOD = (0.6 * QUOTA_BYTES) / REPORT_BYTES;
const HOUR_MS = 60 * 60 * 1000;
const EPHEMERAL = kindNamed('EphemeralReport');
const EPHEMERAL_NAME = 'ephemeralreports.reports.kyverno.io';
const LEFTOVER = kindNamed('AdmissionReport');
const NAMESPACE = 'default';
/** Of a server that is not there; a function waits longer. */
const prune = pruneHandler({ patienceMs: 200, timeoutMs: 5_000 });

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
});

describe.skipIf(missing !== undefined)('R12: a flood of reports', () => {
  let aws: AwsStandIn;
  let plane: ControlPlane;
  let api: WholeApiServer;
  let owner: OwnerReference;
  let living: readonly string[];
  /** Of a report that Kyverno writes, made by its own types. */
  let spec: Readonly<Record<string, unknown>>;
  beforeAll(async () => {
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
    api = await startWholeApiServer({ plane });
    await Promise.all(['kyverno-admission-controller', 'trivy-operator'].map((name) => deploy(api, NAMESPACE, name)));
    owner = ownerOf(await deploy(api, NAMESPACE, 'web'));
    const made = await kyvernoReports(await findKubernetes(), NAMESPACE, owner);
    spec = Object(made.find(({ kind }) => kind === 'EphemeralReport')?.content?.spec);
    const alive = [
      ...made.filter(({ kind }) => kind === 'PolicyReport' || kind === 'Report'),
      ...Array.from({ length: 20 }, (_, i) =>
        trivyMade('VulnerabilityReport', { name: `of-web-${i}`, ownerReferences: [owner] }),
      ),
    ];
    for (const { kind, ...report } of alive) await api.create(kindNamed(kind), [report]);
    living = await livingKeys();
  });
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]();
    await plane?.stop();
  });
  beforeEach(async () => {
    aws = await startAws();
    aws.enter();
  });
  afterEach(async () => {
    await aws.stop();
  });

  it.each([
    ['without owners', EPHEMERAL, false],
    ['whose owner lives', EPHEMERAL, true],
    ['of a kind that Kyverno has given up', LEFTOVER, true],
  ])('%s is recovered through the API server', async (_, kind, owned) => {
    const count = await flood(kind, { ...(owned && { ownerReferences: [owner] }), ...writtenAgo(48 * HOUR_MS) });

    const report = await alarm();

    await expectRecovered(report);
    expect(count).toBeGreaterThan(FLOOD);
    expect(deletedOf(report, kind)).toBe(count);
    expect(report.pruned?.some(({ directly }) => directly)).toBe(false);
    expect(await api.list(kind)).toEqual([]);
  });

  it.each([
    ['without owners', EPHEMERAL, false],
    ['whose owner lives', EPHEMERAL, true],
    ['of a kind that Kyverno has given up', LEFTOVER, true],
  ])(
    '%s is deleted in etcd where every API server is dead, and that starts on what is left',
    async (_, kind, owned) => {
      const fresh = { name: 'fresh', ownerReferences: [owner], content: { spec }, ...writtenAgo(60_000) };
      await api.create(EPHEMERAL, [fresh]);
      const count = await flood(kind, { ...(owned && { ownerReferences: [owner] }), ...writtenAgo(48 * HOUR_MS) });
      await api.kill();

      const report = await alarm();

      await expectRecovered(report);
      expect(count).toBeGreaterThan(FLOOD);
      expect(deletedOf(report, kind)).toBe(count);
      expect(report.pruned).toContainEqual(expect.objectContaining({ resource: nameOf(kind), directly: true }));
      await api.restart();
      expect(await api.list(LEFTOVER)).toEqual([]);
      expect((await api.list(EPHEMERAL)).map(({ name }) => name)).toEqual(['fresh']);
      await api.remove(EPHEMERAL, { namespace: NAMESPACE, name: 'fresh' });
    },
  );

  it('is left alone with every API server dead where that is not allowed, encrypted or elsewhere; and goes once it may', async () => {
    const secret = { namespace: NAMESPACE, name: 'a' };
    await putBytes(plane, EPHEMERAL, secret, Buffer.from('k8s:enc:aescbc:v1:key:\0'));
    await flood(EPHEMERAL, writtenAgo(48 * HOUR_MS));
    await api.kill();
    const before = await storedKeys(plane, EPHEMERAL);

    for (const [overrides, why] of [
      [{ prune: { direct: 'never' } }, /The API server could not be used/],
      [{}, /it is encrypted at rest/],
      [{ kubernetes: { etcdPrefix: '/prod' } }, /no key under \/prod\/ in etcd/],
    ] as const) {
      const { outcome, reason } = await alarm(overrides);

      expect(outcome).toBe('escalated');
      expect(reason).toMatch(why);
      expect(await storedKeys(plane, EPHEMERAL)).toEqual(before);
      expect(await listAlarms(plane)).not.toEqual([]);
      await otherServices();
    }

    await putBytes(plane, EPHEMERAL, secret, undefined);
    await expectRecovered(await alarm());
    expect(await storedKeys(plane, EPHEMERAL)).toEqual([]);
    await api.restart();
  });

  it('is deleted in etcd behind a server that runs but can’t be reached, whose lists are right then', async () => {
    const count = await flood(EPHEMERAL, { ownerReferences: [owner], ...writtenAgo(48 * HOUR_MS) });
    await until('the server has the whole flood', async () => (await api.list(EPHEMERAL)).length === count);

    const report = await alarm({ kubernetes: { server: 'https://127.0.0.1:1' } });

    await expectRecovered(report);
    expect(report.pruned).toContainEqual(expect.objectContaining({ resource: EPHEMERAL_NAME, directly: true }));
    expect(await api.list(EPHEMERAL)).toEqual([]);
  });

  it('stays in etcd too, where that may always be, as long as an admission webhook does not let it go', async () => {
    await using webhook = await guardDeletes(api, EPHEMERAL, (name) => name !== 'probe');
    const count = await flood(EPHEMERAL, writtenAgo(48 * HOUR_MS));
    await until('the server has the whole flood', async () => (await api.list(EPHEMERAL)).length === count);
    const before = await storedKeys(plane, EPHEMERAL);

    const { outcome, reason, pruned } = await alarm({ prune: { direct: 'always' } });

    expect(outcome).toBe('escalated');
    expect(reason).toContain('reports are evidence here');
    expect(pruned?.some(({ directly }) => directly)).toBe(false);
    expect(await storedKeys(plane, EPHEMERAL)).toEqual(before);
    await webhook[Symbol.asyncDispose]();
    await otherServices();
    await expectRecovered(await alarm());
  });

  /** Without the runs that there were. */
  async function otherServices(): Promise<void> {
    await aws.stop();
    aws = await startAws();
    aws.enter();
  }

  /** Until NOSPACE. @returns how many there are */
  async function flood(kind: Kind, of: Omit<NewObject, 'name'>): Promise<number> {
    const [result] = Object(spec).results;
    const content = { spec: { ...spec, results: [{ ...result, message: 'x'.repeat(REPORT_BYTES) }] } };
    for (let page = 0; ; page++) {
      const names = Array.from({ length: 50 }, (_, i) => `flood-${page}-${i}`);
      try {
        await api.create(
          kind,
          names.map((name) => ({ ...of, name, content })),
        );
      } catch (error) {
        if (!String(error).includes('database space exceeded')) throw error;
        // Refused is not the same as not applied.
        return (await storedKeys(plane, kind)).filter((key) => key.includes('/flood-')).length;
      }
    }
  }

  async function expectRecovered({ outcome, reason, members }: RunReport): Promise<void> {
    expect(outcome, reason).toBe('recovered');
    expect(await listAlarms(plane)).toEqual([]);
    for (const { endpoint } of plane.members) expect(await putThrough(plane, endpoint)).toMatchObject({ ok: true });
    for (const { after } of members) expect(after?.dbSize).toBeLessThan(0.5 * QUOTA_BYTES);
    expect(await livingKeys()).toEqual(living);
  }

  async function livingKeys(): Promise<readonly string[]> {
    const kinds = ['VulnerabilityReport', 'PolicyReport', 'Report'].map(kindNamed);
    return (await Promise.all(kinds.map((kind) => storedKeys(plane, kind)))).flat();
  }

  interface Overrides {
    readonly kubernetes?: Readonly<Record<string, unknown>>;
    readonly prune?: Readonly<Record<string, unknown>>;
  }

  async function alarm({ kubernetes = {}, ...rest }: Overrides = {}): Promise<RunReport> {
    const configuration = { kubernetes: { ...api.configuration(), ...kubernetes }, ...rest };
    return (await alarmPlane(aws, plane, configuration, prune)).recovery;
  }
});

function writtenAgo(ms: number): Pick<NewObject, 'creationTimestamp' | 'lastWrittenAt'> {
  const at = timestamp(new Date(Date.now() - ms));
  return { creationTimestamp: at, lastWrittenAt: at };
}

function nameOf({ group, plural }: Kind): string {
  return `${plural}.${group}`;
}

function deletedOf({ pruned = [] }: RunReport, kind: Kind): number {
  const of = pruned.filter(({ resource }) => resource === nameOf(kind));
  return of.reduce((sum, { deleted }) => sum + deleted, 0);
}
