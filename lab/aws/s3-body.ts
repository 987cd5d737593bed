// The body of a request to S3 as the service takes it in: `aws-chunked` framing taken off, and every checksum that came
// with it held against the bytes, while they go by.
import { createHash, type Hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { crc32 } from 'node:zlib';
import { Refusal, type RefusalCode } from './s3-wire.ts';

export interface ReceivedBody {
  readonly bytes: number;
  /** The checksum headers that the answer repeats. */
  readonly checksums: Readonly<Record<string, string>>;
}

/**
 * Yields the payload; at its end the checksums were right.
 * @throws Refusal
 */
export async function* receiveBody(
  incoming: AsyncIterable<Buffer>,
  headers: IncomingHttpHeaders,
): AsyncGenerator<Buffer, ReceivedBody, void> {
  const trailers = new Map<string, string>();
  const chunked = /\baws-chunked\b/.test(headers['content-encoding'] ?? '');
  const payload = chunked ? decodeAwsChunked(incoming, trailers) : incoming;
  const running = runningChecksums(headers);
  let bytes = 0;
  for await (const piece of payload) {
    bytes += piece.length;
    for (const checksum of running) checksum.update(piece);
    yield piece;
  }
  const announced = headers[chunked ? 'x-amz-decoded-content-length' : 'content-length'];
  if (announced !== undefined && Number(announced) !== bytes) {
    throw new Refusal('IncompleteBody', `${bytes} bytes came, ${announced} were announced`);
  }
  const checksums: Record<string, string> = {};
  for (const { header, code, digest } of running) {
    const expected = trailers.get(header) ?? headers[header];
    const actual = digest();
    if (expected !== actual) throw new Refusal(code, `${header}: ${String(expected)} came with it, it is ${actual}`);
    if (header.startsWith('x-amz-checksum-')) checksums[header] = actual;
  }
  return { bytes, checksums };
}

interface RunningChecksum {
  readonly header: string;
  readonly code: RefusalCode;
  update(piece: Buffer): void;
  digest(): string;
}

function runningChecksums(headers: IncomingHttpHeaders): RunningChecksum[] {
  const named = [...Object.keys(headers), String(headers['x-amz-trailer'] ?? '').toLowerCase()];
  const wanted = named.filter((name) => /^x-amz-checksum-(?!type|mode|algorithm)/.test(name));
  const running = wanted.map((header): RunningChecksum => {
    if (header === 'x-amz-checksum-crc32') return runningCrc32(header);
    const [, algorithm] = /^x-amz-checksum-(sha1|sha256)$/.exec(header) ?? [];
    if (algorithm === undefined) throw new Refusal('NotImplemented', `the stand-in does not know ${header}`);
    return hashed(header, 'BadDigest', createHash(algorithm), 'base64');
  });
  if (headers['content-md5'] !== undefined)
    running.push(hashed('content-md5', 'BadDigest', createHash('md5'), 'base64'));
  // The other values say that the payload isn't signed, or chunk by chunk.
  if (/^[0-9a-f]{64}$/.test(String(headers['x-amz-content-sha256']))) {
    running.push(hashed('x-amz-content-sha256', 'XAmzContentSHA256Mismatch', createHash('sha256'), 'hex'));
  }
  return running;
}

function hashed(header: string, code: RefusalCode, hash: Hash, encoding: 'base64' | 'hex'): RunningChecksum {
  return { header, code, update: (piece) => void hash.update(piece), digest: () => hash.digest(encoding) };
}

function runningCrc32(header: string): RunningChecksum {
  let value = 0;
  const digest = () => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes.toString('base64');
  };
  const update = (piece: Buffer) => {
    value = crc32(piece, value);
  };
  return { header, code: 'BadDigest', update, digest };
}

/**
 * `<hex size>[;chunk-signature=…]\r\n<bytes>\r\n` again and again, a chunk of size 0, and trailers as headers are
 * written.
 */
async function* decodeAwsChunked(
  incoming: AsyncIterable<Buffer>,
  trailers: Map<string, string>,
): AsyncGenerator<Buffer, void, void> {
  let rest: Buffer = Buffer.alloc(0);
  let left = 0; // of the chunk that is being read, its line end included
  let inTrailers = false;
  for await (const piece of incoming) {
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    while (rest.length > 0 && !inTrailers) {
      if (left > 0) {
        const payload = rest.subarray(0, Math.min(Math.max(0, left - 2), rest.length));
        if (payload.length > 0) yield payload;
        const taken = payload.length > 0 ? payload.length : Math.min(left, rest.length);
        rest = rest.subarray(taken);
        left -= taken;
        continue;
      }
      const end = rest.indexOf('\r\n');
      if (end === -1) break;
      const size = Number.parseInt(rest.subarray(0, end).toString(), 16);
      if (Number.isNaN(size)) throw new Refusal('InvalidRequest', 'the aws-chunked framing is broken');
      rest = rest.subarray(end + 2);
      inTrailers = size === 0;
      left = size === 0 ? 0 : size + 2;
    }
  }
  if (!inTrailers) throw new Refusal('IncompleteBody', 'the aws-chunked body ended before its last chunk');
  for (const line of rest.toString().split('\r\n')) {
    const [name, ...value] = line.split(':');
    if (name && value.length > 0) trailers.set(name.trim().toLowerCase(), value.join(':').trim());
  }
}
