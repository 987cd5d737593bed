import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SnapshotCorruptError, type VerifiedSnapshot, verifiedSnapshot } from '../../functions/etcd/snapshot.ts';
import type { SnapshotChunk } from '../../functions/etcd/types.ts';
import { rejection } from '../etcd/material.ts';

const database = randomBytes(100_000);
const trailer = createHash('sha256').update(database).digest();
const file = Buffer.concat([database, trailer]);

/** The pieces of a stream as a member announces them. */
async function* stream(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<SnapshotChunk, void, void> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + (sizes[i % sizes.length] ?? 1));
    yield { bytes: bytes.subarray(at, end), remainingBytes: Math.max(0, database.length - end) };
    at = end;
  }
}

async function read(snapshot: VerifiedSnapshot): Promise<{ bytes: Buffer; error: unknown }> {
  const pieces: Buffer[] = [];
  let error: unknown;
  try {
    for await (const piece of snapshot) pieces.push(piece);
  } catch (caught) {
    error = caught;
  }
  return { bytes: Buffer.concat(pieces), error };
}

describe('R13: verifiedSnapshot', () => {
  it.each<[string, readonly number[]]>([
    ['as etcd cuts it, the trailer by itself', [32_768, 32_768, 32_768, 1_696, 32]],
    ['in one piece', [file.length]],
    ['with the trailer behind the last bytes', [50_000, file.length]],
    ['with a piece that ends in the middle of the trailer', [database.length + 7]],
    ['in small pieces', [33, 40]],
    ['in pieces smaller than the trailer', [31]],
    ['with a large piece behind a small one', [5, 40_000, 3, 12]],
  ])('passes on every byte of a stream that comes %s', async (_, sizes) => {
    const snapshot = verifiedSnapshot(stream(file, sizes));

    const { bytes, error } = await read(snapshot);

    expect(error).toBeUndefined();
    expect(bytes.equals(file)).toBe(true);
    expect(snapshot.summary).toEqual({
      bytes: file.length,
      sha256: createHash('sha256').update(file).digest('hex'),
    });
  });

  it.each<[string, number]>([
    ['at its beginning', 0],
    ['in the middle', 50_000],
    ['in the last one before the trailer', database.length - 1],
    ['in the trailer', file.length - 1],
  ])('refuses a stream with one wrong bit %s, and keeps the trailer back', async (_, at) => {
    const damaged = Buffer.from(file);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    const snapshot = verifiedSnapshot(stream(damaged, [32_768]));

    const { bytes, error } = await read(snapshot);

    expect(error).toBeInstanceOf(SnapshotCorruptError);
    expect(String(error)).toContain('the snapshot is damaged');
    expect(bytes.length).toBeLessThan(file.length);
    expect(() => snapshot.summary).toThrow('has not come to its end');
  });

  it.each<[string, Buffer]>([
    ['without its trailer', database],
    ['with half a trailer', file.subarray(0, -16)],
    ['in the middle', file.subarray(0, 40_000)],
    ['before its first byte', Buffer.alloc(0)],
  ])('refuses a stream that ends %s', async (_, cut) => {
    const { error } = await read(verifiedSnapshot(stream(cut, [32_768])));

    expect(error).toBeInstanceOf(SnapshotCorruptError);
  });

  it('refuses a stream that is shorter than announced, even if its SHA-256 is right', async () => {
    async function* shorter(): AsyncGenerator<SnapshotChunk, void, void> {
      yield { bytes: file, remainingBytes: 4096 };
    }

    const { error } = await read(verifiedSnapshot(shorter()));

    expect(String(error)).toContain('the snapshot was cut short: 100032 bytes came');
  });

  it("throws the member's own error as it is", async () => {
    const broken = new Error('the connection broke');
    async function* breaking(): AsyncGenerator<SnapshotChunk, void, void> {
      yield* stream(file.subarray(0, 40_000), [10_000]);
      throw broken;
    }

    const { error } = await read(verifiedSnapshot(breaking()));

    expect(error).toBe(broken);
  });

  it('ends the stream when nobody wants more of it', async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<SnapshotChunk, void, void> {
      try {
        for (;;) yield { bytes: database, remainingBytes: 1 };
      } finally {
        ended = true;
      }
    }

    for await (const _ of verifiedSnapshot(endless())) break;

    expect(ended).toBe(true);
  });

  it('has no summary before its end', async () => {
    const snapshot = verifiedSnapshot(stream(file, [1_000]));

    const error = await rejection((async () => snapshot.summary)());

    expect(error.message).toContain('has not come to its end');
  });
});
