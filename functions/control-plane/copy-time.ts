// How long a snapshot takes: what is known before it starts, and what its first seconds tell. Pure, but for the clock.
import type { KeptContents } from '../contract/contents.ts';
import { EtcdMedicError } from '../contract/errors.ts';
import { formatBytes } from '../contract/report.ts';

const MiB = 1024 * 1024;

/** Of a smaller copy most of the time goes into everything but its bytes. */
const MEASURABLE_BYTES = 16 * MiB;
/** The way to S3 of some weeks ago says little of today's. */
const COPIES_LOOKED_AT = 5;

/** Slower than any way to S3 that was seen, so that an invocation is not cut off in the middle. */
const CAUTIOUS_BYTES_PER_MS = 8_000;

/** From then on the rate says more than how much fits into buffers. */
const TELLING_AFTER_MS = 30_000;
/** The rest may be faster. */
const DOUBT = 1.25;

/** A snapshot would not be through in the time that there is, by what was measured of it. */
export class SnapshotTooSlowError extends EtcdMedicError {
  override readonly name = 'SnapshotTooSlowError';
}

/** What of an invocation a copy is given before it is begun, in milliseconds; all of it where it may be large. */
export function copyNeedsMs(fileBytes: number, mostMs: number): number {
  return Math.min(mostMs, fileBytes / CAUTIOUS_BYTES_PER_MS);
}

/**
 * @param nights earlier copies, newest first
 * @returns why a copy of so many bytes will not be through in `withinMs`: not even at the rate of the fastest of the
 *   last ones. Undefined where it may be, or nobody knows
 */
export function willNotFit(
  fileBytes: number,
  withinMs: number,
  nights: readonly Pick<KeptContents, 'bytes' | 'tookMs'>[],
): string | undefined {
  const rates = nights
    .slice(0, COPIES_LOOKED_AT)
    .flatMap(({ bytes, tookMs = 0 }) => (bytes >= MEASURABLE_BYTES && tookMs > 0 ? [bytes / tookMs] : []));
  if (rates.length === 0) return undefined;
  const bytesPerMs = Math.max(...rates);
  if (fileBytes / bytesPerMs <= withinMs) return undefined;
  return `${tooSlow(fileBytes, bytesPerMs, withinMs)} (the fastest of the last ${rates.length} copies)`;
}

/**
 * Passes the pieces on as they come.
 * @param fileBytes about how many bytes they are
 * @throws SnapshotTooSlowError where their rate says that they will take far longer than `withinMs`
 */
export async function* inTime(
  pieces: AsyncIterable<Buffer>,
  fileBytes: number,
  withinMs: number,
  tellingAfterMs = TELLING_AFTER_MS,
): AsyncGenerator<Buffer> {
  const beganMs = performance.now();
  let passed = 0;
  for await (const piece of pieces) {
    yield piece;
    passed += piece.length;
    const tookMs = performance.now() - beganMs;
    if (tookMs < tellingAfterMs || fileBytes * tookMs <= passed * withinMs * DOUBT) continue;
    throw new SnapshotTooSlowError(
      `the copy was given up after ${Math.round(tookMs / 1000)} s: ${tooSlow(fileBytes, passed / tookMs, withinMs)}`,
    );
  }
}

function tooSlow(fileBytes: number, bytesPerMs: number, withinMs: number): string {
  const minutes = (ms: number) => Math.ceil(ms / 60_000);
  const rate = `${formatBytes(bytesPerMs * 1000)} a second`;
  return `${formatBytes(fileBytes)} take ${minutes(fileBytes / bytesPerMs)} min at ${rate}, and there are ${minutes(withinMs)}`;
}
