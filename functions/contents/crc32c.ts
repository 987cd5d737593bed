// CRC-32C (Castagnoli), which etcd hashes its contents by. Node has only the CRC-32 of zip files, and a table in
// JavaScript takes four times as long as this: 16 bytes at a time ("slicing by 16"), in WebAssembly that is put
// together here. A register is what stands between the bytes, without the inversion at the beginning and at the end.

/** Reflected. */
const POLYNOMIAL = 0x82f63b78;
const SLICE = 16;
const TABLE_BYTES = 256 * 4;
/** Where bytes are put to be read; before it are the tables. */
const INPUT = SLICE * TABLE_BYTES;
const WASM_PAGE = 64 * 1024;
const MOST_INPUT = 2 * WASM_PAGE - INPUT;

/** Of each byte followed by so many zero bytes, what it makes of the register. */
function makeTables(): readonly Uint32Array[] {
  const tables = [Uint32Array.from({ length: 256 }, (_, byte) => shiftBits(byte, 8))];
  for (let zeros = 1; zeros < SLICE; zeros++) {
    const before = tables[zeros - 1] ?? new Uint32Array();
    tables.push(before.map((register) => shiftBits(register, 8)));
  }
  return tables;
}

/** By zero bits. */
function shiftBits(register: number, bits: number): number {
  let shifted = register;
  for (let bit = 0; bit < bits; bit++) shifted = (shifted >>> 1) ^ (shifted & 1 ? POLYNOMIAL : 0);
  return shifted >>> 0;
}

type Update = (at: number, end: number, register: number) => number;

/** What of it is needed; the types of Node have no more than its names. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

let loaded: { readonly memory: Buffer; readonly update: Update } | undefined;

/** @returns the register behind these bytes */
export function updateCrc(register: number, bytes: Buffer, start: number, end: number): number {
  loaded ??= load();
  const { memory, update } = loaded;
  let updated = register;
  for (let at = start; at < end; at += MOST_INPUT) {
    const copied = bytes.copy(memory, INPUT, at, Math.min(end, at + MOST_INPUT));
    updated = update(INPUT, INPUT + copied, updated);
  }
  return updated >>> 0;
}

/** By so many bytes of zeros. */
export function shiftCrc(register: number, bytes: number): number {
  let shifted = register;
  for (let rest = bytes, place = 0; rest > 0; rest = Math.floor(rest / 256), place++) {
    const digit = rest % 256;
    if (digit > 0) shifted = multiply(shifted, powerOf(place, digit));
  }
  return shifted;
}

/** x to the power of 8, 8 × 256, 8 × 256², … times a digit: made when it is first needed. */
const POWERS: Uint32Array[] = [];

function powerOf(place: number, digit: number): number {
  for (let made = POWERS.length; made <= place; made++) {
    // x⁸, or the one before it to the power of 256.
    const [before] = POWERS.slice(-1);
    const unit = before === undefined ? shiftBits(ONE, 8) : multiply(before[255] ?? 0, before[1] ?? 0);
    const powers = new Uint32Array(256).fill(ONE, 0, 1);
    for (let power = 1; power < 256; power++) powers[power] = multiply(powers[power - 1] ?? 0, unit);
    POWERS.push(powers);
  }
  return POWERS[place]?.[digit] ?? 0;
}

/** Its highest bit is the lowest power of x. */
const ONE = 0x8000_0000;

/** Of two polynomials, modulo the CRC's own. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bits = a | 0; bits !== 0; bits <<= 1) {
    if (bits < 0) product ^= shifted;
    shifted = (shifted >>> 1) ^ (shifted & 1 ? POLYNOMIAL : 0);
  }
  return product >>> 0;
}

function load(): { readonly memory: Buffer; readonly update: Update } {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()));
  const { memory, update } = exports;
  const buffer = typeof memory === 'object' && memory !== null && 'buffer' in memory ? memory.buffer : undefined;
  if (!(buffer instanceof ArrayBuffer) || typeof update !== 'function')
    throw new TypeError('not what was put together');
  const bytes = Buffer.from(buffer);
  for (const [index, table] of makeTables().entries()) bytes.set(Buffer.from(table.buffer), index * TABLE_BYTES);
  return { memory: bytes, update: (at, end, register) => Number(update(at, end, register)) };
}

// What follows writes the module in WebAssembly's binary format (webassembly.github.io/spec/core/binary): one function
// with the parameters of `Update`, and two local 64-bit words.
const [AT, END, REGISTER, FIRST_WORD, SECOND_WORD] = [0, 1, 2, 3, 4];
const [I32, I64, NOTHING] = [0x7f, 0x7e, 0x40];

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const name = (text: string) => [text.length, ...Buffer.from(text)];
  const code = [1, 2, I64, ...slices(), ...bytesLeft(), ...get(REGISTER), 0x0b];
  return Uint8Array.from([
    ...Buffer.from('\0asm'),
    ...[1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, I32, I32, I32, 1, I32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, (INPUT + MOST_INPUT) / WASM_PAGE]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('update'), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}

/** While there are 16 bytes: each is looked up in the table of as many zeros as follow it. */
function slices(): readonly number[] {
  const words = [
    ...[...get(REGISTER), 0xad, ...get(AT), 0x29, 0, 0, 0x85, ...set(FIRST_WORD)], // extended, xor the first 8 bytes
    ...[...get(AT), 0x29, 0, 8, ...set(SECOND_WORD)],
  ];
  const lookups = Array.from({ length: SLICE }, (_, index) => {
    const word = index < 8 ? FIRST_WORD : SECOND_WORD;
    const isFirst = index === 0;
    return [...lookUp(word, index % 8, SLICE - 1 - index), ...(isFirst ? [] : [0x73])];
  });
  return [
    ...[0x02, NOTHING, 0x03, NOTHING],
    ...[...get(AT), ...constant(SLICE), 0x6a, ...get(END), 0x4b, 0x0d, 1], // at + 16 > end: leave
    ...words,
    ...lookups.flat(),
    ...set(REGISTER),
    ...[...get(AT), ...constant(SLICE), 0x6a, ...set(AT), 0x0c, 0],
    ...[0x0b, 0x0b],
  ];
}

/** One by one. */
function bytesLeft(): readonly number[] {
  return [
    ...[0x02, NOTHING, 0x03, NOTHING],
    ...[...get(AT), ...get(END), 0x4f, 0x0d, 1], // at >= end: leave
    ...[...get(REGISTER), ...get(AT), 0x2d, 0, 0, 0x73, ...constant(255), 0x71, ...constant(2), 0x74, 0x28, 2, 0],
    ...[...get(REGISTER), ...constant(8), 0x76, 0x73, ...set(REGISTER)],
    ...[...get(AT), ...constant(1), 0x6a, ...set(AT), 0x0c, 0],
    ...[0x0b, 0x0b],
  ];
}

/** A word's byte, times the four bytes of an entry, in a table. */
function lookUp(word: number, byte: number, table: number): readonly number[] {
  const low = [...get(word), 0xa7, ...constant(255), 0x71, ...constant(2), 0x74];
  const high = [...get(word), 0x42, ...signed(8 * byte - 2), 0x88, 0xa7, ...constant(255 * 4), 0x71];
  return [...(byte === 0 ? low : high), 0x28, 2, ...unsigned(table * TABLE_BYTES)];
}

function get(local: number): readonly number[] {
  return [0x20, local];
}

function set(local: number): readonly number[] {
  return [0x21, local];
}

function constant(value: number): readonly number[] {
  return [0x41, ...signed(value)];
}

function section(id: number, content: readonly number[]): readonly number[] {
  return [id, ...unsigned(content.length), ...content];
}

/** LEB128. */
function unsigned(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** LEB128 of what is not negative: its seventh bit says so. */
function signed(value: number): readonly number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >>> 7)];
}
