import { createHash, randomBytes } from 'node:crypto';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeUnfinished, type SnapshotObject, storeSnapshot } from '../../functions/aws/snapshot-store.ts';
import type { S3Failure } from '../../lab/aws/s3.ts';
import type { S3Operation } from '../../lab/aws/s3-wire.ts';
import { rejection } from '../etcd/material.ts';
import { enterS3, type S3Environment } from '../snapshot/environment.ts';

const MiB = 1024 * 1024;
const KEY = 'demo/20260102T030405Z-7.db';
const block = randomBytes(MiB + 1);

let environment: S3Environment;

beforeEach(async () => {
  environment = await enterS3();
});
afterEach(() => environment[Symbol.asyncDispose]());

function target(changes: Partial<SnapshotObject> = {}): SnapshotObject {
  return { bucket: environment.s3.bucket, key: KEY, metadata: { revision: '7' }, timeoutMs: 60_000, ...changes };
}

/** So many pieces of a MiB and a byte, and then the end, or the error. */
async function* body(pieces: number, error?: Error): AsyncGenerator<Buffer, void, void> {
  for (let i = 0; i < pieces; i++) yield block;
  if (error) throw error;
}

function sha256Of(pieces: number): string {
  const hash = createHash('sha256');
  for (let i = 0; i < pieces; i++) hash.update(block);
  return hash.digest('hex');
}

async function sha256InBucket(): Promise<string> {
  const client = new S3Client();
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: environment.s3.bucket, Key: KEY }));
    return createHash('sha256')
      .update((await Body?.transformToByteArray()) ?? '')
      .digest('hex');
  } finally {
    client.destroy();
  }
}

function countOf(operation: S3Operation): number {
  return environment.s3.operations.filter((each) => each === operation).length;
}

describe('R13: storeSnapshot', () => {
  it.each([
    ['one PutObject', 3, 0],
    ['parts', 20, 3],
    ['many parts', 70, 9],
  ])('stores every byte in order by %s', async (_, pieces, parts) => {
    const stored = await storeSnapshot(target(), body(pieces));

    expect(stored).toEqual({ bytes: pieces * block.length, encryption: 'AES256' });
    expect(environment.s3.objects).toMatchObject([
      { key: KEY, bytes: pieces * block.length, parts, metadata: { revision: '7' } },
    ]);
    expect(await sha256InBucket()).toBe(sha256Of(pieces));
    expect(environment.s3.openUploads).toEqual([]);
  });

  it('sends no last part where the bytes end with a full one', async () => {
    async function* even(): AsyncGenerator<Buffer, void, void> {
      for (let i = 0; i < 16; i++) yield block.subarray(0, MiB);
    }

    const { bytes } = await storeSnapshot(target(), even());

    expect(bytes).toBe(16 * MiB);
    expect(countOf('UploadPart')).toBe(2);
  });

  it.each<S3Failure>([
    { operation: 'CreateMultipartUpload', how: 'SlowDown', times: 1 },
    { operation: 'UploadPart', how: 'SlowDown', after: 1, times: 1 },
    { operation: 'UploadPart', how: 'InternalError', times: 3 },
    { operation: 'UploadPart', how: 'cut', after: 1, times: 2 },
    { operation: 'CompleteMultipartUpload', how: 'InternalError', times: 2 },
  ])('tries again after a passing $how of $operation', async (failure) => {
    environment.s3.fail(failure);

    await storeSnapshot(target(), body(20));

    expect(await sha256InBucket()).toBe(sha256Of(20));
    expect(environment.s3.openUploads).toEqual([]);
  });

  it.each<[S3Operation, number]>([
    ['PutObject', 3],
    ['CreateMultipartUpload', 20],
    ['UploadPart', 20],
    ['CompleteMultipartUpload', 20],
  ])('stops at once where %s is not allowed, and leaves nothing', async (operation, pieces) => {
    environment.s3.fail({ operation, how: 'AccessDenied', after: operation === 'UploadPart' ? 1 : 0 });

    const error = await rejection(storeSnapshot(target(), body(pieces)));

    expect(error.name).toBe('SetupError');
    expect(error.message).toMatch(
      /^bucket \S+: not allowed or not there \(.+demo\/20260102T030405Z-7\.db: AccessDenied\)$/,
    );
    expect(environment.s3.objects).toEqual([]);
    expect(environment.s3.openUploads).toEqual([]);
  });

  it('gives up where S3 goes on failing, takes back what was uploaded, and says what S3 said', async () => {
    environment.s3.fail({ operation: 'UploadPart', how: 'InternalError', after: 1 });

    const error = await rejection(storeSnapshot(target(), body(20)));

    expect(error).toMatchObject({ name: 'SnapshotStoreError', cause: { name: 'InternalError' } });
    expect(error.message).toMatch(/part \d of demo\/.* failed: InternalError/);
    expect(environment.s3.objects).toEqual([]);
    expect(environment.s3.openUploads).toEqual([]);
    expect(environment.calls.at(-1)).toEqual({
      action: 's3:AbortMultipartUpload',
      resource: `${environment.s3.bucket}/${KEY}`,
    });
  });

  it.each([
    ['nothing was sent', 3],
    ['parts were sent', 30],
  ])('makes no object of a body that ends in an error when %s, and throws that error', async (_, pieces) => {
    const damaged = new Error('the snapshot is damaged');

    const error = await rejection(storeSnapshot(target(), body(pieces, damaged)));

    expect(error).toBe(damaged);
    expect(environment.s3.objects).toEqual([]);
    expect(environment.s3.openUploads).toEqual([]);
  });

  it('says so where what was uploaded could not be taken back', async () => {
    environment.s3.fail({ operation: 'AbortMultipartUpload', how: 'AccessDenied' });
    const damaged = new Error('the snapshot is damaged');

    const error = await rejection(storeSnapshot(target(), body(30, damaged)));

    expect(error).toMatchObject({ name: 'SnapshotStoreError', cause: damaged });
    expect(error.message).toContain('the snapshot is damaged. The parts uploaded so far are still there');
    expect(environment.s3.openUploads).toEqual([KEY]);
  });

  it('gives up after its time, takes back what was uploaded, and ends the body', async () => {
    environment.s3.fail({ operation: 'UploadPart', how: 'hang', after: 1 });
    let ended = false;
    async function* endless(): AsyncGenerator<Buffer, void, void> {
      try {
        for (;;) yield block;
      } finally {
        ended = true;
      }
    }

    const error = await rejection(storeSnapshot(target({ timeoutMs: 1_500 }), endless()));

    expect(error.name).toBe('SnapshotStoreError');
    expect(error.message).toContain('was given up, because it was not stored within 1.5 s');
    expect(ended).toBe(true);
    expect(environment.s3.openUploads).toEqual([]);
  });

  it('reads no further ahead than the parts that fit into memory', async () => {
    environment.s3.fail({ operation: 'UploadPart', how: 'hang' });
    let read = 0;
    async function* endless(): AsyncGenerator<Buffer, void, void> {
      for (;;) {
        read += block.length;
        yield block;
      }
    }

    await rejection(storeSnapshot(target({ timeoutMs: 2_000 }), endless()));

    expect(countOf('UploadPart')).toBeLessThanOrEqual(3);
    expect(read).toBeLessThanOrEqual(33 * MiB + 100);
  });

  it('says that a bucket is not there', async () => {
    const error = await rejection(storeSnapshot(target({ bucket: 'somebody-elses' }), body(20)));

    expect(error.name).toBe('SetupError');
    expect(error.message).toContain('bucket somebody-elses: not allowed or not there');
    expect(error.message).toContain('NoSuchBucket');
  });
});

describe('R13: removeUnfinished', () => {
  it("takes back what a killed process left below the prefix, and nobody else's", async () => {
    const { s3 } = environment;
    s3.fail({ operation: 'AbortMultipartUpload', how: 'AccessDenied' });
    for (const key of ['demo/1.db', 'demo/2.db', 'demolition/3.db']) {
      await rejection(storeSnapshot(target({ key }), body(20, new Error('stopped'))));
    }
    s3.fail(undefined);

    const removed = await removeUnfinished(s3.bucket, 'demo/');
    const again = await removeUnfinished(s3.bucket, 'demo/');

    expect([removed, again]).toEqual([2, 0]);
    expect(s3.openUploads).toEqual(['demolition/3.db']);
  });
});
