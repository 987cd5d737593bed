// S3 as far as snapshots need it: objects and multipart uploads, kept in a temp folder so that gigabytes don't sit in
// memory. Checks what the real service checks, and fails or is slow when told to.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { onProcessEnd } from '../control-plane/process-end.ts';
import { type ReceivedBody, receiveBody } from './s3-body.ts';
import {
  ACTIONS,
  element,
  encryptionOf,
  escaped,
  metadataOf,
  operationOf,
  Refusal,
  type RefusalCode,
  refuse,
  type S3Operation,
  xml,
} from './s3-wire.ts';
import { type ApiCall, close, listen, type RunningServer, signerOf } from './server.ts';

export interface S3Failure {
  readonly operation: S3Operation;
  /** An error code of S3; `cut`: the connection ends in the middle of the body; `hang`: no answer ever comes. */
  readonly how: RefusalCode | 'cut' | 'hang';
  /** How many of them go well first. @default 0 */
  readonly after?: number;
  /** How many then fail. @default all */
  readonly times?: number;
}

export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** 0: by PutObject. */
  readonly parts: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly storedAt: Date;
}

export interface S3StandIn extends RunningServer {
  /** The one bucket there is. */
  readonly bucket: string;
  readonly objects: readonly StoredObject[];
  /** Keys of the multipart uploads that were neither completed nor aborted. */
  readonly openUploads: readonly string[];
  /** Every operation that was asked for, in order. */
  readonly operations: readonly S3Operation[];
  /** Undefined: all goes well again. */
  fail(failure: S3Failure | undefined): void;
  /** How fast each body is read; undefined: as fast as it comes. */
  slowDown(bytesPerSecond: number | undefined): void;
}

const BUCKET = 'etcd-medic-test-snapshots';
/** Of every part but the last. */
const MIN_PART_BYTES = 5 * 1024 * 1024;

interface Part extends ReceivedBody {
  readonly file: string;
  readonly etag: string;
}

interface Upload {
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly initiatedAt: Date;
  readonly parts: Map<number, Part>;
}

interface Entry extends StoredObject {
  readonly files: readonly string[];
  readonly etag: string;
}

export interface S3Options {
  /**
   * Count the bytes of objects, and neither check nor keep them: for a benchmark on a machine that S3 would not be on.
   * @default false
   */
  readonly discard?: boolean;
}

/** @param calls is told each action as IAM names it */
export async function startS3(calls: ApiCall[], { discard = false }: S3Options = {}): Promise<S3StandIn> {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-s3-'));
  const forget = onProcessEnd(() => rmSync(directory, { recursive: true, force: true }));
  const objects = new Map<string, Entry>();
  const uploads = new Map<string, Upload>();
  const operations: S3Operation[] = [];
  let failure: S3Failure | undefined;
  let matching = 0;
  let bytesPerSecond: number | undefined;

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse, proceed: () => void): Promise<void> {
    const { pathname, searchParams: query } = new URL(incoming.url ?? '/', 'http://stand-in');
    const [, bucket = '', ...rest] = pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    const operation = operationOf(incoming.method ?? '', key, query);
    operations.push(operation);
    const resource = key === '' ? bucket : `${bucket}/${key}`;
    calls.push({ action: ACTIONS[operation], resource, ...signerOf(incoming.headers) });
    const how = failsNow(operation);
    if (how !== undefined && how !== 'cut' && how !== 'hang') throw new Refusal(how);
    if (incoming.headers.authorization === undefined) throw new Refusal('AccessDenied');
    if (bucket !== BUCKET) throw new Refusal('NoSuchBucket');
    proceed();
    if (how === 'hang') return;
    if (how === 'cut') {
      await cut(incoming);
      return;
    }
    await OPERATIONS[operation](incoming, outgoing, key, query);
  }

  function failsNow(operation: S3Operation): S3Failure['how'] | undefined {
    if (failure?.operation !== operation) return undefined;
    const { how, after = 0, times = Number.POSITIVE_INFINITY } = failure;
    const number = matching++;
    return number >= after && number < after + times ? how : undefined;
  }

  async function receive(incoming: IncomingMessage): Promise<Part> {
    const file = join(directory, randomUUID());
    const etag = `"${randomUUID().replaceAll('-', '')}"`;
    if (discard) return { ...(await countBytes(incoming)), file, etag };
    let received: ReceivedBody = { bytes: 0, checksums: {} };
    try {
      await pipeline(async function* () {
        const body = receiveBody(incoming, incoming.headers);
        for (let next = await body.next(); ; next = await body.next()) {
          if (next.done) {
            received = next.value;
            return;
          }
          if (bytesPerSecond !== undefined) await wait((1000 * next.value.length) / bytesPerSecond);
          yield next.value;
        }
      }, createWriteStream(file));
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
    return { ...received, file, etag };
  }

  function upload(query: URLSearchParams, key: string): Upload {
    const found = uploads.get(query.get('uploadId') ?? '');
    if (found?.key !== key) throw new Refusal('NoSuchUpload');
    return found;
  }

  function store(key: string, headers: IncomingHttpHeaders, parts: readonly Part[], multipart: boolean): Entry {
    const entry: Entry = {
      key,
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      parts: multipart ? parts.length : 0,
      metadata: metadataOf(headers),
      storedAt: new Date(),
      files: parts.map(({ file }) => file),
      etag: `"${randomUUID().replaceAll('-', '')}${multipart ? `-${parts.length}` : ''}"`,
    };
    objects.set(key, entry);
    return entry;
  }

  type Handler = (i: IncomingMessage, o: ServerResponse, key: string, query: URLSearchParams) => Promise<void>;
  const OPERATIONS: Record<S3Operation, Handler> = {
    async PutObject(incoming, outgoing, key) {
      const part = await receive(incoming);
      const { etag } = store(key, incoming.headers, [part], false);
      outgoing.writeHead(200, { etag, ...encryptionOf(incoming.headers), ...part.checksums }).end();
    },
    async CreateMultipartUpload({ headers }, outgoing, key) {
      const id = randomUUID();
      uploads.set(id, { key, headers, initiatedAt: new Date(), parts: new Map() });
      const algorithm = headers['x-amz-checksum-algorithm'];
      const checksum = algorithm === undefined ? {} : { 'x-amz-checksum-algorithm': String(algorithm) };
      xml(outgoing, 'InitiateMultipartUploadResult', `<UploadId>${id}</UploadId>`, {
        ...encryptionOf(headers),
        ...checksum,
      });
    },
    async UploadPart(incoming, outgoing, key, query) {
      upload(query, key);
      const part = await receive(incoming);
      // An upload that was aborted meanwhile takes no part any more.
      const { headers, parts } = upload(query, key);
      parts.set(Number(query.get('partNumber')), part);
      outgoing.writeHead(200, { etag: part.etag, ...encryptionOf(headers), ...part.checksums }).end();
    },
    async CompleteMultipartUpload(incoming, outgoing, key, query) {
      const { headers, parts } = upload(query, key);
      const chosen = chooseParts(await text(incoming), parts);
      const { etag } = store(key, headers, chosen, true);
      uploads.delete(query.get('uploadId') ?? '');
      xml(outgoing, 'CompleteMultipartUploadResult', `<ETag>${etag}</ETag>`, encryptionOf(headers));
    },
    async AbortMultipartUpload(_incoming, outgoing, key, query) {
      const { parts } = upload(query, key);
      uploads.delete(query.get('uploadId') ?? '');
      await Promise.all([...parts.values()].map(({ file }) => rm(file, { force: true })));
      outgoing.writeHead(204).end();
    },
    async ListMultipartUploads(_incoming, outgoing, _key, query) {
      const found = [...uploads].filter(([, { key }]) => key.startsWith(query.get('prefix') ?? ''));
      const list = found.map(
        ([id, { key, initiatedAt }]) =>
          `<Upload><Key>${escaped(key)}</Key><UploadId>${id}</UploadId><Initiated>${initiatedAt.toISOString()}</Initiated></Upload>`,
      );
      xml(outgoing, 'ListMultipartUploadsResult', `<IsTruncated>false</IsTruncated>${list.join('')}`);
    },
    async HeadObject(_incoming, outgoing, key) {
      outgoing.writeHead(200, headersOf(existing(key))).end();
    },
    async GetObject(_incoming, outgoing, key) {
      const entry = existing(key);
      outgoing.writeHead(200, headersOf(entry));
      await pipeline(Readable.from(contents(entry.files)), outgoing);
    },
  };

  function existing(key: string): Entry {
    const entry = objects.get(key);
    if (entry === undefined) throw new Refusal('NoSuchKey');
    return entry;
  }

  const handle = (proceed: (outgoing: ServerResponse) => void) => async (i: IncomingMessage, o: ServerResponse) => {
    try {
      await answer(i, o, () => proceed(o));
    } catch (error) {
      refuse(i, o, error);
    }
  };
  const server = createServer(handle(() => {}));
  server.on(
    'checkContinue',
    handle((outgoing) => outgoing.writeContinue()),
  );
  const url = await listen(server);
  return {
    url,
    bucket: BUCKET,
    get objects() {
      return [...objects.values()];
    },
    get openUploads() {
      return [...uploads.values()].map(({ key }) => key);
    },
    operations,
    fail: (what) => {
      failure = what;
      matching = 0;
    },
    slowDown: (limit) => {
      bytesPerSecond = limit;
    },
    [Symbol.asyncDispose]: async () => {
      await close(server);
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
      forget();
    },
  };
}

/** The parts that a CompleteMultipartUpload names. @throws Refusal */
function chooseParts(document: string, parts: ReadonlyMap<number, Part>): Part[] {
  const named = [...document.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, content = '']) => ({
    number: Number(element(content, 'PartNumber')),
    etag: element(content, 'ETag')?.replaceAll('&quot;', '"'),
    crc32: element(content, 'ChecksumCRC32'),
  }));
  if (named.some(({ number }, i) => i > 0 && number <= (named[i - 1]?.number ?? 0))) {
    throw new Refusal('InvalidPartOrder');
  }
  const chosen = named.map(({ number, etag, crc32 }) => {
    const part = parts.get(number);
    const expected = part?.checksums['x-amz-checksum-crc32'];
    if (part === undefined || part.etag !== etag || crc32 !== expected) throw new Refusal('InvalidPart');
    return part;
  });
  if (chosen.length === 0) throw new Refusal('InvalidRequest');
  if (chosen.slice(0, -1).some(({ bytes }) => bytes < MIN_PART_BYTES)) throw new Refusal('EntityTooSmall');
  return chosen;
}

function headersOf({ bytes, etag, metadata, storedAt }: Entry): Record<string, string> {
  const meta = Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]);
  const rest = { 'content-length': String(bytes), etag, 'last-modified': storedAt.toUTCString() };
  return { ...Object.fromEntries(meta), ...rest, ...encryptionOf({}) };
}

async function* contents(files: readonly string[]): AsyncGenerator<Buffer, void, void> {
  for (const file of files) yield* createReadStream(file);
}

async function countBytes(incoming: IncomingMessage): Promise<ReceivedBody> {
  let bytes = 0;
  incoming.on('data', (piece: Buffer) => {
    bytes += piece.length;
  });
  await once(incoming, 'end');
  const crc32 = incoming.headers['x-amz-checksum-crc32'];
  return { bytes, checksums: typeof crc32 === 'string' ? { 'x-amz-checksum-crc32': crc32 } : {} };
}

async function text(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of receiveBody(incoming, incoming.headers)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Half a body, and then nothing: what a broken network looks like. */
async function cut(incoming: IncomingMessage): Promise<void> {
  // Reading less than all of a request takes its socket away from it, and leaves that open.
  const { socket } = incoming;
  const half = Number(incoming.headers['content-length'] ?? 0) / 2;
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += chunk.length;
    if (bytes >= half) break;
  }
  socket.destroy();
}
