// A member started from a snapshot in a bucket, as a person would restore it, with etcd's own tools.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { findEtcd } from '../control-plane/etcd-binaries.ts';
import { freePorts } from '../control-plane/ports.ts';
import { dieWithParent } from '../control-plane/process-end.ts';

const run = promisify(execFile);

/** What `snapshot status` says of a snapshot. */
export interface SnapshotStatus {
  readonly revision: number;
  readonly totalKey: number;
}

export interface RestoredMember {
  readonly status: SnapshotStatus;
  /** Plain http. */
  readonly endpoint: string;
}

/**
 * Downloads an object, has etcd look at it, restores it and starts a member from it while `work` runs.
 * @throws where etcd's tools refuse the file, with what they say
 */
export async function withRestored<Result>(
  object: { readonly bucket: string; readonly key: string },
  version: string,
  work: (member: RestoredMember) => Promise<Result>,
): Promise<Result> {
  const { etcd, etcdctl, etcdutl } = await findEtcd(version);
  // Until 3.4 it was etcdctl that worked on files.
  const tool = etcdutl ?? etcdctl;
  if (tool === undefined) throw new Error('neither etcdutl nor etcdctl is there');
  const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-restored-'));
  try {
    const file = join(folder, 'snapshot.db');
    await download(object, file);
    const [clientPort, peerPort] = await freePorts(2);
    const [endpoint, peerUrl] = [`http://127.0.0.1:${clientPort}`, `http://127.0.0.1:${peerPort}`];
    const dataDir = join(folder, 'data');
    const cluster = [
      '--name=restored',
      `--initial-cluster=restored=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
    ];
    const env = { PATH: process.env.PATH, ETCDCTL_API: '3' };
    const { stdout } = await run(tool, ['snapshot', 'status', file, '--write-out=json'], { env });
    // Without --skip-hash-check: it holds the file against the SHA-256 at its end.
    await run(tool, ['snapshot', 'restore', file, `--data-dir=${dataDir}`, ...cluster], { env });
    const [command = etcd, ...prefix] = [...(await dieWithParent()), etcd];
    const listen = [
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--listen-peer-urls=${peerUrl}`,
    ];
    const member = spawn(command, [...prefix, `--data-dir=${dataDir}`, ...cluster, ...listen], { stdio: 'ignore' });
    const ended = once(member, 'close');
    try {
      await serving(endpoint);
      return await work({ status: JSON.parse(stdout), endpoint });
    } finally {
      member.kill('SIGKILL');
      await ended;
    }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function download(
  { bucket, key }: { readonly bucket: string; readonly key: string },
  file: string,
): Promise<void> {
  const client = new S3Client();
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    if (!(Body instanceof Readable)) throw new TypeError('the object has no stream');
    await pipeline(Body, createWriteStream(file));
  } finally {
    client.destroy();
  }
}

async function serving(endpoint: string): Promise<void> {
  const giveUpAt = Date.now() + 60_000;
  for (;;) {
    await using client = connectMember({ endpoint });
    try {
      return await client.checkHealth();
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
