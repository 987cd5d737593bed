import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { shiftCrc, updateCrc } from '../../functions/contents/crc32c.ts';

const START = 0xffff_ffff;
const crc = (bytes: Buffer) => (updateCrc(START, bytes, 0, bytes.length) ^ START) >>> 0;

/** Bit by bit, as its definition has it. */
function bitByBit(bytes: Buffer): number {
  let register = START;
  for (const byte of bytes) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? 0x82f63b78 : 0);
  }
  return (register ^ START) >>> 0;
}

describe('CRC-32C', () => {
  it.each([
    // RFC 3720, B.4.
    ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
    ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
    ['31 to 0', Buffer.from(Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c],
    ['the usual digits', Buffer.from('123456789'), 0xe3069283],
    ['nothing', Buffer.alloc(0), 0],
  ])('is what is published, of %s', (_name, bytes, expected) => {
    expect(crc(bytes)).toBe(expected);
  });

  it('is the same bit by bit, for any length, at any place', () => {
    for (let length = 0; length < 200; length++) {
      const bytes = randomBytes(length);
      expect(crc(bytes)).toBe(bitByBit(bytes));
    }
    const large = randomBytes(400_003);
    expect(crc(large)).toBe(bitByBit(large));
    expect((updateCrc(START, large, 77, 300_000) ^ START) >>> 0).toBe(bitByBit(large.subarray(77, 300_000)));
  });

  it('is put together from pieces, whatever their lengths', () => {
    for (const cut of [0, 1, 16, 255, 256, 257, 65_535, 65_536, 65_537, 70_000]) {
      const bytes = randomBytes(70_000);
      const behind = updateCrc(0, bytes, cut, bytes.length);

      const whole = shiftCrc(updateCrc(START, bytes, 0, cut), bytes.length - cut) ^ behind;

      expect((whole ^ START) >>> 0).toBe(crc(bytes));
    }
    const zeros = Buffer.alloc(20_000_000);
    expect(shiftCrc(12_345, zeros.length)).toBe(updateCrc(12_345, zeros, 0, zeros.length));
  });
});
