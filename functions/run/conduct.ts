// What every workflow has in common: a lease around it, one report at its end, whatever happened in between.
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Command } from './command.ts';
import { describeError, redact } from './errors.ts';
import { Journal, type RecordedStep, type StepResult } from './journal.ts';
import type { Lease } from './lease.ts';
import type { Outcome, PlannedStep, PrunedResource, ReportMember, RunReport } from './report.ts';

/** What a workflow's own part comes to; the rest of the report is the same for all of them. */
export interface Conclusion {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly members: readonly ReportMember[];
  readonly plan?: readonly PlannedStep[] | undefined;
  readonly pruned?: readonly PrunedResource[] | undefined;
}

/** Where a finished report goes. `undefined`: not configured, which the report says. */
export interface ReportSinks {
  readonly history: ((report: RunReport) => Promise<void>) | undefined;
  readonly bus: ((report: RunReport) => Promise<void>) | undefined;
}

export interface Conduct {
  readonly command: Command;
  readonly context: DurableContext;
  readonly lease: Lease;
  /** The lease belongs to the run on whose behalf this one works, and is left to it at the end. @default false */
  readonly borrowed?: boolean;
  readonly sinks: ReportSinks;
}

/**
 * How long a lease holds without a renewal. It is renewed at the beginning of every step that changes something, and no step can
 * outlive the 15 minutes that a Lambda invocation may take at most; a minute more for starting up.
 */
export const LEASE_TTL_MS = 16 * 60_000;

/**
 * Runs `work` under the cluster's lease (R9) and ends in one report. A dry run changes nothing, so it takes no lease.
 * Never throws for what happens in `work`: that is the outcome `failed`.
 */
export async function conduct(run: Conduct, work: (journal: Journal) => Promise<Conclusion>): Promise<RunReport> {
  const { command, context, lease, sinks } = run;
  const journal = new Journal(context, async () => {
    if (!command.dryRun) await lease.renew();
  });
  const begin = await takeTurn(run, journal);
  const conclusion = await conclude(begin.outcome, begin.detail, () => work(journal));
  const finished = await journal.quietUnguardedStep('finish', async () => ({ outcome: 'done', detail: 'finished' }));
  const report = (): RunReport => ({
    cluster: command.cluster,
    workflow: command.workflow,
    outcome: conclusion.outcome,
    reason: redact(conclusion.reason),
    trigger: command.trigger,
    dryRun: command.dryRun,
    startedAt: begin.startedAt,
    finishedAt: finished.startedAt,
    members: conclusion.members,
    steps: [...journal.steps],
    ...(conclusion.plan !== undefined && { plan: conclusion.plan }),
    ...(conclusion.pruned !== undefined && { pruned: conclusion.pruned }),
  });
  await deliver(journal, 'history', sinks.history, report);
  await deliver(journal, 'bus', sinks.bus, report);
  // Also where taking it failed: it may have been written all the same. It is let go only if it is this run's.
  if (run.borrowed !== true && (begin.outcome === 'done' || begin.outcome === 'failed')) {
    await journal.unguardedStep('release lease', async () => {
      const released = (await lease.release()) === 'released';
      return { outcome: 'done', detail: released ? 'released' : 'this run did not hold it' };
    });
  }
  return report();
}

/** Between two tries to take a lease that another workflow holds; waiting costs nothing. */
const TRY_AGAIN_SECONDS = 30;
/** Maintenance stops before its next change when it sees the alarm, but a pruning or a defragmentation may have to end first. */
const WAIT_FOR_TURN_SECONDS = 2 * 60 * 60;

/**
 * An alarm comes once. So a run that one has started waits until a run of another workflow has ended; one of its own workflow is
 * already at what it was started for.
 */
async function takeTurn({ command, context, lease }: Conduct, journal: Journal): Promise<RecordedStep<string>> {
  for (let waitedSeconds = 0; ; waitedSeconds += TRY_AGAIN_SECONDS) {
    const step = await journal.insist('lease', () => takeLease(lease, command), { unguarded: true });
    const waits = step.outcome === 'refused' && command.trigger.kind === 'alarm' && step.data !== command.workflow;
    if (!waits || waitedSeconds >= WAIT_FOR_TURN_SECONDS) {
      journal.note('lease', step);
      return step;
    }
    await context.wait('lease held', { seconds: TRY_AGAIN_SECONDS });
  }
}

/**
 * A dry run changes nothing, so it neither waits for another run nor keeps one away.
 * @returns as its data, where the lease is held: the holder's workflow
 */
async function takeLease(lease: Lease, { dryRun }: Command): Promise<StepResult<string>> {
  if (dryRun) return { outcome: 'skipped', detail: 'a dry run changes nothing and takes no lease' };
  const answer = await lease.acquire();
  if (answer.kind === 'acquired') return { outcome: 'done', detail: 'acquired' };
  if (answer.kind === 'not-configured') return { outcome: 'not-configured', detail: 'no lease table: not configured' };
  const { workflow, by, until } = answer;
  const detail = `held by the ${workflow} run ${by}, until ${until} if nobody renews it`;
  return { outcome: 'refused', detail, data: workflow };
}

async function conclude(
  leaseOutcome: string,
  leaseDetail: string,
  work: () => Promise<Conclusion>,
): Promise<Conclusion> {
  if (leaseOutcome === 'refused') {
    return { outcome: 'skipped', reason: `Another run is at work on this cluster: ${leaseDetail}.`, members: [] };
  }
  if (leaseOutcome === 'failed') {
    return {
      outcome: 'failed',
      reason: `The lease could not be taken, nothing was changed: ${leaseDetail}`,
      members: [],
    };
  }
  try {
    return await work();
  } catch (error) {
    return { outcome: 'failed', reason: describeError(error), members: [] };
  }
}

/** A service that hiccups must not end a night. Unguarded, because it changes nothing in the cluster. */
async function insisted(
  journal: Journal,
  name: string,
  work: () => Promise<StepResult<never>>,
): Promise<RecordedStep<never>> {
  const step = await journal.insist(name, work, { unguarded: true });
  journal.note(name, step);
  return step;
}

async function deliver(
  journal: Journal,
  name: string,
  sink: ((report: RunReport) => Promise<void>) | undefined,
  report: () => RunReport,
): Promise<void> {
  await insisted(journal, name, async () => {
    if (sink === undefined) return { outcome: 'not-configured', detail: `no ${name}: not configured` };
    await sink(report());
    return { outcome: 'done', detail: 'report delivered' };
  });
}
