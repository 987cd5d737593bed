// R19 on whole runs: all members behind one address, as behind a load balancer or a name with several addresses.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { look } from '../../functions/probe/look.ts';
import { ProbeMemory } from '../../functions/probe/sources.ts';
import { clusterFigures, judge } from '../../functions/probe/summary.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import { LoadBalancer } from '../../lab/control-plane/load-balancer.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { defragmentations, recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;

let plane: ControlPlane;
let balancer: LoadBalancer;
let connections: number;
beforeEach(async () => {
  connections = 0;
  balancer = await LoadBalancer.listen(() => plane.members[connections++ % plane.members.length]?.endpoint ?? '');
});
afterEach(async () => {
  await balancer?.[Symbol.asyncDispose]();
  await plane?.stop();
});

/** The balancer is the only way that the configuration knows. */
function configuration(): Readonly<Record<string, unknown>> {
  return { etcd: { endpoints: [balancer.endpoint] } };
}

describe('R19: one address that leads to another member at each connection, as the only endpoint', () => {
  it('recover: every member is defragmented, and reported, as the one that it is', async () => {
    plane = await startControlPlane({ quotaBytes: 16 * MiB, memberQuotaBytes: { 'cp-2': 48 * MiB } });
    await fillWithReports(plane, { reportBytes: 50_000 });
    const rules = watchRules(plane);

    const report = await recoverPlane(plane, {
      configuration: configuration(),
      // Whatever is open leads elsewhere after each step.
      onOperation: ({ to }) => to === 'SUCCEEDED' && balancer.breakOff(),
    });

    expect(report.outcome, report.reason).toBe('recovered');
    expect(await rules.violations()).toEqual([]);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 1, 'cp-2': 1, 'cp-3': 1 });
    expect(report.members.map(({ name, endpoint, quotaBytes }) => [name, endpoint, quotaBytes])).toEqual(
      plane.members.map(({ name, endpoint, quotaBytes }) => [name, endpoint, quotaBytes]),
    );
  });

  it('maintain: every member is defragmented, and reported, as the one that it is', async () => {
    plane = await startControlPlane({ quotaBytes: 128 * MiB });
    await churn(plane, { reports: 50, reportBytes: 20_000, rewrites: 10 });
    const rules = watchRules(plane, { leaderStallMs: 1_000 });

    const report = await maintainPlane(plane, {
      configuration: configuration(),
      onOperation: ({ to }) => to === 'SUCCEEDED' && balancer.breakOff(),
    });

    expect(report.outcome, report.reason).toBe('maintained');
    expect(await rules.violations()).toEqual([]);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 1, 'cp-2': 1, 'cp-3': 1 });
    expect(report.members.every(({ defragmented }) => defragmented)).toBe(true);
  });

  it("the probe's figures are each member's own", async () => {
    const memberQuotaBytes = { 'cp-1': 24 * MiB, 'cp-2': 48 * MiB, 'cp-3': 96 * MiB };
    plane = await startControlPlane({ memberQuotaBytes });

    const seen = await look(plane.configuration(configuration()), new ProbeMemory());

    const members = seen.kind === 'seen' ? seen.observation.members : [];
    expect(members.map(({ id, name, endpoint, quota }) => ({ id, name, endpoint, quota }))).toEqual(
      plane.members.map(({ id, name, endpoint, quotaBytes }) => ({
        id,
        name,
        endpoint,
        quota: { kind: 'limit', bytes: quotaBytes, source: 'metrics' },
      })),
    );
    expect(judge(seen).outcome).toBe('healthy');
  });
});

describe('R19: one address that all members advertise as their own', () => {
  beforeEach(async () => {
    plane = await startControlPlane({
      quotaBytes: 16 * MiB,
      flags: [`--advertise-client-urls=${balancer.endpoint}`],
    });
  });

  it('recover leaves all of them alone, and says why by name and id', async () => {
    await fillWithReports(plane, { reportBytes: 50_000 });

    const report = await recoverPlane(plane, { configuration: configuration() });

    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toContain('No voter has an address of its own');
    for (const { id, name } of plane.members) expect(report.reason).toContain(`${name} (${id})`);
    expect(report.reason).toContain('--advertise-client-urls');
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
    expect(await listAlarms(plane)).not.toEqual([]);
  });

  it('the probe says why, and the alarm that whoever answers knows of', async () => {
    await fillWithReports(plane, { reportBytes: 50_000 });

    const seen = await look(plane.configuration(configuration()), new ProbeMemory());

    const { outcome, reason } = judge(seen);
    expect(outcome).toBe('escalated');
    expect(reason).toContain(`${balancer.endpoint} is advertised by`);
    expect(clusterFigures(seen)).toMatchObject({ nospaceAlarms: 3, membersAnswering: 0, quotaUsage: undefined });
  });

  it('given endpoints that lead to one member each serve, whatever the members advertise', async () => {
    await fillWithReports(plane, { reportBytes: 50_000 });
    const rules = watchRules(plane);

    const report = await recoverPlane(plane);

    expect(report.outcome, report.reason).toBe('recovered');
    expect(await rules.violations()).toEqual([]);
    expect(report.members.map(({ endpoint }) => endpoint)).toEqual(plane.endpoints);
  });
});
