// R13 in a run: the snapshot as a step before the first change, and what a failed one means.
import type { ClusterConfiguration } from '../contract/configuration.ts';
import type { PlannedStep } from '../contract/report.ts';
import type { Journal } from '../engine/journal.ts';
import { patiently } from './patience.ts';
import { type TakenSnapshot, takeSnapshot } from './snapshot.ts';
import type { OpenCluster, Voter } from './voters.ts';

/** Each may be a stream of gigabytes that broke half-way. */
const ACCIDENTS = 2;

export interface SnapshotSetting {
  readonly journal: Journal;
  readonly configuration: ClusterConfiguration;
  /** Undefined: none is configured, or none is wanted. */
  readonly snapshotBucket: string | undefined;
  readonly cluster: OpenCluster;
  /** Milliseconds since 1970: nobody who is away is waited for any more from then on. */
  readonly untilMs?: number | undefined;
}

/** @returns why the run must stop, with nothing changed; undefined where it may go on */
export async function snapshotFirst(
  { journal, configuration, snapshotBucket: bucket, cluster, untilMs }: SnapshotSetting,
  voters: readonly Voter[],
): Promise<string | undefined> {
  if (bucket === undefined) {
    const { name, detail } = missingSnapshot(configuration);
    journal.note(name, { outcome: configuration.snapshot === false ? 'skipped' : 'not-configured', detail });
    return undefined;
  }
  const step = await patiently<{ done: TakenSnapshot }>(
    { journal, untilMs },
    'snapshot',
    { accidents: ACCIDENTS, lostIsAway: false },
    async () => takeSnapshot({ cluster: await cluster(), voters, bucket, clusterName: configuration.name }),
  );
  if (step.outcome === 'done' || !copiesFirst({ configuration, snapshotBucket: bucket })) return undefined;
  return `R13: no snapshot could be taken, so nothing was changed: ${step.detail}. Put that right, or set snapshot.onFailure to "continue" (or snapshot to false), then run again.`;
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

/** What stands in a plan. */
export function planSnapshot({
  configuration,
  snapshotBucket,
}: Pick<SnapshotSetting, 'configuration' | 'snapshotBucket'>): PlannedStep {
  if (snapshotBucket === undefined) return missingSnapshot(configuration);
  return { name: 'snapshot', detail: `of a healthy follower, to bucket ${snapshotBucket}` };
}
