// Somebody else reads a snapshot of a member, a backup: a defragmentation would wait for its end, with the member
// answering nothing.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadTlsMaterial } from '../../functions/aws/credentials.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { leaderOf } from '../../lab/control-plane/elections.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { churn, maintainPlane } from '../../lab/runs/maintain.ts';
import { defragmentations, recoverPlane } from '../../lab/runs/recover.ts';

const MiB = 1024 * 1024;
const SLOW_ELECTIONS = ['--election-timeout=3000'];

let plane: ControlPlane;
let before: Readonly<Record<string, number>>;
/** The follower that a sweep begins with, and the other one. */
let first: string;
let second: string;
let backup: Backup | undefined;
beforeAll(async () => {
  plane = await startControlPlane({ quotaBytes: 16 * MiB, flags: SLOW_ELECTIONS });
});
afterAll(async () => {
  await plane?.stop();
});
beforeEach(async () => {
  const { name: leader } = await leaderOf(plane);
  [first = '', second = ''] = plane.members.map(({ name }) => name).filter((name) => name !== leader);
  before = await defragmentations(plane);
});
afterEach(async () => {
  await backup?.end();
  backup = undefined;
});

async function swept(): Promise<readonly string[]> {
  const now = await defragmentations(plane);
  return Object.keys(now).filter((name) => (now[name] ?? 0) > (before[name] ?? 0));
}

interface Backup {
  end(): Promise<void>;
}

/** A Snapshot stream that nobody reads on from: the member has more to send than the connection takes. */
async function beginBackup({ credentials }: ControlPlane, endpoint: string): Promise<Backup> {
  const client = connectMember({ endpoint, tls: await loadTlsMaterial(credentials) });
  const stream = client.snapshot()[Symbol.asyncIterator]();
  await stream.next();
  return {
    end: async () => {
      await stream.return?.();
      await client[Symbol.asyncDispose]();
    },
  };
}

describe('a member with an open Snapshot stream of somebody else', () => {
  it('is taken after the others where the stream has ended by then', async () => {
    await fillWithReports(plane, { reportBytes: 50_000 });
    backup = await beginBackup(plane, plane.member(first).endpoint);
    let ended: Promise<void> | undefined;

    const report = await recoverPlane(plane, {
      onOperation: ({ name, to }) => {
        if (name === `defragment ${plane.member(second).id}` && to === 'SUCCEEDED') ended = backup?.end();
      },
    });

    await ended;
    expect(report.outcome, report.reason).toBe('recovered');
    expect(await swept()).toHaveLength(3);
    const sweep = report.steps.filter(({ name }) => name.startsWith('defragment ')).map(({ name }) => name);
    expect(sweep.slice(0, 2)).toEqual([`defragment ${first}`, `defragment ${second}`]);
    expect(report.steps.find(({ name }) => name === `defragment ${first}`)).toMatchObject({
      outcome: 'skipped',
      detail: expect.stringContaining('open Snapshot stream'),
    });
  });

  it('is never sent a defragmentation in a recovery: it is waited for, and named', async () => {
    await fillWithReports(plane, { reportBytes: 50_000 });
    backup = await beginBackup(plane, plane.member(first).endpoint);

    const report = await recoverPlane(plane);

    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toMatch(new RegExp(`stopped at ${first}: ${first} has 1 open Snapshot stream`));
    expect(await swept()).toEqual([second]);
  });

  it('is left out by maintenance: the stream keeps its old pages from being free', async () => {
    await recoverPlane(plane);
    await churn(plane, { reports: 20, reportBytes: 30_000, rewrites: 15 });
    before = await defragmentations(plane);
    backup = await beginBackup(plane, plane.member(first).endpoint);

    const report = await maintainPlane(plane);

    expect(report.outcome, report.reason).toBe('maintained');
    expect(report.reason).toMatch(new RegExp(`Left alone: ${first}`));
    expect(await swept()).toHaveLength(2);
  });
});
