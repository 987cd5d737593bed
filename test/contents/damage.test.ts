// A thousand files with damage of a known seed: what can't be walked is told, what can is told rightly, and neither
// takes long.
import { describe, expect, it } from 'vitest';
import { ContentsError } from '../../functions/contents/bolt.ts';
import { ContentsReader, readContents } from '../../functions/contents/contents.ts';
import type { Contents } from '../../functions/contents/types.ts';
import { inPieces, smallSnapshot } from './small.ts';
import { elementsOf } from './walk.ts';

const PAGE = 4096;
const file = smallSnapshot();

/** Marsaglia's xorshift: the same numbers everywhere. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const DAMAGES: Readonly<Record<string, (below: (most: number) => number) => Buffer>> = {
  'a flipped byte': (below) => {
    const damaged = Buffer.from(file);
    const at = below(file.length);
    damaged[at] = (damaged[at] ?? 0) ^ (1 + below(255));
    return damaged;
  },
  // Where most of the structure is.
  'a flipped byte of headers': (below) => {
    const damaged = Buffer.from(file);
    const at = below(file.length / PAGE - 1) * PAGE + below(128);
    damaged[at] = (damaged[at] ?? 0) ^ (1 + below(255));
    return damaged;
  },
  'a cut': (below) => file.subarray(0, below(file.length)),
  'pages swapped': (below) => {
    const damaged = Buffer.from(file);
    const [one, other] = [below(file.length / PAGE - 1) * PAGE, below(file.length / PAGE - 1) * PAGE];
    file.copy(damaged, one, other, other + PAGE);
    file.copy(damaged, other, one, one + PAGE);
    return damaged;
  },
};

/** What no flipped letter of a name changes. */
function sumsOf({ bytes, total, buckets, rest }: Contents) {
  const { liveBytes, historyBytes, tombstoneBytes, keys, revisions, tombstones } = total;
  const others = buckets.filter(({ name }) => name !== 'key');
  return {
    bytes,
    rest,
    data: liveBytes + historyBytes + tombstoneBytes + others.reduce((sum, bucket) => sum + bucket.bytes, 0),
    elements: keys + revisions + tombstones + others.reduce((sum, bucket) => sum + bucket.keys, 0),
  };
}

describe.each(Object.entries(DAMAGES))('files with %s', (_name, damage) => {
  it('are refused in words, or told rightly: 250 of them', async () => {
    const whole = await readContents(inPieces(file, 32 * 1024));
    const below = numbersFrom(20_261_130);
    let refused = 0;
    for (let turn = 0; turn < 250; turn++) {
      const damaged = damage(below);
      try {
        const contents = await readContents(inPieces(damaged, 32 * 1024));
        // A cut may leave out no more than the trailer.
        const trailer = { ...whole.rest, trailer: contents.rest.trailer };
        const expected = { ...whole, bytes: damaged.length, rest: trailer };
        expect(sumsOf(contents)).toEqual(sumsOf(expected));
      } catch (error) {
        expect(error).toBeInstanceOf(ContentsError);
        expect(error).toHaveProperty('message', expect.stringMatching(/found|page \d+/));
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
  });
});

/** A byte at a time, and nothing of the code's own. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let register = byte;
  for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? 0x82f63b78 : 0);
  return register;
});

function crc32c(bytes: Buffer): string {
  let register = 0xffff_ffff;
  for (const byte of bytes) register = (register >>> 8) ^ (TABLE[(register ^ byte) & 0xff] ?? 0);
  return (~register >>> 0).toString(16).padStart(8, '0');
}

describe.each(Object.entries(DAMAGES))('the hash of files with %s', (name, damage) => {
  it('is that of what is really in it, or there is none: 150 of them', () => {
    const below = numbersFrom(20_261_201);
    const found = { refused: 0, asBefore: 0, another: 0 };
    const before = crc32c(Buffer.concat([Buffer.from('key'), elementsOf(file, 'key')]));
    for (let turn = 0; turn < 150; turn++) {
      const damaged = damage(below);
      const reader = new ContentsReader();
      try {
        for (let at = 0; at < damaged.length; at += 32 * 1024) reader.write(damaged.subarray(at, at + 32 * 1024));
        reader.end();
      } catch {
        expect(reader.hash(-1n)).toBeUndefined();
        found.refused++;
        continue;
      }
      const expected = crc32c(Buffer.concat([Buffer.from('key'), elementsOf(damaged, 'key')]));
      expect(reader.hash(-1n)).toBe(expected);
      if (expected === before) found.asBefore++;
      else found.another++;
    }
    expect(found.refused).toBeGreaterThan(0);
    if (name !== 'a cut') expect(found.asBefore).toBeGreaterThan(0);
  });
});
