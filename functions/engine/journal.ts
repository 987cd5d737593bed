// Runs a workflow's steps durably and keeps the report's record of them: one durable step, one line in the report.
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { describeError, EtcdMedicError } from '../contract/errors.ts';
import type { ReportStep, StepOutcome } from '../contract/report.ts';
import { type Look, type LookAgain, lookOnce, type PolledStep, type Polling, type PollState } from './poll.ts';
import { fitResult } from './recordable.ts';
import type { RecordedStep, StepResult } from './step.ts';
import { operationName, reportName, type StepName } from './step-name.ts';

/**
 * Before a step the lease was lost or could not be renewed (R9), or somebody had turned the switch (R16): nothing more
 * was done.
 */
export class GuardError extends EtcdMedicError {
  override readonly name = 'GuardError';
  /** A person has turned the switch (R16); otherwise the lease is lost (R9). */
  readonly switchedOff: boolean;

  constructor(message: string, { switchedOff }: { readonly switchedOff: boolean }) {
    super(message);
    this.switchedOff = switchedOff;
  }
}

/**
 * Stands before every change, and throws where nothing more may be changed, naming the rule.
 * @param renewedMs when the lease was last known to be renewed, in milliseconds since 1970
 * @param neededMs how long what it stands before may take
 * @returns when it is known to be renewed now
 */
export type Guard = (renewedMs: number | undefined, neededMs: number) => Promise<number | undefined>;

/** Most steps are a few calls with deadlines of seconds; what takes longer says so. */
const STEP_NEEDS_MS = 2 * 60_000;

/** Never retried by the engine: a step's failure is data that the workflow decides on (R5, R14). */
const noRetry = () => ({ shouldRetry: false });

/**
 * Calls that are safe to repeat are tried for so long, when what they met was an accident (a restart, an election, a
 * hiccup).
 */
const INSIST_SECONDS = 60;
const AGAIN_SECONDS = 5;
/** What the guard said so short a time ago still holds directly before a change. */
const FRESH_MS = 3_000;

export class Journal {
  readonly steps: ReportStep[] = [];
  #askedAtMs = 0;
  #letThrough = false;
  #changing = false;
  readonly #context: DurableContext;
  readonly #guard: Guard;
  #renewedMs: number | undefined;
  #switchedOff: () => Promise<string | undefined> = async () => undefined;

  /** @param guard runs inside every guarded step, before its work */
  constructor(context: DurableContext, guard: Guard) {
    this.#context = context;
    this.#guard = guard;
  }

  /** The lease was taken, or renewed, at this time. */
  held(renewedMs: number): void {
    this.#renewedMs = renewedMs;
  }

  /**
   * R16: from here on, also before every change: why nothing more may be changed, or undefined where the run may go on.
   */
  heed(switchedOff: () => Promise<string | undefined>): void {
    this.#switchedOff = switchedOff;
  }

  /**
   * One durable step and its line in the report. An error becomes `failed` with the error's words.
   * What the work returns is recorded before the next step begins; after a crash the work may run a second time (R10).
   * @throws GuardError
   */
  async step<Data>(name: StepName, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    const result = await this.quietStep(name, work);
    this.note(reportName(name), result);
    return result;
  }

  /** The same without a line in the report, for the many small looks of a poll. @throws GuardError */
  async quietStep<Data>(name: StepName, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    const guarded = async () => (await this.#forbidden()) ?? work();
    return this.#permitted(name, await this.#record<Data>(name, guarded));
  }

  /** A step that must also be done when the lease is lost: it changes nothing in the cluster. */
  async unguardedStep<Data>(name: StepName, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    const result = await this.#record(name, work);
    this.note(reportName(name), result);
    return result;
  }

  async quietUnguardedStep<Data>(name: StepName, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    return this.#record(name, work);
  }

  /**
   * A quiet step that is tried for a minute, 5 s apart, while it comes out as `failed`; any other outcome is an answer.
   * Only for work that is safe to repeat.
   * @throws GuardError unless `unguarded`
   */
  async insist<Data>(
    name: StepName,
    work: () => Promise<StepResult<Data>>,
    { unguarded = false } = {},
  ): Promise<PolledStep<Data>> {
    const polling = { everySeconds: AGAIN_SECONDS, withinSeconds: INSIST_SECONDS, guarded: !unguarded };
    return this.poll<Data>(name, polling, async () => {
      const result = await settled(work);
      return { ...result, again: result.outcome === 'failed' && !('unguarded' in result) };
    });
  }

  /**
   * A quiet step that Lambda must not cut in two: where too little of the invocation is left, it is put off to a fresh
   * one.
   * @throws GuardError
   */
  async inTime<Data>(
    name: StepName,
    neededMs: number,
    work: () => Promise<StepResult<Data>>,
  ): Promise<RecordedStep<Data>> {
    return this.poll(name, { everySeconds: 1, withinSeconds: 0, neededMs }, work);
  }

  /**
   * Looks again and again through the durable engine: one durable operation however often it looks, no line in the
   * report. For pure looks, and for a change that could not be tried yet: then the look answers `again`. One that
   * throws is `failed`, and the last. A crash in a look repeats that look alone (R10).
   * @throws GuardError unless not `guarded`
   */
  async poll<Data>(name: StepName, polling: Polling<Data>, look: LookAgain<Data>): Promise<PolledStep<Data>> {
    const { guarded = true } = polling;
    const work: LookAgain<Data> = async (n, last, needsMs) => {
      const forbidden = guarded ? await this.#forbidden(Math.max(needsMs, STEP_NEEDS_MS)) : undefined;
      return forbidden ?? look(n, last, needsMs);
    };
    const check = async (n: number, last: (StepResult<Data> & Changing) | undefined, needsMs: number) =>
      this.#noting(last, () => settled<Look<Data>>(() => work(n, last, needsMs)));
    const state = await this.#context.waitForCondition<PollState<Data> | null>(
      operationName(name),
      // The time that is left is asked inside of the look, so that its answer is recorded and a replay goes the same
      // way.
      async (before) => {
        this.#renewedMs ??= before?.renewedMs;
        return lookOnce(polling, before ?? undefined, this.#context.lambdaContext.getRemainingTimeInMillis(), check);
      },
      {
        initialState: null,
        waitStrategy: (after) =>
          after?.pauseSeconds === undefined
            ? { shouldContinue: false }
            : { shouldContinue: true, delay: { seconds: after.pauseSeconds } },
      },
    );
    if (state === null) throw new Error(`"${operationName(name)}" has ended without a look`);
    return this.#permitted(name, state);
  }

  /**
   * Asks the guard and the switch once more: inside of a step, directly before its change, since what stands between
   * the step's beginning and the change may take its time. What was asked a moment ago is not asked again.
   * @param neededMs how long the change may take
   * @returns whether they were asked; then what was checked before is a little older
   * @throws GuardError which ends the step as if it had not been begun
   */
  async confirm(neededMs = STEP_NEEDS_MS): Promise<boolean> {
    const asks = Date.now() - this.#askedAtMs >= FRESH_MS;
    const refused = asks ? await this.#forbidden(neededMs) : undefined;
    if (refused) throw new GuardError(refused.detail, { switchedOff: refused.outcome === 'skipped' });
    this.#letThrough = true;
    return asks;
  }

  /** Whether a change of this run's may have been made by now. */
  get changing(): boolean {
    return this.#changing;
  }

  /** A line for what was done over several quiet steps. */
  note(name: string, { startedAt, durationMs, outcome, detail }: RecordedStep<unknown>): void {
    this.steps.push({ name, startedAt, durationMs, outcome, detail });
  }

  /** A line for what was not done: a part that the configuration leaves out, say. */
  missing(name: string, detail: string, outcome: StepOutcome = 'not-configured'): void {
    const startedAt = this.steps.at(-1)?.startedAt ?? new Date(0).toISOString();
    this.steps.push({ name, startedAt, durationMs: 0, outcome, detail });
  }

  /** Why the work is not begun: undefined where it may be. */
  async #forbidden(neededMs = STEP_NEEDS_MS): Promise<Forbidden | undefined> {
    try {
      this.#renewedMs = await this.#guard(this.#renewedMs, neededMs);
    } catch (error) {
      return { outcome: 'failed', detail: describeError(error), unguarded: true };
    }
    const why = await this.#switchedOff();
    if (why !== undefined) return { outcome: 'skipped', detail: `R16: ${why}`, unguarded: true };
    this.#askedAtMs = Date.now();
    return undefined;
  }

  /** @throws GuardError */
  #permitted<Step extends RecordedStep<unknown>>(name: StepName, step: Step): Step {
    this.#renewedMs = step.renewedMs ?? this.#renewedMs;
    if (step.changing) this.#changing = true;
    if (step.unguarded === undefined) return step;
    this.note(reportName(name), step);
    const own = reportName(name);
    const left = step.changing
      ? `"${own}" may have been done, and all after it were not done`
      : `"${own}" and all after it were not done`;
    throw new GuardError(`${step.detail}: ${left}`, { switchedOff: step.outcome === 'skipped' });
  }

  /**
   * Adds to the result what has to be known of it later: the lease, and whether a change was let through, now or in an
   * earlier look.
   */
  async #noting<Result extends StepResult<unknown>>(before: Changing | undefined, work: () => Promise<Result>) {
    this.#letThrough = false;
    // What the service does not record would end the execution in the middle of whatever it is at.
    const result = this.#renewed(fitResult(await work()));
    const changing = this.#letThrough || before?.changing === true;
    return changing ? { ...result, changing } : result;
  }

  #renewed<Result extends object>(result: Result): Result & Pick<RecordedStep<never>, 'renewedMs'> {
    return this.#renewedMs === undefined ? result : { ...result, renewedMs: this.#renewedMs };
  }

  #record<Data>(name: StepName, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    return this.#context.step<RecordedStep<Data>>(
      operationName(name),
      async () => {
        const started = Date.now();
        const result = await this.#noting(undefined, () => settled(work));
        return { ...result, startedAt: new Date(started).toISOString(), durationMs: Date.now() - started };
      },
      { retryStrategy: noRetry },
    );
  }
}

type Forbidden = StepResult<never> & { readonly unguarded: true };
type Changing = { readonly changing?: true };

/** An error becomes `failed` with the error's words. */
async function settled<Result extends StepResult<unknown>>(
  work: () => Promise<Result>,
): Promise<Result | StepResult<never>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GuardError) return forbidden(error);
    return { outcome: 'failed', detail: describeError(error) };
  }
}

function forbidden({ message, switchedOff }: GuardError): Forbidden {
  return { outcome: switchedOff ? 'skipped' : 'failed', detail: message, unguarded: true };
}
