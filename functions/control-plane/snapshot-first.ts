// R13 in a run: the snapshot as a step, where it stands, and what a failed one means.
import type { ClusterConfiguration } from '../contract/configuration.ts';
import type { PlannedStep, ReportSnapshot } from '../contract/report.ts';
import type { Journal } from '../engine/journal.ts';
import { DEFAULT_DEADLINES } from '../etcd/member-client.ts';
import { copyNeedsMs } from './copy-time.ts';
import { patiently } from './patience.ts';
import { compareContents } from './same-contents.ts';
import {
  SNAPSHOT_TIMEOUT_MS,
  type SnapshotEnds,
  type TakenSnapshot,
  takeSnapshot,
  trySnapshotStore,
} from './snapshot.ts';
import type { OpenCluster, Voter } from './voters.ts';

/** The longest HashKV, and what is around it. */
const COMPARE_NEEDS_MS = DEFAULT_DEADLINES.hashMs + 30_000;
const WITHOUT_ONE = 'put that right, or set snapshot.onFailure to "continue" (or snapshot to false), then run again.';
const IF_IT_DIFFERS =
  'Either it is damaged, or the member is, in its file or in its memory. Compare the voters (etcdctl endpoint hashkv --cluster, each at the same revision), look at that node, then run again.';
/** Beside the stream: it is proven, or what was uploaded of it is taken back. */
const AROUND_MS = 150_000;
/** Each may be a stream of gigabytes that broke half-way. */
const ACCIDENTS = 2;

export interface SnapshotSetting {
  readonly journal: Journal;
  readonly configuration: ClusterConfiguration;
  /** Undefined: none is configured, or none is wanted. */
  readonly snapshotBucket: string | undefined;
  /** With what earlier copies were full of; undefined: not configured. */
  readonly table: string | undefined;
  readonly cluster: OpenCluster;
  /** About how large the copy may be. */
  readonly fileBytes: number;
  /** Milliseconds since 1970: nobody who is away is waited for any more from then on. */
  readonly untilMs?: number | undefined;
}

/** @returns why the run must stop, with nothing changed; undefined where it may go on */
export async function snapshotFirst(setting: SnapshotSetting, voters: readonly Voter[]): Promise<string | undefined> {
  const { journal, configuration, snapshotBucket } = setting;
  if (snapshotBucket === undefined) {
    const { name, detail } = missingSnapshot(configuration);
    journal.note(name, { outcome: configuration.snapshot === false ? 'skipped' : 'not-configured', detail });
    return undefined;
  }
  const problem = await snapshot(setting, snapshotBucket, voters);
  if (problem?.differs) {
    return `R13: the snapshot does not have the contents that its member says it has, so nothing was changed: ${problem.detail}. ${IF_IT_DIFFERS}`;
  }
  return problem && nothingChanged(problem.detail);
}

/**
 * Before a sweep whose snapshot comes after its first member: what S3 refuses anyway is found before anything is
 * changed.
 * @returns why the run must stop, with nothing changed; undefined where it may go on
 */
export async function tryStoreFirst(setting: SnapshotSetting): Promise<string | undefined> {
  const { journal, configuration, snapshotBucket } = setting;
  if (snapshotBucket === undefined) return undefined;
  const name = 'snapshot bucket';
  const options = { accidents: ACCIDENTS, lostIsAway: false };
  const step = await patiently({ journal }, name, options, () => trySnapshotStore(snapshotBucket, configuration.name));
  return step.outcome === 'done' || !copiesFirst(setting) ? undefined : nothingChanged(step.detail);
}

/**
 * The snapshot of the first voter that was defragmented: only what is live, once it has been compared with what the
 * voters have that were not. Where that can't be told, it is taken of one of those.
 * @param revision the one after what was compacted; every voter has it
 * @returns why the run must stop; undefined where it may go on
 */
export async function snapshotOfFirst(
  setting: SnapshotSetting,
  voters: readonly Voter[],
  firstId: string,
  revision: bigint,
): Promise<string | undefined> {
  const { journal, cluster, snapshotBucket } = setting;
  if (snapshotBucket === undefined) return undefined;
  const options = { accidents: ACCIDENTS, lostIsAway: false, neededMs: COMPARE_NEEDS_MS };
  const compared = await patiently({ journal }, 'compare', options, (attempt) =>
    compareContents(cluster, voters, revision, attempt),
  );
  if (compared.outcome === 'refused') {
    return `R13: the voters do not have the same contents, so no copy of one can stand for all: ${compared.detail}. Find out which one is wrong (etcdctl endpoint hashkv --cluster, each at the same revision), replace it, then run again.`;
  }
  const sources = compared.outcome === 'done' ? voters : voters.filter(({ id }) => id !== firstId);
  const problem = await snapshot(setting, snapshotBucket, sources, firstId);
  if (problem?.differs) {
    return `R13: the snapshot does not have the contents that its member says it has, so no second voter was defragmented: ${problem.detail}. ${IF_IT_DIFFERS}`;
  }
  if (problem === undefined) return undefined;
  return `R13: no snapshot could be taken, so no second voter was defragmented: ${problem.detail}; ${WITHOUT_ONE}`;
}

/** What is wrong with a snapshot, where that stops the run. */
interface SnapshotProblem {
  /** It is there, and its contents are not those of its member: that stops any run. */
  readonly differs: boolean;
  readonly detail: string;
}

async function snapshot(
  { journal, configuration, cluster, table, fileBytes, untilMs }: SnapshotSetting,
  bucket: string,
  voters: readonly Voter[],
  preferredId?: string,
): Promise<SnapshotProblem | undefined> {
  const step = await patiently<SnapshotEnds>(
    { journal, untilMs },
    'snapshot',
    { accidents: ACCIDENTS, lostIsAway: false, neededMs: AROUND_MS + copyNeedsMs(fileBytes, SNAPSHOT_TIMEOUT_MS) },
    async () =>
      takeSnapshot({
        timeoutMs: Math.min(SNAPSHOT_TIMEOUT_MS, journal.leftMs - AROUND_MS),
        cluster: await cluster(),
        voters,
        preferredId,
        isCompacted: preferredId !== undefined,
        bucket,
        table,
        clusterName: configuration.name,
        etcdPrefix: configuration.kubernetes?.etcdPrefix,
      }),
  );
  const { outcome, detail, data: taken } = step;
  if (taken?.contents !== undefined) journal.tellContents(taken.contents);
  if (taken !== undefined) journal.tellSnapshot(describeTaken(taken));
  if (taken?.proof.kind === 'differs') return { differs: true, detail };
  const goesOn = outcome === 'done' || !copiesFirst({ configuration, snapshotBucket: bucket });
  return goesOn ? undefined : { differs: false, detail };
}

function describeTaken({ bucket, key, bytes, memberId, proof }: TakenSnapshot): ReportSnapshot {
  const { kind, words, answer } = proof;
  const proven = kind === 'proven';
  const object = `s3://${bucket}/${key}`;
  return { object, bytes, memberId, proven, proof: words, ...(proven && answer && { contentHash: answer }) };
}

function nothingChanged(problem: string): string {
  return `R13: no snapshot could be taken, so nothing was changed: ${problem}; ${WITHOUT_ONE}`;
}

/** Whether a run gets no further than this step without a snapshot. */
export function copiesFirst({
  configuration: { snapshot },
  snapshotBucket,
}: Pick<SnapshotSetting, 'configuration' | 'snapshotBucket'>): boolean {
  return snapshotBucket !== undefined && !(snapshot && snapshot.onFailure === 'continue');
}

/** What stands in a report or a plan where no snapshot will be taken. */
function missingSnapshot({ snapshot }: ClusterConfiguration): PlannedStep {
  const why = snapshot === false ? 'switched off by the configuration' : 'no bucket: not configured';
  return { name: 'snapshot', detail: why };
}

/** What stands in a plan. @param first the name of whose contents are compared before, where it is taken of that one */
export function planSnapshot(
  { configuration, snapshotBucket }: Pick<SnapshotSetting, 'configuration' | 'snapshotBucket'>,
  first?: string,
): PlannedStep {
  if (snapshotBucket === undefined) return missingSnapshot(configuration);
  const of = first === undefined ? 'a healthy follower' : `${first}, where its contents were found to be those of all`;
  return { name: 'snapshot', detail: `of ${of}, to bucket ${snapshotBucket}` };
}
