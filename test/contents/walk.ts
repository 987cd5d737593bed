// bbolt's pages at random, from the root on: another way through a file than the one that is tested.

const HEADER = 16;

/** Names and values of a bucket in the root, one behind the other in their order. Throws where there is none. */
export function elementsOf(file: Buffer, bucket: string): Buffer {
  const pageSize = [0, 4096]
    .map((at) => at + HEADER)
    .filter((at) => file.readUInt32LE(at) === 0xed0cdaed && isWhole(file, at));
  const metas = pageSize.map((at) => ({
    root: Number(file.readBigUInt64LE(at + 16)),
    transaction: file.readBigUInt64LE(at + 48),
  }));
  const [newest] = metas.sort((a, b) => Number(b.transaction - a.transaction));
  if (newest === undefined) throw new Error('no meta page');
  for (const [name, value] of leaves(file, newest.root)) {
    if (name.toString() !== bucket) continue;
    const root = Number(value.readBigUInt64LE(0));
    const found = root === 0 ? elements(value.subarray(HEADER)) : leaves(file, root);
    return Buffer.concat([...found].flat());
  }
  throw new Error(`no bucket ${bucket}`);
}

function isWhole(file: Buffer, at: number): boolean {
  let hash = 0xcbf29ce484222325n;
  for (const byte of file.subarray(at, at + 56))
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffff_ffff_ffff_ffffn;
  return hash === file.readBigUInt64LE(at + 56);
}

function* leaves(file: Buffer, page: number): Generator<readonly [Buffer, Buffer]> {
  const bytes = file.subarray(page * 4096);
  if (bytes.readUInt16LE(8) === 1) {
    for (let index = 0; index < bytes.readUInt16LE(10); index++) {
      yield* leaves(file, Number(bytes.readBigUInt64LE(HEADER + index * HEADER + 8)));
    }
  } else if (bytes.readUInt16LE(8) === 2) {
    yield* elements(bytes);
  } else {
    throw new Error(`page ${page} is neither`);
  }
}

function* elements(page: Buffer): Generator<readonly [Buffer, Buffer]> {
  for (let index = 0; index < page.readUInt16LE(10); index++) {
    const header = HEADER + index * HEADER;
    const name = header + page.readUInt32LE(header + 4);
    const value = name + page.readUInt32LE(header + 8);
    yield [page.subarray(name, value), page.subarray(value, value + page.readUInt32LE(header + 12))];
  }
}
