// R13 in a run: the snapshot as a step, where it stands, and what a failed one means.
import type { ClusterConfiguration } from '../contract/configuration.ts';
import type { PlannedStep } from '../contract/report.ts';
import type { Journal } from '../engine/journal.ts';
import { DEFAULT_DEADLINES } from '../etcd/member-client.ts';
import { patiently } from './patience.ts';
import { compareContents } from './same-contents.ts';
import { type TakenSnapshot, takeSnapshot, trySnapshotStore } from './snapshot.ts';
import type { OpenCluster, Voter } from './voters.ts';

/** The longest HashKV, and what is around it. */
const COMPARE_NEEDS_MS = DEFAULT_DEADLINES.hashMs + 30_000;
const WITHOUT_ONE = 'put that right, or set snapshot.onFailure to "continue" (or snapshot to false), then run again.';
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
  return problem && nothingChanged(problem);
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
  return problem && `R13: no snapshot could be taken, so no second voter was defragmented: ${problem}; ${WITHOUT_ONE}`;
}

/** @returns what is wrong with it, where that stops the run */
async function snapshot(
  { journal, configuration, cluster, table, untilMs }: SnapshotSetting,
  bucket: string,
  voters: readonly Voter[],
  preferredId?: string,
): Promise<string | undefined> {
  const step = await patiently<{ done: TakenSnapshot }>(
    { journal, untilMs },
    'snapshot',
    { accidents: ACCIDENTS, lostIsAway: false },
    async () =>
      takeSnapshot({
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
  if (step.data?.contents !== undefined) journal.tellContents(step.data.contents);
  const goesOn = step.outcome === 'done' || !copiesFirst({ configuration, snapshotBucket: bucket });
  return goesOn ? undefined : step.detail;
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
