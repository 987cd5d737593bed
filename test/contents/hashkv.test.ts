// The hash that is made of a file as it goes by, beside the one that the member itself has of its contents: HashKV.
import { createReadStream } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContentsReader } from '../../functions/contents/contents.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { verifiedSnapshot } from '../../functions/etcd/snapshot.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { versionsHere } from '../../lab/control-plane/etcd-versions.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { writeVariedKeys } from '../../lab/control-plane/varied-keys.ts';

const MiB = 1024 * 1024;
const CALL_MS = 60_000;

describe.each(await versionsHere(['3.4.23', '3.5.30', '3.6.16', '3.7.3']))("a file's hash, of etcd %s", (version) => {
  let plane: ControlPlane;
  let endpoint: string;

  beforeAll(async () => {
    // Batches so small that a compaction takes seconds.
    const batch = version.startsWith('3.7') ? '--compaction-batch-limit' : '--experimental-compaction-batch-limit';
    plane = await startControlPlane({ version, members: 1, tls: false, quotaBytes: 256 * MiB, flags: [`${batch}=20`] });
    endpoint = plane.endpoints[0] ?? '';
  });
  afterAll(() => plane?.stop());

  async function save(name: string): Promise<string> {
    const file = join(plane.directory, name);
    await plane.etcdctl(['snapshot', 'save', file]);
    return file;
  }

  async function readStream() {
    await using member = connectMember({ endpoint });
    return await told(verifiedSnapshot(member.snapshot()));
  }

  const read = (file: string) => told(createReadStream(file));

  async function told(pieces: AsyncIterable<Buffer>) {
    const reader = new ContentsReader();
    for await (const piece of pieces) reader.write(piece);
    const { revision, total } = reader.end();
    return { revision: BigInt(revision), total, hash: (compacted: bigint) => reader.hash(compacted) };
  }

  async function hashKv(revision: bigint) {
    await using member = connectMember({ endpoint });
    const answer = await member.contentHash(revision);
    // Not one that it remembers.
    expect(await member.canReadAt(revision - 1n)).toBe(true);
    return answer;
  }

  const change = async (key: string, value?: string) =>
    withMember(plane, endpoint, async (client) => {
      const request = { key: Buffer.from(key) };
      const { header } = await (value === undefined
        ? client.kv.deleteRange(request, within(CALL_MS))
        : client.kv.put({ ...request, value: Buffer.from(value) }, within(CALL_MS)));
      return BigInt(header.revision);
    });

  const compact = async (revision: bigint) =>
    withMember(plane, endpoint, (client) =>
      client.kv.compact({ revision: `${revision}`, physical: true }, within(CALL_MS)),
    );

  it('is HashKV where there is nothing in it, and of a single key', async () => {
    const empty = await read(await save('empty.db'));
    const atFirst = await hashKv(1n);
    await change('/registry/pods/default/one', 'x');
    const single = await read(await save('single.db'));
    const answer = await hashKv(single.revision);

    expect(atFirst.compactRevision).toBe(-1n);
    expect(empty.hash(-1n)).toBe(atFirst.hash);
    expect(single.hash(-1n)).toBe(answer.hash);
  });

  it('is HashKV with history, tombstones, leases and large values, of what was never compacted', async () => {
    await writeVariedKeys(plane);
    const file = await read(await save('varied.db'));

    const { hash, compactRevision } = await hashKv(file.revision);

    expect(file.total.revisions).toBeGreaterThan(100);
    expect(file.total.tombstones).toBeGreaterThan(10);
    expect(file.total.leased).toBeGreaterThan(10);
    expect(compactRevision).toBe(-1n);
    expect(file.hash(compactRevision)).toBe(hash);
  });

  it('is HashKV for whatever was compacted since, also to the revision of a deletion', async () => {
    await change('/registry/pods/default/gone', 'x');
    const [before, deleted] = [
      await change('/registry/pods/default/other', 'y'),
      await change('/registry/pods/default/gone'),
    ];
    await change('/registry/pods/default/other', 'z');
    const file = await read(await save('history.db'));
    const told: (string | undefined)[] = [];
    const answers: string[] = [];

    for (const revision of [before - 500n, before - 77n, before, deleted]) {
      await compact(revision);
      const { hash, compactRevision } = await hashKv(file.revision);
      expect(compactRevision).toBe(revision);
      told.push(file.hash(compactRevision));
      answers.push(hash);
    }

    expect(told).toEqual(answers);
    expect(new Set(answers).size).toBeGreaterThan(3);
  });

  it('is HashKV of a file that is compacted, and after a defragmentation', async () => {
    const compacted = await read(await save('compacted.db'));
    const { hash, compactRevision } = await hashKv(compacted.revision);
    await plane.etcdctl(['defrag']);
    const defragmented = await read(await save('defragmented.db'));

    expect(compacted.hash(compactRevision)).toBe(hash);
    expect(defragmented.hash(compactRevision)).toBe(hash);
    expect((await hashKv(defragmented.revision)).hash).toBe(hash);
  });

  it('is HashKV in the middle of a compaction, and of a member that was killed in it', async () => {
    for (let attempt = 1; ; attempt++) {
      await writeVariedKeys(plane);
      await change('/registry/pods/default/other', `last ${attempt}`);
      const { revision } = await read(await save('before.db'));
      const compaction = compact(revision - 3n).catch(() => {});
      await wait(200 / attempt);
      const [middle, answer] = await Promise.all([readStream(), hashKv(revision)]);
      await plane.stopMember('cp-1', 'SIGKILL');
      await compaction;
      const copy = join(plane.directory, 'killed.db');
      await copyFile(plane.member('cp-1').dbFile, copy);
      const killed = await read(copy);
      plane.startMember('cp-1');
      await plane.ready();
      const afterwards = await hashKv(revision);

      expect(answer.compactRevision).toBe(revision - 3n);
      expect(afterwards).toEqual(answer);
      expect(middle.hash(answer.compactRevision)).toBe(answer.hash);
      expect(killed.hash(answer.compactRevision)).toBe(answer.hash);
      // Some of what is compacted is still there: on a busy machine it may be through before it is killed.
      if (killed.total.revisions > 10) break;
      expect(attempt).toBeLessThan(5);
    }
  });

  it('is not told where no key is left, since etcd then hashes what its compaction has not come to', async () => {
    await withMember(plane, endpoint, (client) =>
      client.kv.deleteRange({ key: Buffer.from('\0'), range_end: Buffer.from('\0') }, within(CALL_MS)),
    );
    const last = await change('/registry/pods/default/again', 'x');
    await change('/registry/pods/default/again');
    const file = await read(await save('nothing-left.db'));

    expect(file.total.keys).toBe(0);
    expect(file.hash(last - 1n)).toBeUndefined();
    expect(file.hash(-1n)).toMatch(/^[0-9a-f]{8}$/);
  });

  it('has had its compactions finished', async () => {
    const log = await readFile(plane.member('cp-1').logFile, 'utf8');

    expect(log.match(/finished scheduled compaction/g)?.length).toBeGreaterThan(3);
  });
});
