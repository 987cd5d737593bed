// Carries out a recovery's steps one after the other, and stops at the first that does not end well (R14).
import { GuardError } from '../run/journal.ts';
import { pruneFirst } from '../run/prune-child.ts';
import type { PrunedResource } from '../run/report.ts';
import { formatBytes } from '../run/report.ts';
import type { Defragmented } from '../sweep/defragmentation.ts';
import { refusing, Stop, Sweep, type SweptMember } from '../sweep/sweep.ts';
import type { Voter } from '../sweep/voters.ts';
import type { Observation, RecoveryStep } from './decide.ts';
import { canary, disarm, lookForAlarms } from './disarm.ts';
import { type LiveShare, tooMuchLiveData, whatFillsIt } from './live-data.ts';
import { votersOf } from './members.ts';
import { observe } from './observe.ts';
import type { Reached } from './workflow.ts';

const WATCH_INTERVAL_SECONDS = 15;

export interface Acted {
  /** By member id: what the report says of a member that was defragmented. */
  readonly defragmented: Readonly<Record<string, SweptMember>>;
  /** What was pruned, where live data had to go. */
  readonly pruned: readonly PrunedResource[] | undefined;
  /** Why the run stopped before its end, and what a person should do; undefined when every step ended well. */
  readonly stopped: string | undefined;
}

/** Never throws for a step that fails: that is `stopped`, and what is done stays done. */
export async function act(recovery: Reached, steps: readonly RecoveryStep[], observation: Observation): Promise<Acted> {
  const acting = new Acting(recovery, observation);
  let stopped: string | undefined;
  try {
    await acting.carryOut(steps);
  } catch (error) {
    if (!(error instanceof Stop || error instanceof GuardError)) throw error;
    stopped = error instanceof GuardError ? `${error.message}. ${acting.sweep.done()}` : error.message;
  }
  return { defragmented: acting.defragmented, pruned: acting.pruned, stopped };
}

class Acting {
  sweep: Sweep;
  defragmented: Readonly<Record<string, SweptMember>> = {};
  pruned: readonly PrunedResource[] | undefined;
  readonly #recovery: Reached;
  readonly #observation: Observation;
  readonly #voters: readonly Voter[];

  constructor(recovery: Reached, observation: Observation) {
    this.#recovery = recovery;
    this.#observation = observation;
    this.#voters = votersOf(observation);
    this.sweep = this.#newSweep(observation);
  }

  /** @throws Stop, GuardError */
  async carryOut(steps: readonly RecoveryStep[]): Promise<void> {
    const toDefragment = steps.flatMap((step) => (step.action === 'defragment' ? [step.memberId] : []));
    for (const step of steps) {
      // The sweep keeps its own order, because the leader may change under it; it moves the leadership itself.
      if (step.action === 'compact') await this.#makeRoom(BigInt(step.revision), toDefragment);
      else if (step.action === 'disarm') await this.#disarm();
      else if (step.action === 'canary') await this.#canary();
      else if (step.action === 'watch') await this.#watch(step.seconds);
    }
  }

  /** Compacts and defragments; where that shows that the data itself is too much, prunes and does it once more. */
  async #makeRoom(revision: bigint, toDefragment: readonly string[]): Promise<void> {
    const full = await this.#compactAndDefragment(revision, toDefragment);
    if (full === undefined) return;
    const { mayHelp, words } = await this.#prune();
    if (!mayHelp) throw await this.#stopFullOfLiveData(full, words);
    const after = await this.#lookAgain();
    this.sweep = this.#newSweep(after);
    // Also who was already done: the pruned reports are in its file as well.
    const stillFull = await this.#compactAndDefragment(BigInt(after.revision), toDefragment);
    if (stillFull !== undefined) throw await this.#stopFullOfLiveData(stillFull, words);
  }

  /** @returns how full of live data it is, where that is too much; the sweep has ended after its first member then */
  async #compactAndDefragment(revision: bigint, memberIds: readonly string[]): Promise<FullMember | undefined> {
    const quotas = this.#observation.members.map(({ quota, isLearner }) =>
      quota.kind === 'limit' && !isLearner ? quota.bytes : undefined,
    );
    let full: FullMember | undefined;
    let measured = false;
    // `dbSizeInUse` is stale after a compaction, so the first defragmented file is the measure of what is live.
    const after = async (target: Voter, { dbSize }: Defragmented): Promise<string | undefined> => {
      if (measured) return undefined;
      measured = true;
      const share = tooMuchLiveData(dbSize, quotas);
      full = share && { ...share, voter: target };
      return full && 'full of live data';
    };
    try {
      await this.sweep.compact(revision);
      await this.sweep.defragment(memberIds, { after });
    } catch (error) {
      if (error instanceof Stop) throw new Stop(`${error.message} The alarm stays armed.`);
      throw error;
    } finally {
      this.defragmented = { ...this.defragmented, ...this.sweep.defragmented };
    }
    return full;
  }

  /** Deleting reports works under NOSPACE, unless they have finalizers. A pruning that died may have deleted much all the same: the next defragmented file tells. */
  async #prune(): Promise<{ readonly mayHelp: boolean; readonly words: string }> {
    const ended = await pruneFirst(this.#recovery);
    if (ended.kind === 'not-configured') {
      return { mayHelp: false, words: 'Nothing prunes reports here (`kubernetes` is not configured).' };
    }
    if (ended.kind === 'failed') {
      return { mayHelp: true, words: `Pruning stale reports ended without a report: ${ended.problem}.` };
    }
    const { outcome, reason, pruned = [] } = ended.report;
    this.pruned = pruned;
    const gone = pruned.reduce((sum, { deleted, missing = 0 }) => sum + deleted + missing, 0);
    if (gone > 0) return { mayHelp: true, words: 'Stale reports were pruned, and that was not enough.' };
    return { mayHelp: false, words: `Pruning stale reports deleted none (${outcome}: ${reason})` };
  }

  /** The deletions have a revision of their own, and the files the sizes that the next defragmentation is told by. */
  async #lookAgain(): Promise<Observation> {
    const { journal, cluster, configuration } = this.#recovery;
    const look = await journal.insist('look after prune', async () => {
      const observation = await observe(await cluster(), configuration.etcd.quotaBytes);
      const away = observation.members.filter(({ healthy, isLearner }) => !healthy && !isLearner);
      const detail =
        away.length === 0 ? `revision ${observation.revision}` : `${away.map(({ name }) => name).join(', ')} away`;
      return { outcome: away.length === 0 ? 'done' : 'failed', detail, data: observation };
    });
    journal.note('look after prune', look);
    if (look.outcome === 'done' && look.data !== undefined) return look.data;
    throw new Stop(`R2: stale reports were pruned, then ${look.detail}. ${this.sweep.done()} The alarm stays armed.`);
  }

  async #stopFullOfLiveData({ voter, liveBytes, quotaBytes }: FullMember, unhelped: string): Promise<Stop> {
    const { journal, cluster } = this.#recovery;
    const filling = await journal.unguardedStep('what fills it', async () => whatFillsIt(await cluster(), voter));
    const share = Math.round((100 * liveBytes) / quotaBytes);
    return new Stop(
      `Full of live data: after compaction and defragmentation ${voter.name} still has ${formatBytes(liveBytes)} (${liveBytes} bytes), ${share} % of the quota of ${formatBytes(quotaBytes)} (${quotaBytes} bytes). Defragmenting more cannot help, so the alarm stays armed. ${unhelped} Delete what is not needed (under NOSPACE custom resources, ConfigMaps, Secrets, Events, ReplicaSets and Deployments go, in the background; Pods, Jobs, PersistentVolumeClaims, Namespaces, CRDs and whatever has finalizers do not) or raise --quota-backend-bytes, then run again. Largest: ${filling.detail}.`,
    );
  }

  async #disarm(): Promise<void> {
    const { journal, cluster, configuration } = this.#recovery;
    const quotaBytes = configuration.etcd.quotaBytes;
    const step = await journal.insist('disarm', () => refusing(() => disarm(cluster, this.#voters, quotaBytes)));
    journal.note('disarm', step);
    if (step.outcome === 'failed' || step.outcome === 'refused') throw new Stop(`${step.detail}. ${this.sweep.done()}`);
  }

  async #canary(): Promise<void> {
    const { journal, cluster } = this.#recovery;
    const step = await journal.insist('canary', () => refusing(() => canary(cluster, this.#voters)));
    journal.note('canary', step);
    if (step.outcome === 'done') return;
    throw new Stop(
      `R7: the alarm was disarmed, but the write that was to prove it failed: ${step.detail}. Look whether the alarm is back (etcdctl alarm list) and what writes.`,
    );
  }

  async #watch(seconds: number): Promise<void> {
    if (seconds === 0) return;
    const { journal, cluster } = this.#recovery;
    const polling = { everySeconds: WATCH_INTERVAL_SECONDS, withinSeconds: seconds };
    const last = await journal.poll('watch', polling, async () => {
      const seen = await lookForAlarms(cluster, this.#voters);
      return { ...seen, again: seen.outcome !== 'failed' };
    });
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

  #newSweep({ members }: Observation): Sweep {
    const { journal, context, cluster } = this.#recovery;
    const dbSizes = Object.fromEntries(members.map(({ id, dbSize = 0 }) => [id, dbSize]));
    return new Sweep({ journal, context, cluster, voters: this.#voters, dbSizes });
  }
}

interface FullMember extends LiveShare {
  readonly voter: Voter;
}
