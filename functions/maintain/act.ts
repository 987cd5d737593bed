// Carries out a night's maintenance, beat by beat, and ends it before the next change as soon as something speaks
// against it.

import { EtcdMedicError } from '../contract/errors.ts';
import type { PrunedResource } from '../contract/report.ts';
import { lookForAlarms } from '../control-plane/disarm.ts';
import { inspectDisks } from '../control-plane/disks.ts';
import { look } from '../control-plane/look.ts';
import { votersOf } from '../control-plane/members.ts';
import { nameOf, type Observation } from '../control-plane/observation.ts';
import { type Patience, patiently } from '../control-plane/patience.ts';
import type { ReachableRun } from '../control-plane/run-context.ts';
import { snapshotFirst } from '../control-plane/snapshot-first.ts';
import { Stop, Sweep, type SweptMember } from '../control-plane/sweep.ts';
import type { Voter } from '../control-plane/voters.ts';
import { GuardError } from '../engine/journal.ts';
import { pruneFirst } from '../engine/prune-child.ts';
import { checkBefore, commitCanary, timeWrites } from './checks.ts';
import { decide, type Judgement, type MaintenancePlan } from './decide.ts';
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
export async function act(night: Night): Promise<Acted> {
  const acting = new Acting(night);
  let ended: Ending | undefined;
  try {
    await acting.carryOut();
  } catch (error) {
    if (error instanceof Ended) ended = error.ending;
    else if (error instanceof Stop) ended = { outcome: 'escalated', reason: error.message };
    // R16: with nothing changed yet it is as if the switch had been turned before the run.
    else if (error instanceof GuardError && !(error.switchedOff && !night.reached.journal.changing))
      ended = { outcome: 'escalated', reason: `${error.message}. ${acting.done()}` };
    else throw error;
  }
  const { defragmented, skipped, pruned, unpruned, compactedTo, judgements, judged } = acting;
  return { defragmented, skipped, pruned, unpruned, compactedTo, judgements, judged, ended };
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
  compactedTo: string | undefined;
  judgements: readonly Judgement[] = [];
  judged: Observation | undefined;
  /** Where raft's log was when the revision was noted: from then on its entries are counted (R17). */
  #noted: { readonly raftIndex: bigint; readonly atMs: number } | undefined;
  /** Of the members before, newest first. */
  readonly #tonight: SeenRate[] = [];
  readonly #night: Night;

  constructor(night: Night) {
    this.#night = night;
  }

  /** Who is away is waited for in the window only. */
  get #patience(): Patience {
    return { journal: this.#night.reached.journal, untilMs: this.#night.windowEndMs };
  }

  /** @throws Ended, Stop, GuardError */
  async carryOut(): Promise<void> {
    await this.#snapshot();
    await this.#prune();
    const revision = await this.#noteRevision();
    await this.#growOld();
    await this.#compact(revision);
    await this.#countAgain(revision);
    const plan = await this.#judge('sizes', this.#night.rates);
    if (plan.kind !== 'steps') return;
    await this.#sweep(plan.memberIds);
    if (!plan.tries) return;
    const tried = this.judgements.filter(({ memberId }) => this.defragmented[memberId] !== undefined);
    const { judged } = this;
    const others = await this.#judge('sizes, after the first', [...this.#tonight, ...this.#night.rates]);
    if (others.kind === 'steps') await this.#sweep(others.memberIds);
    // The one that was tried is told as it was found: what is left of its file is no reason to have left it alone.
    this.judgements = this.judgements.map((now) => tried.find(({ memberId }) => memberId === now.memberId) ?? now);
    this.judged = judged;
  }

  /** R14: which is done and which is not. */
  done(): string {
    const { members } = this.#night.observation;
    const done = Object.keys(this.defragmented).map((id) => nameOf(members, id));
    return `Compacted: ${this.compactedTo ?? 'no'}; defragmented: ${done.join(', ') || 'none'}.`;
  }

  /** R13: before anything is changed, the pruning included. */
  async #snapshot(): Promise<void> {
    const { reached, observation } = this.#night;
    const unsaved = await snapshotFirst({ ...reached, untilMs: this.#patience.untilMs }, votersOf(observation));
    if (unsaved !== undefined) throw new Ended({ outcome: 'escalated', reason: unsaved });
  }

  /**
   * A pruning that fails says so in a report of its own; one without a report may not even have begun. What history
   * there is can be cleared all the same.
   */
  async #prune(): Promise<void> {
    const { reached } = this.#night;
    if (!reached.configuration.maintain.prune) return;
    const pruning = await pruneFirst(reached);
    if (pruning.kind === 'report') this.pruned = pruning.report.pruned;
    else if (pruning.kind === 'failed') this.unpruned = pruning.problem;
  }

  async #noteRevision(): Promise<string> {
    const { revision } = await this.#lookAgain('revision');
    return revision;
  }

  /** Whoever reads at the noted revision now has so long to finish before it is compacted. */
  async #growOld(): Promise<void> {
    const { reached, observation } = this.#night;
    const { journal, cluster, configuration } = reached;
    for (let seconds = configuration.maintain.revisionAgeSeconds; seconds > 0; ) {
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

  async #compact(revision: string): Promise<void> {
    const observation = await this.#lookAgain('observe again');
    await this.#newSweep(observation).compact(BigInt(revision));
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

  async #judge(name: string, rates: readonly SeenRate[]): Promise<Exclude<MaintenancePlan, { kind: 'refusal' }>> {
    const { reached, nodesProblem } = this.#night;
    let observation = await this.#lookAgain(name);
    let plan = this.#decide(observation, rates);
    if (plan.kind === 'steps') {
      observation = { ...observation, disks: await inspectDisks(reached, observation, nodesProblem) };
      plan = this.#decide(observation, rates);
    }
    this.judgements = plan.judgements;
    this.judged = observation;
    return plan;
  }

  async #sweep(memberIds: readonly string[]): Promise<void> {
    const observation = this.judged ?? this.#night.observation;
    const sweep = this.#newSweep(observation);
    this.defragmented = Object.assign(sweep.defragmented, this.defragmented);
    this.skipped = Object.assign(sweep.skipped, this.skipped);
    const { reached, rates } = this.#night;
    const { journal, cluster } = reached;
    const voters = votersOf(observation);
    const tonight = this.#tonight;
    const mayLead = ({ id }: Voter) => {
      const { dbSizeInUse: live, defragmentsBeside } = observation.members.find((member) => member.id === id) ?? {};
      // R17: what took its time beside reads and writes is no stall, and nobody knows the pause at its end.
      return live !== undefined && !defragmentsBeside && mayDefragmentAsLeader(id, live, tonight, rates);
    };
    await sweep.defragment(memberIds, {
      mayLead,
      after: async ({ id }, { dbSize, tookMs }) => {
        // One whose end was only found by looking has taken who knows how long.
        tonight.unshift({ memberId: id, bytesPerMs: tookMs === undefined ? 0 : dbSize / tookMs });
        return undefined;
      },
      before: async (target) => {
        if (!mayLead(target)) await this.#letDisksSettle(target, sweep);
        const name = { report: `check before ${target.name}`, operation: `check before ${target.id}` };
        const check = await patiently(this.#patience, name, { quiet: true }, (attempt) =>
          checkBefore(cluster, voters, this.#night.windowEndMs, attempt),
        );
        if (check.outcome === 'done') return undefined;
        journal.note(name.report, check);
        if (check.outcome === 'skipped') {
          const left = memberIds.filter((id) => sweep.defragmented[id] === undefined);
          const names = left.map((id) => nameOf(observation.members, id)).join(', ');
          const reason = `${capital(check.detail)}, so ${names} ${left.length === 1 ? 'is' : 'are'} left for the next night.`;
          throw new Ended({ outcome: 'maintained', reason });
        }
        throw new Ended({
          outcome: 'escalated',
          reason: `The sweep stopped before ${target.name}: ${check.detail}. ${sweep.done()}`,
        });
      },
    });
  }

  /** Before the leadership is moved for the leader's turn. Never longer than a minute: a disk may always be slow. */
  async #letDisksSettle(target: Voter, { defragmented }: Sweep): Promise<void> {
    const leads = this.judged?.members.some(({ id, isLeader }) => id === target.id && isLeader);
    if (!leads || Object.keys(defragmented).length === 0) return;
    const { journal, cluster } = this.#night.reached;
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

  #newSweep(observation: Observation): Sweep {
    const { cluster } = this.#night.reached;
    // Those of the compaction's end where it is the sweep that compacts; else of the look that the members were judged
    // by, after it.
    const dbSizes =
      observation === this.judged
        ? Object.fromEntries(observation.members.map(({ id, dbSize = 0 }) => [id, dbSize]))
        : undefined;
    return new Sweep({ ...this.#patience, cluster, voters: votersOf(observation), dbSizes, skipsHeld: true });
  }
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
