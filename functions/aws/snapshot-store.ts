// Where snapshots go: an S3 bucket, written in parts as the bytes come. Nothing lies on a disk, and only a few parts in
// memory.
import { crc32 } from 'node:zlib';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  NoSuchUpload,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { describeError, EtcdMedicError, SetupError } from '../contract/errors.ts';
import { clientDefaults, isSetupProblem } from './client.ts';

const MiB = 1024 * 1024;

/** S3 takes 10,000 parts: enough for 78 GiB, ten times the largest database that etcd is recommended for. */
const PART_BYTES = 8 * MiB;
/** Under way at the same time; one more is being filled. So at most 24 MiB of a snapshot are in memory. */
const PARTS_AT_ONCE = 2;
/** More than elsewhere: a few seconds in which S3 fails should not cost the whole snapshot. */
const ATTEMPTS = 8;
/** A part at 150 kB a second; slower than that, no snapshot would be done in time anyway. */
const REQUEST_TIMEOUT_MS = 60_000;

/**
 * S3 refused the snapshot or did not answer, or it took too long: there is no object of that name, or none to rely on.
 */
export class SnapshotStoreError extends EtcdMedicError {
  override readonly name = 'SnapshotStoreError';
}

export interface SnapshotObject {
  readonly bucket: string;
  readonly key: string;
  /** User metadata; names in lower case, values in ASCII. */
  readonly metadata: Readonly<Record<string, string>>;
  /** After this time the upload is given up and taken back. */
  readonly timeoutMs: number;
}

export interface StoredSnapshot {
  readonly bytes: number;
  /** How S3 says that it is encrypted: the bucket decides. */
  readonly encryption: string;
}

/**
 * Stores what `body` yields as one object. The object comes into being only when `body` has come to its end without an
 * error; otherwise what was uploaded is taken back.
 * @throws what `body` throws; SetupError when there is no such bucket or it must not be written to; SnapshotStoreError
 */
export async function storeSnapshot(target: SnapshotObject, body: AsyncIterable<Buffer>): Promise<StoredSnapshot> {
  using upload = new Upload(target);
  try {
    for await (const piece of body) await upload.add(piece);
    return await upload.finish();
  } catch (error) {
    throw await upload.takeBack(error);
  }
}

/**
 * Takes back the unfinished uploads under a prefix: what a process that was killed in the middle of one has left. Only
 * for who is sure that nobody else is uploading there.
 * @returns how many there were
 * @throws SetupError, SnapshotStoreError
 */
export async function removeUnfinished(bucket: string, prefix: string): Promise<number> {
  using connection = new Connection(bucket, AbortSignal.timeout(REQUEST_TIMEOUT_MS));
  const { Uploads = [] } = await connection.ask('look for unfinished uploads', (client, options) =>
    client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }), options),
  );
  for (const { Key, UploadId } of Uploads) {
    await connection.ask(`take back ${Key}`, (client, options) =>
      client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }), options),
    );
  }
  return Uploads.length;
}

/**
 * Begins an upload, and takes it back without a byte.
 * @throws SetupError when there is no such bucket or it must not be written to; SnapshotStoreError
 */
export async function tryUpload(bucket: string, key: string): Promise<void> {
  using connection = new Connection(bucket, AbortSignal.timeout(REQUEST_TIMEOUT_MS));
  const { UploadId } = await connection.ask(`begin of ${key}`, (client, options) =>
    client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key, ChecksumAlgorithm: 'CRC32' }), options),
  );
  await connection.ask(`take back ${key}`, (client, options) =>
    client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId }), options),
  );
}

class Upload implements Disposable {
  readonly #target: SnapshotObject;
  readonly #connection: Connection;
  readonly #giveUp = new AbortController();
  /** Filled again and again, so that memory stays as it is however long the snapshot. */
  readonly #free: Buffer[] = [];
  #current: Buffer | undefined;
  #filled = 0;
  #crc = 0;
  #bytes = 0;
  #started: { readonly uploadId: string; readonly encryption: string } | undefined;
  #parts = 0;
  readonly #underWay = new Set<Promise<void>>();
  readonly #completed: CompletedPart[] = [];

  constructor(target: SnapshotObject) {
    this.#target = target;
    const signal = AbortSignal.any([this.#giveUp.signal, AbortSignal.timeout(target.timeoutMs)]);
    this.#connection = new Connection(target.bucket, signal);
  }

  /** Copies the bytes; waits where enough parts are under way. */
  async add(piece: Buffer): Promise<void> {
    let rest = piece;
    while (rest.length > 0) {
      if (this.#connection.signal.aborted) throw this.#tooLong();
      this.#current ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(PART_BYTES);
      const copied = rest.copy(this.#current, this.#filled);
      this.#filled += copied;
      // Of what came, not of the copy, and while it is still in the processor's cache.
      this.#crc = crc32(rest.subarray(0, copied), this.#crc);
      this.#bytes += copied;
      rest = rest.subarray(copied);
      if (this.#filled === PART_BYTES) await this.#sendPart(this.#current);
    }
  }

  async finish(): Promise<StoredSnapshot> {
    const last = this.#current?.subarray(0, this.#filled) ?? Buffer.alloc(0);
    if (this.#started === undefined) return { bytes: this.#bytes, encryption: await this.#put(last) };
    if (last.length > 0) await this.#sendPart(last);
    await Promise.all(this.#underWay);
    const { uploadId, encryption } = this.#started;
    const Parts = this.#completed.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
    await this.#ask('complete', (client, options) =>
      client.send(
        new CompleteMultipartUploadCommand({ ...this.#address, UploadId: uploadId, MultipartUpload: { Parts } }),
        options,
      ),
    );
    return { bytes: this.#bytes, encryption };
  }

  /** @returns the error to throw: the given one, or one that adds that parts were left behind */
  async takeBack(error: unknown): Promise<unknown> {
    const reason = this.#connection.signal.aborted ? this.#tooLong() : error;
    this.#giveUp.abort();
    // A part that arrives after the end of its upload would be left behind.
    await Promise.allSettled(this.#underWay);
    if (this.#started === undefined) return reason;
    using connection = new Connection(this.#target.bucket, AbortSignal.timeout(REQUEST_TIMEOUT_MS));
    try {
      const UploadId = this.#started.uploadId;
      await connection.ask('take back', (client, options) =>
        client.send(new AbortMultipartUploadCommand({ ...this.#address, UploadId }), options),
      );
      return reason;
    } catch (failure) {
      // The last request may have come through after all, only its answer did not.
      if (failure instanceof Error && failure.cause instanceof NoSuchUpload) return reason;
      const text = `${describeError(reason)}. The parts uploaded so far are still there (${describeError(failure)}): the bucket's lifecycle rule removes them, or \`aws s3api abort-multipart-upload\``;
      return new SnapshotStoreError(text, { cause: reason });
    }
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  get #address() {
    return { Bucket: this.#target.bucket, Key: this.#target.key };
  }

  /** Returns when the part is under way; an error of it comes up with the next part or at the end. */
  async #sendPart(part: Buffer): Promise<void> {
    const buffer = this.#current;
    const ChecksumCRC32 = base64(this.#crc);
    this.#current = undefined;
    this.#filled = 0;
    this.#crc = 0;
    this.#started ??= await this.#start();
    const { uploadId: UploadId } = this.#started;
    while (this.#underWay.size >= PARTS_AT_ONCE) await Promise.race(this.#underWay);
    const PartNumber = ++this.#parts;
    const sending = this.#ask(`part ${PartNumber}`, async (client, options) => {
      const command = { ...this.#address, UploadId, PartNumber, Body: part, ChecksumCRC32 };
      const { ETag } = await client.send(new UploadPartCommand(command), options);
      this.#completed.push({ PartNumber, ETag, ChecksumCRC32 });
    }).then(() => {
      // A part that failed stays, so that whoever waits next hears of it.
      this.#underWay.delete(sending);
      if (buffer !== undefined) this.#free.push(buffer);
    });
    sending.catch(() => {});
    this.#underWay.add(sending);
  }

  async #start() {
    const { UploadId, ServerSideEncryption: encryption = 'unknown' } = await this.#ask('begin', (client, options) => {
      const input = { ...this.#address, Metadata: this.#target.metadata, ChecksumAlgorithm: 'CRC32' } as const;
      return client.send(new CreateMultipartUploadCommand(input), options);
    });
    if (UploadId === undefined) throw new SnapshotStoreError(`${this.#connection.name}: began an upload without an id`);
    return { uploadId: UploadId, encryption };
  }

  async #put(Body: Buffer): Promise<string> {
    const { ServerSideEncryption = 'unknown' } = await this.#ask('put', (client, options) => {
      const input = { ...this.#address, Body, Metadata: this.#target.metadata, ChecksumCRC32: base64(this.#crc) };
      return client.send(new PutObjectCommand(input), options);
    });
    return ServerSideEncryption;
  }

  #ask<Answer>(what: string, request: SdkRequest<Answer>): Promise<Answer> {
    return this.#connection.ask(`${what} of ${this.#target.key}`, request);
  }

  #tooLong(): SnapshotStoreError {
    const { key, timeoutMs } = this.#target;
    return new SnapshotStoreError(
      `${this.#connection.name}: ${key} was given up, because it was not stored within ${timeoutMs / 1000} s; ${this.#bytes} bytes had been read`,
    );
  }
}

/** As S3 takes a CRC-32. */
function base64(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString('base64');
}

type SdkRequest<Answer> = (client: S3Client, options: { abortSignal: AbortSignal }) => Promise<Answer>;

/** A client for one bucket, whose errors say what was tried. */
class Connection implements Disposable {
  readonly name: string;
  readonly signal: AbortSignal;
  readonly #client: S3Client;

  constructor(bucket: string, signal: AbortSignal) {
    this.name = `bucket ${bucket}`;
    this.signal = signal;
    this.#client = new S3Client({
      ...clientDefaults,
      maxAttempts: ATTEMPTS,
      requestHandler: { ...clientDefaults.requestHandler, requestTimeout: REQUEST_TIMEOUT_MS },
    });
    this.#client.middlewareStack.add(
      (next, { commandName }) =>
        (args) => {
          if (isHttpRequest(args.request) && Buffer.isBuffer(args.request.body)) {
            const { headers } = args.request;
            // TLS and the CRC-32 keep the bytes safe. A SHA-256 of each part for its signature would cost as much as
            // reading it.
            headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
            // Asking before sending costs a connection a part. Who may begin an upload may send its parts.
            if (commandName === 'UploadPartCommand') delete headers.Expect;
          }
          return next(args);
        },
      { step: 'build', name: 'cheapParts' },
    );
  }

  /** @throws SetupError, SnapshotStoreError */
  async ask<Answer>(what: string, request: SdkRequest<Answer>): Promise<Answer> {
    try {
      return await request(this.#client, { abortSignal: this.signal });
    } catch (cause) {
      const code = cause instanceof Error ? cause.name : 'unknown error';
      if (isSetupProblem(cause) || /^(NoSuchBucket|PermanentRedirect|InvalidAccessKeyId)/.test(code)) {
        throw new SetupError(`${this.name}: not allowed or not there (${what}: ${code})`, { cause });
      }
      throw new SnapshotStoreError(`${this.name}: ${what} failed: ${code}`, { cause });
    }
  }

  [Symbol.dispose](): void {
    this.#client.destroy();
  }
}

function isHttpRequest(request: unknown): request is { headers: Record<string, string>; body: unknown } {
  return typeof request === 'object' && request !== null && 'headers' in request && 'body' in request;
}
