import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createLease, type Lease, LeaseError, TAKEOVER_MARGIN_MS } from '../../functions/aws/lease.ts';
import { LeaseLostError, SetupError } from '../../functions/contract/errors.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';

const TTL_MS = 60_000;

let aws: AwsStandIn;
let clusters = 0;

beforeAll(async () => {
  aws = await startAws();
  aws.enter();
});
afterAll(() => aws.stop());

/** Leases of one cluster of its own, and the clock they all go by. */
function setUp() {
  const cluster = `c${++clusters}`;
  const clock = { nowMs: Date.parse('2026-03-01T02:00:00Z') };
  const lease = (owner: string, workflow = 'recover'): Lease =>
    createLease({ table: aws.table, cluster, owner, workflow, ttlMs: TTL_MS, now: () => clock.nowMs });
  return { clock, lease };
}

describe('the lease of a cluster', () => {
  it('R9: is had by one run, and another one is told by whom and until when', async () => {
    const { lease } = setUp();
    await lease('run-a', 'maintain').acquire();

    const acquisition = await lease('run-b').acquire();

    expect(acquisition).toEqual({
      kind: 'held',
      by: 'run-a',
      workflow: 'maintain',
      until: new Date(Date.parse('2026-03-01T02:00:00Z') + TTL_MS + TAKEOVER_MARGIN_MS).toISOString(),
      ended: false,
    });
  });

  it('R9: goes to exactly one of ten that want it at once', async () => {
    const { lease } = setUp();
    const runs = Array.from({ length: 10 }, (_, i) => lease(`run-${i}`));

    const acquisitions = await Promise.all(runs.map((run) => run.acquire()));

    expect(acquisitions.filter(({ kind }) => kind === 'acquired')).toHaveLength(1);
    expect(acquisitions.filter(({ kind }) => kind === 'held')).toHaveLength(9);
  });

  it('R10: is acquired again by the run that has it, as after a crash', async () => {
    const { lease } = setUp();
    await lease('run-a').acquire();

    expect(await lease('run-a').acquire()).toEqual({ kind: 'acquired' });
  });

  it.each([
    { after: 'its time is not over', ms: TTL_MS, taken: 'held' },
    { after: 'its time is over, but not by the clocks’ margin', ms: TTL_MS + TAKEOVER_MARGIN_MS, taken: 'held' },
    { after: 'its time and the margin are over', ms: TTL_MS + TAKEOVER_MARGIN_MS + 1, taken: 'acquired' },
  ])('R9: is $taken for another run when $after', async ({ ms, taken }) => {
    const { clock, lease } = setUp();
    await lease('run-a').acquire();
    clock.nowMs += ms;

    expect(await lease('run-b').acquire()).toMatchObject({ kind: taken });
  });

  it('R9: is kept by renewing it', async () => {
    const { clock, lease } = setUp();
    const mine = lease('run-a');
    await mine.acquire();
    clock.nowMs += TTL_MS;

    const renewal = await mine.renew();
    clock.nowMs += TTL_MS;

    expect(renewal).toBe('renewed');
    expect(await lease('run-b').acquire()).toMatchObject({ kind: 'held', by: 'run-a' });
  });

  it('R9: can be renewed late as long as nobody took it', async () => {
    const { clock, lease } = setUp();
    const mine = lease('run-a');
    await mine.acquire();
    clock.nowMs += 10 * TTL_MS;

    expect(await mine.renew()).toBe('renewed');
  });

  it('R9: is lost, with an error, once another run took it', async () => {
    const { clock, lease } = setUp();
    const mine = lease('run-a');
    await mine.acquire();
    clock.nowMs += 2 * TTL_MS;
    await lease('run-b').acquire();

    await expect(mine.renew()).rejects.toThrow(LeaseLostError);
  });

  it('R9: is lost too when the one who took it has let go of it already', async () => {
    const { clock, lease } = setUp();
    const mine = lease('run-a');
    await mine.acquire();
    clock.nowMs += 2 * TTL_MS;
    await lease('run-b').acquire();
    await lease('run-b').release();

    await expect(mine.renew()).rejects.toThrow(LeaseLostError);
  });

  it('is free for another run once it was released', async () => {
    const { lease } = setUp();
    await lease('run-a').acquire();

    const release = await lease('run-a').release();

    expect(release).toBe('released');
    expect(await lease('run-b').acquire()).toEqual({ kind: 'acquired' });
  });

  it('is not released by a run that does not have it', async () => {
    const { lease } = setUp();
    await lease('run-a').acquire();

    const release = await lease('run-b').release();

    expect(release).toBe('not-mine');
    expect(await lease('run-b').acquire()).toMatchObject({ kind: 'held', by: 'run-a' });
  });

  it('says that it is not configured where there is no table', async () => {
    const lease = createLease({
      table: undefined,
      cluster: 'demo',
      owner: 'run-a',
      workflow: 'recover',
      ttlMs: TTL_MS,
    });

    expect(await lease.acquire()).toEqual({ kind: 'not-configured' });
    expect(await lease.renew()).toBe('not-configured');
    expect(await lease.release()).toBe('not-configured');
  });

  it('fails on a table that is not there', async () => {
    const lease = createLease({
      table: 'no-such-table',
      cluster: 'c',
      owner: 'run-a',
      workflow: 'recover',
      ttlMs: TTL_MS,
    });

    await expect(lease.acquire()).rejects.toThrow(SetupError);
  });

  it('does not claim to know what became of a request that nobody answered', async () => {
    const { lease } = setUp();
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', 'http://127.0.0.1:1');

    const acquisition = await lease('run-a')
      .acquire()
      .catch((error: unknown) => error);
    vi.unstubAllEnvs();

    expect(acquisition).toBeInstanceOf(LeaseError);
  });
});

describe('the lease of a run that was ended from outside', () => {
  it('R9: is taken from that run, and keeps all others away until the time that was given', async () => {
    const { clock, lease } = setUp();
    await lease('run-a', 'maintain').acquire();
    const until = clock.nowMs + 10 * TTL_MS;

    const kept = await lease('run-a').retire(until);

    expect(kept).toBe('kept');
    await expect(lease('run-a').renew()).rejects.toThrow(LeaseLostError);
    clock.nowMs = until + TAKEOVER_MARGIN_MS;
    const held = { kind: 'held', by: 'run-a', workflow: 'maintain', ended: true };
    expect(await lease('run-a').acquire()).toMatchObject(held);
    expect(await lease('run-b').acquire()).toEqual({
      ...held,
      until: new Date(until + TAKEOVER_MARGIN_MS).toISOString(),
    });
    clock.nowMs += 1;
    expect(await lease('run-b').acquire()).toEqual({ kind: 'acquired' });
    expect(await lease('run-c').acquire()).toMatchObject({ kind: 'held', by: 'run-b', ended: false });
  });

  it('R10: is kept no longer where its end is told twice, and what remains of that run can’t let go of it', async () => {
    const { clock, lease } = setUp();
    await lease('run-a').acquire();
    const until = clock.nowMs + TTL_MS;
    await lease('run-a').retire(until);
    clock.nowMs += 1_000;

    expect(await lease('run-a').retire(until)).toBe('kept');
    expect(await lease('run-a').release()).toBe('not-mine');
    expect(await lease('run-b').acquire()).toMatchObject({
      until: new Date(until + TAKEOVER_MARGIN_MS).toISOString(),
    });
  });

  it.each(['nobody', 'another run'])('R9: is left alone where %s has it', async (who) => {
    const { clock, lease } = setUp();
    if (who === 'another run') await lease('run-b').acquire();

    const kept = await lease('run-a').retire(clock.nowMs + TTL_MS);

    expect(kept).toBe('not-mine');
    expect(await lease('run-b').acquire()).toEqual({ kind: 'acquired' });
  });
});
