// Carries out a recovery's steps one after the other, and stops at the first that does not end well (R14).
import type { Alarm } from '../contract/alarm.ts';
import type { PrunedResource } from '../contract/report.ts';
import { formatBytes } from '../contract/report.ts';
import type { Defragmented } from '../control-plane/defragmentation.ts';
import { canary, disarm, lookForAlarms } from '../control-plane/disarm.ts';
import { tooMuchLiveData, whatFillsIt } from '../control-plane/live-data.ts';
import { look } from '../control-plane/look.ts';
import { largestFile, votersOf } from '../control-plane/members.ts';
import { nameOf, type Observation } from '../control-plane/observation.ts';
import { AWAY_SECONDS, patiently } from '../control-plane/patience.ts';
import type { ReachableRun } from '../control-plane/run-context.ts';
import {
  type SnapshotSetting,
  snapshotFirst,
  snapshotOfFirst,
  tryStoreFirst,
} from '../control-plane/snapshot-first.ts';
import { isTurn, Stop, Sweep, type SweepStep, type SweptMember } from '../control-plane/sweep.ts';
import type { Voter } from '../control-plane/voters.ts';
import { GuardError } from '../engine/journal.ts';
import { carryOut } from '../engine/plan.ts';
import { pruneFirst } from '../engine/prune-child.ts';
import { copyBehindFirst, sweepOf } from './decide.ts';
import { mayDeleteDirectly, pruneDirectly } from './direct.ts';
import type { ActStep, FullMember } from './plan.ts';

const WATCH_INTERVAL_SECONDS = 15;
/** From one look to the next where the watch is over and nobody answers. */
const AGAIN_SECONDS = 5;

export interface Acted {
  /** By member id: what the report says of a member that was defragmented. */
  readonly defragmented: Readonly<Record<string, SweptMember>>;
  /** What was pruned, where live data had to go. */
  readonly pruned: readonly PrunedResource[] | undefined;
  /** R13: why nothing was changed; undefined: something was, or should have been. */
  readonly unsaved: string | undefined;
  /** Why the run stopped before its end, and what a person should do; undefined when every step ended well. */
  readonly stopped: string | undefined;
}

/**
 * Never throws for a step that fails: that is `unsaved` or `stopped`, and what is done stays done.
 * @throws GuardError before the snapshot, and where the switch was turned before the first change
 */
export async function act(recovery: ReachableRun, plan: readonly ActStep[], observation: Observation): Promise<Acted> {
  const acting = new Acting(recovery, observation);
  let stopped: string | undefined;
  try {
    await carryOut(plan, (step, left) => acting.perform(step, left));
  } catch (error) {
    if (!(error instanceof Stop || error instanceof GuardError)) throw error;
    // R16: with nothing changed yet it is as if the switch had been turned before the run.
    const asBefore =
      !recovery.journal.changing && (!acting.begun || (error instanceof GuardError && error.switchedOff));
    if (error instanceof GuardError && asBefore) throw error;
    stopped = error instanceof GuardError ? `${error.message}. ${acting.sweep.done()}` : error.message;
  }
  const { defragmented, pruned, unsaved } = acting;
  return { defragmented, pruned, unsaved, stopped };
}

class Acting {
  sweep: Sweep;
  defragmented: Readonly<Record<string, SweptMember>> = {};
  pruned: readonly PrunedResource[] | undefined;
  unsaved: string | undefined;
  /** The snapshot is taken, or is not to be, or is to be taken later: from here on something is changed. */
  begun = false;
  #pruning: string | undefined;
  /** Whose file was the first to be seen without its history, by this sweep. */
  #measured = false;
  readonly #recovery: ReachableRun;
  readonly #observation: Observation;
  readonly #voters: readonly Voter[];

  constructor(recovery: ReachableRun, observation: Observation) {
    this.#recovery = recovery;
    this.#observation = observation;
    this.#voters = votersOf(observation);
    this.sweep = this.#newSweep();
  }

  /** @returns what is left to be done, where that has changed. @throws Stop, GuardError */
  async perform(step: ActStep, left: readonly ActStep[]): Promise<readonly ActStep[] | undefined> {
    switch (step.action) {
      case 'left-out':
        return undefined;
      case 'snapshot':
      case 'try-store':
        this.unsaved = await this.#beforeAll(step);
        this.begun = true;
        return this.unsaved === undefined ? undefined : [];
      case 'copy':
        return armedIfStopped(() => this.#copy(step));
      case 'compact':
        await armedIfStopped(() => this.sweep.compact(BigInt(step.revision)));
        return undefined;
      case 'move-leader':
      case 'defragment':
        return this.#takeTurn(step, left);
      case 'prune':
        return this.#pruneAndSweepAgain(step, left);
      case 'disarm':
        return this.#disarm();
      case 'canary':
        return this.#canary();
      case 'watch':
        return this.#watch(step.seconds);
    }
  }

  async #takeTurn(step: SweepStep, left: readonly ActStep[]): Promise<readonly ActStep[]> {
    const copy = left.find((each) => each.action === 'copy');
    const after = left.filter((each) => !isTurn(each) && each !== copy);
    const turn = await armedIfStopped(() => this.sweep.turn(step, left.filter(isTurn)));
    this.defragmented = { ...this.defragmented, ...this.sweep.defragmented };
    // R13: it stays behind whoever is really the first.
    if (copy !== undefined && turn.file === undefined) return [...copyBehindFirst(turn.left, copy.revision), ...after];
    const copies = copy === undefined ? [] : [{ ...copy, memberId: turn.memberId }];
    const full = turn.file && this.#fullOfLiveData(turn.memberId, turn.file);
    if (full === undefined) return [...copies, ...turn.left, ...after];
    if (this.#pruning !== undefined) throw await this.#stopFullOfLiveData(full, this.#pruning);
    const others = turn.left.flatMap((each) => (each.action === 'defragment' ? [each.memberId] : []));
    const memberIds = [...Object.keys(this.sweep.defragmented), ...others];
    return [...copies, { action: 'prune', full, memberIds }, ...after];
  }

  get #copying(): SnapshotSetting {
    return { ...this.#recovery, fileBytes: largestFile(this.#observation) };
  }

  /** R13. @returns why nothing may be changed */
  async #beforeAll({ action }: Extract<ActStep, { action: 'snapshot' | 'try-store' }>): Promise<string | undefined> {
    if (action === 'snapshot') return await snapshotFirst(this.#copying, this.#voters);
    return await tryStoreFirst(this.#copying);
  }

  /** R13. @throws Stop */
  async #copy({ memberId, revision }: CopyStep): Promise<undefined> {
    const problem = await snapshotOfFirst(this.#copying, this.#voters, memberId, BigInt(revision));
    if (problem !== undefined) throw new Stop(`${problem} ${this.sweep.done()}`);
  }

  /**
   * `dbSizeInUse` is stale after a compaction, so the first defragmented file is the measure of what is live: it was
   * done after the barrier, by this run or by somebody else.
   */
  #fullOfLiveData(memberId: string, { dbSize }: Defragmented): FullMember | undefined {
    if (this.#measured) return undefined;
    this.#measured = true;
    const quotas = this.#observation.members.map(({ quota, isLearner }) =>
      quota.kind === 'limit' && !isLearner ? quota.bytes : undefined,
    );
    const share = tooMuchLiveData(dbSize, quotas);
    return share && { ...share, memberId };
  }

  /** Prunes, and has all swept once more: the pruned reports are in the file of who was already done, too. */
  async #pruneAndSweepAgain(
    { full, memberIds }: Extract<ActStep, { action: 'prune' }>,
    left: readonly ActStep[],
  ): Promise<readonly ActStep[]> {
    const { mayHelp, words } = await this.#prune();
    if (!mayHelp) throw await this.#stopFullOfLiveData(full, words);
    const { members, revision } = await this.#lookAgain();
    this.#pruning = words;
    this.#measured = false;
    this.sweep = this.#newSweep();
    const voters = members.filter(({ isLearner }) => !isLearner);
    return [...sweepOf(voters, revision, memberIds), ...left];
  }

  /**
   * Deleting reports works under NOSPACE, unless they have finalizers. A pruning that died may have deleted much all
   * the same: the next defragmented file tells.
   */
  async #prune(): Promise<{ readonly mayHelp: boolean; readonly words: string }> {
    const ended = await pruneFirst({ ...this.#recovery, emergency: true });
    if (ended.kind === 'not-configured') {
      return { mayHelp: false, words: 'Nothing prunes reports here (`kubernetes` is not configured).' };
    }
    if (ended.kind === 'failed') {
      return { mayHelp: true, words: `Pruning stale reports ended without a report: ${ended.problem}.` };
    }
    const { outcome, reason, pruned = [] } = ended.report;
    this.pruned = pruned;
    const gone = pruned.reduce((sum, { deleted, missing = 0 }) => sum + deleted + missing, 0);
    if (mayDeleteDirectly(this.#recovery.configuration.prune, ended.report)) {
      const direct = await pruneDirectly(this.#recovery, this.#voters, pruned);
      this.pruned = [...pruned, ...direct.pruned];
      const words = `The API server did not come through with it (${reason}), so this was done in etcd itself: ${direct.words}`;
      return { mayHelp: gone + direct.deleted > 0, words };
    }
    if (gone > 0) return { mayHelp: true, words: 'Stale reports were pruned, and that was not enough.' };
    return { mayHelp: false, words: `Pruning stale reports deleted none (${outcome}: ${reason})` };
  }

  /** The deletions have a revision of their own. */
  async #lookAgain(): Promise<Observation> {
    const seen = await look(this.#recovery, 'look after prune', undefined, { patient: true });
    const away = seen.observation?.members.filter(({ healthy, isLearner }) => !healthy && !isLearner) ?? [];
    if (seen.observation !== undefined && away.length === 0) return seen.observation;
    throw new Stop(`R2: stale reports were pruned, then ${seen.detail}. ${this.sweep.done()} The alarm stays armed.`);
  }

  async #stopFullOfLiveData({ memberId, liveBytes, quotaBytes }: FullMember, unhelped: string): Promise<Stop> {
    const { journal, cluster } = this.#recovery;
    const voter = { id: memberId, name: nameOf(this.#voters, memberId) };
    const options = { guarded: false };
    const filling = await journal.step('what fills it', options, async () => whatFillsIt(await cluster(), voter));
    const share = Math.round((100 * liveBytes) / quotaBytes);
    return new Stop(
      `Full of live data: after compaction and defragmentation ${voter.name} still has ${formatBytes(liveBytes)} (${liveBytes} bytes), ${share} % of the quota of ${formatBytes(quotaBytes)} (${quotaBytes} bytes). Defragmenting more cannot help, so the alarm stays armed. ${unhelped} Delete what is not needed (under NOSPACE custom resources, ConfigMaps, Secrets, Events, ReplicaSets and Deployments go, in the background; Pods, Jobs, PersistentVolumeClaims, Namespaces, CRDs and whatever has finalizers do not) or raise --quota-backend-bytes, then run again. Largest: ${filling.detail}.`,
    );
  }

  async #disarm(): Promise<undefined> {
    const { journal, cluster, configuration } = this.#recovery;
    const quotaBytes = configuration.etcd.quotaBytes;
    const step = await patiently({ journal, emergency: true }, 'disarm', {}, (attempt) =>
      disarm(cluster, this.#voters, quotaBytes, attempt),
    );
    if (step.outcome === 'failed' || step.outcome === 'refused') throw new Stop(`${step.detail}. ${this.sweep.done()}`);
  }

  async #canary(): Promise<undefined> {
    const { journal, cluster } = this.#recovery;
    const step = await patiently({ journal, emergency: true }, 'canary', {}, (attempt) =>
      canary(cluster, this.#voters, attempt),
    );
    if (step.outcome === 'done') return;
    throw new Stop(
      `R7: the alarm was disarmed, but the write that was to prove it failed: ${step.detail}. Look whether the alarm is back (etcdctl alarm list) and what writes.`,
    );
  }

  /** Where nobody answers at its end, it goes on until somebody does. */
  async #watch(seconds: number): Promise<undefined> {
    if (seconds === 0) return;
    const { journal, cluster } = this.#recovery;
    const watchedAt = (number: number) => Math.min((number - 1) * WATCH_INTERVAL_SECONDS, seconds);
    const last = await journal.poll<{ failed: readonly Alarm[] }>(
      'watch',
      {
        everySeconds: ({ look }) => Math.min(WATCH_INTERVAL_SECONDS, seconds - watchedAt(look)) || AGAIN_SECONDS,
        withinSeconds: seconds + AWAY_SECONDS,
      },
      async ({ look }) => {
        const seen = await lookForAlarms(cluster, this.#voters);
        const again = seen.outcome !== 'failed' && (watchedAt(look) < seconds || seen.outcome === 'unknown');
        return { ...seen, again };
      },
    );
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

  #newSweep(): Sweep {
    const { journal, cluster } = this.#recovery;
    return new Sweep({ journal, cluster, voters: this.#voters, emergency: true });
  }
}

type CopyStep = Extract<ActStep, { action: 'copy' }>;

async function armedIfStopped<Result>(sweeping: () => Promise<Result>): Promise<Result> {
  try {
    return await sweeping();
  } catch (error) {
    if (error instanceof Stop) throw new Stop(`${error.message} The alarm stays armed.`);
    throw error;
  }
}
