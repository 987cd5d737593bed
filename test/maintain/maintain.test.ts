// A night's maintenance on real etcd: what it leaves behind, what it leaves alone, and what it meets on the way.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { LEADER_STALL_MS } from '../../functions/maintain/stall.ts';
import { listAlarms, snapshotOfState } from '../../lab/control-plane/alarms.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { REPORTS_PREFIX } from '../../lab/control-plane/reports.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { churn, maintainPlane, onMember, sizesOf, tidyByHand } from '../../lab/runs/maintain.ts';
import { defragmentations, outcomes } from '../../lab/runs/recover.ts';
import { sampleReport } from '../contract/sample-report.ts';
import { raiseNospaceMeanwhile } from './raise-nospace.ts';

const MiB = 1024 * 1024;
/** 1 MB live, 10 MB of history. */
const A_DAY = { reports: 50, reportBytes: 20_000, rewrites: 10 };

let plane: ControlPlane;
/** How often each member had been defragmented when the test began. */
let earlier: Readonly<Record<string, number>>;
beforeAll(async () => {
  plane = await startControlPlane({ quotaBytes: 128 * MiB });
});
afterAll(async () => {
  await plane?.stop();
});
beforeEach(async () => {
  await churn(plane, A_DAY);
  earlier = await defragmentations(plane);
});
afterEach(async () => {
  vi.useRealTimers();
  await plane.etcdctl(['alarm', 'disarm']);
});

/** How often each has been defragmented in this test, by name. */
async function sweptSince(): Promise<Record<string, number>> {
  const now = await defragmentations(plane);
  return Object.fromEntries(Object.entries(now).map(([name, count]) => [name, count - (earlier[name] ?? 0)]));
}

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0);

function sweepOf({ steps }: RunReport): string[] {
  return steps.flatMap(({ name }) => (name.startsWith('defragment ') ? [name.slice('defragment '.length)] : []));
}

describe('maintain', () => {
  it('R2, R3, R4: compacts everywhere, then defragments one after the other, the leader last, and once', async () => {
    const { name: leader } = await leaderOf(plane);
    const rules = watchRules(plane, { leaderStallMs: LEADER_STALL_MS });

    const report = await maintainPlane(plane);
    const between = await snapshotOfState(plane);
    const again = await maintainPlane(plane);

    expect(report.outcome, report.reason).toBe('maintained');
    expect(sweepOf(report)).toHaveLength(3);
    expect(sweepOf(report).at(-1)).toBe(leader);
    // As long as the leader will take, by those before it.
    const stall = Math.max(
      ...report.members.filter(({ name }) => name !== leader).map(({ durationMs = 0 }) => durationMs),
    );
    expect(outcomes(report)['move leader']).toBe(stall > LEADER_STALL_MS ? 'done' : undefined);
    expect(outcomes(report)).toMatchObject({
      rates: 'not-configured',
      snapshot: 'not-configured',
      compact: 'done',
      canary: 'done',
      verify: 'done',
    });
    for (const { before, after, defragmented, durationMs } of report.members) {
      expect(defragmented).toBe(true);
      expect(durationMs).toBeGreaterThan(0);
      expect(before?.dbSize).toBeGreaterThan(10 * MiB - MiB);
      expect(after?.dbSize).toBeLessThan(2 * MiB);
    }
    expect(again.outcome, again.reason).toBe('maintained');
    // A key written and deleted through each of the three, twice, and nothing else.
    expect((await snapshotOfState(plane)).revision - between.revision).toBe(12n);
    expect(again.reason).toMatch(/defragmented none\. Left alone: cp-1: not worth a stall: \d+ % of/);
    expect(again.members[0]?.note).toContain('not worth a stall');
    expect(await sweptSince()).toEqual({ 'cp-1': 1, 'cp-2': 1, 'cp-3': 1 });
    expect(await rules.violations()).toEqual([]);
  });

  it('leaves a member alone that has nothing to gain, be it the leader or not', async () => {
    await tidyByHand(plane, 'cp-2');

    const report = await maintainPlane(plane);

    expect(report.outcome, report.reason).toBe('maintained');
    expect(sweepOf(report).sort()).toEqual(['cp-1', 'cp-3']);
    expect(await sweptSince()).toEqual({ 'cp-1': 1, 'cp-2': 1, 'cp-3': 1 });
    expect(report.members[1]).toMatchObject({
      defragmented: false,
      note: expect.stringContaining('not worth a stall'),
    });
  });

  it('compacts no younger revision than the noted one: who lists page by page meanwhile reads on', async () => {
    const old = await firstPage();
    await churn(plane, { ...A_DAY, rewrites: 1 });
    let listing: Promise<Page> | undefined;
    let written: Promise<void> | undefined;

    const report = await maintainPlane(plane, {
      policy: { revisionAgeSeconds: 25 },
      skipTime: false,
      speed: 25,
      onOperation: ({ name, to }) => {
        if (name !== 'revision' || to !== 'SUCCEEDED') return;
        listing = firstPage();
        written = listing.then(() => churn(plane, { ...A_DAY, rewrites: 2 }));
      },
    });

    await written;
    expect(report.outcome, report.reason).toBe('maintained');
    const page = await listing;
    if (page === undefined) throw new Error('nobody listed');
    const rest = await nextPage(page);
    expect(page.keys.length + rest.keys.length).toBe(A_DAY.reports);
    // One that was begun before has lost its place, as it would have by kube-apiserver's own compaction.
    await expect(nextPage(old)).rejects.toThrow(/required revision has been compacted/);
  });

  it('prunes before it notes the revision, under its own lease, and says what was pruned; also on a cluster of one', async () => {
    await using plane = await startControlPlane({ members: 1, quotaBytes: 64 * MiB });
    await churn(plane, A_DAY);
    const arn = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-test-prune:live';
    process.env.ETCD_MEDIC_PRUNE_FUNCTION = arn;
    const pruned = [{ resource: 'x', listed: 5, stale: 3, deleted: 3, skipped: 0, reasons: { 'owner-gone': 3 } }];
    const orders: unknown[] = [];
    try {
      const report = await maintainPlane(plane, {
        policy: { prune: true },
        invoke: async (functionName, payload) => {
          orders.push([functionName, JSON.parse(payload)]);
          return { result: JSON.stringify(sampleReport({ workflow: 'prune', outcome: 'pruned', pruned })) };
        },
      });

      expect(report.outcome, report.reason).toBe('maintained');
      expect(report.pruned).toEqual(pruned);
      expect((await sizesOf(plane))['cp-1']?.dbSize).toBeLessThan(2 * MiB);
      expect(orders).toEqual([[arn, expect.objectContaining({ workflow: 'prune', parent: expect.any(String) })]]);
      const names = report.steps.map(({ name }) => name);
      expect(names.indexOf('prune')).toBeGreaterThan(names.indexOf('snapshot'));
      expect(names.indexOf('prune')).toBeLessThan(names.indexOf('revision'));
    } finally {
      delete process.env.ETCD_MEDIC_PRUNE_FUNCTION;
    }
  });

  it('compacts all the same where the pruning cannot even be begun, and does not keep that to itself', async () => {
    await using plane = await startControlPlane({ members: 1, quotaBytes: 64 * MiB });
    await churn(plane, A_DAY);
    process.env.ETCD_MEDIC_PRUNE_FUNCTION = 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-test-prune:live';
    try {
      const report = await maintainPlane(plane, {
        policy: { prune: true },
        invoke: async () => ({ error: { type: 'AccessDenied', message: 'may not invoke it' } }),
      });

      expect(report.outcome).toBe('escalated');
      expect(report.reason).toMatch(/^Compacted to revision \d+; .* But the pruning before it .*: may not invoke it\./);
      expect((await sizesOf(plane))['cp-1']?.dbSize).toBeLessThan(2 * MiB);
    } finally {
      delete process.env.ETCD_MEDIC_PRUNE_FUNCTION;
    }
  });
});

describe('maintain, when something comes up on the way', () => {
  it('stops before the compaction where NOSPACE was raised while the revision grew old, and leaves it to recover', async () => {
    let waits = 0;

    const report = await maintainPlane(plane, {
      policy: { revisionAgeSeconds: 150 },
      onOperation: ({ name, to }) => {
        if (name === 'the revision grows old' && to === 'PENDING') waits++;
        if (name === 'revision' && to === 'SUCCEEDED') raiseNospaceMeanwhile(plane, plane.member('cp-1').id);
      },
    });

    expect(report.outcome).toBe('refused');
    expect(report.reason).toContain('recover answers that');
    expect(report.steps.map(({ name }) => name)).not.toContain('compact');
    expect(waits, 'looks at the alarms within a minute, not only at the end').toBe(1);
    expect(await listAlarms(plane)).toHaveLength(1);
    expect(await sweptSince()).toEqual({ 'cp-1': 0, 'cp-2': 0, 'cp-3': 0 });
  });

  it('R14: stops between two members where NOSPACE was raised, with what is done and what is not', async () => {
    const report = await maintainPlane(plane, {
      onOperation: ({ name, to }) => {
        if (/^defragment/.test(name ?? '') && to === 'SUCCEEDED') raiseNospaceMeanwhile(plane, plane.member('cp-1').id);
      },
    });

    const [first = ''] = sweepOf(report);
    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain('NOSPACE on cp-1: recover answers that');
    expect(report.reason).toContain(`Defragmented: ${first}; not: `);
    expect(sum(await sweptSince())).toBe(1);
    expect(await listAlarms(plane)).toHaveLength(1);
  });

  it("begins nothing after the window's end, and says what is left", async () => {
    let first: string | undefined;

    const report = await maintainPlane(plane, {
      onOperation: ({ name = '', to }) => {
        if (!name.startsWith('defragment ') || to !== 'SUCCEEDED' || first !== undefined) return;
        first = plane.members.find(({ id }) => name.endsWith(id))?.name;
        vi.setSystemTime(Date.now() + 121 * 60_000);
      },
    });

    expect(report.outcome, report.reason).toBe('maintained');
    expect(sweepOf(report)).toEqual([first]);
    expect(report.reason).toMatch(/The maintenance window ended at .*, so cp-\d, cp-\d are left for the next night/);
    expect(sum(await sweptSince())).toBe(1);
  });

  it('does not touch a member that would stall for too long, and escalates where its file is nearly full', async () => {
    // Of two voters none is tried first: there is no quorum while one of them stalls.
    const memberQuotaBytes = { 'cp-1': 34 * MiB };
    await using plane = await startControlPlane({ members: 2, quotaBytes: 64 * MiB, memberQuotaBytes });
    // 15 MB live, half of the file: 1.25 s by the cautious guess.
    await churn(plane, { reports: 750, reportBytes: 20_000, rewrites: 2 });

    const report = await maintainPlane(plane, { policy: { maxStallSeconds: 1 } });

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toMatch(/cp-2: it would not answer for about 1 s .*, by a cautious guess/);
    expect(report.reason).toMatch(/Above 80 % of the quota all the same: cp-1 has/);
    expect(report.reason).toContain(REPORTS_PREFIX);
    expect(await defragmentations(plane)).toEqual({ 'cp-1': 0, 'cp-2': 0 });
  });

  it('tries one follower first where nobody knows how long it takes, and decides on the others by what that took', async () => {
    await using plane = await startControlPlane({ quotaBytes: 64 * MiB });
    // 15 MB live, half of the file: 1.25 s by the cautious guess, longer than is allowed.
    await churn(plane, { reports: 750, reportBytes: 20_000, rewrites: 2 });

    const report = await maintainPlane(plane, { policy: { maxStallSeconds: 1, quotaShareAbove: 1 } });

    const [first, ...others] = sweepOf(report);
    expect(report.outcome, report.reason).toBe('maintained');
    expect(first).toMatch(/^cp-/);
    expect(report.steps.find(({ name }) => name === `defragment ${first}`)?.detail).not.toContain('while it led');
    expect(report.reason).not.toContain('by a cautious guess');
    for (const { name, note, defragmented } of report.members) {
      expect(defragmented, `${name}: ${note}`).toBe(name === first || others.includes(name));
      if (!defragmented) expect(note).toMatch(/\/s, by other members\), longer than maintain\.maxStallSeconds/);
    }
    expect(sum(await defragmentations(plane))).toBe(1 + others.length);
  });
});

interface Page {
  readonly revision: string;
  readonly keys: readonly string[];
}

const PREFIX_END = REPORTS_PREFIX.replace(/\/$/, '0');

/** As kube-apiserver begins a list with a limit. */
async function firstPage(): Promise<Page> {
  return onMember(plane, 'cp-1', async (client) => {
    const { kvs, header } = await client.kv.range(
      { key: Buffer.from(REPORTS_PREFIX), range_end: Buffer.from(PREFIX_END), limit: 10, keys_only: true },
      within(10_000),
    );
    return { revision: header.revision, keys: kvs.map(({ key }) => key.toString()) };
  });
}

/** As it goes on with a `continue` token: at the first page's revision. */
async function nextPage({ revision, keys }: Page): Promise<Page> {
  return withMember(plane, plane.member('cp-2').endpoint, async (client) => {
    const { kvs } = await client.kv.range(
      {
        key: Buffer.from(`${keys.at(-1)}\0`),
        range_end: Buffer.from(PREFIX_END),
        revision,
        limit: 500,
        keys_only: true,
      },
      within(10_000),
    );
    return { revision, keys: kvs.map(({ key }) => key.toString()) };
  });
}
