// Carries a sweep through the voters: a compaction on each as a barrier, then one defragmentation after the other, the
// leader last. It stops at the first that does not end well (R14). RunContext and maintenance share it.

import { EtcdMedicError } from '../contract/errors.ts';
import type { Journal } from '../engine/journal.ts';
import type { RecordedStep } from '../engine/step.ts';
import { DEFAULT_DEADLINES } from '../etcd/member-client.ts';
import { type CompactionEnds, type CompactionProgress, compactEach } from './compaction.ts';
import {
  type Defragmented,
  LOOK_AGAIN_SECONDS,
  type TurnEnds,
  type TurnProgress,
  takeTurn,
  turnNeedsMs,
} from './defragmentation.ts';
import { moveLeaderAway } from './leadership.ts';
import { AWAY_SECONDS, patiently } from './patience.ts';
import type { OpenCluster, Voter } from './voters.ts';

const COMPACT_NEEDS_MS = DEFAULT_DEADLINES.compactMs + 30_000;
/** Somebody's backup is waited for as long as a member that is away: most take less. */
const HELD_LOOKS = AWAY_SECONDS / LOOK_AGAIN_SECONDS;

/** R14: ends a run's steps, with the reason for the report. What is done stays done. */
export class Stop extends EtcdMedicError {
  override readonly name = 'Stop';
}

export interface SweepSetting {
  readonly journal: Journal;
  readonly cluster: OpenCluster;
  /** All of them, also those that are not to be defragmented: each is asked for its health and gets the compaction. */
  readonly voters: readonly Voter[];
  /**
   * Every voter's file in bytes, by member id, measured after a barrier: a smaller one later is one that was
   * defragmented (R5), with the history gone.
   * @default what `compact` measures at its end
   */
  readonly dbSizes?: Readonly<Record<string, number>> | undefined;
  /** Milliseconds since 1970: no voter that is away is waited for any more from then on. */
  readonly untilMs?: number | undefined;
  /**
   * A member whose defragmentation has to wait, as for somebody's Snapshot stream, is left out in the end.
   * @default it stops the sweep
   */
  readonly skipsHeld?: boolean | undefined;
  /** As BeforeChange has it. */
  readonly emergency?: boolean | undefined;
}

/** What looks on while the members are swept; each answers why the sweep is to end there, or undefined. */
export interface SweepWatch {
  /** Before each member. To be answered from a durable step, as the sweep's own decisions are. */
  readonly before?: (target: Voter) => Promise<string | undefined>;
  /** After each member that was defragmented. */
  readonly after?: (target: Voter, file: Defragmented) => Promise<string | undefined>;
  /**
   * R3: whether the last one may lead on while it is defragmented. To be answered from what durable steps said.
   * @default never
   */
  readonly mayLead?: (target: Voter) => boolean;
}

/** How one member's defragmentation went, for the report. */
export interface SweptMember {
  readonly defragmented: true;
  /**
   * Of the defragmentation itself, which is what a later run's estimate goes by; with the looks around it where it was
   * waited for. Left out where it was only found to have been done.
   */
  readonly durationMs?: number | undefined;
}

export class Sweep {
  /** By member id. */
  readonly defragmented: Record<string, SweptMember> = {};
  /** By member id: why it was left out, a sentence each. */
  readonly skipped: Record<string, string> = {};
  readonly #setting: SweepSetting;
  #dbSizes: Readonly<Record<string, number>> | undefined;

  constructor(setting: SweepSetting) {
    this.#setting = setting;
    this.#dbSizes = setting.dbSizes;
  }

  /** R4. @throws Stop when it did not get through on every voter; GuardError */
  async compact(revision: bigint): Promise<void> {
    const { cluster, voters } = this.#setting;
    const options = { neededMs: COMPACT_NEEDS_MS };
    const step = await patiently<CompactionEnds, CompactionProgress>(this.#setting, 'compact', options, (attempt) =>
      compactEach(cluster, voters, revision, attempt),
    );
    if (step.outcome !== 'done') {
      throw new Stop(
        `R4: the compaction did not get through on every voter, so nothing was defragmented after it: ${step.detail}. Look at that member's log and disk, then run again.`,
      );
    }
    this.#dbSizes = step.data;
  }

  /**
   * In the order given, but whoever leads when its turn comes goes last (R3), after its leadership was moved away
   * unless it may lead on.
   * @returns why `watch` ended it early; undefined when all are through
   * @throws Stop when a member did not end well; GuardError
   */
  async defragment(memberIds: readonly string[], watch: SweepWatch = {}): Promise<string | undefined> {
    const { voters, skipsHeld = false } = this.#setting;
    const queue = memberIds.map((id) => this.#voter(id));
    // Every member may be put back once for leading at its turn: more often, and the cluster is electing again and
    // again.
    let putBack = 0;
    const held = new Set<string>();
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      const early = await watch.before?.(target);
      if (early !== undefined) return early;
      const mayLead = voters.length === 1 || (queue.length === 0 && watch.mayLead?.(target) === true);
      if (queue.length === 0 && !mayLead) await this.#moveLeaderAway(target);
      // Somebody's backup may be through by the time that the others are.
      const waits = queue.length === 0 || held.has(target.id);
      const result = await this.#defragmentOne(target, mayLead, waits ? HELD_LOOKS : 0);
      const skipped = result.outcome === 'skipped' ? result.data : undefined;
      if (skipped?.kind === 'leads') {
        if (++putBack > memberIds.length) {
          throw new Stop(`R3: the leadership keeps changing: ${result.detail}. ${this.done()}`);
        }
        queue.push(target);
        continue;
      }
      if (skipped?.kind === 'held') {
        if (!waits) {
          held.add(target.id);
          queue.push(target);
          continue;
        }
        if (!skipsHeld) {
          throw new Stop(
            `R14: the sweep stopped at ${target.name}: ${result.detail}. It was waited for in vain: ${skipped.remedy}, then run again. ${this.done()}`,
          );
        }
        this.skipped[target.id] = result.detail;
        continue;
      }
      if (result.outcome !== 'done') {
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
    const name = { report: 'move leader', operation: `move leader from ${target.id}` };
    const moved = await patiently(this.#setting, name, { quiet: true }, (attempt) =>
      moveLeaderAway(cluster, voters, target, attempt),
    );
    if (moved.outcome !== 'nothing-to-do') journal.note('move leader', moved);
    if (moved.outcome === 'failed' || moved.outcome === 'refused') throw new Stop(`${moved.detail}. ${this.done()}`);
  }

  async #defragmentOne(target: Voter, mayLead: boolean, heldLooks: number): Promise<RecordedStep<TurnEnds>> {
    const { cluster, voters } = this.#setting;
    const dbSizeBefore = this.#dbSizes?.[target.id];
    if (dbSizeBefore === undefined) throw new Error(`${target.name} was not measured after a compaction`);
    const name = { report: `defragment ${target.name}`, operation: `defragment ${target.id}` };
    // A member that refuses its defragmentation (no space on its disk, say) is not asked again.
    const options = { neededMs: turnNeedsMs, againSeconds: LOOK_AGAIN_SECONDS, accidents: 0 };
    const step = await patiently<TurnEnds, TurnProgress>(this.#setting, name, options, (attempt) =>
      takeTurn(cluster, voters, target, { dbSizeBefore, mayLead, heldLooks }, attempt),
    );
    if (step.outcome === 'done') {
      this.defragmented[target.id] = { defragmented: true, durationMs: step.data.withinMs };
    }
    return step;
  }

  #voter(id: string): Voter {
    const voter = this.#setting.voters.find((other) => other.id === id);
    if (voter === undefined) throw new Error(`member ${id} is planned but is no voter`);
    return voter;
  }
}
