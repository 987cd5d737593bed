// What a step is asked with, what it comes to, and what is recorded of it.
import type { StepOutcome } from '../contract/report.ts';

/** Which data comes with which outcome: plain data (JSON only) that later steps need. */
export type Ends = { readonly [Outcome in StepOutcome]?: unknown };
/** A step of which nothing is needed later but how it went. */
export type NoData = Record<never, never>;

/**
 * What a step came to, in one sentence; its outcome alone decides which data there is. `failed` is what became of work
 * that threw, and `skipped` of work that was not begun: then there is none, whatever these have otherwise.
 */
export type StepResult<E extends Ends = NoData> =
  | { [O in StepOutcome]: Result<O, O extends keyof E ? E[O] : undefined> }[StepOutcome]
  | Result<'failed' | 'skipped', undefined>;

/** Of whatever step. */
export interface AnyResult {
  readonly outcome: StepOutcome;
  readonly detail: string;
}

type Result<Outcome extends StepOutcome, Data> = {
  readonly outcome: Outcome;
  readonly detail: string;
} & (Data extends undefined ? { readonly data?: undefined } : { readonly data: Data });

/** Only a step that changes nothing in the cluster is `guarded: false`. */
export interface StepOptions {
  /** The lease (R9) and the switch (R16) stand before its work, which also renews the lease. @default true */
  readonly guarded?: boolean;
  /** It leaves no line in the report: the caller has one of its own. @default false */
  readonly quiet?: boolean;
  /**
   * `failures`: it is tried again for a minute, 5 s apart, while it comes out as `failed`; any other outcome is an
   * answer. Only for work that is safe to repeat.
   * @default 'nothing'
   */
  readonly retried?: 'nothing' | 'failures';
  /**
   * Milliseconds that Lambda must not cut in two: where less is left of the invocation, it is put off to a fresh one.
   * @default nothing is asked
   */
  readonly neededMs?: number;
}

/** What a step's work is given. */
export interface Attempt {
  /**
   * Asks the guard and the switch once more, directly before a change, since what stands between the step's beginning
   * and the change may take its time. What was asked a moment ago is not asked again.
   * @returns whether they were asked; then what was checked before is a little older
   * @throws GuardError which ends the step as if it had not been begun
   */
  readonly confirm: () => Promise<boolean>;
}

/** What is known of a step later, beside what it came to. */
export interface StepRecord {
  readonly startedAt: string;
  readonly durationMs: number;
  /** The guard refused: the work was not begun, or ended before its change. */
  readonly unguarded?: true;
  /** A change was let through by `confirm`: it may have been made, whatever the outcome says. */
  readonly changing?: true;
  /**
   * When the lease was last known to be renewed, in milliseconds since 1970; recorded, so that the next invocation
   * knows it.
   */
  readonly renewedMs?: number | undefined;
}

export type RecordedStep<E extends Ends = NoData> = StepResult<E> & StepRecord;

/** A spread that TypeScript can follow through a union that it does not know yet. */
export function withRecord<Answer extends object, More extends object>(answer: Answer, more: More): Answer & More {
  return { ...answer, ...more };
}
