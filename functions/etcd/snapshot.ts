// A snapshot that proves itself: passes a member's stream on, and ends well only if the SHA-256 that it ends with is
// right.
import { createHash } from 'node:crypto';
import { EtcdMedicError } from '../contract/errors.ts';
import type { SnapshotChunk } from './types.ts';

/** The SHA-256 that etcd puts behind the database file. */
const TRAILER_BYTES = 32;

/** What came of a snapshot isn't what the member sent, or not all of it: it must not be kept. */
export class SnapshotCorruptError extends EtcdMedicError {
  override readonly name = 'SnapshotCorruptError';
}

/** The whole stream in order, its trailer included: exactly the file that `etcdctl snapshot save` writes. */
export interface VerifiedSnapshot extends AsyncIterable<Buffer> {
  /** Of the whole stream. Throws before the stream has come to its good end. */
  readonly summary: SnapshotSummary;
}

interface SnapshotSummary {
  /** Of the file, its trailer included. */
  readonly bytes: number;
  /** Hexadecimal, of the whole file; the trailer itself is that of the database alone. */
  readonly sha256: string;
}

/**
 * Passes the pieces on as they come, copies none, and is one behind: the trailer is only passed on once it has been
 * found right. Iterating throws what `source` throws, and SnapshotCorruptError where the file is shorter than announced
 * or the SHA-256 isn't that of the bytes before it.
 */
export function verifiedSnapshot(source: AsyncIterable<SnapshotChunk>): VerifiedSnapshot {
  let summary: SnapshotSummary | undefined;
  return {
    get summary() {
      if (summary === undefined) throw new Error('the snapshot has not come to its end');
      return summary;
    },
    async *[Symbol.asyncIterator]() {
      summary = yield* verify(source);
    },
  };
}

async function* verify(source: AsyncIterable<SnapshotChunk>): AsyncGenerator<Buffer, SnapshotSummary, void> {
  const hash = createHash('sha256');
  let announced: number | undefined;
  let passed = 0;
  let held: Buffer = Buffer.alloc(0);
  for await (const { bytes, remainingBytes } of source) {
    // With nothing to come, a first piece may have the trailer in it, and announces nothing.
    announced ??= remainingBytes === 0 ? 0 : bytes.length + remainingBytes;
    if (bytes.length < TRAILER_BYTES) {
      held = Buffer.concat([held, bytes]);
      continue;
    }
    if (held.length > 0) {
      hash.update(held);
      passed += held.length;
      yield held;
    }
    held = bytes;
  }
  const database = held.subarray(0, Math.max(0, held.length - TRAILER_BYTES));
  const trailer = held.subarray(database.length);
  const databaseBytes = passed + database.length;
  if (announced === undefined || trailer.length < TRAILER_BYTES || databaseBytes < announced) {
    throw new SnapshotCorruptError(
      `the snapshot was cut short: ${passed + held.length} bytes came, expected ${(announced ?? 0) + TRAILER_BYTES} or more`,
    );
  }
  hash.update(database);
  const actual = hash.copy().digest();
  if (!actual.equals(trailer)) {
    throw new SnapshotCorruptError(
      `the snapshot is damaged: its ${databaseBytes} bytes have the SHA-256 ${actual.toString('hex')}, the member says ${trailer.toString('hex')}. Look at that member's disk and memory`,
    );
  }
  yield held;
  return { bytes: databaseBytes + TRAILER_BYTES, sha256: hash.update(trailer).digest('hex') };
}
