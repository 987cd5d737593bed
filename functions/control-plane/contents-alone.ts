// What fills the database on a night that keeps no copy: a follower's Snapshot stream, read and thrown away.
import type { ClusterConfiguration } from '../contract/configuration.ts';
import type { ReportContents } from '../contract/contents.ts';
import { EtcdMedicError } from '../contract/errors.ts';
import { formatBytes } from '../contract/report.ts';
import type { Journal } from '../engine/journal.ts';
import type { StepResult } from '../engine/step.ts';
import { verifiedSnapshot } from '../etcd/snapshot.ts';
import { earlierContents } from './earlier-contents.ts';
import { findSource } from './snapshot.ts';
import type { OpenCluster, Voter } from './voters.ts';

/** It is only told for people, so it may not hold up a night: 2 GiB take some seconds, 8 GiB a minute. */
const STREAM_MS = 3 * 60_000;
/** Finding the follower, and ending the stream. */
const AROUND_MS = 60_000;

class TooSlowError extends EtcdMedicError {
  override readonly name = 'TooSlowError';
}

export interface AloneSetting {
  readonly journal: Journal;
  readonly configuration: ClusterConfiguration;
  /** With what earlier copies were full of; undefined: not configured. */
  readonly table: string | undefined;
  readonly cluster: OpenCluster;
}

/** Before the compaction, which takes the evidence away. Whatever goes wrong with it, the night goes on. */
export async function tellContentsAlone(setting: AloneSetting, voters: readonly Voter[]): Promise<void> {
  const { journal } = setting;
  const options = { neededMs: STREAM_MS + AROUND_MS };
  const step = await journal.step<{ done: ReportContents }>('contents', options, () => readAlone(setting, voters));
  if (step.data !== undefined) journal.tellContents(step.data);
}

async function readAlone(
  { configuration, table, cluster: open }: AloneSetting,
  voters: readonly Voter[],
): Promise<StepResult<{ done: ReportContents }>> {
  const at = new Date();
  const [cluster, { ContentsBeside }, earlier] = await Promise.all([
    open(),
    import('../contents/beside.ts'),
    earlierContents(table, configuration.name),
  ]);
  const { name, client, status, isLeader } = await findSource({ cluster, voters });
  // Whoever leads has everybody's writes to see to.
  if (isLeader) return { outcome: 'nothing-to-do', detail: `${name} leads, and no follower is healthy: not read` };
  const root = configuration.kubernetes?.etcdPrefix;
  const beside = new ContentsBeside({
    root: root && `${root}/`,
    at: at.toISOString(),
    revision: status.revision,
    nights: earlier.nights,
    isAlone: true,
  });
  const snapshot = verifiedSnapshot(client.snapshot());
  for await (const _ of beside.through(snapshot)) {
    if (Date.now() - at.getTime() > STREAM_MS) {
      throw new TooSlowError(
        `${name} had not sent all of its ${formatBytes(status.dbSize)} within ${STREAM_MS / 1000} s`,
      );
    }
  }
  const { contents, problem } = beside.end();
  if (contents === undefined) return { outcome: 'failed', detail: `what fills ${name} was not told: ${problem}` };
  const seconds = ((Date.now() - at.getTime()) / 1000).toFixed(1);
  const read = `${formatBytes(contents.bytes)} of ${name}, a follower, read in ${seconds} s and stored nowhere`;
  return { outcome: 'done', detail: `${read}${earlier.untold}`, data: contents };
}
