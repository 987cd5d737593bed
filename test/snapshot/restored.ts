// A member started from a snapshot in a bucket, as a person would restore it, with etcd's own tools.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
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
import { findEtcd } from '../../lab/control-plane/etcd-binaries.ts';
import { freePorts } from '../../lab/control-plane/ports.ts';
import { dieWithParent } from '../../lab/control-plane/process-end.ts';

const run = promisify(execFile);

/** A port that was free a moment ago is hardly ever taken twice in a row. */
const ATTEMPTS = 5;
/** Of a member alone: nobody ever calls it there. */
const PEER_URL = 'http://127.0.0.1:1';

/** What `snapshot status` says of a snapshot. */
interface SnapshotStatus {
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
    const dataDir = join(folder, 'data');
    const cluster = [
      '--name=restored',
      `--initial-cluster=restored=${PEER_URL}`,
      `--initial-advertise-peer-urls=${PEER_URL}`,
    ];
    const env = { PATH: process.env.PATH, ETCDCTL_API: '3' };
    const { stdout } = await run(tool, ['snapshot', 'status', file, '--write-out=json'], { env });
    // Without --skip-hash-check: it holds the file against the SHA-256 at its end.
    await run(tool, ['snapshot', 'restore', file, `--data-dir=${dataDir}`, ...cluster], { env });
    const [command = etcd, ...prefix] = [...(await dieWithParent()), etcd];
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const [clientPort, peerPort] = await freePorts(2);
      const endpoint = `http://127.0.0.1:${clientPort}`;
      const listen = [
        `--listen-client-urls=${endpoint}`,
        `--advertise-client-urls=${endpoint}`,
        `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      ];
      const args = [...prefix, `--data-dir=${dataDir}`, ...cluster, ...listen];
      const member = spawn(command, args, { stdio: 'ignore', env });
      const ended = once(member, 'close');
      try {
        if (await serves(endpoint, member)) return await work({ status: JSON.parse(stdout), endpoint });
      } finally {
        member.kill('SIGKILL');
        await ended;
      }
    }
    throw new Error(`the restored member ended at once, ${ATTEMPTS} times`);
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

/** Waits until it does. @returns false where it has ended */
async function serves(endpoint: string, member: ChildProcess): Promise<boolean> {
  const giveUpAt = Date.now() + 60_000;
  for (;;) {
    await using client = connectMember({ endpoint });
    try {
      await client.checkHealth();
      return true;
    } catch (error) {
      if (member.exitCode !== null) return false;
      if (Date.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
