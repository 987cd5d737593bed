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
  const begin = await repeated(run, journal, 'lease', () => takeLease(lease, command));
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
  await deliver(run, journal, 'history', sinks.history, report);
  await deliver(run, journal, 'bus', sinks.bus, report);
  // Also where taking it failed: it may have been written all the same. It is let go only if it is this run's.
  if (begin.outcome === 'done' || begin.outcome === 'failed') {
    await journal.unguardedStep('release lease', async () => {
      const released = (await lease.release()) === 'released';
      return { outcome: 'done', detail: released ? 'released' : 'this run did not hold it' };
    });
  }
  return report();
}

/** A dry run changes nothing, so it neither waits for another run nor keeps one away. */
async function takeLease(lease: Lease, { dryRun }: Command): Promise<StepResult<never>> {
  if (dryRun) return { outcome: 'skipped', detail: 'a dry run changes nothing and takes no lease' };
  const answer = await lease.acquire();
  if (answer.kind === 'acquired') return { outcome: 'done', detail: 'acquired' };
  if (answer.kind === 'not-configured') return { outcome: 'not-configured', detail: 'no lease table: not configured' };
  const { workflow, by, until } = answer;
  return { outcome: 'refused', detail: `held by the ${workflow} run ${by}, until ${until} if nobody renews it` };
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

/** A service that hiccups must not end a night: what is safe to repeat is tried three times. */
const ATTEMPTS = 3;
const AGAIN_SECONDS = 5;

async function repeated(
  { context }: Conduct,
  journal: Journal,
  name: string,
  work: () => Promise<StepResult<never>>,
): Promise<RecordedStep<never>> {
  for (let attempt = 1; ; attempt++) {
    const step = await journal.quietUnguardedStep(attempt === 1 ? name : `${name}, again (${attempt})`, work);
    if (step.outcome !== 'failed' || attempt === ATTEMPTS) {
      journal.note(name, step);
      return step;
    }
    await context.wait(`${name} again`, { seconds: AGAIN_SECONDS });
  }
}

async function deliver(
  run: Conduct,
  journal: Journal,
  name: string,
  sink: ((report: RunReport) => Promise<void>) | undefined,
  report: () => RunReport,
): Promise<void> {
  await repeated(run, journal, name, async () => {
    if (sink === undefined) return { outcome: 'not-configured', detail: `no ${name}: not configured` };
    await sink(report());
    return { outcome: 'done', detail: 'report delivered' };
  });
}
