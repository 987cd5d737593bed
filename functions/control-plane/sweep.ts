// Carries a sweep through the voters: a compaction on each as a barrier, then one defragmentation after the other, the
// leader last. It stops at the first that does not end well (R14). RunContext and maintenance share it.

import { EtcdMedicError } from '../contract/errors.ts';
import type { Journal } from '../engine/journal.ts';
import type { Planned } from '../engine/plan.ts';
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

/** One member's turn, as a plan has it: `move-leader` stands directly before its member's defragmentation (R3). */
export type SweepStep =
  | { readonly action: 'move-leader'; readonly fromMemberId: string }
  | { readonly action: 'defragment'; readonly memberId: string };

/** R3: in the order given, but the leader last, after its leadership was moved. */
export function turnsOf(memberIds: readonly string[], leaderId: string | undefined): SweepStep[] {
  const last = memberIds.filter((id) => id === leaderId);
  return [...memberIds.filter((id) => id !== leaderId), ...last].flatMap((memberId): SweepStep[] => [
    ...(memberId === leaderId ? [{ action: 'move-leader', fromMemberId: memberId } as const] : []),
    { action: 'defragment', memberId },
  ]);
}

export function isTurn(step: Planned): step is SweepStep {
  return step.action === 'move-leader' || step.action === 'defragment';
}

/** What looks on while the members are swept. */
export interface SweepWatch<Early> {
  /**
   * In each member's turn, before anything is done to it, by steps of this journal.
   * @returns why the turn is not taken, as JSON; undefined where it is
   */
  readonly before?: (target: Voter, journal: Journal) => Promise<Early | undefined>;
  /**
   * R3: whether the last one may lead on while it is defragmented. To be answered from what durable steps said.
   * @default never
   */
  readonly mayLead?: (target: Voter) => boolean;
}

export interface TakenTurn<Early> {
  readonly memberId: string;
  /** Undefined: it was not defragmented. */
  readonly file?: Defragmented | undefined;
  /** The turns that are left, in their order. */
  readonly left: readonly SweepStep[];
  readonly early?: Early | undefined;
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
  #putBack = 0;
  /** Whoever was put back because something holds its defragmentation. */
  readonly #held = new Set<string>();

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
   * One member's turn: its leadership is moved first where the plan says so, unless it may lead on. Whoever leads all
   * the same when its turn comes goes last, and so does whoever is held, by somebody's Snapshot stream say.
   * @param turns those after it
   * @throws Stop when it did not end well; GuardError
   */
  async turn<Early = never>(
    step: SweepStep,
    turns: readonly SweepStep[],
    { before, mayLead = () => false }: SweepWatch<Early> = {},
  ): Promise<TakenTurn<Early>> {
    const { journal, voters, skipsHeld = false } = this.#setting;
    const moves = step.action === 'move-leader';
    const memberId = moves ? step.fromMemberId : step.memberId;
    const target = this.#voter(memberId);
    const left = moves ? turns.slice(1) : turns;
    const isLast = left.length === 0;
    const leadsOn = voters.length === 1 || (isLast && mayLead(target));
    // Somebody's backup may be through by the time that the others are.
    const waits = isLast || this.#held.has(memberId);
    const end = await journal.fold(`turn of ${memberId}`, async (inner) => {
      const early = await before?.(target, inner);
      if (early !== undefined) return { early };
      const stopped = moves && !leadsOn ? await this.#moveLeaderAway(inner, target) : undefined;
      if (stopped !== undefined) return { stopped };
      return { taken: await this.#defragment(inner, target, leadsOn, waits ? HELD_LOOKS : 0) };
    });
    if ('early' in end) return { memberId, left, early: end.early };
    if ('stopped' in end) throw new Stop(`${end.stopped}. ${this.done()}`);
    const { taken } = end;
    if (taken.outcome === 'done') {
      this.defragmented[memberId] = { defragmented: true, durationMs: taken.data.withinMs };
      return { memberId, left, file: taken.data };
    }
    const ids = left.flatMap((turn) => (turn.action === 'defragment' ? [turn.memberId] : []));
    const leader = left.find((turn) => turn.action === 'move-leader')?.fromMemberId;
    const skipped = taken.outcome === 'skipped' ? taken.data : undefined;
    if (skipped?.kind === 'leads') {
      // Every member may be put back once for it: more often, and the cluster is electing again and again.
      if (++this.#putBack > voters.length) {
        throw new Stop(`R3: the leadership keeps changing: ${taken.detail}. ${this.done()}`);
      }
      return { memberId, left: turnsOf([...ids, memberId], memberId) };
    }
    if (skipped?.kind === 'held') {
      if (!waits) {
        this.#held.add(memberId);
        return { memberId, left: turnsOf([...ids, memberId], leader) };
      }
      if (!skipsHeld) {
        throw new Stop(
          `R14: the sweep stopped at ${target.name}: ${taken.detail}. It was waited for in vain: ${skipped.remedy}, then run again. ${this.done()}`,
        );
      }
      this.skipped[memberId] = taken.detail;
      return { memberId, left };
    }
    throw new Stop(`R14: the sweep stopped at ${target.name}: ${taken.detail}. ${this.done()}`);
  }

  /** R14: which is done and which is not, as a sentence. */
  done(): string {
    const { voters } = this.#setting;
    const done = voters.filter(({ id }) => this.defragmented[id] !== undefined).map(({ name }) => name);
    const left = voters.filter(({ id }) => this.defragmented[id] === undefined).map(({ name }) => name);
    return `Defragmented: ${done.join(', ') || 'none'}; not: ${left.join(', ') || 'none'}.`;
  }

  /** @returns why it could not be moved */
  async #moveLeaderAway(journal: Journal, target: Voter): Promise<string | undefined> {
    const { cluster, voters } = this.#setting;
    const name = { report: 'move leader', operation: `move leader from ${target.id}` };
    const { outcome, detail } = await patiently({ ...this.#setting, journal }, name, {}, (attempt) =>
      moveLeaderAway(cluster, voters, target, attempt),
    );
    return outcome === 'failed' || outcome === 'refused' ? detail : undefined;
  }

  async #defragment(
    journal: Journal,
    target: Voter,
    mayLead: boolean,
    heldLooks: number,
  ): Promise<RecordedStep<TurnEnds>> {
    const { cluster, voters } = this.#setting;
    const dbSizeBefore = this.#dbSizes?.[target.id];
    if (dbSizeBefore === undefined) throw new Error(`${target.name} was not measured after a compaction`);
    const name = { report: `defragment ${target.name}`, operation: `defragment ${target.id}` };
    // A member that refuses its defragmentation (no space on its disk, say) is not asked again.
    const options = { neededMs: turnNeedsMs, againSeconds: LOOK_AGAIN_SECONDS, accidents: 0 };
    return patiently<TurnEnds, TurnProgress>({ ...this.#setting, journal }, name, options, (attempt) =>
      takeTurn(cluster, voters, target, { dbSizeBefore, mayLead, heldLooks }, attempt),
    );
  }

  #voter(id: string): Voter {
    const voter = this.#setting.voters.find((other) => other.id === id);
    if (voter === undefined) throw new Error(`member ${id} is planned but is no voter`);
    return voter;
  }
}
