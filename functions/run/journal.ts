// Runs a workflow's steps durably and keeps the report's record of them: one durable step, one line in the report.
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { describeError, EtcdMedicError } from './errors.ts';
import type { ReportStep, StepOutcome } from './report.ts';

/** What a step did, in one sentence, and the plain data (JSON only) that later steps need. */
export interface StepResult<Data> {
  readonly outcome: StepOutcome;
  readonly detail: string;
  readonly data?: Data | undefined;
}

export type RecordedStep<Data> = StepResult<Data> & {
  readonly startedAt: string;
  readonly durationMs: number;
  /** The guard refused: the work was not begun. */
  readonly unguarded?: true;
};

/** Before a step the lease was lost or could not be renewed (R9), or somebody had turned the switch (R16): nothing more was done. */
export class GuardError extends EtcdMedicError {
  override readonly name = 'GuardError';
}

/** Never retried by the engine: a step's failure is data that the workflow decides on (R5, R14). */
const noRetry = () => ({ shouldRetry: false });

/** Calls that are safe to repeat are tried so often, when what they met was an accident (a restart, an election, a hiccup). */
const ATTEMPTS = 3;
const AGAIN_SECONDS = 5;
/** How often a step is put off to an invocation with more time left; a fresh one has all that Lambda gives. */
const FRESH_INVOCATIONS = 3;
const NO_TIME = 'too little of this invocation is left';

export class Journal {
  readonly steps: ReportStep[] = [];
  readonly #context: DurableContext;
  readonly #guard: () => Promise<void>;
  #switchedOff: () => Promise<string | undefined> = async () => undefined;

  /** @param guard runs inside every guarded step, before its work, and throws where nothing more may be changed, naming the rule */
  constructor(context: DurableContext, guard: () => Promise<void>) {
    this.#context = context;
    this.#guard = guard;
  }

  /** R16: from here on, also before every change: why nothing more may be changed, or undefined where the run may go on. */
  heed(switchedOff: () => Promise<string | undefined>): void {
    this.#switchedOff = switchedOff;
  }

  /**
   * One durable step and its line in the report. An error becomes `failed` with the error's words.
   * What the work returns is recorded before the next step begins; after a crash the work may run a second time (R10).
   * @throws GuardError
   */
  async step<Data>(name: string, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    const result = await this.quietStep(name, work);
    this.note(name, result);
    return result;
  }

  /** The same without a line in the report, for the many small looks of a poll. @throws GuardError */
  async quietStep<Data>(name: string, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    const result = await this.#record<Data>(name, async () => {
      try {
        await this.#guard();
      } catch (error) {
        return { outcome: 'failed', detail: describeError(error), unguarded: true };
      }
      const why = await this.#switchedOff();
      return why === undefined ? work() : { outcome: 'skipped', detail: `R16: ${why}`, unguarded: true };
    });
    if (result.unguarded === undefined) return result;
    this.note(name, result);
    throw new GuardError(`${result.detail}: "${name}" and all after it were not done`);
  }

  /** A step that must also be done when the lease is lost: it changes nothing in the cluster. */
  async unguardedStep<Data>(name: string, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    const result = await this.#record(name, work);
    this.note(name, result);
    return result;
  }

  async quietUnguardedStep<Data>(name: string, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    return this.#record(name, work);
  }

  /**
   * A quiet step that is tried three times, 5 s apart, while it comes out as `failed`; any other outcome is an answer.
   * Only for work that is safe to repeat.
   * @throws GuardError unless `unguarded`
   */
  async insist<Data>(
    name: string,
    work: () => Promise<StepResult<Data>>,
    { unguarded = false } = {},
  ): Promise<RecordedStep<Data>> {
    for (let attempt = 1; ; attempt++) {
      const attemptName = attempt === 1 ? name : `${name}, again (${attempt})`;
      const step = unguarded
        ? await this.quietUnguardedStep(attemptName, work)
        : await this.quietStep(attemptName, work);
      if (step.outcome !== 'failed' || attempt === ATTEMPTS) return step;
      await this.#context.wait(`${name} again`, { seconds: AGAIN_SECONDS });
    }
  }

  /**
   * A quiet step that Lambda must not cut in two: where too little of the invocation is left, it is put off to a fresh one.
   * @throws GuardError
   */
  async inTime<Data>(
    name: string,
    neededMs: number,
    work: () => Promise<StepResult<Data>>,
  ): Promise<RecordedStep<Data>> {
    for (let attempt = 1; ; attempt++) {
      const step = await this.quietStep<Data>(attempt === 1 ? name : `${name}, put off (${attempt})`, async () => {
        // Asked inside the step, so that its answer is recorded and a replay goes the same way.
        const leftMs = this.#context.lambdaContext.getRemainingTimeInMillis();
        return leftMs < neededMs ? { outcome: 'skipped', detail: NO_TIME } : work();
      });
      if (step.detail !== NO_TIME || attempt === FRESH_INVOCATIONS) return step;
      await this.#context.wait('a fresh invocation', { seconds: 1 });
    }
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

  #record<Data>(
    name: string,
    work: () => Promise<StepResult<Data> & { readonly unguarded?: true }>,
  ): Promise<RecordedStep<Data>> {
    return this.#context.step<RecordedStep<Data>>(
      name,
      async () => {
        const started = Date.now();
        const clocked = (result: StepResult<Data> & { readonly unguarded?: true }): RecordedStep<Data> => ({
          ...result,
          startedAt: new Date(started).toISOString(),
          durationMs: Date.now() - started,
        });
        try {
          return clocked(await work());
        } catch (error) {
          return clocked({ outcome: 'failed', detail: describeError(error) });
        }
      },
      { retryStrategy: noRetry },
    );
  }
}
