// What to do about what was observed: a pure function, no client, no clock, no environment.
import { flawInWords, hasFlaw, type VersionFlaw } from '../contract/versions.ts';
import {
  diskProblem,
  type KubeletRestarts,
  nameOf,
  type Observation,
  type ObservedMember,
  type ObservedNode,
  troubles,
} from '../control-plane/observation.ts';
import { silentNodes } from '../control-plane/silent-nodes.ts';
import { type SweepStep, turnsOf } from '../control-plane/sweep.ts';
import type { Refusal } from '../engine/plan.ts';

/**
 * A voter whose file is already this small a share of its own quota isn't defragmented in an emergency: it can't be
 * what holds the alarm, and each defragmentation stalls its member.
 */
const SMALL_ENOUGH_SHARE = 0.25;

export interface RecoveryPolicy {
  readonly watchSeconds: number;
  /** R11: `false` where that would restart etcd itself, or where somebody wants it so. @default true */
  readonly restartKubelets?: boolean | undefined;
  /** R13: nothing is defragmented before a snapshot was taken and compared. @default false */
  readonly copiesFirst?: boolean | undefined;
  /** R13: where the snapshot is taken, if there is one. @default 'before-compaction' */
  readonly order?: CopyOrder | undefined;
}

export type CopyOrder = 'after-first-member' | 'before-compaction';

/** What is done about NOSPACE, in this order. */
export type RecoveryStep =
  | { readonly action: 'compact'; readonly revision: string; readonly memberIds: readonly string[] }
  /** R13, directly behind the first defragmentation: of that member, once it is known to have what all others have. */
  | { readonly action: 'copy'; readonly memberId: string; readonly revision: string }
  | SweepStep
  | { readonly action: 'disarm'; readonly memberIds: readonly string[] }
  | { readonly action: 'canary' }
  | { readonly action: 'watch'; readonly seconds: number };

export type Plan =
  | { readonly kind: 'nothing-to-do'; readonly reason: string }
  | {
      readonly kind: 'restart-kubelets';
      /** All at the same time, because the quorum is lost; otherwise one by one. */
      readonly together: boolean;
      readonly nodes: readonly ObservedNode[];
      /** Silent as well, but out of Systems Manager's reach. */
      readonly offline: readonly ObservedNode[];
      /** A sentence for each silence of which it can't be told whose it is. */
      readonly unknown: readonly string[];
    }
  | Refusal
  | { readonly kind: 'steps'; readonly steps: readonly RecoveryStep[] };

/** Decides on the recovery from NOSPACE (docs/rules.md, R1 to R4, R6 to R8, R11, R17). */
export function decide(observation: Observation, policy: RecoveryPolicy): Plan {
  const voters = observation.members.filter((member) => !member.isLearner);
  return (
    refuseUntouchableAlarm(observation) ??
    restartKubelets(observation, voters, policy) ??
    refuseLostQuorum(observation, voters, policy) ??
    nothingToDo(observation) ??
    refuseUnhealthyVoter(observation, voters, policy) ??
    refuseUnknownQuota(voters) ??
    refuseHarmed(voters, policy) ??
    refuseSmallDisk(observation, voters) ??
    recovery(observation, voters, policy)
  );
}

/** R1, and the same for a kind of alarm that is newer than this program. */
function refuseUntouchableAlarm({ alarms, members }: Observation): Plan | undefined {
  const found = alarms.filter(({ type }) => type !== 'NOSPACE');
  if (found.length === 0) return undefined;
  const named = found.map(({ type, memberId }) => `${type} on ${nameOf(members, memberId)}`).join(', ');
  return {
    kind: 'refusal',
    outcome: 'escalated',
    rule: 'R1',
    reason: `${named}: nothing was changed. Compare the members' data (etcdctl endpoint hashkv --cluster) and replace the member that differs; this alarm is never disarmed by a program.`,
  };
}

/**
 * R11: only where etcd is silent; all of those nodes together when the quorum is lost, so that their back-offs end
 * together; one by one while it is held, and then only for the sake of an alarm. Once a run.
 */
function restartKubelets(
  observation: Observation,
  voters: readonly ObservedMember[],
  { restartKubelets: mayRestart = true }: RecoveryPolicy,
): Plan | undefined {
  if (!mayRestart || observation.kubelets !== undefined) return undefined;
  const { nodes: silent, unknown } = silentNodes(observation);
  const online = silent.filter((node) => node.online);
  const together = !hasQuorum(voters);
  if (online.length === 0 || (!together && observation.alarms.length === 0)) return undefined;
  return { kind: 'restart-kubelets', together, nodes: online, offline: silent.filter((node) => !node.online), unknown };
}

/**
 * A linearizable read is answered only once a majority has agreed to it: one voter's is enough, whoever else cannot be
 * reached from here.
 */
function hasQuorum(voters: readonly ObservedMember[]): boolean {
  return voters.some((voter) => voter.healthy);
}

function refuseLostQuorum(
  observation: Observation,
  voters: readonly ObservedMember[],
  policy: RecoveryPolicy,
): Plan | undefined {
  if (hasQuorum(voters)) return undefined;
  const { nobody, kubelets } = observation;
  const found = nobody
    ? `No member answers. ${nobody.problem}`
    : voters.every(({ shared }) => shared)
      ? `No voter has an address of its own, so that it could be worked with. ${troubles(voters)}`
      : `No quorum: none of ${voters.length} voters answers a linearizable read. ${troubles(voters)}`;
  return {
    kind: 'refusal',
    outcome: kubelets ? 'escalated' : 'refused',
    rule: 'R2',
    reason: kubelets
      ? `${found} ${afterRestarts(kubelets)} Nothing else was changed.`
      : `${found} Nothing was changed.${whyNoRestart(observation, policy)}`,
  };
}

function nothingToDo({ alarms, members, kubelets }: Observation): Plan | undefined {
  if (alarms.length > 0) return undefined;
  const away = members.filter((member) => !member.healthy);
  if (kubelets)
    return afterRestart(
      away.filter(({ isLearner }) => !isLearner),
      kubelets,
    );
  const note = away.length > 0 ? ` But ${troubles(away)}` : '';
  return { kind: 'nothing-to-do', reason: `No alarm is raised: nothing was changed.${note}` };
}

/** R11 without an alarm: what was wrong was that etcd was silent, and that is over or it is not. */
function afterRestart(away: readonly ObservedMember[], kubelets: KubeletRestarts): Plan {
  if (away.length > 0) {
    const reason = `${troubles(away)} ${afterRestarts(kubelets)} The others have the quorum, no alarm is raised, and nothing in etcd was changed.`;
    return { kind: 'refusal', outcome: 'escalated', rule: 'R11', reason };
  }
  const reason =
    kubelets.restarted.length > 0
      ? 'Nothing answered on some of the nodes. Every voter answers after their kubelets were restarted (see the steps), and no alarm is raised: nothing in etcd was changed. Look at its log for why it was away.'
      : 'Nothing answered on some of the nodes. Every voter answers by now, though no kubelet is known to have been restarted (see the steps), and no alarm is raised: nothing in etcd was changed. Look at its log for why it was away.';
  return { kind: 'nothing-to-do', reason };
}

/** What restarting came to where members are away still: only what was really done can have failed to help. */
function afterRestarts({ restarted, perhaps, problems }: KubeletRestarts): string {
  const words = [
    restarted.length > 0
      ? `Restarting the kubelets of the silent nodes (${restarted.join(', ')}; see the steps) did not bring back who is away: look at etcd's container and its log on the nodes.`
      : [],
    perhaps.length > 0
      ? `Whether the kubelets of ${perhaps.join(', ')} were restarted is not known (see the steps): look at them first.`
      : [],
    problems.length > 0
      ? `No kubelet was restarted where that could not be done: ${problems.join('; ')}. Do it by hand there, on all of them at the same time: systemctl restart kubelet.`
      : [],
  ].flat();
  return words.join(' ');
}

/**
 * R11: what is silent could not be laid to nodes, or must not be acted on. Undefined nodes: there are none to restart
 * anything on.
 */
function whyNoRestart(observation: Observation, { restartKubelets: mayRestart = true }: RecoveryPolicy): string {
  if (!mayRestart) {
    return ' No kubelet is restarted on this cluster (recover.restartKubelets): look at etcd on its nodes.';
  }
  const { nodes: silent, unknown } = silentNodes(observation);
  const offline = silent.filter((node) => !node.online).map(({ name }) => `${name}: its SSM agent is offline`);
  const reasons = [...offline, ...unknown];
  if (observation.nodes === undefined || reasons.length === 0) return '';
  return ` No kubelet was restarted (R11): ${reasons.join('; ')}.`;
}

/** R2 for every voter before the first change: a sweep that could not be finished isn't started. */
function refuseUnhealthyVoter(
  observation: Observation,
  voters: readonly ObservedMember[],
  policy: RecoveryPolicy,
): Plan | undefined {
  const away = voters.filter((voter) => !voter.healthy);
  if (away.length === 0) return undefined;
  const { kubelets } = observation;
  const words = kubelets ? afterRestarts(kubelets) : whyNoRestart(observation, policy).trim();
  return {
    kind: 'refusal',
    outcome: kubelets ? 'escalated' : 'refused',
    rule: 'R2',
    reason: `${troubles(away)} ${words}${words ? ' ' : ''}While a voter is away no other may be defragmented (R2), and its file cannot be seen to be below its quota, so the alarm stays armed (R7). Nothing in etcd was changed: bring it back or remove it from the cluster, then run again.`,
  };
}

/** R8, found before the first change rather than after it. */
function refuseUnknownQuota(voters: readonly ObservedMember[]): Plan | undefined {
  const unknown = voters.flatMap(({ id, name, quota }) =>
    quota.kind === 'unknown' ? [`${name || id}: ${quota.problem}`] : [],
  );
  if (unknown.length === 0) return undefined;
  return {
    kind: 'refusal',
    outcome: 'refused',
    rule: 'R8',
    reason: `The quota could not be read (${unknown.join('; ')}), and nothing is disarmed on a guess. Nothing was changed: set etcd.quotaBytes to the value of --quota-backend-bytes, then run again.`,
  };
}

/** R17: what a defragmentation itself may spoil, or a crash in the middle of it. */
function refuseHarmed(voters: readonly ObservedMember[], { copiesFirst = false }: RecoveryPolicy): Plan | undefined {
  const toDefragment = voters.filter((voter) => !isSmallEnough(voter));
  const withFlaw = (flaw: VersionFlaw) =>
    toDefragment.flatMap(({ id, name, version }) =>
      hasFlaw(version, flaw) ? [`${name || id} is ${flawInWords(version, flaw)}`] : [],
    );
  const corrupts = withFlaw('defragmentation-corrupts');
  const crashes = copiesFirst ? [] : withFlaw('crash-leaves-difference');
  if (corrupts.length + crashes.length === 0) return undefined;
  const way =
    corrupts.length > 0
      ? 'Upgrade etcd first: it starts, and can be upgraded, while the alarm is on'
      : 'Upgrade etcd first, or give it a bucket for snapshots (snapshot.bucket, with snapshot.onFailure "stop"): with a copy that was compared it goes on';
  const reason = `${[...corrupts, ...crashes].join('; ')}. Nothing was changed. ${way}, then run again.`;
  return { kind: 'refusal', outcome: 'refused', rule: 'R17', reason };
}

/** R6, before the first change: a defragmentation writes the new file beside the old one. */
function refuseSmallDisk({ disks }: Observation, voters: readonly ObservedMember[]): Plan | undefined {
  if (disks === undefined) return undefined;
  const problems = voters
    .filter((voter) => !isSmallEnough(voter))
    .flatMap((voter) => {
      const problem = diskProblem(voter, disks);
      return problem === undefined ? [] : [`${voter.name}: ${problem}`];
    });
  if (problems.length === 0) return undefined;
  return {
    kind: 'refusal',
    outcome: 'refused',
    rule: 'R6',
    reason: `The disks cannot be seen to hold the new files of a defragmentation: ${problems.join('; ')}. Nothing was changed: make room, or put right what is named here, then run again.`,
  };
}

function recovery({ alarms, revision }: Observation, voters: readonly ObservedMember[], policy: RecoveryPolicy): Plan {
  const toDefragment = voters.filter((voter) => !isSmallEnough(voter)).map(({ id }) => id);
  const sweep = toDefragment.length > 0 ? sweepOf(voters, revision, toDefragment) : [];
  const steps: RecoveryStep[] = [
    ...(mayCopyLater(voters, toDefragment, policy) ? withCopy(sweep, revision) : sweep),
    { action: 'disarm', memberIds: [...new Set(alarms.map(({ memberId }) => memberId))].sort() },
    { action: 'canary' },
    { action: 'watch', seconds: policy.watchSeconds },
  ];
  return { kind: 'steps', steps };
}

/** R4, R3: every voter gets the barrier; then followers first, by name so that two runs go the same way. */
export function sweepOf(
  voters: readonly ObservedMember[],
  revision: string,
  memberIds: readonly string[],
): RecoveryStep[] {
  const inOrder = voters.filter(({ id }) => memberIds.includes(id)).sort((a, b) => a.name.localeCompare(b.name));
  const leader = voters.length > 1 ? voters.find(({ isLeader }) => isLeader)?.id : undefined;
  return [
    { action: 'compact', revision, memberIds: voters.map(({ id }) => id) },
    ...turnsOf(
      inOrder.map(({ id }) => id),
      leader,
    ),
  ];
}

/**
 * There has to be a follower to begin with, and another voter that still has its history and can bear it out; and no
 * voter whose contents a crash in the middle of its defragmentation may spoil (R17).
 */
function mayCopyLater(
  voters: readonly ObservedMember[],
  toDefragment: readonly string[],
  { order = 'before-compaction' }: RecoveryPolicy,
): boolean {
  return (
    order === 'after-first-member' &&
    voters.length > 1 &&
    voters.some(({ id, isLeader }) => !isLeader && toDefragment.includes(id)) &&
    voters.every(({ version }) => !hasFlaw(version, 'crash-leaves-difference'))
  );
}

/**
 * R13: the copy behind the first turn. The compaction goes to the revision before the newest: HashKV computes only what
 * is newer than what was compacted.
 */
function withCopy(sweep: readonly RecoveryStep[], revision: string): readonly RecoveryStep[] {
  const compacted = `${BigInt(revision) - 1n}`;
  const steps = sweep.map((step) => (step.action === 'compact' ? { ...step, revision: compacted } : step));
  return copyBehindFirst(steps, revision);
}

/** R13: of whoever is the first to be defragmented in these steps. */
export function copyBehindFirst(steps: readonly RecoveryStep[], revision: string): readonly RecoveryStep[] {
  const at = steps.findIndex(({ action }) => action === 'defragment');
  const first = steps[at];
  if (first?.action !== 'defragment') return steps;
  return [...steps.slice(0, at + 1), { action: 'copy', memberId: first.memberId, revision }, ...steps.slice(at + 1)];
}

function isSmallEnough({ dbSize, quota }: ObservedMember): boolean {
  return quota.kind === 'limit' && dbSize !== undefined && dbSize < SMALL_ENOUGH_SHARE * quota.bytes;
}
