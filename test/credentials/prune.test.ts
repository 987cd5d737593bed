// Certificates as the credentials function issues them, used by the runs that they are for: prune at every API server
// there is, with the rights of docs/rbac.yaml, and a whole night with pruning on real etcd.
import { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Command } from '../../functions/contract/command.ts';
import { SUBJECTS } from '../../functions/contract/purposes.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { startWorkflow } from '../../functions/dispatch/start.ts';
import { handler as maintain } from '../../functions/maintain/handler.ts';
import { handler as probe } from '../../functions/probe/handler.ts';
import { pruneHandler } from '../../functions/prune/handler.ts';
import { handler as recover } from '../../functions/recover/handler.ts';
import { startAws } from '../../lab/aws/stand-in.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { settled } from '../../lab/control-plane/settle.ts';
import { type LocalExecutionOptions, runLocally } from '../../lab/execution/local-execution.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import {
  createOwners,
  createReports,
  KEPT,
  STALE,
  staleReports,
  trivyReport,
} from '../../lab/kubernetes/sample-cluster.ts';
import { servers } from '../../lab/kubernetes/servers.ts';
import { clear, only, reportNames, VULNERABILITY_REPORTS } from '../../lab/runs/prune.ts';
import { makeKeys } from './authorities.ts';
import {
  ends,
  heldUp,
  type Presented,
  rulesBoundTo,
  serialOf,
  startTrusting,
  type TrustingServer,
  watchCertificates,
} from './prune-setting.ts';
import { type Files, SECRET_ARNS, type Setting, startSetting } from './setting.ts';

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
});

const MiB = 1024 * 1024;
const REPORT = kindNamed('VulnerabilityReport');
const SURVEY = `survey ${VULNERABILITY_REPORTS}`;
/** The real API server where there is one; the stand-in's whole night is in ../permissions/calls.test.ts. */
const MOST_REAL = servers().at(-1)?.name;
/** Less than a batch of deletes needs, and more than it takes to say so. */
const TOO_LITTLE_MS = 60_000;

let plane: ControlPlane;
let etcdFiles: Files;

beforeAll(async () => {
  plane = await startControlPlane({ members: 1, quotaBytes: 128 * MiB });
  const folder = dirname(plane.credentials?.caFile ?? '');
  const [certificate, key] = await Promise.all(
    ['ca.crt', 'ca.key'].map((name) => readFile(join(folder, name), 'utf8')),
  );
  etcdFiles = { certificate: certificate ?? '', key: key ?? '' };
});
afterAll(() => plane?.[Symbol.asyncDispose]());

it('the rights of docs/rbac.yaml are the certificate’s group’s, and nobody’s who is in another', async () => {
  const { commonName, organization } = SUBJECTS.kubernetes;

  expect(organization).toBe('etcd-medic:pruner');
  expect(await rulesBoundTo({ commonName, organization })).not.toEqual([]);
  expect(await rulesBoundTo({ commonName, organization: 'etcd-medic:etcd' })).toEqual([]);
});

describe.each(servers())('an issued certificate, at $name', (kind) => {
  let trusting: TrustingServer;
  let setting: Setting;
  let presented: Presented;

  beforeAll(async () => {
    trusting = await startTrusting(kind, plane);
  });
  afterAll(() => trusting?.[Symbol.asyncDispose]());

  beforeEach(async () => {
    const { api, files } = trusting;
    await clear(api);
    await createOwners(api);
    setting = await startSetting({ endpoints: plane.endpoints, server: api.server });
    await setting.addNode('cp-1', { etcd: etcdFiles, kubernetes: files });
    presented = watchCertificates();
  });
  afterEach(async () => {
    presented[Symbol.dispose]();
    await setting[Symbol.asyncDispose]();
  });

  /** Changes what is configured for the functions from here on, the credentials function among them. */
  function configure(changes: Readonly<Record<string, unknown>>): void {
    const before: object = JSON.parse(process.env.ETCD_MEDIC_CLUSTER ?? '');
    process.env.ETCD_MEDIC_CLUSTER = JSON.stringify({ ...before, ...changes });
  }

  async function run(
    workflow: Command['workflow'],
    handler: DurableLambdaHandler,
    options: LocalExecutionOptions & { readonly dryRun?: boolean } = {},
  ): Promise<RunReport> {
    const { dryRun = false, ...rest } = options;
    const { status, result, error } = await runLocally(
      handler,
      { ...commandTo(workflow), dryRun },
      {
        skipTime: true,
        remainingTimeMs: () => 900_000,
        ...rest,
      },
    );
    if (status !== 'SUCCEEDED') throw new Error(`${workflow} failed: ${error?.message}`);
    return result as RunReport;
  }

  /** The certificates that connections were made with since the last time, which are none but this. */
  function expectPresented(serial: string): void {
    expect(presented.take()).toEqual([serial]);
  }

  it('R12: lets prune delete exactly what is stale, of every kind', async () => {
    await createReports(trusting.api);
    await setting.call({ issue: 'kubernetes' });
    presented.take();

    const report = await run('prune', pruneHandler());

    expect(report.outcome, report.reason).toBe('pruned');
    expect(report.reason).toContain(`Deleted ${STALE.length} stale reports of 8 kinds`);
    expect(await reportNames(trusting.api)).toEqual(KEPT);
    expectPresented(serialOf(setting.credentials('kubernetes')));
  });

  it('is rotated between two steps of a pruning, which goes on with the old one; the next run has the new one', async () => {
    configure({ prune: { maxStaleShare: 1, kinds: only(VULNERABILITY_REPORTS) } });
    await trusting.api.create(REPORT, [...staleReports(60), trivyReport('keep-at-work')]);
    await setting.rotate('kubernetes');
    const old = serialOf(setting.credentials('kubernetes'));
    presented.take();
    const rotating = heldUp(pruneHandler(), async (updates) => {
      if (!ends(updates, SURVEY)) return;
      expectPresented(old);
      await setting.rotate('kubernetes');
      presented.take();
    });

    const report = await run('prune', rotating);

    const renewed = serialOf(setting.credentials('kubernetes'));
    expect(renewed).not.toBe(old);
    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(trusting.api)).toEqual(['keep-at-work']);
    // Deletes go over more connections than a list does.
    expectPresented(old);

    await trusting.api.create(REPORT, staleReports(5));
    const next = await run('prune', pruneHandler());

    expect(next.outcome, next.reason).toBe('pruned');
    expect(await reportNames(trusting.api)).toEqual(['keep-at-work']);
    expectPresented(renewed);
  });

  it('is rotated between two invocations of a pruning: the second has the new one, and nothing is lost', async () => {
    configure({ prune: { maxStaleShare: 1, kinds: only(VULNERABILITY_REPORTS) } });
    await trusting.api.create(REPORT, [...staleReports(60), trivyReport('keep-at-work')]);
    await setting.rotate('kubernetes');
    const old = serialOf(setting.credentials('kubernetes'));
    presented.take();
    let surveyed = false;
    let invocations = 0;
    const prune = heldUp(pruneHandler(), async (updates) => {
      surveyed ||= ends(updates, SURVEY);
    });
    const rotating: DurableLambdaHandler = async (event, context) => {
      if (++invocations === 2) {
        expectPresented(old);
        await setting.rotate('kubernetes');
        presented.take();
      }
      return await prune(event, context);
    };

    const report = await run('prune', rotating, {
      remainingTimeMs: (invocation) => (invocation === 1 && surveyed ? TOO_LITTLE_MS : 900_000),
    });

    expect(invocations).toBeGreaterThan(1);
    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(trusting.api)).toEqual(['keep-at-work']);
    const renewed = serialOf(setting.credentials('kubernetes'));
    expect(renewed).not.toBe(old);
    expectPresented(renewed);
  });

  it.runIf(kind.name === MOST_REAL)(
    'that has expired ends a pruning with what to do, and nothing else; another one that is issued puts it right',
    async () => {
      configure({ nodes: { tag: { key: 'cluster', value: 'demo' } }, recover: { watchSeconds: 1 } });
      await trusting.api.create(REPORT, [...staleReports(5), trivyReport('keep-at-work')]);
      await setting.call({ issue: 'etcd' });
      setting.secrets.kubernetes.put('the-version-that-nobody-renewed-1', await expired(trusting), ['AWSCURRENT']);
      presented.take();

      const report = await run('prune', pruneHandler());
      const others = [
        await probe({}),
        await run('recover', recover, { dryRun: true }),
        await run('maintain', maintain, { dryRun: true }),
      ];

      expect(report.outcome).toBe('failed');
      expect(report.reason).toMatch(/^The API server could not be used, and nothing was changed: /);
      expect(report.reason).toContain(
        `secret ${SECRET_ARNS.kubernetes}: cert: found the certificate of O=etcd-medic:pruner`,
      );
      expect(report.reason).toContain('which expired on ');
      expect(report.reason).toContain('press Test on etcd-medic-<cluster>-credentials');
      expect(presented.take()).toEqual([]);
      expect(others.map(({ outcome, reason }) => [outcome, reason])).toEqual([
        ['healthy', expect.any(String)],
        ['nothing-to-do', expect.any(String)],
        ['planned', expect.any(String)],
      ]);

      await setting.call({ issue: 'kubernetes' });
      const again = await run('prune', pruneHandler());
      expect(again.outcome, again.reason).toBe('pruned');
      expect(await reportNames(trusting.api)).toEqual(['keep-at-work']);
    },
  );

  it.runIf(kind.name === MOST_REAL)(
    'takes part in a whole night beside etcd’s: pruned, compacted, defragmented',
    async () => {
      await using aws = await startAws();
      for (const [name, value] of Object.entries(aws.environment)) {
        // These two are the setting's own.
        if (!/_(SSM|SECRETS_MANAGER)$/.test(name)) vi.stubEnv(name, value);
      }
      setting.ssm.parameters.set(aws.switchParameter, 'auto');
      for (const purpose of ['etcd', 'kubernetes']) await setting.call({ issue: purpose });
      presented.take();
      const options = { skipTime: true, remainingTimeMs: () => 900_000 };
      const [pruneArn, functionArn] = [
        aws.lambda.register('etcd-medic-demo-prune', { durable: pruneHandler(), options }),
        aws.lambda.register('etcd-medic-demo-maintain', { durable: maintain, options }),
      ];
      vi.stubEnv('ETCD_MEDIC_PRUNE_FUNCTION', pruneArn);
      configure({
        // Disks are looked at elsewhere.
        nodes: undefined,
        snapshot: false,
        maintain: { prune: true, revisionAgeSeconds: 1, minReclaimBytes: MiB },
      });
      await createReports(trusting.api);
      await writeHistory(plane);

      await startWorkflow({ functionArn, name: 'night', command: commandTo('maintain') });
      const report = (await aws.lambda.executions[0]?.result)?.result as RunReport;

      expect(report.outcome, report.reason).toBe('maintained');
      expect(report.steps.find(({ name }) => name === 'prune')).toMatchObject({ outcome: 'done' });
      expect(await reportNames(trusting.api)).toEqual(KEPT);
      const [member] = report.members;
      expect(member).toMatchObject({ defragmented: true });
      expect(member?.after?.dbSize).toBeLessThan((member?.before?.dbSize ?? 0) - 5 * MiB);
      expectPresented(serialOf(setting.credentials('kubernetes')));
    },
  );
});

function commandTo(workflow: Command['workflow']): Command {
  return { cluster: 'demo', workflow, trigger: { kind: 'manual', source: 'test' }, dryRun: false };
}

/** As it would be if every rotation since had failed. */
async function expired({ authority, files }: TrustingServer): Promise<string> {
  const keys = await makeKeys();
  const cert = await authority.sign({ publicKey: keys.publicKey, fromDays: -100, toDays: -1 });
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' });
  return JSON.stringify({ ca: files.serverCertificate, cert, key });
}

/** 10 MB of it, where no API server looks. */
async function writeHistory(plane: ControlPlane): Promise<void> {
  const {
    credentials,
    endpoints: [endpoint = ''],
  } = plane;
  const value = Buffer.alloc(500_000, 'x');
  await withMember({ credentials }, endpoint, async (client) => {
    for (let i = 0; i < 20; i++) await client.kv.put({ key: Buffer.from('/history'), value }, within(30_000));
  });
  // A file grows by what was written up to 100 ms later.
  await settled(plane);
}
