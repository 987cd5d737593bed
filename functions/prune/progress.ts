// What became of the stale reports of a kind: counted batch by batch, and in words for the step's line.
import type { ReportKind } from '../contract/kinds.ts';
import type { AnyResult, RecordedStep, StepResult } from '../engine/step.ts';
import { type BatchCounts, type Denied, NAMES } from './batch.ts';
import { format } from './guard.ts';
import type { Limits } from './limits.ts';
import { type Trouble, troubleOf } from './trouble.ts';

/** What became of the stale reports of one kind. */
export interface Progress extends BatchCounts {
  /**
   * Not stale or not there any more when the kind was looked at again: after an interruption, most likely this run's
   * own deletes.
   */
  readonly missing: number;
  /** Left alone because admission did not let them go. */
  readonly denied: Denied | undefined;
  /** Stale as far as is known, and still there. */
  readonly left: number;
  readonly stopped: Stopped | undefined;
}

export interface Stopped {
  /**
   * `count`, `time`: the run's budget is used up. `guard`: more became stale on the way than may be deleted unasked.
   */
  readonly why: 'count' | 'time' | 'guard' | Trouble['kind'];
  readonly detail: string;
  readonly unanswered?: true | undefined;
}

/** What one batch did, as it is recorded. */
export interface BatchData extends BatchCounts {
  readonly missing: number;
  readonly denied?: Denied | undefined;
  readonly left: number;
  readonly stopped?: Stopped | undefined;
}

/** Each says where it stopped, and why; `done` also where it is through, or the budget is used up. */
export interface BatchEnds {
  readonly done: BatchData;
  readonly refused: BatchData;
  readonly failed: BatchData;
}

export function add(progress: Progress, data: BatchData): Progress {
  return {
    deleted: progress.deleted + data.deleted,
    gone: progress.gone + data.gone,
    changed: progress.changed + data.changed,
    finalizers: progress.finalizers + data.finalizers,
    missing: progress.missing + data.missing,
    denied: addDenied(progress.denied, data.denied),
    left: data.left,
    stopped: data.stopped,
  };
}

function addDenied(sum: Denied | undefined, denied: Denied | undefined): Denied | undefined {
  if (sum === undefined || denied === undefined) return sum ?? denied;
  return { ...sum, count: sum.count + denied.count, names: [...sum.names, ...denied.names].slice(0, NAMES) };
}

export function budgetOf(why: 'count' | 'time', limits: Limits, { name }: ReportKind): Stopped {
  const { maxDeletes, maxMinutes, configured, ofKind } = limits;
  const own = ofKind[name];
  const whole = configured && Object.keys(ofKind).length === 0;
  const count = own !== undefined ? `limits["${name}"].maxDeletes` : 'prune.maxDeletes';
  const amount =
    why === 'time'
      ? whole
        ? 'prune.maxMinutes'
        : `${maxMinutes} minutes`
      : configured
        ? count
        : `${format(maxDeletes)} reports`;
  return { why, detail: `the budget of this run (${amount}) is used up` };
}

export function stoppedBy(error: unknown): Stopped {
  const { kind, detail, unanswered } = troubleOf(error);
  return { why: kind, detail, unanswered };
}

/**
 * A step without data did not come to its end: an error that nobody foresaw, or no time for it in three invocations.
 */
export function unforeseen({ detail }: RecordedStep<BatchEnds>): { readonly stopped: Stopped } {
  return { stopped: { why: 'fatal', detail } };
}

export function ended(data: BatchData, stopped: Stopped): StepResult<BatchEnds> {
  const ofTheBudget = stopped.why === 'count' || stopped.why === 'time';
  const outcome = ofTheBudget
    ? 'done'
    : ['guard', 'refused', 'unreadable'].includes(stopped.why)
      ? 'refused'
      : 'failed';
  return { outcome, detail: `${describe(data)}; ${stopped.detail}`, data: { ...data, stopped } };
}

export function lineOf({ stopped, ...counts }: Progress, batches: number): AnyResult {
  const { outcome } = stopped === undefined ? { outcome: 'done' as const } : ended(counts, stopped);
  const why = stopped === undefined ? '' : `; ${stopped.detail}`;
  return { outcome, detail: `${describe(counts)}, in ${batches} ${batches === 1 ? 'batch' : 'batches'}${why}` };
}

export function describe({ deleted, gone, changed, finalizers, missing, denied, left }: BatchData): string {
  return [
    `${format(deleted)} deleted`,
    ...(gone > 0 ? [`${format(gone)} gone by themselves`] : []),
    ...(changed > 0 ? [`${format(changed)} changed and left alone`] : []),
    ...(finalizers > 0 ? [`${format(finalizers)} waiting for finalizers`] : []),
    ...(missing > 0 ? [`${format(missing)} not stale or not there any more when looked at again`] : []),
    ...(denied ? [`${format(denied.count)} not let go by admission`] : []),
    ...(left > 0 ? [`${format(left)} left`] : []),
  ].join(', ');
}
