// Carries out a recovery's steps one after the other, and stops at the first that does not end well (R14).
import type { Alarm } from '../etcd/types.ts';
import type { RecordedStep } from '../run/journal.ts';
import { formatBytes } from '../run/report.ts';
import { compactEach } from '../sweep/compaction.ts';
import { type Defragmentation, type Defragmented, defragment, settle } from '../sweep/defragmentation.ts';
import { moveLeaderAway } from '../sweep/leadership.ts';
import type { Voter } from '../sweep/voters.ts';
import { nameOf, type Observation, type ObservedMember, type RecoveryStep } from './decide.ts';
import { canary, disarm, lookForAlarms } from './disarm.ts';
import { tooMuchLiveData, whatFillsIt } from './live-data.ts';
import { votersOf } from './members.ts';
import type { Recovery } from './workflow.ts';

/** How often a barrier that timed out is asked for again, 10 s apart: with the call's own deadline, some 10 minutes. */
const COMPACTION_ATTEMPTS = 5;
const LOOK_AGAIN_SECONDS = 10;
/** A defragmentation of unknown outcome is looked at for half an hour: a file of 8 GiB on a slow disk takes less. */
const SETTLE_LOOKS = 180;
/** A member that serves reads has no defragmentation under way; so often in a row, and its file did not shrink: it failed. */
const SERVING_LOOKS = 3;
const WATCH_INTERVAL_SECONDS = 15;

export interface Acted {
  /** By member id: what the report says of a member that was defragmented. */
  readonly defragmented: Readonly<Record<string, { readonly defragmented: true; readonly durationMs: number }>>;
  /** Why the run stopped before its end, and what a person should do; undefined when every step ended well. */
  readonly stopped: string | undefined;
}

/** Never throws for a step that fails: that is `stopped`, and what is done stays done. */
export async function act(
  recovery: Recovery,
  steps: readonly RecoveryStep[],
  observation: Observation,
): Promise<Acted> {
  const acting = new Acting(recovery, observation);
  const sweep = steps.flatMap((step) => (step.action === 'defragment' ? [step.memberId] : []));
  let stopped: string | undefined;
  for (const step of steps) {
    switch (step.action) {
      case 'compact':
        stopped = await acting.compact(BigInt(step.revision));
        // The sweep keeps its own order, because the leader may change under it; it moves the leadership itself.
        stopped ??= await acting.sweep(sweep);
        break;
      case 'move-leader':
      case 'defragment':
        break;
      case 'disarm':
        stopped = await acting.disarm();
        break;
      case 'canary':
        stopped = await acting.canary();
        break;
      case 'watch':
        stopped = await acting.watch(step.seconds);
        break;
    }
    if (stopped !== undefined) break;
  }
  return { defragmented: acting.defragmented, stopped };
}

class Acting {
  readonly defragmented: Record<string, { readonly defragmented: true; readonly durationMs: number }> = {};
  readonly #recovery: Recovery;
  readonly #observation: Observation;
  readonly #voters: readonly Voter[];

  constructor(recovery: Recovery, observation: Observation) {
    this.#recovery = recovery;
    this.#observation = observation;
    this.#voters = votersOf(observation);
  }

  async compact(revision: bigint): Promise<string | undefined> {
    const { journal, context } = this.#recovery;
    let pending = this.#voters;
    let last: RecordedStep<unknown> | undefined;
    for (let attempt = 1; attempt <= COMPACTION_ATTEMPTS; attempt++) {
      const ask = pending;
      const step = await journal.quietStep(attempt === 1 ? 'compact' : `compact, asked again (${attempt})`, async () =>
        compactEach(await this.#recovery.cluster(), ask, revision),
      );
      last =
        last === undefined
          ? step
          : { ...step, startedAt: last.startedAt, durationMs: last.durationMs + step.durationMs };
      if (step.outcome !== 'unknown' || step.data === undefined) break;
      pending = step.data.pending;
      if (attempt < COMPACTION_ATTEMPTS) await context.wait('compaction goes on', { seconds: LOOK_AGAIN_SECONDS });
    }
    if (last !== undefined) journal.note('compact', last);
    if (last?.outcome === 'done') return undefined;
    return `R4: the compaction did not get through on every voter, so nothing was defragmented and the alarm stays armed: ${last?.detail}. Look at that member's log and disk, then run again.`;
  }

  /** Followers first, the leader last (R3), whoever leads when a member's turn comes. */
  async sweep(memberIds: readonly string[]): Promise<string | undefined> {
    const queue = memberIds.map((id) => this.#voter(id));
    // Every member may be put back once for leading at its turn: more often, and the cluster is electing again and again.
    let putBack = 0;
    let measured = false;
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      if (queue.length === 0 && this.#voters.length > 1) {
        const moved = await this.#moveLeaderAway(target);
        if (moved !== undefined) return moved;
      }
      const result = await this.#defragment(target);
      if (result.data?.kind === 'leads') {
        if (++putBack > memberIds.length) return `R3: the leadership keeps changing: ${result.detail}. ${this.#done()}`;
        queue.push(target);
        continue;
      }
      if (result.data?.kind !== 'defragmented') {
        return `R14: the sweep stopped at ${target.name}: ${result.detail}. ${this.#done()} The alarm stays armed.`;
      }
      if (!measured) {
        const full = await this.#fullOfLiveData(target, result.data);
        if (full !== undefined) return full;
        measured = true;
      }
    }
    return undefined;
  }

  async #moveLeaderAway(target: Voter): Promise<string | undefined> {
    const { journal } = this.#recovery;
    const moved = await journal.quietStep(`move leader from ${target.name}`, async () =>
      moveLeaderAway(await this.#recovery.cluster(), this.#voters, target),
    );
    if (moved.outcome !== 'nothing-to-do') journal.note('move leader', moved);
    if (moved.outcome === 'failed') return `${moved.detail}. ${this.#done()} The alarm stays armed.`;
    return undefined;
  }

  async #defragment(target: Voter): Promise<RecordedStep<Defragmentation>> {
    const { journal, context } = this.#recovery;
    const name = `defragment ${target.name}`;
    const before = this.#member(target).dbSize ?? 0;
    let step = await journal.quietStep(name, async () =>
      defragment(await this.#recovery.cluster(), this.#voters, target, before),
    );
    let serving = 0;
    for (let look = 1; step.data?.kind === 'unknown' && look <= SETTLE_LOOKS && serving < SERVING_LOOKS; look++) {
      await context.wait(`${name} goes on`, { seconds: LOOK_AGAIN_SECONDS });
      const started = step.startedAt;
      const settled = await journal.quietStep(`${name}, look ${look}`, async () =>
        settle(await this.#recovery.cluster(), target, before),
      );
      const durationMs = Date.parse(settled.startedAt) + settled.durationMs - Date.parse(started);
      step = { ...settled, startedAt: started, durationMs };
      serving = settled.data?.kind === 'unknown' && settled.data.serving ? serving + 1 : 0;
    }
    journal.note(name, step);
    if (step.data?.kind === 'defragmented') {
      this.defragmented[target.id] = { defragmented: true, durationMs: step.durationMs };
    }
    return step;
  }

  /** `dbSizeInUse` is stale after a compaction, so the first defragmented file is the measure of what is live. */
  async #fullOfLiveData(target: Voter, { dbSize }: Defragmented): Promise<string | undefined> {
    const quotas = this.#observation.members.map(({ quota, isLearner }) =>
      quota.kind === 'limit' && !isLearner ? quota.bytes : undefined,
    );
    const full = tooMuchLiveData(dbSize, quotas);
    if (full === undefined) return undefined;
    const { journal, cluster } = this.#recovery;
    const filling = await journal.unguardedStep('what fills it', async () => whatFillsIt(await cluster(), target));
    const share = Math.round((100 * full.liveBytes) / full.quotaBytes);
    return `Full of live data: after compaction and defragmentation ${target.name} still has ${formatBytes(full.liveBytes)} (${full.liveBytes} bytes), ${share} % of the quota of ${formatBytes(full.quotaBytes)} (${full.quotaBytes} bytes). Defragmenting more cannot help, so the alarm stays armed. Delete what is not needed (deletes work under NOSPACE) or raise --quota-backend-bytes, then run again. Largest: ${filling.detail}.`;
  }

  async disarm(): Promise<string | undefined> {
    const { journal, cluster, configuration } = this.#recovery;
    const step = await journal.step('disarm', async () =>
      disarm(await cluster(), this.#voters, configuration.etcd.quotaBytes),
    );
    return step.outcome === 'failed' ? `${step.detail}. ${this.#done()}` : undefined;
  }

  async canary(): Promise<string | undefined> {
    const { journal, cluster } = this.#recovery;
    const step = await journal.step('canary', async () => canary(await cluster(), this.#voters));
    if (step.outcome !== 'failed') return undefined;
    return `R7: the alarm was disarmed, but a write was not accepted: ${step.detail}. ${this.#culprits([])}`;
  }

  async watch(seconds: number): Promise<string | undefined> {
    const { journal, context, cluster } = this.#recovery;
    let last: RecordedStep<readonly Alarm[]> | undefined;
    for (let watched = 0; watched < seconds; ) {
      const pause = Math.min(WATCH_INTERVAL_SECONDS, seconds - watched);
      await context.wait('watch', { seconds: pause });
      watched += pause;
      const look = await journal.quietStep(`watch, ${watched} s`, async () =>
        lookForAlarms(await cluster(), this.#voters),
      );
      const startedAt: string = last?.startedAt ?? look.startedAt;
      last = { ...look, startedAt, durationMs: Date.parse(look.startedAt) + look.durationMs - Date.parse(startedAt) };
      if (look.outcome === 'failed') break;
    }
    if (last === undefined) return undefined;
    journal.note('watch', last);
    if (last.outcome === 'done') return undefined;
    return `R7: ${last.detail} while it was watched; it is not disarmed again. ${this.#culprits(last.data ?? [])}`;
  }

  /** Who raised the alarm again, where that is known. */
  #culprits(alarms: readonly Alarm[]): string {
    const { members } = this.#observation;
    const named = alarms.map(({ memberId }) => nameOf(members, memberId)).join(', ');
    const hint = 'Something fills it faster than it is compacted: look at what writes.';
    return `${named ? `Raised by ${named}. ` : ''}${hint}`;
  }

  /** R14: which is done and which is not. */
  #done(): string {
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
