// R13: a snapshot before the first change, streamed from the healthiest follower straight to S3.

import type { ToldBeside } from '../contents/beside.ts';
import type { ReportContents } from '../contract/contents.ts';
import { describeError } from '../contract/errors.ts';
import { formatBytes } from '../contract/report.ts';
import type { StepResult } from '../engine/step.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { verifiedSnapshot } from '../etcd/snapshot.ts';
import type { MemberClient, MemberStatus } from '../etcd/types.ts';
import { inTime, willNotFit } from './copy-time.ts';
import { earlierContents } from './earlier-contents.ts';
import { type Proof, proveSnapshot } from './prove-snapshot.ts';
import { AwayError, SweepStoppedError, type Voter } from './voters.ts';

/** No voter is well enough to take a snapshot of: it would be of data that the cluster has moved on from. */
class NoSnapshotSourceError extends AwayError {
  override readonly name: string = 'NoSnapshotSourceError';
}

export interface SnapshotOrder {
  readonly cluster: EtcdCluster;
  readonly voters: readonly Voter[];
  /** By its id: taken of this one if it is healthy, leader or not. @default the one that chooseSnapshotSource says */
  readonly preferredId?: string | undefined;
  /** What the objects' keys begin with. */
  readonly clusterName: string;
  readonly bucket: string;
  /** What kube-apiserver's keys begin with, without its last slash. @default /registry */
  readonly etcdPrefix?: string | undefined;
  /** The state table, with what earlier copies were full of; undefined: not configured. */
  readonly table?: string | undefined;
  /** Nothing has its history any more. @default false */
  readonly isCompacted?: boolean;
  /** How long the stream may take altogether. @default SNAPSHOT_TIMEOUT_MS */
  readonly timeoutMs?: number | undefined;
}

/** Plain data that goes through checkpoints. */
export interface TakenSnapshot {
  readonly bucket: string;
  readonly key: string;
  readonly bytes: number;
  /** Hexadecimal, of the whole object. */
  readonly sha256: string;
  /** Decimal: what the member was at when it was asked. The snapshot may have a few more. */
  readonly revision: string;
  readonly memberId: string;
  readonly seconds: number;
  /** What was in it; undefined: that could not be told, and the step says why. */
  readonly contents?: ReportContents;
  /** Whether it has what the member says that it has. */
  readonly proof: Proof;
}

export interface SnapshotEnds {
  readonly done: TakenSnapshot;
  readonly refused: TakenSnapshot;
}

/** An invocation has 15 minutes; what a snapshot that takes too long has uploaded must be taken back within them. */
export const SNAPSHOT_TIMEOUT_MS = 12 * 60_000;

/** A voter as the choice sees it. */
export interface SnapshotSource extends Voter {
  /** Answered a linearizable read. */
  readonly healthy: boolean;
  readonly isLeader: boolean;
  readonly raftAppliedIndex: bigint;
}

/**
 * The preferred one, or the healthy follower that has applied the most: reading a whole database is left to those that
 * don't have to lead meanwhile. The leader only where there is no other; undefined where nobody is healthy.
 */
export function chooseSnapshotSource<Source extends SnapshotSource>(
  voters: readonly Source[],
  preferredId?: string,
): Source | undefined {
  const healthy = voters.filter((voter) => voter.healthy);
  const preferred = healthy.find(({ id }) => id === preferredId);
  if (preferred !== undefined) return preferred;
  const followers = healthy.filter(({ isLeader }) => !isLeader);
  return [...(followers.length > 0 ? followers : healthy)].sort(furthestFirst)[0];
}

function furthestFirst(a: SnapshotSource, b: SnapshotSource): number {
  if (a.raftAppliedIndex !== b.raftAppliedIndex) return a.raftAppliedIndex > b.raftAppliedIndex ? -1 : 1;
  return a.name.localeCompare(b.name);
}

/**
 * The work of one durable step, which may run again after a crash: what the first try left unfinished is taken back
 * first, and what it finished stays, so that there may be two snapshots. Needs the cluster's lease. `refused`: it is
 * there, and it does not have the contents that its member says it has.
 * @throws SweepStoppedError where it will not fit; SnapshotTooSlowError, NoSnapshotSourceError, EtcdError,
 * SnapshotCorruptError, SetupError, SnapshotStoreError; then there is no snapshot to rely on, and no part of one is
 * left unless the error says so
 */
export async function takeSnapshot(order: SnapshotOrder): Promise<StepResult<SnapshotEnds>> {
  const { clusterName, bucket, etcdPrefix, isCompacted = false, timeoutMs = SNAPSHOT_TIMEOUT_MS } = order;
  // Loaded when first needed: a run without a snapshot never pays for the S3 client, nor for the reader.
  const [{ storeSnapshot }, { ContentsBeside }] = await Promise.all([
    import('../aws/snapshot-store.ts'),
    import('../contents/beside.ts'),
  ]);
  const startedAt = new Date();
  const [source, cleared, earlier] = await Promise.all([
    findSource(order),
    clearUp(bucket, `${clusterName}/`),
    earlierContents(order.table, clusterName),
  ]);
  const { id: memberId, name, status } = source;
  const unfit = willNotFit(status.dbSize, SNAPSHOT_TIMEOUT_MS, earlier.nights);
  if (unfit !== undefined) throw new SweepStoppedError(`R13: a copy of ${name} was not begun: ${unfit}`);
  const revision = String(status.revision);
  const key = `${clusterName}/${timeForKey(startedAt)}-${revision}.db`;
  const metadata = {
    cluster: clusterName,
    ...(isMetadata(name) && { member: name }),
    'member-id': memberId,
    'etcd-version': status.version,
    revision,
  };

  const snapshot = verifiedSnapshot(source.client.snapshot());
  const beside = new ContentsBeside({
    root: etcdPrefix && `${etcdPrefix}/`,
    at: startedAt.toISOString(),
    revision: status.revision,
    nights: earlier.nights,
  });
  const { dbSize } = status;
  const pieces = inTime(beside.through(snapshot), dbSize, timeoutMs);
  const { encryption } = await storeSnapshot({ bucket, key, metadata, timeoutMs }, pieces);

  const { bytes, sha256 } = snapshot.summary;
  const seconds = (Date.now() - startedAt.getTime()) / 1000;
  const from = `${name}, ${source.isLeader ? 'the leader' : 'a follower'}, at revision ${revision}`;
  const what = `${formatBytes(bytes)} (${bytes} bytes) of ${from}`;
  const read = beside.end();
  const proof = await proofOf(source, read);
  const untold = read.problem === undefined ? earlier.untold : `; what fills it was not told: ${read.problem}`;
  const detail = `s3://${bucket}/${key}: ${what}, in ${seconds.toFixed(1)} s; SHA-256 ${sha256}; ${IN_WORDS[proof.kind]}: ${proof.words}; encryption ${encryption}${cleared}${untold}`;
  const data = {
    bucket,
    key,
    bytes,
    sha256,
    revision,
    memberId,
    seconds,
    ...told(read.contents, isCompacted, seconds),
    proof,
  };
  return { outcome: proof.kind === 'differs' ? 'refused' : 'done', detail, data };
}

const IN_WORDS = { proven: 'proven', differs: 'it differs', unknown: 'not proven' } as const satisfies Record<
  Proof['kind'],
  string
>;

function proofOf({ client, name, status }: ReachedSource, read: ToldBeside): Promise<Proof> | Proof {
  if (read.problem !== undefined) return { kind: 'unknown', words: 'its contents were not read' };
  const { hash, contents } = read;
  return proveSnapshot(client, { name, version: status.version }, { revision: contents.revision, hash });
}

function told(
  contents: ReportContents | undefined,
  isCompacted: boolean,
  seconds: number,
): Pick<TakenSnapshot, 'contents'> {
  if (contents === undefined) return {};
  return { contents: { ...contents, tookMs: seconds * 1000, ...(isCompacted && { isCompacted }) } };
}

/**
 * S3 takes ASCII alone here, 2 KB of all values ("Working with object metadata"): a name of another kind is left to the
 * id beside it.
 */
function isMetadata(name: string): boolean {
  return /^[\x21-\x7e][\x20-\x7e]{0,255}$/.test(name);
}

/** Not worth a failure: the bucket's lifecycle does the same a day later. @returns what to add to the report */
async function clearUp(bucket: string, prefix: string): Promise<string> {
  const { removeUnfinished } = await import('../aws/snapshot-store.ts');
  try {
    const unfinished = await removeUnfinished(bucket, prefix);
    return unfinished === 0 ? '' : `; taken back: ${unfinished} unfinished upload(s) of an earlier try`;
  } catch (error) {
    return `; unfinished uploads of an earlier try were not looked for: ${describeError(error)}`;
  }
}

/**
 * Whether a snapshot could be stored, as far as S3 says so before its first byte.
 * @throws SetupError, SnapshotStoreError
 */
export async function trySnapshotStore(bucket: string, clusterName: string): Promise<StepResult> {
  const { tryUpload } = await import('../aws/snapshot-store.ts');
  await tryUpload(bucket, `${clusterName}/${timeForKey(new Date())}-try.db`);
  return { outcome: 'done', detail: `bucket ${bucket} took the beginning of an upload, which was taken back` };
}

interface ReachedSource extends SnapshotSource {
  readonly client: MemberClient;
  readonly status: MemberStatus;
}

/** Looks at all voters at once. @throws NoSnapshotSourceError naming what is wrong with each */
export async function findSource({
  cluster,
  voters,
  preferredId,
}: Pick<SnapshotOrder, 'cluster' | 'voters' | 'preferredId'>): Promise<ReachedSource> {
  const problems: string[] = [];
  const looks = voters.map(async ({ id, name }): Promise<ReachedSource[]> => {
    const client = cluster.client(id);
    if (client === undefined) {
      problems.push(
        `${name}: ${cluster.members.find((member) => member.id === id)?.problem ?? 'not in the member list'}`,
      );
      return [];
    }
    try {
      const [status] = await Promise.all([client.status(), client.checkHealth()]);
      const isLeader = status.leaderId === id;
      return [{ id, name, healthy: true, isLeader, raftAppliedIndex: status.raftAppliedIndex, client, status }];
    } catch (error) {
      problems.push(`${name}: ${describeError(error)}`);
      return [];
    }
  });
  const source = chooseSnapshotSource((await Promise.all(looks)).flat(), preferredId);
  if (source !== undefined) return source;
  throw new NoSnapshotSourceError(`R13: no voter is healthy enough for a snapshot: ${problems.join('; ')}`, voters);
}

/** ISO 8601's basic form: sorts by time, and has no colon, which S3's tools and file systems stumble over. */
function timeForKey(time: Date): string {
  return time.toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '');
}
