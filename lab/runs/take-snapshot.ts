// A process of its own that takes one snapshot and prints what came of it, how long it took and how much memory it
// needed at most. Started by tests and by bench/snapshot.ts.

import { loadTlsMaterial } from '../../functions/aws/credentials.ts';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { SNAPSHOT_TIMEOUT_MS, type TakenSnapshot, takeSnapshot } from '../../functions/control-plane/snapshot.ts';
import { discoverMembers } from '../../functions/etcd/discovery.ts';

export interface TakenInProcess extends TakenSnapshot {
  /** Of the step alone. */
  readonly durationMs: number;
  /** Of the process in its whole life. */
  readonly peakRssBytes: number;
}

const [configuration = '', bucket = ''] = process.argv.slice(2);
const { name: clusterName, etcd } = parseCluster(JSON.parse(configuration), 'the first argument');
const tls = await loadTlsMaterial(etcd.credentials);
await using cluster = await discoverMembers({ endpoints: etcd.endpoints ?? [], tls });
const voters = cluster.members.filter(({ isLearner }) => !isLearner).map(({ id, name }) => ({ id, name }));
// What is deployed is one file; here, loading the S3 client's hundreds would be counted as the snapshot's time.
await import('../../functions/aws/snapshot-store.ts');
const startedMs = performance.now();
const { data } = await takeSnapshot({ cluster, voters, clusterName, bucket, timeoutMs: SNAPSHOT_TIMEOUT_MS });
if (data === undefined) throw new Error('no snapshot');
const taken: TakenInProcess = {
  ...data,
  durationMs: performance.now() - startedMs,
  // Kibibytes, on Linux.
  peakRssBytes: process.resourceUsage().maxRSS * 1024,
};
process.stdout.write(`${JSON.stringify(taken)}\n`);
