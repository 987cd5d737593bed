// The safety rules R1 to R7, R10, R11 and R13, checked on what the members' own logs say happened in a run.
import { kubelets } from './kubelet-rule.ts';
import type { MemberLog } from './member-log.ts';
import { UNSEEN_MS, type WatchedMember, type WatchedRun } from './watched-run.ts';

/** Above this share of its quota a member's alarm must stay armed (R7). */
const DISARM_BELOW_SHARE = 0.9;

/** @returns a sentence for each violation, opening with the rule; none is a good run */
export function findViolations(run: WatchedRun): readonly string[] {
  const rules = [corrupt, overlaps, othersAway, leaderFirst, barrier, twice, disk, disarm, kubelets, copyFirst];
  return rules.flatMap((rule) => rule(run));
}

interface Defragmentation {
  readonly name: string;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly succeeded: boolean;
  readonly sizeBefore: number | undefined;
  readonly sizeAfter: number | undefined;
}

/** Of all members, in the order they began. */
function defragmentations({ members, from }: WatchedRun): Defragmentation[] {
  return members
    .flatMap(({ name, log }) =>
      log.defragmentations.map((each) => ({ ...each, name, finishedAt: each.finishedAt ?? Number.POSITIVE_INFINITY })),
    )
    .filter(({ startedAt }) => startedAt >= from)
    .sort((a, b) => a.startedAt - b.startedAt);
}

function corrupt(run: WatchedRun): string[] {
  const alarms = run.members.flatMap(({ log }) => log.alarms).filter(({ type }) => type === 'CORRUPT');
  const raisedAt = Math.min(...alarms.filter(({ kind }) => kind === 'raised').map(({ at }) => at));
  const isLate = (at: number) => at >= run.from && at > raisedAt + UNSEEN_MS;
  const disarmed = alarms.some(({ at, kind }) => kind === 'disarmed' && at >= run.from);
  const late = defragmentations(run).filter(({ startedAt }) => isLate(startedAt));
  // A member that starts goes through its log once more, old compactions and all.
  const compacted = run.members.some(({ log }) =>
    log.compactions.some(
      ({ at, kind, revision }, i) =>
        kind === 'started' && isLate(at) && !log.compactions.slice(0, i).some((each) => each.revision >= revision),
    ),
  );
  return [
    ...(disarmed ? ['R1: CORRUPT was disarmed'] : []),
    ...late.map(({ name }) => `R1: ${name} was defragmented while CORRUPT was raised`),
    ...(compacted ? ['R1: the keyspace was compacted while CORRUPT was raised'] : []),
  ];
}

function overlaps(run: WatchedRun): string[] {
  const all = defragmentations(run);
  return all.flatMap((later, i) =>
    all
      .slice(0, i)
      .filter(({ name, finishedAt }) => name !== later.name && finishedAt > later.startedAt)
      .map(({ name }) => `R2: ${later.name} was defragmented while ${name} still was`),
  );
}

function othersAway(run: WatchedRun): string[] {
  return defragmentations(run).flatMap(({ name, startedAt }) =>
    run.members
      .filter((other) => other.name !== name && isAway(other, startedAt))
      .map((other) => `R2: ${name} was defragmented while ${other.name} was away`),
  );
}

/** For long enough to have been seen. */
function isAway({ absences }: WatchedMember, at: number): boolean {
  return absences.some(({ from, until }) => from + UNSEEN_MS <= at && at < until);
}

function leaderFirst(run: WatchedRun): string[] {
  if (run.members.length === 1) return [];
  const all = defragmentations(run);
  // Its own time stands for the estimate where nobody was before it.
  const leading = all
    .filter(({ name, startedAt }) => leaderAt(run, startedAt) === name)
    .filter((own) => {
      const others = all.filter(({ name, startedAt }) => name !== own.name && startedAt < own.startedAt);
      const stalls = (others.length > 0 ? others : [own]).map(({ startedAt, finishedAt }) => finishedAt - startedAt);
      return Math.max(...stalls) > run.leaderStallMs;
    })
    .map(({ name }) => `R3: ${name} was defragmented while it was the leader`);
  // Whoever leads or has just handed its leadership over, everybody else's turn should have been before.
  const early = all.flatMap(({ name, startedAt, finishedAt }, i) => {
    const transfers = run.members.find((member) => member.name === name)?.log.transfers ?? [];
    const since = Math.max(run.from, ...all.slice(0, i).map((before) => before.startedAt));
    const wasLeader = leaderAt(run, startedAt) === name || transfers.some((at) => at >= since && at <= startedAt);
    const after = all.slice(i + 1).find((later) => later.name !== name && later.startedAt >= finishedAt);
    return wasLeader && after ? [`R3: ${name}, the leader, was defragmented before ${after.name}`] : [];
  });
  return [...leading, ...early];
}

/** The one of the newest term by then. */
function leaderAt({ members }: WatchedRun, at: number): string | undefined {
  const won = members
    .flatMap(({ name, log }) => log.leaderships.map((leadership) => ({ ...leadership, name })))
    .filter((leadership) => leadership.at <= at);
  return won.sort((a, b) => b.term - a.term)[0]?.name;
}

function barrier(run: WatchedRun): string[] {
  return defragmentations(run).flatMap(({ name, startedAt }) => {
    const newest = (log: MemberLog, kinds: readonly string[]) =>
      Math.max(
        0,
        ...log.compactions
          .filter(({ at, kind }) => at <= startedAt && kinds.includes(kind))
          .map(({ revision }) => revision),
      );
    const revision = Math.max(...run.members.map(({ log }) => newest(log, ['started', 'finished'])));
    if (revision === 0) return [`R4: ${name} was defragmented without a compaction before it`];
    return run.members
      .filter(({ log }) => newest(log, ['finished']) < revision)
      .map((behind) => `R4: ${name} was defragmented before ${behind.name} had finished the compaction to ${revision}`);
  });
}

function twice(run: WatchedRun): string[] {
  const all = defragmentations(run);
  return all.flatMap((later, i) => {
    const earlier = all.slice(0, i).filter(({ name }) => name === later.name);
    if (earlier.some(({ finishedAt }) => finishedAt > later.startedAt)) {
      return [`R5: ${later.name} was asked to defragment again while it still did`];
    }
    // One that failed, or that its process didn't survive, may be done again.
    return earlier.some(({ succeeded }) => succeeded) ? [`R10: ${later.name} was defragmented twice`] : [];
  });
}

function disk(run: WatchedRun): string[] {
  return run.members.flatMap(({ name, log }) =>
    log.troubles
      .filter(({ at }) => at >= run.from)
      .slice(0, 1)
      .map(({ text }) =>
        text.includes('no space left') ? `R6: ${name} ran out of disk: ${text}` : `${name} panicked: ${text}`,
      ),
  );
}

/** One voter may be defragmented before there is a copy; where it is the only one, none. */
function copyFirst(run: WatchedRun): string[] {
  if (run.copies === undefined) return [];
  const copiedAt = Math.min(Number.POSITIVE_INFINITY, ...run.copies.filter((at) => at >= run.from));
  const all = defragmentations(run);
  const first = run.members.length > 1 ? all[0]?.name : undefined;
  const early = all.filter(({ name, startedAt }) => name !== first && startedAt < copiedAt);
  const disarmed = disarmedAt(run).some((at) => at < copiedAt);
  return [
    ...early.map(({ name }) => `R13: ${name} was defragmented before there was a snapshot`),
    ...(disarmed ? ['R13: NOSPACE was disarmed before there was a snapshot'] : []),
  ];
}

function disarmedAt(run: WatchedRun): number[] {
  return (
    run.members
      .map(({ log }) =>
        log.alarms.filter(({ at, kind, type }) => kind === 'disarmed' && type === 'NOSPACE' && at >= run.from),
      )
      // A member that was away then has applied it later.
      .reduce((most, each) => (each.length > most.length ? each : most), [])
      .map(({ at }) => at)
  );
}

function disarm(run: WatchedRun): string[] {
  const times = disarmedAt(run);
  const [first] = times;
  if (first === undefined) return [];
  const again = times.length > 1 ? [`R7: NOSPACE was disarmed ${times.length} times`] : [];
  const large = run.members.flatMap((member) => {
    const size = sizeAt(run, member, first);
    if (member.quotaBytes <= 0 || size === undefined || size < DISARM_BELOW_SHARE * member.quotaBytes) return [];
    return [`R7: NOSPACE was disarmed while ${member.name} had ${size} of ${member.quotaBytes} bytes`];
  });
  return [...again, ...large];
}

/** By the defragmentations around that time, or else as it is at the end. */
function sizeAt(run: WatchedRun, { name, dbSize }: WatchedMember, at: number): number | undefined {
  const own = defragmentations(run).filter((each) => each.name === name);
  const before = own.filter(({ finishedAt }) => finishedAt <= at).at(-1);
  return before?.sizeAfter ?? own.find(({ finishedAt }) => finishedAt > at)?.sizeBefore ?? dbSize;
}
