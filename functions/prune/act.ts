// Act: deletes what was found stale, in durable batches, within the run's budget of reports and minutes (R12).
import type { RecordedStep, StepResult } from '../run/journal.ts';
import { type BatchCounts, deleteBatch, NOTHING } from './batch.ts';
import { format, guard } from './guard.ts';
import type { ReportKind } from './kinds.ts';
import { memoryFor } from './look.ts';
import { AWAY_AGAIN_SECONDS, AWAY_ATTEMPTS, type Reached, SURVEY_NEEDS_MS } from './pruning.ts';
import type { Candidates } from './session.ts';
import { survey } from './survey.ts';
import { type Trouble, troubleOf } from './trouble.ts';

/** What a crash may leave unrecorded, and how often the lease is renewed and a lost one noticed. */
const BATCH_REPORTS = 500;
const BATCH_MS = 60_000;
/** A batch, and the deletes that are under way at its end with all the patience that the client has for them. */
const BATCH_NEEDS_MS = BATCH_MS + 120_000;

/** What became of the stale reports of one kind. */
export interface Progress extends BatchCounts {
  /** Not there any more after an interruption: in all likelihood deleted by the batch that was interrupted. */
  readonly missing: number;
  /** Stale as far as is known, and still there. */
  readonly left: number;
  readonly stopped: Stopped | undefined;
}

export interface Stopped {
  /** `count`, `time`: the run's budget is used up. `guard`: more became stale on the way than may be deleted unasked. */
  readonly why: 'count' | 'time' | 'guard' | Trouble['kind'];
  readonly detail: string;
}

/** What one batch did, as it is recorded. */
interface BatchData extends BatchCounts {
  readonly missing: number;
  readonly left: number;
  readonly stopped?: Stopped | undefined;
}

/** One run's deleting: its budget is for all kinds together. */
export class Acting {
  readonly #pruning: Reached;
  /** Reports that are gone by this run, and those that in all likelihood are. */
  #spent = 0;
  #beganMs: number | undefined;

  constructor(pruning: Reached) {
    this.#pruning = pruning;
  }

  /** @param onProgress told after every batch, so that it is known what was done even when the lease is lost. @throws GuardError */
  async deleteStale(kind: ReportKind, stale: number, onProgress: (progress: Progress) => void): Promise<void> {
    const { journal, context } = this.#pruning;
    const name = `delete ${kind.name}`;
    let progress: Progress = { ...NOTHING, missing: 0, left: stale, stopped: undefined };
    let away = 0;
    let first: RecordedStep<BatchData> | undefined;
    for (let batch = 1; progress.left > 0 && progress.stopped === undefined; batch++) {
      const step = await this.#batch(`${name}, batch ${batch}`, kind, progress.left);
      first ??= step;
      this.#beganMs ??= Date.parse(step.startedAt);
      const data: BatchData = step.data ?? { ...NOTHING, missing: 0, left: progress.left, ...unforeseen(step) };
      this.#spent += data.deleted + data.finalizers + data.missing;
      progress = add(progress, data);
      if (data.stopped?.why === 'away') {
        away = data.deleted > 0 ? 1 : away + 1;
        if (away < AWAY_ATTEMPTS) {
          progress = { ...progress, stopped: undefined };
          await context.wait('the API server', { seconds: AWAY_AGAIN_SECONDS });
        }
      }
      onProgress(progress);
      const durationMs = Date.parse(step.startedAt) + step.durationMs - Date.parse(first.startedAt);
      if (progress.left === 0 || progress.stopped !== undefined) {
        journal.note(name, { startedAt: first.startedAt, durationMs, ...lineOf(progress, batch) });
      }
    }
  }

  /** The budget of reports, seen from the record alone, so that a replay sees the same. */
  isSpent(): boolean {
    return this.#spent >= this.#pruning.configuration.prune.maxDeletes;
  }

  #batch(name: string, kind: ReportKind, left: number): Promise<RecordedStep<BatchData>> {
    const { journal, session } = this.#pruning;
    // Where nothing is remembered, the kind is listed again first. This decides nothing but how long the step may wait.
    const neededMs = BATCH_NEEDS_MS + (session.candidates.has(kind.name) ? 0 : SURVEY_NEEDS_MS);
    const spent = this.#spent;
    return journal.inTime(name, neededMs, () => this.#work(kind, left, spent));
  }

  async #work(kind: ReportKind, left: number, spent: number): Promise<StepResult<BatchData>> {
    const { session, api, configuration } = this.#pruning;
    let missing = 0;
    try {
      let candidates = session.candidates.get(kind.name);
      if (candidates === undefined) {
        const again = await this.#lookAgain(kind);
        if ('why' in again) return ended({ ...NOTHING, missing, left }, again);
        candidates = again;
        missing = Math.max(0, left - candidates.left);
      }
      const reports = Math.min(BATCH_REPORTS, configuration.prune.maxDeletes - spent - missing);
      if (reports <= 0) return ended({ ...NOTHING, missing, left: candidates.left }, budgetOf('count'));
      const untilMs = Math.min(Date.now() + BATCH_MS, this.#deadlineMs());
      if (untilMs <= Date.now()) return ended({ ...NOTHING, missing, left: candidates.left }, budgetOf('time'));
      const { client } = await api();
      const { problem, ...counts } = await deleteBatch(client, candidates.resource, candidates.list, {
        reports,
        untilMs,
      });
      this.#remember(kind, candidates, counts);
      const data = { ...counts, missing, left: candidates.left };
      return problem === undefined
        ? { outcome: 'done', detail: describe(data), data }
        : ended(data, stoppedBy(problem));
    } catch (error) {
      return ended({ ...NOTHING, missing, left }, stoppedBy(error));
    }
  }

  /** A fresh invocation remembers nothing: what is there now is judged anew, and the guard asked again. */
  async #lookAgain(kind: ReportKind): Promise<Candidates | Stopped> {
    const { session, api, configuration } = this.#pruning;
    const { client, directory } = await api();
    const capacity = memoryFor(configuration.prune.maxDeletes);
    const { surveyed, resource, candidates: list } = await survey(client, directory, kind, capacity);
    const tooMany = guard(kind, surveyed, configuration.prune);
    if (tooMany !== undefined) return { why: 'guard', detail: tooMany };
    const candidates = { resource, list, left: surveyed.stale };
    session.candidates.set(kind.name, candidates);
    return candidates;
  }

  #remember({ name }: ReportKind, candidates: Candidates, { deleted, gone, changed, finalizers }: BatchCounts): void {
    candidates.left = Math.max(candidates.list.length, candidates.left - deleted - gone - changed - finalizers);
    // More were stale than could be remembered: they are listed when their turn comes.
    if (candidates.list.length === 0) this.#pruning.session.candidates.delete(name);
  }

  #deadlineMs(): number {
    return (this.#beganMs ?? Date.now()) + this.#pruning.configuration.prune.maxMinutes * 60_000;
  }
}

function add(progress: Progress, data: BatchData): Progress {
  return {
    deleted: progress.deleted + data.deleted,
    gone: progress.gone + data.gone,
    changed: progress.changed + data.changed,
    finalizers: progress.finalizers + data.finalizers,
    missing: progress.missing + data.missing,
    left: data.left,
    stopped: data.stopped,
  };
}

function budgetOf(why: 'count' | 'time'): Stopped {
  const field = why === 'count' ? 'prune.maxDeletes' : 'prune.maxMinutes';
  return { why, detail: `the budget of this run (${field}) is used up` };
}

function stoppedBy(error: unknown): Stopped {
  const { kind, detail } = troubleOf(error);
  return { why: kind, detail };
}

/** A step without data did not come to its end: an error that nobody foresaw, or no time for it in three invocations. */
function unforeseen({ detail }: RecordedStep<BatchData>): { readonly stopped: Stopped } {
  return { stopped: { why: 'fatal', detail } };
}

function ended(data: BatchData, stopped: Stopped): StepResult<BatchData> {
  const ofTheBudget = stopped.why === 'count' || stopped.why === 'time';
  const outcome = ofTheBudget ? 'done' : stopped.why === 'guard' || stopped.why === 'refused' ? 'refused' : 'failed';
  return { outcome, detail: `${describe(data)}; ${stopped.detail}`, data: { ...data, stopped } };
}

function lineOf({ stopped, ...counts }: Progress, batches: number): Pick<StepResult<never>, 'outcome' | 'detail'> {
  const { outcome } = stopped === undefined ? { outcome: 'done' as const } : ended(counts, stopped);
  const why = stopped === undefined ? '' : `; ${stopped.detail}`;
  return { outcome, detail: `${describe(counts)}, in ${batches} ${batches === 1 ? 'batch' : 'batches'}${why}` };
}

function describe({ deleted, gone, changed, finalizers, missing, left }: BatchData): string {
  return [
    `${format(deleted)} deleted`,
    ...(gone > 0 ? [`${format(gone)} gone by themselves`] : []),
    ...(changed > 0 ? [`${format(changed)} changed and left alone`] : []),
    ...(finalizers > 0 ? [`${format(finalizers)} waiting for finalizers`] : []),
    ...(missing > 0 ? [`${format(missing)} gone after an interruption`] : []),
    ...(left > 0 ? [`${format(left)} left`] : []),
  ].join(', ');
}
