// Two independent hashes of 32 bits of a piece of a buffer (MurmurHash3's, with other constants for the second): keys
// are told apart by them, so that no key has to be kept.
import { randomBytes } from 'node:crypto';

/** Other ones in each process, so that nobody can choose keys that look alike. */
const SEEDS = randomBytes(8);
const LOW_SEED = SEEDS.readInt32LE(0);
const HIGH_SEED = SEEDS.readInt32LE(4);

/** Of the last call: an object each would be one for each revision of a database. */
export const hash = { low: 0, high: 0 };

export function hashOf(bytes: Buffer, start: number, end: number): void {
  let low = LOW_SEED;
  let high = HIGH_SEED;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
    low = mix(low, word, 0xcc9e2d51, 0x1b873593);
    high = mix(high, word, 0x239b961b, 0xab0e9789);
  }
  let rest = end - at;
  for (; at < end; at++) rest = (rest << 8) | (bytes[at] ?? 0);
  low = mix(low, rest, 0xcc9e2d51, 0x1b873593);
  high = mix(high, rest, 0x239b961b, 0xab0e9789);
  hash.low = finish(low ^ (end - start));
  hash.high = finish(high ^ (end - start));
}

/** Both in one number that JavaScript counts exactly: 53 of the 64 bits. */
export function asNumber(low: number, high: number): number {
  return (high & 0x1fffff) * 0x1_0000_0000 + low;
}

function mix(before: number, word: number, first: number, second: number): number {
  let k = Math.imul(word, first);
  k = Math.imul((k << 15) | (k >>> 17), second);
  const h = before ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(before: number): number {
  let h = Math.imul(before ^ (before >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
