// functions/contents beside bbolt's own walk and etcd's own types, on files that real servers have written.
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContentsReader, readContents } from '../../functions/contents/contents.ts';
import type { Contents } from '../../functions/contents/types.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { hasGo, versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import { type Judgement, judgeContents } from '../../lab/control-plane/judge-contents.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { writeVariedKeys } from '../../lab/control-plane/varied-keys.ts';

const MiB = 1024 * 1024;
const go = await hasGo(process.env);
if (!go) console.warn("the contents' judge is LEFT OUT: bbolt needs Go, which is not on PATH (https://go.dev/dl)");
const versions = go ? await versionsHere(['3.4.23', '3.5.30', '3.6.16', '3.7.3']) : [];

/** Both in one order. Of the largest, several may have one size: which of those are told is anybody's choice. */
async function bothOf(file: string) {
  const since = Math.floor(Number((await readContents(createReadStream(file))).revision) / 2);
  const reader = new ContentsReader({ since });
  for await (const piece of createReadStream(file)) reader.write(piece);
  const [contents, judgement] = [reader.end(), await judgeContents(file, since)];
  const live = new Set(judgement.largest.map(({ key, bytes }) => `${key} ${bytes}`));
  const { largest } = withoutNames(contents);
  const strangers = largest.filter(({ key, bytes }) => !live.has(`${key} ${bytes}`));
  const bbolts = { ...inOrder(judgement), strangers: [] };
  return { contents, ours: { ...inOrder(withoutNames(contents)), strangers }, bbolts };
}

/** The judge has no other names for kinds than the beginnings of their keys. */
function withoutNames({ kinds, largest, ...contents }: Contents) {
  return {
    ...contents,
    kinds: kinds.map(({ resource: _, writers: __, ...kind }) => kind),
    largest: largest.map(({ key, bytes }) => ({ key: key ?? 'unknown', bytes })),
  };
}

function inOrder({ kinds, largest, buckets, ...found }: ReturnType<typeof withoutNames> | Judgement) {
  return {
    ...found,
    kinds: kinds
      .map(({ namespaces, ...kind }) => ({
        ...kind,
        namespaces: namespaces.toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1)),
      }))
      .toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1)),
    largest: largest.slice(0, 10).map(({ bytes }) => bytes),
    buckets: buckets.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

describe.each(versions)('the contents of a database of etcd %s', (version) => {
  let plane: ControlPlane;
  let saved: string;

  beforeAll(async () => {
    // Batches so small that a compaction takes seconds.
    const batch = version.startsWith('3.7') ? '--compaction-batch-limit' : '--experimental-compaction-batch-limit';
    plane = await startControlPlane({ version, members: 1, tls: false, quotaBytes: 256 * MiB, flags: [`${batch}=20`] });
    saved = join(plane.directory, 'snapshot.db');
  });
  afterAll(() => plane?.stop());

  async function save(): Promise<string> {
    await plane.etcdctl(['snapshot', 'save', saved]);
    return saved;
  }

  it('are told where there is nothing in it yet', async () => {
    const { contents, ours, bbolts } = await bothOf(await save());

    expect(ours).toEqual(bbolts);
    expect(contents).toMatchObject({ kinds: [], total: { keys: 0 } });
  });

  it("are bbolt's byte for byte, with history, leases, deletions, encrypted and large values", async () => {
    await writeVariedKeys(plane);
    // As long as a revision, and looking like one.
    await plane.etcdctl(['user', 'add', '12345678_12345678:secret']);

    const { contents, ours, bbolts } = await bothOf(await save());

    expect(ours).toEqual(bbolts);
    expect(contents.bytes).toBe((await stat(saved)).size);
    expect(contents.rest.trailer).toBe(32);
    const of = (name: string) => contents.kinds.find(({ resource }) => resource === name);
    expect(of('secrets')).toMatchObject({ keys: 20, namespaces: [{ namespace: 'kube-system', keys: 20 }] });
    expect(of('vulnerabilityreports.aquasecurity.github.io')).toMatchObject({ keys: 40, revisions: 200 });
    expect(of('leases')).toMatchObject({ keys: 21, revisions: 220, tombstones: 20 });
    expect(of('events')).toMatchObject({ keys: 40, leased: 40 });
    expect(contents.largest[0]?.key).toBe('/registry/configmaps/default/of-1000000');
  });

  it('are those of the moment at which a snapshot was begun, whatever is written meanwhile', async () => {
    const writing = writeVariedKeys(plane);
    await wait(500);
    const { ours, bbolts } = await bothOf(await save());
    await writing;

    expect(ours).toEqual(bbolts);
    expect(await readContents(createReadStream(await save()))).not.toEqual(ours);
  });

  it('are told in a file of a member that was killed in the middle of a compaction', async () => {
    const [endpoint = ''] = plane.endpoints;
    const before = await readContents(createReadStream(await save()));

    const compaction = withMember(plane, endpoint, (client) =>
      client.kv.compact({ revision: before.revision, physical: true }, within(60_000)),
    ).catch(() => {});
    await wait(300);
    await plane.stopMember('cp-1', 'SIGKILL');
    await compaction;
    const { contents, ours, bbolts } = await bothOf(plane.member('cp-1').dbFile);
    plane.startMember('cp-1');

    expect(ours).toEqual(bbolts);
    expect(contents.rest).toMatchObject({ trailer: 0 });
    expect(contents.total.revisions).toBeGreaterThan(0);
    expect(contents.total.revisions).toBeLessThan(before.total.revisions);
  });

  it('are what is left after the compaction, and after a defragmentation', async () => {
    await plane.ready();
    const [endpoint = ''] = plane.endpoints;
    await withMember(plane, endpoint, (client) =>
      client.kv.put({ key: Buffer.from('x'), value: Buffer.from('x') }, within(10_000)),
    );
    // Its own word for it: the last deletions' remains go after the last revision that counts as history.
    await expect
      .poll(() => readFile(plane.member('cp-1').logFile, 'utf8'), { timeout: 60_000 })
      .toContain('finished scheduled compaction');
    const compacted = await bothOf(await save());
    await plane.etcdctl(['defrag']);
    const defragmented = await bothOf(await save());

    expect(compacted.ours).toEqual(compacted.bbolts);
    expect(compacted.contents.total.revisions).toBe(0);
    expect(compacted.contents.rest.freePages).toBeGreaterThan(2 * MiB);
    expect(defragmented.ours).toEqual(defragmented.bbolts);
    expect(defragmented.contents.total).toEqual(compacted.contents.total);
  });
});
