// A process of its own that deletes stale reports directly in etcd, as a recovery does, and prints what it deleted, how
// long that took and how much memory it needed at most. Started by bench/prune-direct.ts.
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { type ClusterConfiguration, parseCluster } from '../functions/contract/configuration.ts';
import { currentSession, withSession } from '../functions/control-plane/session.ts';
import { Journal } from '../functions/engine/journal.ts';
import { pruneDirectly } from '../functions/recover/direct.ts';
import { runLocally } from '../lab/execution/local-execution.ts';
import { manualCommand } from '../lab/runs/recover.ts';

export interface DeletedInProcess {
  readonly deleted: number;
  /** Of the step alone. */
  readonly durationMs: number;
  /** Of the process in its whole life. */
  readonly peakRssBytes: number;
}

const configuration: ClusterConfiguration = parseCluster(JSON.parse(process.argv[2] ?? ''), 'the first argument');
const endpoints = configuration.etcd.endpoints ?? [];

const handler = withSession(
  withDurableExecution(async (_event: unknown, context) => {
    const cluster = () => currentSession().cluster(configuration, endpoints);
    const { members } = await cluster();
    const voters = members.filter(({ isLearner }) => !isLearner).map(({ id, name }) => ({ id, name }));
    // There is no lease to hold here.
    const journal = new Journal(context, async () => undefined);
    const startedMs = performance.now();
    const { deleted } = await pruneDirectly({ journal, configuration, cluster }, voters, []);
    return { deleted, durationMs: performance.now() - startedMs };
  }),
);

const { result, error } = await runLocally(handler, manualCommand, { remainingTimeMs: () => 900_000 });
if (error !== undefined) throw new Error(`deleting failed: ${error.message}`);
// Kibibytes, on Linux.
const peakRssBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(`${JSON.stringify({ ...Object(result), peakRssBytes })}\n`);
