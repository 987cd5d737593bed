// Runs a workflow's steps durably and keeps the report's record of them: one durable step, one line in the report.
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ReportContents } from '../contract/contents.ts';
import { describeError, EtcdMedicError } from '../contract/errors.ts';
import type { ReportSnapshot, ReportStep } from '../contract/report.ts';
import { type LookAgain, lookOnce, type PolledStep, type Polling, type PollState } from './poll.ts';
import { fitResult } from './recordable.ts';
import {
  type AnyResult,
  type Attempt,
  type Ends,
  type NoData,
  type RecordedStep,
  type StepOptions,
  type StepRecord,
  type StepResult,
  withRecord,
} from './step.ts';
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

/** What is safe to repeat is tried for so long, when what it met was an accident (a restart, an election, a hiccup). */
const RETRIED_SECONDS = 60;
const AGAIN_SECONDS = 5;
/** What the guard said so short a time ago still holds directly before a change. */
const FRESH_MS = 3_000;

export class Journal {
  readonly steps: ReportStep[] = [];
  #contents: ReportContents | undefined;
  #snapshot: ReportSnapshot | undefined;
  #askedAtMs = 0;
  #beganAt = new Date(0).toISOString();
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

  /** What the run's copy of the database was full of, for the report. */
  get contents(): ReportContents | undefined {
    return this.#contents;
  }

  tellContents(contents: ReportContents): void {
    this.#contents = contents;
  }

  /** The run's copy of the database. */
  get snapshot(): ReportSnapshot | undefined {
    return this.#snapshot;
  }

  tellSnapshot(snapshot: ReportSnapshot): void {
    this.#snapshot = snapshot;
  }

  /** The lease was taken, or renewed, at this time. */
  held(renewedMs: number): void {
    this.#renewedMs = renewedMs;
  }

  /**
   * R16: from here on, also before every change: why nothing more may be changed, or undefined where the run may go on.
   */
  watchSwitch(switchedOff: () => Promise<string | undefined>): void {
    this.#switchedOff = switchedOff;
  }

  /**
   * One durable operation and its line in the report. An error becomes `failed` with the error's words.
   * What the work returns is recorded before the next step begins; after a crash the work may run a second time (R10).
   * @throws GuardError unless `guarded: false`
   */
  async step<E extends Ends = NoData>(
    name: StepName,
    options: StepOptions,
    work: (attempt: Attempt) => Promise<StepResult<E>>,
  ): Promise<RecordedStep<E>> {
    const { retried = 'nothing', neededMs, ...kind } = options;
    const retries = retried === 'failures';
    if (retries || neededMs !== undefined) {
      const withinSeconds = retries ? RETRIED_SECONDS : 0;
      const polling = { ...kind, everySeconds: AGAIN_SECONDS, withinSeconds, neededMs: neededMs ?? 0 };
      return this.poll<E>(name, polling, async (attempt) => {
        const result = await settled(() => work(attempt));
        return withRecord(result, { again: retries && result.outcome === 'failed' && !('unguarded' in result) });
      });
    }
    const recorded = await this.#context.step<RecordedStep<E>>(
      operationName(name),
      async () => {
        const started = Date.now();
        const result = await this.#attempt<StepResult<E>>(options, STEP_NEEDS_MS, undefined, work);
        return withRecord(result, { startedAt: new Date(started).toISOString(), durationMs: Date.now() - started });
      },
      { retryStrategy: noRetry },
    );
    return this.#ended(name, options, recorded);
  }

  /**
   * Looks again and again through the durable engine: one durable operation however often it looks, and one line in the
   * report. For pure looks, and for a change that could not be tried yet: then the look answers `again`. One that
   * throws is `failed`, and the last. A crash in a look repeats that look alone (R10).
   * @throws GuardError unless `guarded: false`
   */
  async poll<E extends Ends = NoData, Memory = never>(
    name: StepName,
    polling: Polling<Memory>,
    look: LookAgain<E, Memory>,
  ): Promise<PolledStep<E, Memory>> {
    const state = await this.#context.waitForCondition<PollState<E, Memory> | null>(
      operationName(name),
      // The time that is left is asked inside of the look, so that its answer is recorded and a replay goes the same
      // way.
      async (recorded) => {
        const before = recorded ?? undefined;
        this.#renewedMs ??= before?.renewedMs;
        return lookOnce<E, Memory>(polling, before, this.leftMs, (number, neededMs) =>
          this.#attempt(polling, Math.max(neededMs, STEP_NEEDS_MS), before?.changing, async (attempt) => {
            const seen = await look({ ...attempt, look: number, memory: before?.memory });
            return withRecord(seen, { memory: seen.memory ?? before?.memory });
          }),
        );
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
    return this.#ended(name, polling, state);
  }

  /**
   * Folds what belongs together, a member's turn say: in the console it is a context of its own, and once it has ended
   * the service keeps its end alone. So a replay does not run `work` again, and whatever is to be known later has to be
   * in its result (JSON); lines, lease and changes come over by themselves.
   * @param work has this journal's steps made by the one that it is given. It throws for what nobody foresees, and
   *   GuardError
   * @throws GuardError
   */
  async fold<Result>(name: string, work: (journal: Journal) => Promise<Result>): Promise<Result> {
    const folded = await this.#context.runInChildContext<Folded<Result>>(operationName(name), async (context) => {
      const inner = this.#inside(context);
      const end = await work(inner).then(
        (result) => ({ result }),
        (error: unknown) => {
          if (!(error instanceof GuardError)) throw error;
          return { refusal: { message: error.message, switchedOff: error.switchedOff } };
        },
      );
      return { ...end, steps: inner.steps, renewedMs: inner.#renewedMs, changing: inner.#changing };
    });
    this.steps.push(...folded.steps);
    this.#renewedMs = folded.renewedMs ?? this.#renewedMs;
    if (folded.changing) this.#changing = true;
    if ('result' in folded) return folded.result;
    throw new GuardError(folded.refusal.message, folded.refusal);
  }

  /** Costs nothing meanwhile. */
  async wait(name: string, seconds: number): Promise<void> {
    await this.#context.wait(operationName(name), { seconds });
  }

  /** Has another function work durably for this run, and waits for what it comes to. @throws what the service says */
  async invoke<Input, Output>(name: string, functionArn: string, input: Input): Promise<Output> {
    return this.#context.invoke<Input, Output>(operationName(name), functionArn, input);
  }

  /** Of this run. */
  get executionArn(): string {
    return this.#context.executionContext.durableExecutionArn;
  }

  /** Of this invocation, in milliseconds. */
  get leftMs(): number {
    return this.#context.lambdaContext.getRemainingTimeInMillis();
  }

  /** Whether a change of this run's may have been made by now. */
  get changing(): boolean {
    return this.#changing;
  }

  /** A line for what was done over several quiet steps; without times for what was not done. */
  note(
    name: string,
    { outcome, detail, startedAt, durationMs = 0 }: Pick<ReportStep, 'outcome' | 'detail'> & Partial<StepRecord>,
  ): void {
    const began = startedAt ?? this.#lastStartedAt;
    this.steps.push({ name, startedAt: began, durationMs, outcome, detail });
  }

  get #lastStartedAt(): string {
    return this.steps.at(-1)?.startedAt ?? this.#beganAt;
  }

  #inside(context: DurableContext): Journal {
    const inner = new Journal(context, this.#guard);
    inner.#beganAt = this.#lastStartedAt;
    inner.#renewedMs = this.#renewedMs;
    inner.#switchedOff = this.#switchedOff;
    return inner;
  }

  /**
   * The guard and the switch, then the work; and beside its result what has to be known of it later: the lease, and
   * whether a change was let through, now or (`changed`) in an earlier look.
   * @param neededMs how long a change may take
   */
  async #attempt<Answer extends AnyResult>(
    { guarded = true }: Pick<StepOptions, 'guarded'>,
    neededMs: number,
    changed: true | undefined,
    work: (attempt: Attempt) => Promise<Answer>,
  ) {
    let changing = changed;
    const confirm = async () => {
      const asks = Date.now() - this.#askedAtMs >= FRESH_MS;
      const refused = asks ? await this.#forbidden(neededMs) : undefined;
      if (refused) throw new GuardError(refused.detail, { switchedOff: refused.outcome === 'skipped' });
      changing = true;
      return asks;
    };
    const result = await settled(
      async () => (guarded ? await this.#forbidden(neededMs) : undefined) ?? work({ confirm }),
    );
    // What the service does not record would end the execution in the middle of whatever it is at.
    return withRecord(fitResult(result), { renewedMs: this.#renewedMs, ...(changing && { changing }) });
  }

  /** Why the work is not begun: undefined where it may be. */
  async #forbidden(neededMs: number): Promise<Forbidden | undefined> {
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
  #ended<Step extends AnyResult & StepRecord>(
    name: StepName,
    { quiet = false }: Pick<StepOptions, 'quiet'>,
    step: Step,
  ): Step {
    this.#renewedMs = step.renewedMs ?? this.#renewedMs;
    if (step.changing) this.#changing = true;
    if (!quiet || step.unguarded) this.note(reportName(name), step);
    if (step.unguarded === undefined) return step;
    const own = reportName(name);
    const left = step.changing
      ? `"${own}" may have been done, and all after it were not done`
      : `"${own}" and all after it were not done`;
    throw new GuardError(`${step.detail}: ${left}`, { switchedOff: step.outcome === 'skipped' });
  }
}

type Forbidden = { readonly outcome: 'failed' | 'skipped'; readonly detail: string; readonly unguarded: true };

/** What is recorded of steps that were folded. */
type Folded<Result> = Pick<Journal, 'steps' | 'changing'> & { readonly renewedMs: number | undefined } & (
    | { readonly result: Result }
    | { readonly refusal: { readonly message: string; readonly switchedOff: boolean } }
  );

/** An error becomes `failed` with the error's words. */
async function settled<Answer extends AnyResult>(work: () => Promise<Answer>) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GuardError) {
      const outcome = error.switchedOff ? ('skipped' as const) : ('failed' as const);
      return { outcome, detail: error.message, unguarded: true as const };
    }
    return { outcome: 'failed' as const, detail: describeError(error) };
  }
}
