// What every durable workflow runs in: its event checked, its log lines written once, its metrics put out once.

import {
  type DurableContext,
  type DurableContextLogger,
  type DurableLambdaHandler,
  type DurableLogger,
  withDurableExecution,
} from '@aws/durable-execution-sdk-js';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { createLogger } from '../aws/logger.ts';
import { type Command, parseCommand } from '../contract/command.ts';
import { describeError } from '../contract/errors.ts';
import { CONTENTS_METRICS, NAMESPACE } from '../contract/metrics.ts';
import type { Outcome, RunReport } from '../contract/report.ts';
import { given } from '../contract/variables.ts';
import { type KindFigures, kindFigures } from './kind-metrics.ts';

/** Where the metrics go when nothing else is set, and the log's `service`. */
const DEFAULT_NAME = 'etcd-medic';

interface WorkflowTools {
  /**
   * Silent while the engine replays what was already done: no line is written twice, and one just before a crash
   * perhaps not at all.
   */
  readonly logger: DurableContextLogger<DurableLogger>;
}

/** A workflow: takes a checked command, does everything in durable steps, and ends in a report whatever happens. */
export type WorkflowCore = (command: Command, context: DurableContext, tools: WorkflowTools) => Promise<RunReport>;

/**
 * Makes a durable function's handler of a workflow. The code around `core` runs again at every replay, so it only
 * reads; the metrics are put out in a durable step of their own (`publish-metrics`), whose log line CloudWatch turns
 * into metrics. An event that isn't a command fails the execution with InvalidInputError, and nothing was changed.
 */
export function durableWorkflow(core: WorkflowCore): DurableLambdaHandler {
  return withDurableExecution(async (event: unknown, context: DurableContext) => {
    try {
      const command = parseCommand(event);
      const logger = configureLogger(command, context);
      logger.info('run started', { trigger: command.trigger, dryRun: command.dryRun });
      const report = await runCore(core, command, context);
      logger.info('run finished', { outcome: report.outcome, reason: report.reason });
      return report;
    } catch (error) {
      // The engine keeps the error and CloudWatch shows it; this line puts it among the run's others.
      context.logger.error('run failed', { problem: describeError(error) });
      throw error;
    }
  });
}

async function runCore(core: WorkflowCore, command: Command, context: DurableContext): Promise<RunReport> {
  let report: RunReport;
  try {
    report = await core(command, context, { logger: context.logger });
  } catch (error) {
    await publishMetrics(context, { ...command, outcome: 'failed' });
    throw error;
  }
  await publishMetrics(context, {
    cluster: report.cluster,
    workflow: report.workflow,
    // No alarm goes off for what can wait.
    outcome: report.canWait ? 'held-back' : report.outcome,
    durationMs: Date.parse(report.finishedAt) - Date.parse(report.startedAt),
    reclaimedBytes: reclaimedBytes(report),
    kinds: kindFigures(report.contents),
  });
  return report;
}

function configureLogger({ cluster, workflow }: Command, context: DurableContext): WorkflowTools['logger'] {
  const { durableExecutionArn: executionArn } = context.executionContext;
  const service = given(process.env, 'POWERTOOLS_SERVICE_NAME') ?? DEFAULT_NAME;
  const customLogger = createLogger(service, { cluster, workflow, executionArn });
  context.configureLogger({ customLogger, modeAware: true });
  return context.logger;
}

interface RunMetrics {
  readonly cluster: string;
  readonly workflow: string;
  readonly outcome: Outcome | 'held-back';
  readonly durationMs?: number;
  readonly reclaimedBytes?: number;
  readonly kinds?: readonly KindFigures[];
}

/**
 * One line of embedded metric format, and one for each of a few kinds where a copy told them. Recorded as a step, so a
 * replay doesn't repeat it; only a crash between the line and its record does, and a failure counted twice is better
 * than one that isn't counted.
 */
async function publishMetrics(context: DurableContext, metrics: RunMetrics): Promise<void> {
  await context.step(
    'publish-metrics',
    async () => {
      const emf = new Metrics({
        namespace: given(process.env, 'POWERTOOLS_METRICS_NAMESPACE') ?? DEFAULT_NAME,
        serviceName: given(process.env, 'POWERTOOLS_SERVICE_NAME') ?? DEFAULT_NAME,
      });
      emf.addDimensions({ cluster: metrics.cluster, workflow: metrics.workflow, outcome: metrics.outcome });
      emf.addMetric('RunOutcome', MetricUnit.Count, 1);
      if (metrics.durationMs !== undefined) emf.addMetric('DurationMs', MetricUnit.Milliseconds, metrics.durationMs);
      if (metrics.reclaimedBytes !== undefined)
        emf.addMetric('ReclaimedBytes', MetricUnit.Bytes, metrics.reclaimedBytes);
      emf.publishStoredMetrics();
      publishKinds(metrics);
    },
    // The run is over and its report is sound; metrics that can't be written must not start anything again.
    { retryStrategy: () => ({ shouldRetry: false }) },
  );
}

/** Whoever graphs a kind should not have to name the run that told it: these have the probe's dimensions. */
function publishKinds({ cluster, kinds = [] }: RunMetrics): void {
  const emf = new Metrics({ namespace: NAMESPACE });
  emf.clearDefaultDimensions();
  for (const { kind, liveBytes, historyBytes, writesPerMinute } of kinds) {
    emf.addDimensions({ cluster, kind });
    emf.addMetric(CONTENTS_METRICS.live, MetricUnit.Bytes, liveBytes);
    emf.addMetric(CONTENTS_METRICS.history, MetricUnit.Bytes, historyBytes);
    if (writesPerMinute !== undefined) emf.addMetric(CONTENTS_METRICS.writes, MetricUnit.Count, writesPerMinute);
    emf.publishStoredMetrics();
  }
}

/** How much smaller the members' files became, in bytes; a member that wasn't read twice counts for nothing. */
function reclaimedBytes({ members }: RunReport): number {
  const reclaimed = members.map(({ before, after }) => (before && after ? before.dbSize - after.dbSize : 0));
  return reclaimed.reduce((sum, bytes) => sum + Math.max(0, bytes), 0);
}
