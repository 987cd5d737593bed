// In the middle of a rolling upgrade: members of two lines in one cluster, which is what a control plane is in for as
// long as its upgrade takes, and where it is found when that upgrade got stuck.
import { afterEach, describe, expect, it } from 'vitest';
import { LEADER_STALL_MS } from '../../functions/maintain/stall.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms, putThrough } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { defragmentations, outcomes, recoverPlane } from '../../lab/runs/recover.ts';
import { withRestored } from '../snapshot/restored.ts';

const MiB = 1024 * 1024;
const STEPS = [
  { from: '3.5.35', to: '3.6.16' },
  { from: '3.6.16', to: '3.7.3' },
];
const versions = await versionsHere(STEPS.flatMap(({ from, to }) => [from, to]));
const steps = STEPS.filter(({ from, to }) => versions.includes(from) && versions.includes(to));

let plane: ControlPlane | undefined;
let aws: AwsStandIn | undefined;
afterEach(async () => {
  await plane?.stop();
  await aws?.stop();
  plane = undefined;
  aws = undefined;
});

/** The first of three is upgraded, and in the second case the leader is one of the new ones. */
async function halfUpgraded(from: string, to: string, upgraded: readonly string[]): Promise<ControlPlane> {
  const started = await startControlPlane({
    version: from,
    quotaBytes: 16 * MiB,
    flags: ['--election-timeout=3000'],
  });
  plane = started;
  for (const name of upgraded) await started.upgradeMember(name, to);
  await started.ready();
  return started;
}

async function versionsOf(here: ControlPlane): Promise<readonly string[]> {
  const status: { Status: { version: string } }[] = JSON.parse(
    await here.etcdctl(['endpoint', 'status', '--write-out=json']),
  );
  return status.map(({ Status }) => Status.version);
}

const cases = steps.flatMap(({ from, to }) => [
  { from, to, upgraded: ['cp-1'] },
  { from, to, upgraded: ['cp-1', 'cp-2'] },
]);

describe.runIf(cases.length > 0).each(cases)('of a control plane from $from to $to, with $upgraded done', (step) => {
  const { from, to, upgraded } = step;
  const versions = ['cp-1', 'cp-2', 'cp-3'].map((name) => (upgraded.includes(name) ? to : from));

  it('recovers from NOSPACE, each member once, with a copy that was compared across the versions', async () => {
    const here = await halfUpgraded(from, to, upgraded);
    aws = await startAws();
    aws.enter();
    await fillWithReports(here, { reportBytes: 50_000 });
    const before = await defragmentations(here);
    const rules = watchRules(here, { snapshots: aws.s3 });

    const report = await recoverPlane(here);

    expect(await versionsOf(here)).toEqual(versions);
    expect(report.outcome, report.reason).toBe('recovered');
    expect(report.members.map(({ version }) => version)).toEqual(versions);
    expect(outcomes(report)).toMatchObject({ compare: 'done', snapshot: 'done', disarm: 'done', verify: 'done' });
    const after = await defragmentations(here);
    expect(here.members.map(({ name }) => (after[name] ?? 0) - (before[name] ?? 0))).toEqual([1, 1, 1]);
    expect(await rules.violations()).toEqual([]);
    expect(await listAlarms(here)).toEqual([]);
    for (const { endpoint } of here.members) expect(await putThrough(here, endpoint)).toMatchObject({ ok: true });
    const [object] = aws.s3.objects;
    const source = here.members.findIndex(({ name }) => name === object?.metadata.member);
    const revision = await withRestored(
      { bucket: aws.s3.bucket, key: object?.key ?? '' },
      versions[source] ?? '',
      async ({ status }) => status.revision,
    );
    expect(revision).toBeGreaterThan(0);
  });

  it('is maintained in the night, with nobody refused', async () => {
    const here = await halfUpgraded(from, to, upgraded);
    await churn(here, { reports: 20, reportBytes: 20_000, rewrites: 20 });
    const before = await defragmentations(here);
    const rules = watchRules(here, { leaderStallMs: LEADER_STALL_MS });

    const report = await maintainPlane(here);

    expect(report.outcome, report.reason).toBe('maintained');
    const after = await defragmentations(here);
    expect(here.members.map(({ name }) => (after[name] ?? 0) - (before[name] ?? 0))).toEqual([1, 1, 1]);
    expect(await rules.violations()).toEqual([]);
  });
});
