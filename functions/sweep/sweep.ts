// Carries a sweep through the voters: a compaction on each as a barrier, then one defragmentation after the other, the leader
// last. It stops at the first that does not end well (R14). Recovery and maintenance share it.
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { NoSpaceError } from '../etcd/errors.ts';
import { DEFAULT_DEADLINES } from '../etcd/member-client.ts';
import { describeError, EtcdMedicError } from '../run/errors.ts';
import type { Journal, RecordedStep, StepResult } from '../run/journal.ts';
import { compactEach } from './compaction.ts';
import { DEFRAGMENT_NEEDS_MS, type Defragmentation, type Defragmented, defragment, settle } from './defragmentation.ts';
import { moveLeaderAway } from './leadership.ts';
import { type OpenCluster, SweepStoppedError, type Voter } from './voters.ts';

/** How often a barrier that timed out is asked for again, 10 s apart: with the call's own deadline, up to 26 minutes. */
const COMPACTION_ATTEMPTS = 5;
const LOOK_AGAIN_SECONDS = 10;
/** A defragmentation of unknown outcome is looked at for 30 to 45 minutes: a file of 8 GiB on a slow disk takes less. */
const SETTLE_LOOKS = 180;
/** Where nothing was sent by this attempt, and so in all likelihood nothing is under way: 5 minutes. */
const UNSENT_LOOKS = 30;
/** A member that serves reads has no defragmentation under way; so often in a row, and its file did not shrink: it failed. */
const SERVING_LOOKS = 3;
const COMPACT_NEEDS_MS = DEFAULT_DEADLINES.compactMs + 30_000;

/** R14: ends a run's steps, with the reason for the report. What is done stays done. */
export class Stop extends EtcdMedicError {
  override readonly name = 'Stop';
}

export interface SweepSetting {
  readonly journal: Journal;
  readonly context: DurableContext;
  readonly cluster: OpenCluster;
  /** All of them, also those that are not to be defragmented: each is asked for its health and gets the compaction. */
  readonly voters: readonly Voter[];
  /** Every voter's file as it was observed, in bytes, by member id: a smaller one later is one that was defragmented (R5). */
  readonly dbSizes: Readonly<Record<string, number>>;
}

/** What looks on while the members are swept; each answers why the sweep is to end there, or undefined. */
export interface SweepWatch {
  /** Before each member. To be answered from a durable step, as the sweep's own decisions are. */
  readonly before?: (target: Voter) => Promise<string | undefined>;
  /** After each member that was defragmented. */
  readonly after?: (target: Voter, file: Defragmented) => Promise<string | undefined>;
  /** R3: whether the last one may lead on while it is defragmented. To be answered from what durable steps said. @default never */
  readonly mayLead?: (target: Voter) => boolean;
}

/** How one member's defragmentation went, for the report. */
export interface SweptMember {
  readonly defragmented: true;
  /** Of the defragmentation itself, which is what a later run's estimate goes by; with the looks around it where it was waited for. */
  readonly durationMs: number;
}

export class Sweep {
  /** By member id. */
  readonly defragmented: Record<string, SweptMember> = {};
  readonly #setting: SweepSetting;

  constructor(setting: SweepSetting) {
    this.#setting = setting;
  }

  /** R4. @throws Stop when it did not get through on every voter; GuardError */
  async compact(revision: bigint): Promise<void> {
    const { journal, context, cluster, voters } = this.#setting;
    let pending = voters;
    let last: RecordedStep<unknown> | undefined;
    for (let attempt = 1; attempt <= COMPACTION_ATTEMPTS; attempt++) {
      const ask = pending;
      const name = attempt === 1 ? 'compact' : `compact, asked again (${attempt})`;
      const step = await journal.inTime(name, COMPACT_NEEDS_MS, () => compactEach(cluster, voters, ask, revision));
      last = last ? { ...step, startedAt: last.startedAt, durationMs: last.durationMs + step.durationMs } : step;
      if (step.outcome !== 'unknown' || step.data === undefined) break;
      pending = step.data.pending;
      if (attempt < COMPACTION_ATTEMPTS) await context.wait('compaction goes on', { seconds: LOOK_AGAIN_SECONDS });
    }
    if (last !== undefined) journal.note('compact', last);
    if (last?.outcome === 'done') return;
    throw new Stop(
      `R4: the compaction did not get through on every voter, so nothing was defragmented after it: ${last?.detail}. Look at that member's log and disk, then run again.`,
    );
  }

  /**
   * In the order given, but whoever leads when its turn comes goes last (R3), after its leadership was moved away unless it may lead on.
   * @returns why `watch` ended it early; undefined when all are through
   * @throws Stop when a member did not end well; GuardError
   */
  async defragment(memberIds: readonly string[], watch: SweepWatch = {}): Promise<string | undefined> {
    const { voters } = this.#setting;
    const queue = memberIds.map((id) => this.#voter(id));
    // Every member may be put back once for leading at its turn: more often, and the cluster is electing again and again.
    let putBack = 0;
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      const early = await watch.before?.(target);
      if (early !== undefined) return early;
      const mayLead = voters.length === 1 || (queue.length === 0 && watch.mayLead?.(target) === true);
      if (queue.length === 0 && !mayLead) await this.#moveLeaderAway(target);
      const result = await this.#defragmentOne(target, mayLead);
      if (result.data?.kind === 'leads') {
        if (++putBack > memberIds.length) {
          throw new Stop(`R3: the leadership keeps changing: ${result.detail}. ${this.done()}`);
        }
        queue.push(target);
        continue;
      }
      if (result.data?.kind !== 'defragmented') {
        throw new Stop(`R14: the sweep stopped at ${target.name}: ${result.detail}. ${this.done()}`);
      }
      const enough = await watch.after?.(target, result.data);
      if (enough !== undefined) return enough;
    }
    return undefined;
  }

  /** R14: which is done and which is not, as a sentence. */
  done(): string {
    const { voters } = this.#setting;
    const done = voters.filter(({ id }) => this.defragmented[id] !== undefined).map(({ name }) => name);
    const left = voters.filter(({ id }) => this.defragmented[id] === undefined).map(({ name }) => name);
    return `Defragmented: ${done.join(', ') || 'none'}; not: ${left.join(', ') || 'none'}.`;
  }

  async #moveLeaderAway(target: Voter): Promise<void> {
    const { journal, cluster, voters } = this.#setting;
    const name = `move leader from ${target.name}`;
    const moved = await journal.insist(name, () => refusing(() => moveLeaderAway(cluster, voters, target)));
    if (moved.outcome !== 'nothing-to-do') journal.note('move leader', moved);
    if (moved.outcome === 'failed' || moved.outcome === 'refused') throw new Stop(`${moved.detail}. ${this.done()}`);
  }

  async #defragmentOne(target: Voter, mayLead: boolean): Promise<RecordedStep<Defragmentation>> {
    const { journal, context, cluster, voters, dbSizes } = this.#setting;
    const name = `defragment ${target.name}`;
    const before = dbSizes[target.id] ?? 0;
    const sent = await journal.inTime(name, DEFRAGMENT_NEEDS_MS, () =>
      defragment(cluster, voters, target, { dbSizeBefore: before, mayLead }),
    );
    let step = sent;
    let serving = 0;
    const looks = sent.data?.kind === 'unknown' && !sent.data.sent ? UNSENT_LOOKS : SETTLE_LOOKS;
    for (let look = 1; step.data?.kind === 'unknown' && look <= looks && serving < SERVING_LOOKS; look++) {
      await context.wait(`${name} goes on`, { seconds: LOOK_AGAIN_SECONDS });
      const settled = await journal.quietStep(`${name}, look ${look}`, () => settle(cluster, target, before));
      const durationMs = Date.parse(settled.startedAt) + settled.durationMs - Date.parse(sent.startedAt);
      // What the server said at first is often the only word on why.
      const detail = settled.outcome === 'done' ? settled.detail : `${sent.detail}; last look: ${settled.detail}`;
      step = { ...settled, data: settled.data ?? step.data, startedAt: sent.startedAt, durationMs, detail };
      serving = settled.data?.kind === 'unknown' && settled.data.serving ? serving + 1 : 0;
    }
    journal.note(name, step);
    if (step.data?.kind === 'defragmented') {
      this.defragmented[target.id] = { defragmented: true, durationMs: step.data.tookMs ?? step.durationMs };
    }
    return step;
  }

  #voter(id: string): Voter {
    const voter = this.#setting.voters.find((other) => other.id === id);
    if (voter === undefined) throw new Error(`member ${id} is planned but is no voter`);
    return voter;
  }
}

/** A rule that forbids a step is `refused`: asking again would be answered the same. */
export async function refusing<Data>(work: () => Promise<StepResult<Data>>): Promise<StepResult<Data>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SweepStoppedError || error instanceof NoSpaceError) {
      return { outcome: 'refused', detail: describeError(error) };
    }
    throw error;
  }
}
