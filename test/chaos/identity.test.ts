// R19: all members behind one address, and each member's own address leading elsewhere at random moments of a recovery.
// Whatever was mixed up, no rule is broken, and nobody is reported as done whose own count does not say so.
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import { LoadBalancer } from '../../lab/control-plane/load-balancer.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { watchRules } from '../../lab/control-plane/rule-watch.ts';
import { sizesOf } from '../../lab/runs/maintain.ts';
import { defragmentations, recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
const QUOTA_BYTES = 8 * MiB;
/** How many schedules, and the first one's seed: `IDENTITY_SCHEDULES=200 IDENTITY_SEED=1`. */
const SCHEDULES = Number(process.env.IDENTITY_SCHEDULES ?? 12);
const FIRST_SEED = Number(process.env.IDENTITY_SEED ?? 1);

let plane: ControlPlane;
let balancer: LoadBalancer;
/**
 * What happens to the members' own addresses, and whom the balancer leads to; apart, so that the one is the same
 * whatever the other.
 */
let random: () => number;
let randomLead: () => number;
beforeAll(async () => {
  randomLead = randomOf(FIRST_SEED);
  plane = await startControlPlane({ quotaBytes: QUOTA_BYTES, proxies: true });
  balancer = await LoadBalancer.listen(() => anyMember(randomLead).endpoint);
});
afterAll(async () => {
  await balancer?.[Symbol.asyncDispose]();
  await plane?.stop();
});

describe.each(Array.from({ length: SCHEDULES }, (_, i) => FIRST_SEED + i))('connections mixed up, seed %i', (seed) => {
  it('breaks no rule, and reports as done what was done', async () => {
    random = randomOf(seed);
    randomLead = randomOf(~seed);
    await fillWithReports(plane, { reportBytes: 30_000 });
    const before = await defragmentations(plane);
    const rules = watchRules(plane);
    const over = new AbortController();
    const mixing = mixUp(over.signal);

    const report = await recoverPlane(plane, {
      configuration: { snapshot: false, etcd: { endpoints: [balancer.endpoint] } },
    });
    over.abort();
    await mixing;

    const after = await defragmentations(plane);
    const told = `seed ${seed}, ${report.outcome}: ${report.reason}`;
    console.log(told);
    expect(await rules.violations(), told).toEqual([]);
    for (const { name, defragmented } of report.members) {
      if (defragmented) expect((after[name] ?? 0) - (before[name] ?? 0), `${told}; ${name}`).toBe(1);
    }
    if (report.outcome === 'recovered') {
      expect(await listAlarms(plane), told).toEqual([]);
      for (const { dbSize } of Object.values(await sizesOf(plane)))
        expect(dbSize, told).toBeLessThan(0.9 * QUOTA_BYTES);
      return;
    }
    expect(report.reason).not.toBe('');
    const again = await recoverPlane(plane, { configuration: { snapshot: false } });
    expect(['recovered', 'nothing-to-do'], `${told}; then ${again.reason}`).toContain(again.outcome);
  });
});

/**
 * Breaks connections and leads them elsewhere, until so many times or until the run is over; then everything is as it
 * should be.
 */
async function mixUp(over: AbortSignal): Promise<void> {
  const times = 4 + Math.floor(random() * 20);
  const longestMs = 20 + random() * 200;
  for (let i = 0; i < times && !over.aborted; i++) {
    await wait(random() * longestMs);
    if (random() < 0.2) balancer.breakOff();
    const { name } = anyMember(random);
    // As often as not back to itself: a run that never gets anywhere shows little.
    plane.redirect(name, random() < 0.5 ? name : anyMember(random).name);
  }
  for (const { name } of plane.members) plane.redirect(name, name);
}

function anyMember(next: () => number) {
  const { members } = plane;
  return members[Math.floor(next() * members.length)] ?? plane.member('cp-1');
}

/** mulberry32: small, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
