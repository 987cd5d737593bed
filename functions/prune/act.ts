// Act: deletes what was found stale, in durable batches, within the run's budget of reports and minutes (R12).

import type { ReportKind } from '../contract/kinds.ts';
import type { RecordedStep, StepResult } from '../engine/step.ts';
import { isStillAbandoned, isStillWithoutOwner, placeOf } from '../reports/stale.ts';
import type { Unconfirmed } from './absence.ts';
import { type BatchCounts, deleteBatch, NOTHING } from './batch.ts';
import { type Guarded, guard, isHeld, letThrough, wordsOf } from './guard.ts';
import type { Limits } from './limits.ts';
import { memoryFor } from './look.ts';
import { OwnerDirectory } from './owners.ts';
import {
  add,
  type BatchData,
  type BatchEnds,
  budgetOf,
  describe,
  ended,
  lineOf,
  type Progress,
  type Stopped,
  stoppedBy,
  unforeseen,
} from './progress.ts';
import { AWAY_AGAIN_SECONDS, AWAY_ATTEMPTS, type Reached, SURVEY_NEEDS_MS } from './pruning.ts';
import type { Candidate, Candidates } from './session.ts';
import { listSuccessors } from './successors.ts';
import { survey } from './survey.ts';

/** What a crash may leave unrecorded, and how often the lease is renewed and a lost one noticed. */
const BATCH_REPORTS = 500;
const BATCH_MS = 60_000;
/**
 * An execution may have 3,000 durable operations: after so many batches of one size they are twice as large, so that a
 * million fit.
 */
export const BATCHES_OF_A_SIZE = 100;
/** What a batch's reports rest on is one list for each kind of owner in each of their namespaces: seconds. */
const OWNERS_NEED_MS = 120_000;
/**
 * The owners' lists, a batch, and the deletes that are under way at its end with all the patience that the client has
 * for them.
 */
const BATCH_NEEDS_MS = OWNERS_NEED_MS + BATCH_MS + 120_000;

/** How many reports a run's batch may have. @param before how many batches it has had */
export function batchSize(before: number): number {
  return BATCH_REPORTS * 2 ** Math.floor(before / BATCHES_OF_A_SIZE);
}

/** What is to be deleted of a kind. */
export interface Order {
  readonly kind: ReportKind;
  /** How many, without those that are held back. */
  readonly stale: number;
  readonly held: Guarded['held'];
}

/** One run's deleting: its budget is for all kinds together. */
export class Acting {
  readonly #pruning: Reached;
  readonly #limits: Limits;
  readonly #unconfirmed: Unconfirmed;
  /**
   * Reports that are gone by this run, and those that in all likelihood are: of each kind that has limits of its own,
   * and of all others together.
   */
  readonly #spent = new Map<string, number>();
  #beganMs: number | undefined;
  #batches = 0;

  /** @param unconfirmed whose absence does not count, and why */
  constructor(pruning: Reached, limits: Limits, unconfirmed: Unconfirmed) {
    this.#pruning = pruning;
    this.#limits = limits;
    this.#unconfirmed = unconfirmed;
  }

  /**
   * @param onProgress told after every batch, so that it is known what was done even when the lease is lost.
   * @throws GuardError
   */
  async deleteStale({ kind, stale, held }: Order, onProgress: (progress: Progress) => void): Promise<void> {
    const { journal, session } = this.#pruning;
    const seen = session.candidates.get(kind.name);
    if (seen !== undefined) session.candidates.set(kind.name, without(held, { ...seen, left: stale }));
    const name = `delete ${kind.name}`;
    let progress: Progress = { ...NOTHING, missing: 0, denied: undefined, left: stale, stopped: undefined };
    let away = 0;
    let first: RecordedStep<BatchEnds> | undefined;
    for (let batch = 1; progress.left > 0 && progress.stopped === undefined; batch++) {
      const step = await this.#batch(`${name}, batch ${batch}`, { kind, held, stale: progress.left });
      first ??= step;
      this.#beganMs ??= Date.parse(step.startedAt);
      const data: BatchData = step.data ?? { ...NOTHING, missing: 0, left: progress.left, ...unforeseen(step) };
      this.#spend(kind, data.deleted + data.finalizers + data.missing);
      progress = add(progress, data);
      if (data.stopped?.why === 'away') {
        away = data.deleted > 0 ? 1 : away + 1;
        if (away < AWAY_ATTEMPTS) {
          progress = { ...progress, stopped: undefined };
          await journal.wait('the API server', AWAY_AGAIN_SECONDS);
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
  isSpent(kind: ReportKind): boolean {
    return this.#spentOn(kind) >= this.#maxDeletesOf(kind);
  }

  #maxDeletesOf({ name }: ReportKind): number {
    return this.#limits.ofKind[name] ?? this.#limits.maxDeletes;
  }

  #spentOn(kind: ReportKind): number {
    return this.#spent.get(this.#budgetNameOf(kind)) ?? 0;
  }

  #spend(kind: ReportKind, reports: number): void {
    this.#spent.set(this.#budgetNameOf(kind), this.#spentOn(kind) + reports);
  }

  #budgetNameOf({ name }: ReportKind): string {
    return Object.hasOwn(this.#limits.ofKind, name) ? name : 'all others';
  }

  #batch(name: string, order: Order): Promise<RecordedStep<BatchEnds>> {
    const { journal, session } = this.#pruning;
    // Where nothing is remembered, the kind is listed again first. This decides nothing but how long the step may wait.
    const neededMs = BATCH_NEEDS_MS + (session.candidates.has(order.kind.name) ? 0 : SURVEY_NEEDS_MS);
    const spent = this.#spentOn(order.kind);
    const most = batchSize(this.#batches++);
    return journal.step<BatchEnds>(name, { neededMs, quiet: true }, () => this.#work(order, spent, most));
  }

  async #work(order: Order, spent: number, most: number): Promise<StepResult<BatchEnds>> {
    const { kind, stale: left } = order;
    const { session, api } = this.#pruning;
    const maxDeletes = this.#maxDeletesOf(kind);
    let missing = 0;
    try {
      // Asked before anything else: a run that is over has no use for another look, nor for its failing.
      const over = this.#budget(kind, maxDeletes - spent);
      if (over !== undefined) return ended({ ...NOTHING, missing, left }, over);
      let candidates = session.candidates.get(kind.name);
      if (candidates === undefined) {
        const again = await this.#lookAgain(order);
        if ('why' in again) return ended({ ...NOTHING, missing, left }, again);
        candidates = again;
        missing = Math.max(0, left - candidates.left);
      }
      const reports = Math.min(most, maxDeletes - spent - missing);
      const { alive, stopped } = await this.#dropAlive(kind, candidates.list, reports);
      if (stopped !== undefined) return ended({ ...NOTHING, missing, left: candidates.left }, stopped);
      const overNow = this.#budget(kind, reports);
      if (overNow !== undefined) return ended({ ...NOTHING, missing, left: candidates.left }, overNow);
      const { client } = await api();
      const { problem, denied, ...batch } = await deleteBatch(client, candidates.resource, candidates.list, {
        reports: reports - alive,
        untilMs: Math.min(Date.now() + BATCH_MS, this.#deadlineMs()),
      });
      const counts = { ...batch, changed: batch.changed + alive };
      this.#remember(kind, candidates, counts, denied?.count ?? 0);
      const data = { ...counts, missing, denied, left: candidates.left };
      return problem === undefined
        ? { outcome: 'done', detail: describe(data), data }
        : ended(data, stoppedBy(problem));
    } catch (error) {
      return ended({ ...NOTHING, missing, left }, stoppedBy(error));
    }
  }

  /** A fresh invocation remembers nothing: what is there now is judged anew, and the guard asked again. */
  async #lookAgain({ kind, held }: Order): Promise<Candidates | Stopped> {
    const { session, api, emergency, raised: all, configuration } = this.#pruning;
    const { prune } = configuration;
    const raised = all[kind.name];
    // With owners as they are now, so that what a batch found to live is not found stale again.
    const { client, directory } = session.withNewDirectory(await api());
    const capacity = memoryFor(raised?.maxDeletes ?? prune.maxDeletes, emergency);
    const { surveyed, resource, candidates: list } = await survey(client, directory, { kind, rules: prune, capacity });
    const unconfirmed = kind.producer && this.#unconfirmed[kind.producer];
    const tooMany = guard(kind, surveyed, prune, { unconfirmed, raised, when: 'half-way' });
    if (tooMany?.held.some((evidence) => !held.includes(evidence)))
      return { why: 'guard', detail: wordsOf(kind, tooMany) };
    const left = letThrough(surveyed, { held });
    const candidates = without(held, { resource, list, left });
    session.candidates.set(kind.name, candidates);
    return candidates;
  }

  /**
   * Takes those out of the next `reports` candidates that somebody came back for since they were judged (an owner that
   * was scaled up, an operator that was installed again): the report itself has not changed, so that its delete would
   * not be refused.
   * @returns how many; and why the kind is to be left, where it can't be told of any
   */
  async #dropAlive(
    kind: ReportKind,
    list: Candidate[],
    reports: number,
  ): Promise<{ alive: number; stopped?: Stopped }> {
    const next = reports > 0 ? list.slice(-reports) : [];
    const { client } = await this.#pruning.api();
    // Nobody else's list: what another batch saw may be minutes old.
    const directory = new OwnerDirectory(client, { nearby: true });
    const untilMs = Date.now() + OWNERS_NEED_MS;
    const owned = next.flatMap(({ namespace, ownerReferences = [] }) => ({ namespace, ownerReferences }));
    await directory.learn(owned, untilMs);
    const abandoned = next.some((candidate) => candidate.restsOn === 'producer');
    const producers = abandoned ? await directory.producers(untilMs) : undefined;
    const moved = next.filter((candidate) => candidate.restsOn === 'successor').map(({ namespace }) => namespace);
    const successors = await listSuccessors(client, kind, untilMs, [...new Set(moved)]);
    const rules = this.#pruning.configuration.prune;
    const isStale = (candidate: Candidate): boolean => {
      const { restsOn, reason, ownerReferences = [] } = candidate;
      switch (restsOn) {
        case undefined:
          return true;
        case 'owners':
          return isStillWithoutOwner(reason, ownerReferences, directory.owners, rules, Date.now());
        case 'producer':
          return producers !== undefined && isStillAbandoned(reason, producers, kind);
        // It was the newer one, and this one has not been written since.
        case 'successor':
          return successors.has(placeOf(candidate));
      }
    };
    const stale = next.filter(isStale);
    const [unreadable] = directory.unreadable;
    if (unreadable !== undefined) return { alive: 0, stopped: { why: 'unreadable', detail: unreadable } };
    const [problem] = directory.problems;
    if (problem !== undefined && stale.length === 0) {
      return {
        alive: 0,
        stopped: { why: 'refused', detail: `owners could not be listed again: ${problem.join(': ')}` },
      };
    }
    list.splice(list.length - next.length, next.length, ...stale);
    return { alive: next.length - stale.length };
  }

  #budget(kind: ReportKind, reports: number): Stopped | undefined {
    if (reports <= 0) return budgetOf('count', this.#limits, kind);
    return this.#deadlineMs() <= Date.now() ? budgetOf('time', this.#limits, kind) : undefined;
  }

  #remember({ name }: ReportKind, candidates: Candidates, counts: BatchCounts, denied: number): void {
    const { deleted, gone, changed, finalizers } = counts;
    const done = deleted + gone + changed + finalizers + denied;
    candidates.left = Math.max(candidates.list.length, candidates.left - done);
    // More were stale than could be remembered: they are listed when their turn comes.
    if (candidates.list.length === 0) this.#pruning.session.candidates.delete(name);
  }

  #deadlineMs(): number {
    return (this.#beganMs ?? Date.now()) + this.#limits.maxMinutes * 60_000;
  }
}

function without(held: Guarded['held'], { resource, list, left }: Candidates): Candidates {
  return { resource, list: list.filter(({ reason }) => !isHeld(reason, held)), left };
}
