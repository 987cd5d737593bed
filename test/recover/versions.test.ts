// What a version of etcd can be harmed by, on real servers: what is refused, what is ruled out first, and what is told.
// `3.5.5+lab` is etcd 3.5.35 that says it is 3.5.5.
import { afterEach, describe, expect, it } from 'vitest';
import { loadTlsMaterial } from '../../functions/aws/credentials.ts';
import { takeTurn } from '../../functions/control-plane/defragmentation.ts';
import { checkOthersHealthy, type Voter } from '../../functions/control-plane/voters.ts';
import { discoverMembers, type EtcdCluster } from '../../functions/etcd/discovery.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, snapshotOfState } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlaneOptions } from '../../lab/control-plane/options.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { churn, maintainPlane, onMember } from '../../lab/runs/maintain.ts';
import { defragmentations, metricsOf, outcomes, recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
const SLOW_ELECTIONS = ['--election-timeout=3000'];
const NONE_DONE = { 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 };

let plane: ControlPlane | undefined;
let aws: AwsStandIn | undefined;
let cluster: EtcdCluster | undefined;
afterEach(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await aws?.stop();
  await plane?.stop();
  cluster = undefined;
  aws = undefined;
  plane = undefined;
});

async function start(options: ControlPlaneOptions): Promise<ControlPlane> {
  plane = await startControlPlane({ quotaBytes: 16 * MiB, flags: SLOW_ELECTIONS, ...options });
  return plane;
}

async function full(version: string): Promise<ControlPlane> {
  const started = await start({ version });
  await fillWithReports(started, { reportBytes: 50_000 });
  return started;
}

async function open({ endpoints, credentials }: ControlPlane): Promise<EtcdCluster> {
  cluster = await discoverMembers({ endpoints, tls: await loadTlsMaterial(credentials) });
  return cluster;
}

const votersOf = ({ members }: ControlPlane): readonly Voter[] => members.map(({ id, name }) => ({ id, name }));

/** How often a member was asked for something, by its own count. */
async function asked(started: ControlPlane, endpoint: string, method: string): Promise<number> {
  const page = await metricsOf(started, endpoint);
  const line = new RegExp(`^grpc_server_started_total\\{[^}]*grpc_method="${method}"[^}]*\\}\\s+(\\S+)$`, 'm');
  return Number(line.exec(page)?.[1] ?? 0);
}

const FAKES = await versionsHere(['3.4.3+lab', '3.5.5+lab']);

describe.runIf(FAKES.length > 0)('an etcd that a defragmentation may spoil', () => {
  it('R17: 3.4.3 is refused under NOSPACE, and nothing is changed', async () => {
    const started = await full('3.4.3+lab');
    const before = await snapshotOfState(started);

    const report = await recoverPlane(started);

    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toMatch(/^R17: cp-1 is at etcd 3\.4\.3\+lab.*mended in 3\.4\.4.*Upgrade etcd first/);
    expect(await snapshotOfState(started)).toEqual(before);
    expect(await defragmentations(started)).toEqual(NONE_DONE);
  });

  it('R17: 3.5.5 is refused without a copy, and recovered where one comes first', async () => {
    const started = await full('3.5.5+lab');

    const without = await recoverPlane(started);
    const done = await defragmentations(started);
    aws = await startAws();
    aws.enter();
    const passedOver = await recoverPlane(started, { configuration: { snapshot: { onFailure: 'continue' } } });
    const withCopy = await recoverPlane(started);

    expect(without.outcome, without.reason).toBe('refused');
    expect(without.reason).toMatch(/^R17: cp-1 is at etcd 3\.5\.5\+lab.*mended in 3\.5\.6.*snapshot\.bucket/);
    expect(done).toEqual(NONE_DONE);
    expect(passedOver.outcome, passedOver.reason).toBe('refused');
    expect(withCopy.outcome, withCopy.reason).toBe('recovered');
    expect(outcomes(withCopy)).toMatchObject({ snapshot: 'done', 'defragment cp-1': 'done' });
    expect(await listAlarms(started)).toEqual([]);
  });

  it('R17: 3.5.5 is left alone in a night, compacted all the same, and named', async () => {
    const started = await start({ version: '3.5.5+lab', quotaBytes: 64 * MiB });
    await churn(started, { reports: 100, reportBytes: 20_000, rewrites: 10 });

    const report = await maintainPlane(started);

    expect(report.outcome, report.reason).toBe('maintained');
    expect(report.reason).toMatch(/Left alone: cp-1: it is at etcd 3\.5\.5\+lab.*mended in 3\.5\.6; R17/);
    expect(report.members[0]?.note).toContain('Upgrade etcd first');
    expect(await defragmentations(started)).toEqual(NONE_DONE);
  });
});

describe.each(await versionsHere(['3.4.23', '3.5.16', '3.6.4']))('etcd %s, which a snapshot may spoil', (version) => {
  it('R17: is recovered where that is ruled out before each, and it is told with what mends it', async () => {
    const started = await full(version);

    const dry = await recoverPlane(started, { dryRun: true });
    const report = await recoverPlane(started);

    const mends = { '3.4.23': '3.4.38', '3.5.16': '3.5.23', '3.6.4': '3.6.5' }[version];
    expect(dry.plan?.find(({ name }) => name === 'defragment cp-1')?.detail).toContain(`mended in ${mends}; R17`);
    expect(report.outcome, report.reason).toBe('recovered');
    expect(report.reason).toContain(`but upgrade etcd: cp-1 is at etcd ${version}`);
    for (const name of ['cp-1', 'cp-2', 'cp-3']) {
      const { detail } = report.steps.find((step) => step.name === `defragment ${name}`) ?? {};
      expect(detail).toContain(`mended in ${mends}; R17): none was in flight, and it was caught up`);
    }
    // R8: not Status, whose quota is wrong or missing.
    expect(report.members.map(({ quotaBytes }) => quotaBytes)).toEqual([16 * MiB, 16 * MiB, 16 * MiB]);
  });

  it('R17: is not defragmented while it is behind, and is once it has caught up', async () => {
    const started = await start({ version, proxies: true });
    const { name: leader } = await leaderOf(started);
    const [behind = '', ahead = ''] = started.members.map(({ name }) => name).filter((name) => name !== leader);
    const target = { id: started.member(behind).id, name: behind };
    const opened = await open(started);
    const turn = async () => {
      const attempt = { memory: undefined, patienceMs: 10_000, confirm: async () => false, emergency: true };
      const setting = { dbSizeBefore: 0, mayLead: true, heldLooks: 0 };
      return takeTurn(async () => opened, votersOf(started), target, setting, attempt);
    };
    await started.cut(behind, { peers: true, clients: false });
    for (let written = 0; written < 150; written++) {
      await onMember(started, ahead, (client) => client.put(`/behind/${written}`).value('x').exec());
    }

    const held = await turn();
    started.heal(behind);
    await expect.poll(async () => (await turn()).outcome, { timeout: 60_000 }).toBe('done');

    expect(held).toMatchObject({ outcome: 'skipped', data: { kind: 'held' } });
    expect(held.detail).toMatch(/that cannot be ruled out now: it is \d+ entries behind/);
    expect((await defragmentations(started))[behind]).toBe(1);
  });
});

describe.each(await versionsHere(['3.4.23', '3.5.16', '3.6.4', '3.5.30', '3.6.16']))(
  'etcd %s, asked whether it is healthy',
  (version) => {
    const mayBeStale = !['3.5.30', '3.6.16'].includes(version);

    it('R17: proves it under NOSPACE by what all agree to, where a read may be stale, and makes no revision', async () => {
      const started = await full(version);
      const opened = await open(started);
      const before = await snapshotOfState(started);

      await checkOthersHealthy(opened, votersOf(started), votersOf(started)[0], { emergency: true });

      const deletes = await Promise.all(started.endpoints.map((url) => asked(started, url, 'DeleteRange')));
      expect(deletes).toEqual(mayBeStale ? [0, 1, 1] : [0, 0, 0]);
      expect(await snapshotOfState(started)).toEqual(before);
    });

    it('R17: proves it in a night by a second read', async () => {
      const started = await start({ version });
      const opened = await open(started);
      const [url = ''] = started.endpoints;
      const before = await asked(started, url, 'Range');

      await checkOthersHealthy(opened, votersOf(started), votersOf(started)[2]);

      expect((await asked(started, url, 'Range')) - before).toBe(mayBeStale ? 2 : 1);
      expect(await asked(started, url, 'DeleteRange')).toBe(0);
    });
  },
);
