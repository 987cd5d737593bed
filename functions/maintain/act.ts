// Carries out a night's maintenance, beat by beat, and ends it before the next change as soon as something speaks
// against it.

import { EtcdMedicError } from '../contract/errors.ts';
import type { PrunedResource } from '../contract/report.ts';
import { type Comparison, compareVoters } from '../control-plane/compare-voters.ts';
import { tellContentsAlone } from '../control-plane/contents-alone.ts';
import { lookForAlarms } from '../control-plane/disarm.ts';
import { inspectDisks } from '../control-plane/disks.ts';
import { look } from '../control-plane/look.ts';
import { largestFile, votersOf } from '../control-plane/members.ts';
import { nameOf, type Observation } from '../control-plane/observation.ts';
import { type Patience, patiently } from '../control-plane/patience.ts';
import type { ReachableRun } from '../control-plane/run-context.ts';
import { snapshotFirst } from '../control-plane/snapshot-first.ts';
import { isTurn, Stop, Sweep, type SweepStep, type SweptMember } from '../control-plane/sweep.ts';
import type { Voter } from '../control-plane/voters.ts';
import { GuardError, type Journal } from '../engine/journal.ts';
import { carryOut } from '../engine/plan.ts';
import { pruneFirst } from '../engine/prune-child.ts';
import { checkBefore, commitCanary, timeWrites } from './checks.ts';
import { decide, type Judgement, type MaintenancePlan } from './decide.ts';
import { type NightStep, sweepPlan } from './plan.ts';
import { mayDefragmentAsLeader, type SeenRate } from './stall.ts';
import { windowOver } from './window.ts';

/** While a revision grows old the alarms are looked at, and the lease is renewed, so often. */
export const AGING_LOOK_SECONDS = 60;

/**
 * A defragmentation leaves the disks busy for some seconds. While the leadership moves, which takes a write to the new
 * leader's disk, etcd drops the writes that come in, and their clients wait for 7 s in vain: the slower the disk, the
 * more of them.
 */
const SETTLE_SECONDS = 15;
const SETTLE_WITHIN_SECONDS = 60;
/** etcd asks for disks that sync within 10 ms; a write takes two of them, one after the other. */
const SETTLED_WRITE_MS = 25;

/** How a night ended early. */
interface Ending {
  readonly outcome: 'maintained' | 'refused' | 'escalated';
  readonly reason: string;
}

export interface Acted {
  /** By member id. */
  readonly defragmented: Readonly<Record<string, SweptMember>>;
  /** By member id: why it was left out at its turn. */
  readonly skipped: Readonly<Record<string, string>>;
  readonly pruned: readonly PrunedResource[] | undefined;
  /** Why a pruning that was wanted ended without a report, which nobody else may have said; undefined: it did not. */
  readonly unpruned: string | undefined;
  /** Whether the voters had the same contents; undefined: they were not asked. */
  readonly compared: Comparison | undefined;
  /** A decimal string; undefined: nothing was compacted. */
  readonly compactedTo: string | undefined;
  /** Of every member, after the compaction; empty where it did not come to that. */
  readonly judgements: readonly Judgement[];
  /** What was seen after the compaction: the sizes by which the members were judged. */
  readonly judged: Observation | undefined;
  /** Undefined: everything that was planned was done. */
  readonly ended: Ending | undefined;
}

export interface Night {
  readonly reached: ReachableRun;
  /** What `decide` went by. */
  readonly observation: Observation;
  readonly rates: readonly SeenRate[];
  /** Milliseconds since 1970: nothing new is begun from then on. */
  readonly windowEndMs: number;
  /** Why the nodes could not be listed, where they could not. */
  readonly nodesProblem: string | undefined;
}

/**
 * Never throws for what speaks against going on: that is `ended`, and what is done stays done.
 * @throws GuardError where the switch was turned before the first change
 */
export async function act(night: Night, plan: readonly NightStep[]): Promise<Acted> {
  const acting = new Acting(night);
  let ended: Ending | undefined;
  try {
    await carryOut(plan, (step, left) => acting.perform(step, left));
  } catch (error) {
    if (error instanceof Ended) ended = error.ending;
    else if (error instanceof Stop) ended = { outcome: 'escalated', reason: error.message };
    // R16: with nothing changed yet it is as if the switch had been turned before the run.
    else if (error instanceof GuardError && !(error.switchedOff && !night.reached.journal.changing))
      ended = { outcome: 'escalated', reason: `${error.message}. ${acting.done()}` };
    else throw error;
  }
  const { defragmented, skipped, pruned, unpruned, compared, compactedTo, judgements, judged } = acting;
  return { defragmented, skipped, pruned, unpruned, compared, compactedTo, judgements, judged, ended };
}

/** Why a member's turn is not taken. */
interface Early {
  /** The window is. */
  readonly isOver: boolean;
  readonly detail: string;
}

/** Ends the night where it is. */
class Ended extends EtcdMedicError {
  override readonly name = 'Ended';
  readonly ending: Ending;

  constructor(ending: Ending) {
    super(ending.reason);
    this.ending = ending;
  }
}

class Acting {
  defragmented: Readonly<Record<string, SweptMember>> = {};
  skipped: Readonly<Record<string, string>> = {};
  pruned: readonly PrunedResource[] | undefined;
  unpruned: string | undefined;
  compared: Comparison | undefined;
  compactedTo: string | undefined;
  judgements: readonly Judgement[] = [];
  judged: Observation | undefined;
  /** Where raft's log was when the revision was noted: from then on its entries are counted (R17). */
  #noted: { readonly raftIndex: bigint; readonly atMs: number } | undefined;
  /** Noted at the beginning: what is compacted to. */
  #revision = '';
  /** What the members are swept by. */
  #seen: Observation;
  #sweep: Sweep;
  /** Of the members before, newest first. */
  readonly #tonight: SeenRate[] = [];
  readonly #night: Night;

  constructor(night: Night) {
    this.#night = night;
    this.#seen = night.observation;
    this.#sweep = this.#newSweep(night.observation);
  }

  /** Who is away is waited for in the window only. */
  get #patience(): Patience {
    return { journal: this.#night.reached.journal, untilMs: this.#night.windowEndMs };
  }

  /** @returns what is left to be done, where that has changed. @throws Ended, Stop, GuardError */
  async perform(step: NightStep, left: readonly NightStep[]): Promise<readonly NightStep[] | undefined> {
    switch (step.action) {
      case 'snapshot':
        return this.#snapshot();
      case 'contents':
        return tellContentsAlone(this.#night.reached, votersOf(this.#night.observation)).then(() => undefined);
      case 'compare':
        return this.#compare(step.belowBytes);
      case 'prune':
        return this.#prune();
      case 'revision':
        this.#revision = await this.#noteRevision();
        return this.#growOld(step.ageSeconds);
      case 'compact':
        return this.#compact(this.#revision);
      case 'canary':
        await this.#countAgain(this.#revision);
        return this.#judge('sizes', this.#night.rates);
      case 'move-leader':
      case 'defragment':
        return this.#takeTurn(step, left);
      case 'judge-others':
        return this.#judgeOthers();
      case 'leave':
        return undefined;
    }
  }

  /** R14: which is done and which is not. */
  done(): string {
    const { members } = this.#night.observation;
    const done = Object.keys(this.defragmented).map((id) => nameOf(members, id));
    return `Compacted: ${this.compactedTo ?? 'no'}; defragmented: ${done.join(', ') || 'none'}.`;
  }

  /** R13: before anything is changed, the pruning included. */
  async #snapshot(): Promise<undefined> {
    const { reached, observation } = this.#night;
    const setting = { ...reached, fileBytes: largestFile(observation), untilMs: this.#patience.untilMs };
    const unsaved = await snapshotFirst(setting, votersOf(observation));
    if (unsaved !== undefined) throw new Ended({ outcome: 'escalated', reason: unsaved });
  }

  /** R1: before anything is changed, but with a snapshot of what there is. */
  async #compare(belowBytes: number): Promise<undefined> {
    const { reached, observation, windowEndMs } = this.#night;
    this.compared = await compareVoters({ ...reached, untilMs: windowEndMs, belowBytes }, votersOf(observation));
    if (this.compared.kind !== 'differ') return;
    const reason = `R1: the voters do not have the same contents: ${this.compared.words}. Nothing was changed. Find out which one is wrong (etcdctl endpoint hashkv --cluster, each at the same revision) and replace it.`;
    throw new Ended({ outcome: 'escalated', reason });
  }

  /**
   * A pruning that fails says so in a report of its own; one without a report may not even have begun. What history
   * there is can be cleared all the same.
   */
  async #prune(): Promise<undefined> {
    const pruning = await pruneFirst(this.#night.reached);
    if (pruning.kind === 'report') this.pruned = pruning.report.pruned;
    else if (pruning.kind === 'failed') this.unpruned = pruning.problem;
  }

  async #noteRevision(): Promise<string> {
    const { revision } = await this.#lookAgain('revision');
    return revision;
  }

  /** Whoever reads at the noted revision now has so long to finish before it is compacted. */
  async #growOld(ageSeconds: number): Promise<undefined> {
    const { reached, observation } = this.#night;
    const { journal, cluster } = reached;
    for (let seconds = ageSeconds; seconds > 0; ) {
      const polling = { everySeconds: AGING_LOOK_SECONDS, withinSeconds: seconds, quiet: true };
      const seen = await journal.poll('the revision grows old', polling, async ({ look }) => {
        // It was looked at just now, and will be once more before the compaction.
        const isEdge = look === 1 || (look - 1) * AGING_LOOK_SECONDS >= seconds;
        if (isEdge) return { outcome: 'done', detail: `${seconds} s to go`, again: true };
        const alarms = await lookForAlarms(cluster, votersOf(observation));
        return { outcome: alarms.outcome, detail: alarms.detail, again: alarms.outcome !== 'failed' };
      });
      seconds -= seen.waitedSeconds;
      // Ends the night where the alarm stands still; the revision grows on where it was gone again.
      if (seen.outcome === 'failed') await this.#lookAgain('observe again');
    }
  }

  async #compact(revision: string): Promise<undefined> {
    const observation = await this.#lookAgain('observe again');
    this.#sweep = this.#newSweep(observation);
    await this.#sweep.compact(BigInt(revision));
    this.compactedTo = revision;
  }

  /** So that `dbSizeInUse` is what is live. */
  async #countAgain(revision: string): Promise<void> {
    const { cluster } = this.#night.reached;
    const voters = votersOf(this.#night.observation);
    const step = await patiently(this.#patience, 'canary', {}, (attempt) =>
      commitCanary(cluster, voters, BigInt(revision), attempt),
    );
    if (step.outcome === 'done') return;
    await this.#lookAgain('observe again'); // an alarm has words of its own
    throw new Ended({
      outcome: 'escalated',
      reason: `After the compaction a key could not be written through every voter, so no member was defragmented: ${step.detail}. Look at that member's log.`,
    });
  }

  /** What is to be done by the sizes that are seen now. */
  async #judge(name: string, rates: readonly SeenRate[]): Promise<readonly NightStep[]> {
    const { reached, nodesProblem } = this.#night;
    let observation = await this.#lookAgain(name);
    let plan = this.#decide(observation, rates);
    if (plan.kind === 'steps') {
      observation = { ...observation, disks: await inspectDisks(reached, observation, nodesProblem) };
      plan = this.#decide(observation, rates);
    }
    this.judgements = plan.judgements;
    this.judged = observation;
    this.#seen = observation;
    this.#sweep = this.#newSweep(observation, sizesOf(observation));
    this.defragmented = Object.assign(this.#sweep.defragmented, this.defragmented);
    this.skipped = Object.assign(this.#sweep.skipped, this.skipped);
    return sweepPlan(plan, observation);
  }

  /** By how long the first one took. */
  async #judgeOthers(): Promise<readonly NightStep[]> {
    const tried = this.judgements.filter(({ memberId }) => this.defragmented[memberId] !== undefined);
    const { judged } = this;
    const others = await this.#judge('sizes, after the first', [...this.#tonight, ...this.#night.rates]);
    // The one that was tried is told as it was found: what is left of its file is no reason to have left it alone.
    this.judgements = this.judgements.map((now) => tried.find(({ memberId }) => memberId === now.memberId) ?? now);
    this.judged = judged;
    return others;
  }

  async #takeTurn(step: SweepStep, left: readonly NightStep[]): Promise<readonly NightStep[]> {
    const turn = await this.#sweep.turn(step, left.filter(isTurn), {
      mayLead: (target) => this.#mayLead(target),
      before: (target, journal) => this.#checkBefore(target, journal),
    });
    const { memberId, file, early } = turn;
    if (early !== undefined) throw new Ended(this.#endBefore(memberId, early, turn.left));
    if (file !== undefined) {
      // One whose end was only found by looking has taken who knows how long.
      this.#tonight.unshift({ memberId, bytesPerMs: file.tookMs === undefined ? 0 : file.dbSize / file.tookMs });
    }
    return [...turn.left, ...left.filter((each) => !isTurn(each))];
  }

  #mayLead({ id }: Voter): boolean {
    const { dbSizeInUse: live, defragmentsBeside } = this.#seen.members.find((member) => member.id === id) ?? {};
    // R17: what took its time beside reads and writes is no stall, and nobody knows the pause at its end.
    if (live === undefined || defragmentsBeside) return false;
    return mayDefragmentAsLeader(id, live, this.#tonight, this.#night.rates);
  }

  /** @returns why the member's turn is not taken */
  async #checkBefore(target: Voter, journal: Journal): Promise<Early | undefined> {
    const { cluster } = this.#night.reached;
    if (!this.#mayLead(target)) await this.#letDisksSettle(target, journal);
    const voters = votersOf(this.#seen);
    const name = { report: `check before ${target.name}`, operation: `check before ${target.id}` };
    const check = await patiently({ ...this.#patience, journal }, name, { quiet: true }, (attempt) =>
      checkBefore(cluster, voters, this.#night.windowEndMs, attempt),
    );
    if (check.outcome === 'done') return undefined;
    journal.note(name.report, check);
    return { isOver: check.outcome === 'skipped', detail: check.detail };
  }

  #endBefore(memberId: string, { isOver, detail }: Early, turns: readonly SweepStep[]): Ending {
    const { members } = this.#seen;
    if (!isOver) {
      const reason = `The sweep stopped before ${nameOf(members, memberId)}: ${detail}. ${this.#sweep.done()}`;
      return { outcome: 'escalated', reason };
    }
    const others = turns.flatMap((turn) => (turn.action === 'defragment' ? [turn.memberId] : []));
    const left = [...new Set([...Object.keys(this.skipped), memberId, ...others])];
    const names = left.map((id) => nameOf(members, id)).join(', ');
    const reason = `${capital(detail)}, so ${names} ${left.length === 1 ? 'is' : 'are'} left for the next night.`;
    return { outcome: 'maintained', reason };
  }

  /** Before the leadership is moved for the leader's turn. Never longer than a minute: a disk may always be slow. */
  async #letDisksSettle(target: Voter, journal: Journal): Promise<void> {
    const leads = this.#seen.members.some(({ id, isLeader }) => id === target.id && isLeader);
    if (!leads || Object.keys(this.defragmented).length === 0) return;
    const { cluster } = this.#night.reached;
    const polling = { everySeconds: SETTLE_SECONDS, withinSeconds: SETTLE_WITHIN_SECONDS };
    await journal.poll('disks settle', polling, async ({ look }) => {
      if (look === 1) return { outcome: 'unknown', detail: 'their last defragmentation has just ended', again: true };
      const { outcome, detail, data } = await timeWrites(cluster, votersOf(this.#night.observation));
      return { outcome, detail, again: data === undefined || data > SETTLED_WRITE_MS };
    });
  }

  /** A look with the gates that stand before every change. */
  async #lookAgain(name: string): Promise<Observation> {
    const { reached, observation: before, rates, windowEndMs } = this.#night;
    const { observation, detail, atMs } = await look(reached, name, before.nodes, {
      patient: true,
      untilMs: windowEndMs,
    });
    const outcome = this.compactedTo === undefined ? 'refused' : 'escalated';
    if (observation === undefined) throw new Ended({ outcome, reason: `${detail} ${this.done()}` });
    this.#decide(observation, rates);
    const over = windowOver(windowEndMs, atMs);
    if (over === undefined) return { ...observation, entriesPerSecond: this.#countEntries(observation, atMs) };
    if (this.compactedTo !== undefined) {
      const left =
        Object.keys(this.defragmented).length === 0 ? 'no member was defragmented' : 'the others were not tried';
      throw new Ended({ outcome: 'maintained', reason: `${capital(over)}, so ${left}.` });
    }
    throw new Ended({ outcome: 'refused', reason: `${capital(over)} before anything was compacted.` });
  }

  /** On average since the first look of the night; undefined at that look. */
  #countEntries({ raftIndex = '0' }: Observation, atMs: number): number | undefined {
    const now = { raftIndex: BigInt(raftIndex), atMs };
    this.#noted ??= now;
    const seconds = (now.atMs - this.#noted.atMs) / 1000;
    return seconds > 0 ? Number(now.raftIndex - this.#noted.raftIndex) / seconds : undefined;
  }

  /** @throws Ended where nothing more may be changed */
  #decide(observation: Observation, rates: readonly SeenRate[]): Exclude<MaintenancePlan, { kind: 'refusal' }> {
    const plan = decide(observation, this.#night.reached.configuration.maintain, rates);
    if (plan.kind !== 'refusal') return plan;
    const outcome = this.compactedTo === undefined ? plan.outcome : 'escalated';
    throw new Ended({ outcome, reason: `${plan.rule}: ${plan.reason} ${this.done()}` });
  }

  /** @param dbSizes of the look that the members were judged by; undefined where it is the sweep that compacts */
  #newSweep(observation: Observation, dbSizes?: Readonly<Record<string, number>>): Sweep {
    const { cluster } = this.#night.reached;
    return new Sweep({ ...this.#patience, cluster, voters: votersOf(observation), dbSizes, skipsHeld: true });
  }
}

function sizesOf({ members }: Observation): Readonly<Record<string, number>> {
  return Object.fromEntries(members.map(({ id, dbSize = 0 }) => [id, dbSize]));
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
