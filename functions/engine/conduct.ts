// What every workflow has in common: a lease around it, one report at its end, whatever happened in between.

import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Lease } from '../aws/lease.ts';
import type { Command } from '../contract/command.ts';
import { describeError, EtcdMedicError, LeaseLostError, redact } from '../contract/errors.ts';
import type { Outcome, PlannedStep, PrunedResource, ReportMember, RunReport, StepOutcome } from '../contract/report.ts';
import { fitReport } from '../contract/shorten.ts';
import { LEASE_TTL_MS, WAIT_FOR_TURN_HOURS } from '../contract/times.ts';
import { Journal } from './journal.ts';
import { MOST_PAYLOAD_BYTES } from './recordable.ts';
import type { StepResult } from './step.ts';

/** What a workflow's own part comes to; the rest of the report is the same for all of them. */
export interface Conclusion {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly members: readonly ReportMember[];
  readonly plan?: readonly PlannedStep[] | undefined;
  readonly pruned?: readonly PrunedResource[] | undefined;
  readonly raise?: RunReport['raise'];
  readonly canWait?: RunReport['canWait'];
  readonly lastNight?: RunReport['lastNight'];
  readonly unavailable?: RunReport['unavailable'];
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
 * Runs `work` under the cluster's lease (R9) and ends in one report. A dry run changes nothing, so it takes no lease.
 * Never throws for what happens in `work`: that is the outcome `failed`.
 */
export async function conduct(run: Conduct, work: (journal: Journal) => Promise<Conclusion>): Promise<RunReport> {
  const { command, context, lease, sinks } = run;
  const journal = new Journal(context, (renewedMs, neededMs) => guard(run, renewedMs, neededMs));
  const begin = await takeTurn(run, journal);
  const conclusion = await conclude(begin, () => work(journal));
  const finished = await journal.step('finish', { guarded: false, quiet: true }, async () => ({
    outcome: 'done',
    detail: 'finished',
  }));
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
    ...(journal.snapshot !== undefined && { snapshot: journal.snapshot }),
    ...(journal.contents !== undefined && { contents: journal.contents }),
    ...(conclusion.lastNight !== undefined && { lastNight: conclusion.lastNight }),
    ...(conclusion.raise !== undefined && { raise: conclusion.raise }),
    ...(conclusion.canWait && { canWait: conclusion.canWait }),
    ...(conclusion.unavailable !== undefined && { unavailable: conclusion.unavailable }),
  });
  await deliver(journal, 'history', sinks.history, report);
  await deliver(journal, 'bus', sinks.bus, report);
  // Also where taking it failed: it may have been written all the same. It is let go only if it is this run's.
  if (run.borrowed !== true && (begin.outcome === 'done' || begin.outcome === 'failed')) {
    await journal.step('release lease', RETRIED_UNGUARDED, async () => {
      const released = (await lease.release()) === 'released';
      return { outcome: 'done', detail: released ? 'released' : 'this run did not hold it' };
    });
  }
  // A parent waits for it: it is handed on as a durable operation's result, and may be no larger.
  const { json, shortened } = fitReport(report(), MOST_PAYLOAD_BYTES);
  return shortened ? JSON.parse(json) : report();
}

/** A lease that nothing is left of is tried to be renewed for so long, before the run ends for it. */
const RENEW_WITHIN_MS = 60_000;
const RENEW_AGAIN_MS = 2_000;

/**
 * Stands before every change: renews the lease. A renewal that got no answer is not a lost lease: while the last one
 * covers what is to be done, that goes on, and the next step tries again.
 * @throws EtcdMedicError naming the rule
 */
async function guard({ command, lease }: Conduct, renewedMs: number | undefined, neededMs: number) {
  if (command.dryRun) return undefined;
  const startedMs = Date.now();
  for (;;) {
    const nowMs = Date.now();
    try {
      await lease.renew();
      return nowMs;
    } catch (error) {
      const lost = error instanceof LeaseLostError;
      if (!lost && renewedMs !== undefined && Date.now() + neededMs <= renewedMs + LEASE_TTL_MS) return renewedMs;
      if (lost || nowMs - startedMs > RENEW_WITHIN_MS)
        throw new EtcdMedicError(`R9: ${describeError(error)}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, RENEW_AGAIN_MS));
    }
  }
}

/** Between two tries to take a lease that another workflow holds; waiting costs nothing. */
const TRY_AGAIN_SECONDS = 30;
/**
 * Between two tries where the table did not answer, and how many of them in a row: two minutes, with the calls' own
 * time.
 */
const NO_ANSWER_AGAIN_SECONDS = 5;
const NO_ANSWERS = 13;

interface Turn {
  readonly outcome: StepOutcome;
  readonly detail: string;
  readonly startedAt: string;
  /** It waited as long as it may, and the other run was still there. */
  readonly inVain: boolean;
}

/**
 * An alarm comes once, and a night only once a day. So a run that no person has started waits until a run of another
 * workflow has ended; one of its own workflow is already at what it was started for. For what is left of a run that was
 * ended from outside, everybody waits.
 */
async function takeTurn({ command, lease }: Conduct, journal: Journal): Promise<Turn> {
  const waitsFor = ({ heldBy, ended }: Holder) =>
    command.parent === undefined && (ended || (command.trigger.kind !== 'manual' && heldBy !== command.workflow));
  const step = await journal.poll<LeaseEnds, NoAnswers>(
    'lease',
    {
      everySeconds: ({ outcome }) => (outcome === 'failed' ? NO_ANSWER_AGAIN_SECONDS : TRY_AGAIN_SECONDS),
      withinSeconds: WAIT_FOR_TURN_HOURS * 60 * 60,
      guarded: false,
    },
    async ({ memory }) => {
      try {
        const answer = await takeLease(lease, command);
        return { ...answer, again: answer.outcome === 'refused' && waitsFor(answer.data), memory: { noAnswers: 0 } };
      } catch (error) {
        const noAnswers = (memory?.noAnswers ?? 0) + 1;
        const again = noAnswers < NO_ANSWERS;
        return { outcome: 'failed', detail: describeError(error), again, memory: { noAnswers } };
      }
    },
  );
  if (step.outcome === 'done') journal.held(step.data.askedMs);
  return { ...step, inVain: step.timeUp && step.outcome === 'refused' };
}

/** How often in a row the table did not answer. */
interface NoAnswers {
  readonly noAnswers: number;
}

interface Holder {
  /** The workflow of the run that has it. */
  readonly heldBy: string;
  /** That run is over, and the time is known by which nothing of it is under way any more. */
  readonly ended: boolean;
}

interface LeaseEnds {
  /** When the table was asked, in milliseconds since 1970: from then on a lease that was taken holds. */
  readonly done: { readonly askedMs: number };
  readonly refused: Holder;
}

/** A dry run changes nothing, so it neither waits for another run nor keeps one away. */
async function takeLease(lease: Lease, { dryRun, parent }: Command): Promise<StepResult<LeaseEnds>> {
  if (dryRun) return { outcome: 'skipped', detail: 'a dry run changes nothing and takes no lease' };
  if (parent !== undefined) return borrowLease(lease);
  const askedMs = Date.now();
  const answer = await lease.acquire();
  if (answer.kind === 'acquired') return { outcome: 'done', detail: 'acquired', data: { askedMs } };
  if (answer.kind === 'not-configured') return { outcome: 'not-configured', detail: NO_TABLE };
  const { workflow, by, until, ended } = answer;
  if (ended) {
    const detail = `held until ${until} for what may still be under way of the ${workflow} run ${by}, which was ended from outside`;
    return { outcome: 'refused', detail, data: { heldBy: workflow, ended } };
  }
  const detail = `held by the ${workflow} run ${by}, until ${until} if nobody renews it`;
  return { outcome: 'refused', detail, data: { heldBy: workflow, ended } };
}

const NO_TABLE = 'no lease table: not configured';

/** Never taken in the name of a parent that is gone: nobody would let go of it. */
async function borrowLease(lease: Lease): Promise<StepResult<LeaseEnds>> {
  const askedMs = Date.now();
  try {
    const renewed = await lease.renew();
    if (renewed === 'not-configured') return { outcome: 'not-configured', detail: NO_TABLE };
    return { outcome: 'done', detail: 'renewed for the run on whose behalf this one works', data: { askedMs } };
  } catch (error) {
    if (!(error instanceof LeaseLostError)) throw error;
    const detail = 'the run on whose behalf this one works does not hold it any more';
    // It is not waited for: nobody has a lease that this run may work under.
    return { outcome: 'refused', detail, data: { heldBy: 'nobody', ended: false } };
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
const RETRIED_UNGUARDED = { retried: 'failures', guarded: false } as const;

async function deliver(
  journal: Journal,
  name: string,
  sink: ((report: RunReport) => Promise<void>) | undefined,
  report: () => RunReport,
): Promise<void> {
  await journal.step(name, RETRIED_UNGUARDED, async () => {
    if (sink === undefined) return { outcome: 'not-configured', detail: `no ${name}: not configured` };
    await sink(report());
    return { outcome: 'done', detail: 'report delivered' };
  });
}
