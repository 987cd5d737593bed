import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { rejection } from '../etcd/material.ts';
import { enterS3, type S3Environment } from './environment.ts';

const MiB = 1024 * 1024;
const bytes = randomBytes(6 * MiB);
const sha256 = createHash('sha256').update(bytes).digest('base64');

let environment: S3Environment;
let client: S3Client;
/**
 * Where the stand-in makes its folders: in the one that all share, other files' tests make and remove theirs meanwhile.
 */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-medic-s3-test-'));
  vi.stubEnv('TMPDIR', folder);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  environment = await enterS3();
  client = new S3Client({ maxAttempts: 1 });
});
afterEach(async () => {
  client.destroy();
  await environment[Symbol.asyncDispose]();
});

async function download(Key: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: environment.s3.bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

describe("the S3 stand-in, by AWS's own client", () => {
  it.each([
    ['more than 2 KB of it', 'x'.repeat(2_049)],
    ['what is no ASCII', 'zürich-1'],
  ])('refuses metadata as S3 does: %s', async (_what, member) => {
    const put = new PutObjectCommand({ Bucket: environment.s3.bucket, Key: 'a.db', Body: 'x', Metadata: { member } });

    await expect(client.send(put)).rejects.toMatchObject({ $metadata: { httpStatusCode: 400 } });
  });

  it.each<[string, () => { Body: Buffer | Readable; ContentLength?: number }, object]>([
    ['bytes, with the default CRC-32', () => ({ Body: bytes }), {}],
    ['bytes, with a SHA-256', () => ({ Body: bytes }), { ChecksumSHA256: sha256 }],
    [
      'a stream, in aws-chunked framing with its checksum behind it',
      () => ({ Body: Readable.from(pieces(70_001)), ContentLength: bytes.length }),
      {},
    ],
    [
      'a stream of small pieces, with a SHA-1 behind it',
      () => ({ Body: Readable.from(pieces(9_001)), ContentLength: bytes.length }),
      { ChecksumAlgorithm: 'SHA1' },
    ],
  ])('stores %s', async (_, body, checksum) => {
    const { s3 } = environment;

    const input = { Bucket: s3.bucket, Key: 'a folder/ö+.db', Metadata: { revision: '7' }, ...body(), ...checksum };
    const { ETag, ServerSideEncryption } = await client.send(new PutObjectCommand(input));

    const head = await client.send(new HeadObjectCommand({ Bucket: s3.bucket, Key: 'a folder/ö+.db' }));
    expect(ServerSideEncryption).toBe('AES256');
    expect(head).toMatchObject({ ETag, ContentLength: bytes.length, Metadata: { revision: '7' } });
    expect((await download('a folder/ö+.db')).equals(bytes)).toBe(true);
    expect(environment.calls[0]).toEqual({ action: 's3:PutObject', resource: `${s3.bucket}/a folder/ö+.db` });
  });

  it.each<[string, object]>([
    ['SHA-256', { ChecksumSHA256: createHash('sha256').update('else').digest('base64') }],
    ['CRC-32', { ChecksumCRC32: 'AAAAAA==' }],
    ['MD5', { ContentMD5: createHash('md5').update('else').digest('base64') }],
  ])('refuses bytes that are not those of the %s that came with them', async (_, checksum) => {
    const { s3 } = environment;

    const input = { Bucket: s3.bucket, Key: 'damaged', Body: bytes, ...checksum };
    const error = await rejection(client.send(new PutObjectCommand(input)));

    expect(error.name).toBe('BadDigest');
    expect(s3.objects).toEqual([]);
  });

  it('puts an object together of parts that came in any order, the last one of a number counts', async () => {
    const { s3 } = environment;
    const address = { Bucket: s3.bucket, Key: 'parts' };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(address));
    const part = async (PartNumber: number, Body: Buffer) => ({
      PartNumber,
      ...(await client.send(new UploadPartCommand({ ...address, UploadId, PartNumber, Body }))),
    });
    await part(1, randomBytes(MiB));
    const [second, first] = [await part(2, bytes.subarray(0, 10)), await part(1, bytes)];

    const MultipartUpload = { Parts: [first, second] };
    await client.send(new CompleteMultipartUploadCommand({ ...address, UploadId, MultipartUpload }));

    expect((await download('parts')).equals(Buffer.concat([bytes, bytes.subarray(0, 10)]))).toBe(true);
    expect(s3.openUploads).toEqual([]);
    expect(s3.objects.map(({ key, parts }) => ({ key, parts }))).toEqual([{ key: 'parts', parts: 2 }]);
  });

  it.each<[string, readonly number[], (tag: string) => string]>([
    ['EntityTooSmall', [1, 2], (tag) => tag],
    ['InvalidPartOrder', [2, 1], (tag) => tag],
    ['InvalidPart', [1, 3], (tag) => tag],
    ['InvalidPart', [2], () => '"another"'],
  ])('answers %s where the parts %j are named', async (code, numbers, change) => {
    const address = { Bucket: environment.s3.bucket, Key: 'parts' };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(address));
    const tags = new Map<number, object>();
    for (const PartNumber of [1, 2]) {
      const Body = bytes.subarray(0, 100);
      const answer = await client.send(new UploadPartCommand({ ...address, UploadId, PartNumber, Body }));
      tags.set(PartNumber, { ...answer, ETag: change(answer.ETag ?? '') });
    }

    const Parts = numbers.map((PartNumber) => ({ ETag: '"none"', ...tags.get(PartNumber), PartNumber }));
    const complete = new CompleteMultipartUploadCommand({ ...address, UploadId, MultipartUpload: { Parts } });
    const error = await rejection(client.send(complete));

    expect(error.name).toBe(code);
    expect(environment.s3.objects).toEqual([]);
  });

  it('lists the uploads that are under way below a prefix, and forgets an aborted one with its parts', async () => {
    const { s3 } = environment;
    const begin = (Key: string) => client.send(new CreateMultipartUploadCommand({ Bucket: s3.bucket, Key }));
    const { UploadId } = await begin('demo/a&b.db');
    await begin('demolition/c.db');

    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: s3.bucket, Prefix: 'demo/' }));
    const address = { Bucket: s3.bucket, Key: 'demo/a&b.db', UploadId };
    await client.send(new AbortMultipartUploadCommand(address));
    const late = await rejection(client.send(new UploadPartCommand({ ...address, PartNumber: 1, Body: bytes })));

    expect(Uploads).toMatchObject([{ Key: 'demo/a&b.db', UploadId }]);
    expect(s3.openUploads).toEqual(['demolition/c.db']);
    expect(late.name).toBe('NoSuchUpload');
  });

  it('knows one bucket, and only what lies in it', async () => {
    const { s3 } = environment;

    const errors = [
      await rejection(client.send(new PutObjectCommand({ Bucket: 'somebody-elses', Key: 'a', Body: bytes }))),
      await rejection(client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: 'nothing' }))),
    ];

    expect(errors.map(({ name }) => name)).toEqual(['NoSuchBucket', 'NoSuchKey']);
  });

  it('fails as often as it is told to, and leaves no folder behind', async () => {
    const { s3 } = environment;
    s3.fail({ operation: 'PutObject', how: 'SlowDown', after: 1, times: 2 });

    const outcomes: string[] = [];
    for (let i = 0; i < 4; i++) {
      const put = client.send(new PutObjectCommand({ Bucket: s3.bucket, Key: String(i), Body: 'x' }));
      outcomes.push(
        await put.then(
          () => 'stored',
          ({ name }: Error) => name,
        ),
      );
    }
    const during = await readdir(folder);
    await s3[Symbol.asyncDispose]();

    expect(outcomes).toEqual(['stored', 'SlowDown', 'SlowDown', 'stored']);
    expect(during).toEqual([expect.stringMatching(/^etcd-medic-s3-/)]);
    expect(await readdir(folder)).toEqual([]);
    environment = await enterS3();
  });
});

function* pieces(size: number): Generator<Buffer, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
