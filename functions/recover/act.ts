// Carries out a recovery's steps one after the other, and stops at the first that does not end well (R14).
import { NoSpaceError } from '../etcd/errors.ts';
import { DEFAULT_DEADLINES } from '../etcd/member-client.ts';
import type { Alarm } from '../etcd/types.ts';
import { describeError, EtcdMedicError } from '../run/errors.ts';
import { GuardError, type RecordedStep, type StepResult } from '../run/journal.ts';
import { formatBytes } from '../run/report.ts';
import { compactEach } from '../sweep/compaction.ts';
import {
  DEFRAGMENT_NEEDS_MS,
  type Defragmentation,
  type Defragmented,
  defragment,
  settle,
} from '../sweep/defragmentation.ts';
import { moveLeaderAway } from '../sweep/leadership.ts';
import { SweepStoppedError, type Voter } from '../sweep/voters.ts';
import type { Observation, ObservedMember, RecoveryStep } from './decide.ts';
import { canary, disarm, lookForAlarms } from './disarm.ts';
import { tooMuchLiveData, whatFillsIt } from './live-data.ts';
import { votersOf } from './members.ts';
import type { Reached } from './workflow.ts';

/** How often a barrier that timed out is asked for again, 10 s apart: with the call's own deadline, up to 26 minutes. */
const COMPACTION_ATTEMPTS = 5;
const LOOK_AGAIN_SECONDS = 10;
/** A defragmentation of unknown outcome is looked at for 30 to 45 minutes: a file of 8 GiB on a slow disk takes less. */
const SETTLE_LOOKS = 180;
/** Where nothing was sent by this attempt, and so in all likelihood nothing is under way: 5 minutes. */
const UNSENT_LOOKS = 30;
/** A member that serves reads has no defragmentation under way; so often in a row, and its file did not shrink: it failed. */
const SERVING_LOOKS = 3;
const WATCH_INTERVAL_SECONDS = 15;
/** Calls that are safe to repeat are repeated so often, when what they met was not a rule but an accident. */
const INSIST_ATTEMPTS = 3;
const INSIST_AGAIN_SECONDS = 5;
const COMPACT_NEEDS_MS = DEFAULT_DEADLINES.compactMs + 30_000;
/** How often a step is put off to an invocation with more time left; a fresh one has all that Lambda gives. */
const FRESH_INVOCATIONS = 3;
const NO_TIME = 'too little of this invocation is left';

export interface Acted {
  /** By member id: what the report says of a member that was defragmented. */
  readonly defragmented: Readonly<Record<string, { readonly defragmented: true; readonly durationMs: number }>>;
  /** Why the run stopped before its end, and what a person should do; undefined when every step ended well. */
  readonly stopped: string | undefined;
}

/** Never throws for a step that fails: that is `stopped`, and what is done stays done. */
export async function act(recovery: Reached, steps: readonly RecoveryStep[], observation: Observation): Promise<Acted> {
  const acting = new Acting(recovery, observation);
  try {
    await acting.carryOut(steps);
    return { defragmented: acting.defragmented, stopped: undefined };
  } catch (error) {
    if (!(error instanceof Stop || error instanceof GuardError)) throw error;
    const reason = error instanceof GuardError ? `${error.message}. ${acting.done()}` : error.message;
    return { defragmented: acting.defragmented, stopped: reason };
  }
}

/** R14: ends the steps, with the reason for the report. */
class Stop extends EtcdMedicError {
  override readonly name = 'Stop';
}

class Acting {
  readonly defragmented: Record<string, { readonly defragmented: true; readonly durationMs: number }> = {};
  readonly #recovery: Reached;
  readonly #observation: Observation;
  readonly #voters: readonly Voter[];

  constructor(recovery: Reached, observation: Observation) {
    this.#recovery = recovery;
    this.#observation = observation;
    this.#voters = votersOf(observation);
  }

  /** @throws Stop, GuardError */
  async carryOut(steps: readonly RecoveryStep[]): Promise<void> {
    const sweep = steps.flatMap((step) => (step.action === 'defragment' ? [step.memberId] : []));
    for (const step of steps) {
      // The sweep keeps its own order, because the leader may change under it; it moves the leadership itself.
      if (step.action === 'compact') {
        await this.#compact(BigInt(step.revision));
        await this.#sweep(sweep);
      } else if (step.action === 'disarm') await this.#disarm();
      else if (step.action === 'canary') await this.#canary();
      else if (step.action === 'watch') await this.#watch(step.seconds);
    }
  }

  async #compact(revision: bigint): Promise<void> {
    const { journal, context, cluster } = this.#recovery;
    let pending = this.#voters;
    let last: RecordedStep<unknown> | undefined;
    for (let attempt = 1; attempt <= COMPACTION_ATTEMPTS; attempt++) {
      const ask = pending;
      const name = attempt === 1 ? 'compact' : `compact, asked again (${attempt})`;
      const step = await this.#inTime(name, COMPACT_NEEDS_MS, () => compactEach(cluster, this.#voters, ask, revision));
      last = last ? { ...step, startedAt: last.startedAt, durationMs: last.durationMs + step.durationMs } : step;
      if (step.outcome !== 'unknown' || step.data === undefined) break;
      pending = step.data.pending;
      if (attempt < COMPACTION_ATTEMPTS) await context.wait('compaction goes on', { seconds: LOOK_AGAIN_SECONDS });
    }
    if (last !== undefined) journal.note('compact', last);
    if (last?.outcome === 'done') return;
    throw new Stop(
      `R4: the compaction did not get through on every voter, so nothing was defragmented and the alarm stays armed: ${last?.detail}. Look at that member's log and disk, then run again.`,
    );
  }

  /** Followers first, the leader last (R3), whoever leads when a member's turn comes. */
  async #sweep(memberIds: readonly string[]): Promise<void> {
    const queue = memberIds.map((id) => this.#voter(id));
    // Every member may be put back once for leading at its turn: more often, and the cluster is electing again and again.
    let putBack = 0;
    let measured = false;
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      if (queue.length === 0 && this.#voters.length > 1) await this.#moveLeaderAway(target);
      const result = await this.#defragment(target);
      if (result.data?.kind === 'leads') {
        if (++putBack > memberIds.length)
          throw new Stop(`R3: the leadership keeps changing: ${result.detail}. ${this.done()}`);
        queue.push(target);
        continue;
      }
      if (result.data?.kind !== 'defragmented') {
        throw new Stop(
          `R14: the sweep stopped at ${target.name}: ${result.detail}. ${this.done()} The alarm stays armed.`,
        );
      }
      if (!measured) await this.#stopIfFullOfLiveData(target, result.data);
      measured = true;
    }
  }

  async #moveLeaderAway(target: Voter): Promise<void> {
    const { journal, cluster } = this.#recovery;
    const name = `move leader from ${target.name}`;
    const moved = await this.#insist(name, () => moveLeaderAway(cluster, this.#voters, target));
    if (moved.outcome !== 'nothing-to-do') journal.note('move leader', moved);
    if (moved.outcome === 'failed' || moved.outcome === 'refused') {
      throw new Stop(`${moved.detail}. ${this.done()} The alarm stays armed.`);
    }
  }

  async #defragment(target: Voter): Promise<RecordedStep<Defragmentation>> {
    const { journal, context, cluster } = this.#recovery;
    const name = `defragment ${target.name}`;
    const before = this.#member(target).dbSize ?? 0;
    const sent = await this.#inTime(name, DEFRAGMENT_NEEDS_MS, () => defragment(cluster, this.#voters, target, before));
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
      this.defragmented[target.id] = { defragmented: true, durationMs: step.durationMs };
    }
    return step;
  }

  /** `dbSizeInUse` is stale after a compaction, so the first defragmented file is the measure of what is live. */
  async #stopIfFullOfLiveData(target: Voter, { dbSize }: Defragmented): Promise<void> {
    const quotas = this.#observation.members.map(({ quota, isLearner }) =>
      quota.kind === 'limit' && !isLearner ? quota.bytes : undefined,
    );
    const full = tooMuchLiveData(dbSize, quotas);
    if (full === undefined) return;
    const { journal, cluster } = this.#recovery;
    const filling = await journal.unguardedStep('what fills it', async () => whatFillsIt(await cluster(), target));
    const share = Math.round((100 * full.liveBytes) / full.quotaBytes);
    throw new Stop(
      `Full of live data: after compaction and defragmentation ${target.name} still has ${formatBytes(full.liveBytes)} (${full.liveBytes} bytes), ${share} % of the quota of ${formatBytes(full.quotaBytes)} (${full.quotaBytes} bytes). Defragmenting more cannot help, so the alarm stays armed. Delete what is not needed (deletes work under NOSPACE) or raise --quota-backend-bytes, then run again. Largest: ${filling.detail}.`,
    );
  }

  async #disarm(): Promise<void> {
    const { journal, cluster, configuration } = this.#recovery;
    const step = await this.#insist('disarm', () => disarm(cluster, this.#voters, configuration.etcd.quotaBytes));
    journal.note('disarm', step);
    if (step.outcome === 'failed' || step.outcome === 'refused') throw new Stop(`${step.detail}. ${this.done()}`);
  }

  async #canary(): Promise<void> {
    const { journal, cluster } = this.#recovery;
    const step = await this.#insist('canary', () => canary(cluster, this.#voters));
    journal.note('canary', step);
    if (step.outcome === 'done') return;
    throw new Stop(
      `R7: the alarm was disarmed, but the write that was to prove it failed: ${step.detail}. Look whether the alarm is back (etcdctl alarm list) and what writes.`,
    );
  }

  async #watch(seconds: number): Promise<void> {
    const { journal, context, cluster } = this.#recovery;
    let last: RecordedStep<readonly Alarm[]> | undefined;
    for (let watched = 0; watched < seconds && last?.outcome !== 'failed'; ) {
      const pause = Math.min(WATCH_INTERVAL_SECONDS, seconds - watched);
      await context.wait('watch', { seconds: pause });
      watched += pause;
      const look = await journal.quietStep(`watch, ${watched} s`, () => lookForAlarms(cluster, this.#voters));
      const startedAt: string = last?.startedAt ?? look.startedAt;
      last = { ...look, startedAt, durationMs: Date.parse(look.startedAt) + look.durationMs - Date.parse(startedAt) };
    }
    if (last === undefined) return;
    journal.note('watch', last);
    if (last.outcome === 'done') return;
    if (last.outcome === 'unknown') {
      throw new Stop(
        `R7: the alarm was disarmed and a write accepted, but at the end of the watch ${last.detail}. Look at the members, then run again.`,
      );
    }
    const raised = (last.data ?? []).filter(({ type }) => type === 'NOSPACE');
    const hint =
      raised.length === (last.data ?? []).length
        ? 'Something fills it faster than it is compacted: look at what writes.'
        : 'An alarm other than NOSPACE is for people alone (R1): compare the members (etcdctl endpoint hashkv --cluster).';
    throw new Stop(`R7: ${last.detail} while it was watched; nothing is disarmed again. ${hint}`);
  }

  /** Repeats what is safe to repeat, when what it met was an accident (a member's restart, an election) and not a rule. */
  async #insist<Data>(name: string, work: () => Promise<StepResult<Data>>): Promise<RecordedStep<Data>> {
    const { journal, context } = this.#recovery;
    for (let attempt = 1; ; attempt++) {
      const step = await journal.quietStep(attempt === 1 ? name : `${name}, again (${attempt})`, () => refusing(work));
      if (step.outcome !== 'failed' || attempt === INSIST_ATTEMPTS) return step;
      await context.wait(`${name} again`, { seconds: INSIST_AGAIN_SECONDS });
    }
  }

  /** A step that Lambda must not cut in two: where too little of the invocation is left, it is put off to a fresh one. */
  async #inTime<Data>(
    name: string,
    neededMs: number,
    work: () => Promise<StepResult<Data>>,
  ): Promise<RecordedStep<Data>> {
    const { journal, context } = this.#recovery;
    for (let attempt = 1; ; attempt++) {
      const step = await journal.quietStep<Data>(attempt === 1 ? name : `${name}, put off (${attempt})`, async () => {
        // Asked inside the step, so that its answer is recorded and a replay goes the same way.
        if (context.lambdaContext.getRemainingTimeInMillis() < neededMs) return { outcome: 'skipped', detail: NO_TIME };
        return work();
      });
      if (step.detail !== NO_TIME || attempt === FRESH_INVOCATIONS) return step;
      await context.wait('a fresh invocation', { seconds: 1 });
    }
  }

  /** R14: which is done and which is not. */
  done(): string {
    const done = this.#voters.filter(({ id }) => this.defragmented[id] !== undefined).map(({ name }) => name);
    const left = this.#voters.filter(({ id }) => this.defragmented[id] === undefined).map(({ name }) => name);
    return `Defragmented: ${done.join(', ') || 'none'}; not: ${left.join(', ') || 'none'}.`;
  }

  #member({ id }: Voter): ObservedMember {
    const member = this.#observation.members.find((other) => other.id === id);
    if (member === undefined) throw new Error(`member ${id} is planned but was not observed`);
    return member;
  }

  #voter(id: string): Voter {
    const voter = this.#voters.find((other) => other.id === id);
    if (voter === undefined) throw new Error(`member ${id} is planned but is no voter`);
    return voter;
  }
}

/** A rule that forbids a step is `refused`: asking again would be answered the same. */
async function refusing<Data>(work: () => Promise<StepResult<Data>>): Promise<StepResult<Data>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SweepStoppedError || error instanceof NoSpaceError) {
      return { outcome: 'refused', detail: describeError(error) };
    }
    throw error;
  }
}
