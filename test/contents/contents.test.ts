import { describe, expect, it } from 'vitest';
import { readContents } from '../../functions/contents/contents.ts';
import { inPieces, smallSnapshot } from './small.ts';

const PAGE = 4096;
const file = smallSnapshot();
const read = (bytes: Buffer, pieceBytes = 32 * 1024) => readContents(inPieces(bytes, pieceBytes));
/** Where what nobody has touched is: the value of a Widget, in a page of its own. */
const insideWidget = Math.ceil(file.indexOf('w'.repeat(9_000)) / PAGE) * PAGE;

/** A name, then what is before the value: key, three numbers (of so many bytes) and the value's length. */
const element = (key: string, numbers: number, value: number, lengthBytes: number) =>
  17 + (2 + key.length) + (3 + numbers) + (1 + lengthBytes + value);

describe('the contents of a database', () => {
  it('are what was written into it: counted by hand', async () => {
    const { total, kinds, largest, revision } = await read(file);

    // Created, changed and counted by numbers below 128, of a byte each; Widgets later, by two numbers of two.
    const map = element('/registry/configmaps/a/map-0', 3, 3_000, 2);
    const widget = element('/registry/example.com/widgets/b/widget-0', 5, 20_000, 3);
    // An empty store is at 1.
    expect(revision).toBe(String(1 + 120 + 1 + 5 + 20 + 10 + 200 + 3 + 1));
    expect(total).toMatchObject({ keys: 30 + 1 + 5 + 10 + 200 + 3, leased: 200, tombstones: 10 });
    const counts = kinds.map(({ resource, keys, revisions, tombstones }) => [resource, keys, revisions, tombstones]);
    expect(counts).toEqual([
      // Of four rounds the first one was compacted away, and with it all but the newest before compact_rev_key.
      ['configmaps', 30, 60, 0],
      ['widgets.example.com', 3, 0, 0],
      ['events', 200, 0, 0],
      ['leases', 10, 10, 10],
      ['nodes', 5, 1, 0],
      ['other keys', 1, 0, 0],
    ]);
    expect(kinds[0]).toMatchObject({ prefix: '/registry/configmaps/', liveBytes: 30 * map });
    expect(kinds[0]?.namespaces.map(({ namespace, keys }) => [namespace, keys])).toEqual([
      ['a', 10],
      ['b', 10],
      ['c', 10],
    ]);
    expect(largest.slice(0, 3).map(({ bytes }) => bytes)).toEqual([widget, widget, widget]);
  });

  it('add up to the file, whatever its bytes are', async () => {
    const { bytes, total, buckets, rest } = await read(file);

    const data = total.liveBytes + total.historyBytes + total.tombstoneBytes;
    const others = buckets.reduce((sum, bucket) => sum + bucket.bytes, 0);
    expect(bytes).toBe(file.length);
    expect(data + others + Object.values(rest).reduce((a, b) => a + b, 0)).toBe(file.length);
    expect(rest).toMatchObject({ metaPages: 2 * PAGE, trailer: 32, unused: 0, freelistPages: 0 });
  });

  it.each([13, 61, 1_000, PAGE, 32 * 1024, 10_000_000])('are the same in pieces of %d bytes', async (pieceBytes) => {
    expect(await read(file, pieceBytes)).toEqual(await read(file));
  });

  it("are told without a snapshot's trailer, and with the room behind the last page that a member's file has", async () => {
    const withTrailer = await read(file);
    const database = file.subarray(0, -32);

    const bare = await read(database);
    const grown = await read(Buffer.concat([database, Buffer.alloc(16 * PAGE)]));

    expect(bare).toEqual({ ...withTrailer, bytes: database.length, rest: { ...withTrailer.rest, trailer: 0 } });
    expect(grown.rest).toMatchObject({ trailer: 0, unused: 16 * PAGE });
    expect(grown.kinds).toEqual(bare.kinds);
  });

  it('are told from the second meta page where the first is damaged, as bbolt does it', async () => {
    const damaged = Buffer.from(file);
    damaged[40] = 0xff;

    expect(await read(damaged)).toEqual(await read(file));
  });

  it.each([
    ['a page of their own', [2, 0], 20, 0],
    ['a leaf that goes on to the end of all files', [2, 0], 4, 0xffff_ffff],
    ['a leaf with more elements than a page has room for', [2, 0], 0xffff, 1000],
    ['a branch', [1, 0], 3, 0],
    ['a freelist', [16, 0], 3, 9],
  ])('take no value for a page, though it looks like %s', async (_name, flags, count, overflow) => {
    const disguised = Buffer.from(file);
    disguised.writeBigUInt64LE(BigInt(insideWidget / PAGE), insideWidget);
    disguised.set(flags, insideWidget + 8);
    disguised.writeUInt16LE(count, insideWidget + 10);
    disguised.writeUInt32LE(overflow, insideWidget + 12);

    expect(await read(disguised)).toEqual(await read(file));
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'no valid meta page in the first 0 bytes'],
    ['a text', Buffer.from('no database'), 'no valid meta page'],
    ['much of something else', Buffer.alloc(300_000, 7), 'no valid meta page'],
    [
      'a file that is cut short',
      file.subarray(0, 20 * PAGE),
      'cut short: found 81920 bytes, expected 155 pages of 4096',
    ],
    ['more behind it than a SHA-256', Buffer.concat([file, Buffer.alloc(1)]), '33 bytes behind the last page'],
  ])('are refused of %s', async (_name, bytes, words) => {
    await expect(read(bytes)).rejects.toMatchObject({
      name: 'ContentsError',
      message: expect.stringContaining(words),
    });
  });
});
