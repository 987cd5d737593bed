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

/** The lease could not be renewed (or was lost) before a step: that step and all after it were not done (R9). */
export class GuardError extends EtcdMedicError {
  override readonly name = 'GuardError';
}

/** Never retried by the engine: a step's failure is data that the workflow decides on (R5, R14). */
const noRetry = () => ({ shouldRetry: false });

export class Journal {
  readonly steps: ReportStep[] = [];
  readonly #context: DurableContext;
  readonly #guard: () => Promise<void>;

  /** @param guard runs inside every guarded step, before its work: renews the lease, and throws if it was lost (R9) */
  constructor(context: DurableContext, guard: () => Promise<void>) {
    this.#context = context;
    this.#guard = guard;
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
      return work();
    });
    if (result.unguarded === undefined) return result;
    this.note(name, result);
    throw new GuardError(`R9: ${result.detail}: "${name}" and all after it were not done`);
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
