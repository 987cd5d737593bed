// What every workflow has in common: a lease around it, one report at its end, whatever happened in between.
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Command } from './command.ts';
import { describeError, EtcdMedicError, LeaseLostError, redact } from './errors.ts';
import { Journal, type RecordedStep, type StepResult } from './journal.ts';
import type { Lease } from './lease.ts';
import type { Outcome, PlannedStep, PrunedResource, ReportMember, RunReport, StepOutcome } from './report.ts';

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

/** The most that Lambda lets an invocation take. One that is at work when its execution is ended from outside may go on for that long. */
export const LONGEST_INVOCATION_MS = 15 * 60_000;

/**
 * How long a lease holds without a renewal. It is renewed at the beginning of every step that changes something, and no step can
 * outlive its invocation; a minute more for starting up.
 */
export const LEASE_TTL_MS = LONGEST_INVOCATION_MS + 60_000;

/**
 * Runs `work` under the cluster's lease (R9) and ends in one report. A dry run changes nothing, so it takes no lease.
 * Never throws for what happens in `work`: that is the outcome `failed`.
 */
export async function conduct(run: Conduct, work: (journal: Journal) => Promise<Conclusion>): Promise<RunReport> {
  const { command, context, lease, sinks } = run;
  const journal = new Journal(context, () => guard(run));
  const begin = await takeTurn(run, journal);
  const conclusion = await conclude(begin, () => work(journal));
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

/** Stands before every change. @throws EtcdMedicError naming the rule */
async function guard({ command, lease }: Conduct): Promise<void> {
  if (command.dryRun) return;
  try {
    await lease.renew();
  } catch (error) {
    throw new EtcdMedicError(`R9: ${describeError(error)}`, { cause: error });
  }
}

/** Between two tries to take a lease that another workflow holds; waiting costs nothing. */
const TRY_AGAIN_SECONDS = 30;
/** Maintenance stops before its next change when it sees an alarm, but a pruning goes on for as long as it may: 3 hours, and its lists. */
export const WAIT_FOR_TURN_HOURS = 4;

interface Turn {
  readonly outcome: StepOutcome;
  readonly detail: string;
  readonly startedAt: string;
  /** It waited as long as it may, and the other run was still there. */
  readonly inVain: boolean;
}

/** Instead of the holder's workflow: that run is over, and the time is known by which nothing of it is under way any more. */
const ENDED = '(ended)';

/**
 * An alarm comes once, and a night only once a day. So a run that no person has started waits until a run of another workflow has ended;
 * one of its own workflow is already at what it was started for. For what is left of a run that was ended from outside, everybody waits.
 */
async function takeTurn({ command, context, lease }: Conduct, journal: Journal): Promise<Turn> {
  for (let waitedSeconds = 0; ; waitedSeconds += TRY_AGAIN_SECONDS) {
    const step = await journal.insist('lease', () => takeLease(lease, command), { unguarded: true });
    const waits =
      step.outcome === 'refused' &&
      command.parent === undefined &&
      (step.data === ENDED || (command.trigger.kind !== 'manual' && step.data !== command.workflow));
    const inVain = waits && waitedSeconds >= WAIT_FOR_TURN_HOURS * 60 * 60;
    if (!waits || inVain) {
      journal.note('lease', step);
      return { ...step, inVain };
    }
    await context.wait('lease held', { seconds: TRY_AGAIN_SECONDS });
  }
}

/**
 * A dry run changes nothing, so it neither waits for another run nor keeps one away.
 * @returns as its data, where the lease is held: the holder's workflow
 */
async function takeLease(lease: Lease, { dryRun, parent }: Command): Promise<StepResult<string>> {
  if (dryRun) return { outcome: 'skipped', detail: 'a dry run changes nothing and takes no lease' };
  if (parent !== undefined) return borrowLease(lease);
  const answer = await lease.acquire();
  if (answer.kind === 'acquired') return { outcome: 'done', detail: 'acquired' };
  if (answer.kind === 'not-configured') return { outcome: 'not-configured', detail: NO_TABLE };
  const { workflow, by, until, ended } = answer;
  if (ended) {
    const detail = `held until ${until} for what may still be under way of the ${workflow} run ${by}, which was ended from outside`;
    return { outcome: 'refused', detail, data: ENDED };
  }
  const detail = `held by the ${workflow} run ${by}, until ${until} if nobody renews it`;
  return { outcome: 'refused', detail, data: workflow };
}

const NO_TABLE = 'no lease table: not configured';

/** Never taken in the name of a parent that is gone: nobody would let go of it. */
async function borrowLease(lease: Lease): Promise<StepResult<string>> {
  try {
    const renewed = await lease.renew();
    if (renewed === 'not-configured') return { outcome: 'not-configured', detail: NO_TABLE };
    return { outcome: 'done', detail: 'renewed for the run on whose behalf this one works' };
  } catch (error) {
    if (!(error instanceof LeaseLostError)) throw error;
    return { outcome: 'refused', detail: `the run on whose behalf this one works does not hold it any more` };
  }
}

async function conclude({ outcome, detail, inVain }: Turn, work: () => Promise<Conclusion>): Promise<Conclusion> {
  if (inVain) {
    const reason = `R9: waited ${WAIT_FOR_TURN_HOURS} hours for another run on this cluster to end, in vain, and nothing was changed: ${detail}. See what that run does, stop it if it hangs, then run again.`;
    return { outcome: 'refused', reason, members: [] };
  }
  if (outcome === 'refused') {
    return { outcome: 'skipped', reason: `Another run is at work on this cluster: ${detail}.`, members: [] };
  }
  if (outcome === 'failed') {
    return {
      outcome: 'failed',
      reason: `The lease could not be taken, nothing was changed: ${detail}`,
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
