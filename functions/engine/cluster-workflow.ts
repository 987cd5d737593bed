// What the handlers of all workflows share: whose cluster it is, the lease, and where the report goes.
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { publishReport } from '../aws/events.ts';
import { recordRun } from '../aws/history.ts';
import { createLease } from '../aws/lease.ts';
import type { Command } from '../contract/command.ts';
import { type RunEnvironment, readEnvironment } from '../contract/environment.ts';
import { InvalidInputError } from '../contract/errors.ts';
import { LEASE_TTL_MS } from '../contract/times.ts';
import { type Conclusion, conduct, type ReportSinks } from './conduct.ts';
import type { Journal } from './journal.ts';
import { durableWorkflow } from './pipeline.ts';

/** One run, as a workflow's own part gets it. */
export interface ClusterRun {
  readonly command: Command;
  readonly environment: RunEnvironment;
  readonly journal: Journal;
}

/**
 * Makes a durable handler of a workflow's own part, under the cluster's lease (R9). A command with a `parent` works
 * under that run's lease, and leaves it to it.
 */
export function clusterWorkflow(work: (run: ClusterRun) => Promise<Conclusion>): DurableLambdaHandler {
  return durableWorkflow(async (command, context) => {
    const environment = readEnvironment(process.env);
    const { cluster, table, bus } = environment;
    if (command.cluster !== cluster.name) {
      throw new InvalidInputError('command', [`cluster: found "${command.cluster}", expected "${cluster.name}"`]);
    }
    const execution = context.executionContext.durableExecutionArn;
    const lease = createLease({
      table,
      cluster: cluster.name,
      owner: command.parent ?? execution,
      workflow: command.workflow,
      ttlMs: LEASE_TTL_MS,
    });
    const sinks: ReportSinks = {
      history: table === undefined ? undefined : async (report) => void (await recordRun({ table, report, execution })),
      bus: bus === undefined ? undefined : async (report) => void (await publishReport({ bus, report, execution })),
    };
    return conduct({ command, context, lease, borrowed: command.parent !== undefined, sinks }, (journal) =>
      work({ command, environment, journal }),
    );
  });
}
