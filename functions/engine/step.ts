// What a step comes to, and what is recorded of it.
import type { StepOutcome } from '../contract/report.ts';

/** What a step did, in one sentence, and the plain data (JSON only) that later steps need. */
export interface StepResult<Data> {
  readonly outcome: StepOutcome;
  readonly detail: string;
  readonly data?: Data | undefined;
}

export type RecordedStep<Data> = StepResult<Data> & {
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
};
