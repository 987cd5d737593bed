// R1: a night's look for voters that do not hold the same, by etcd's own hash of their contents. Changes nothing.
import { describeError } from '../contract/errors.ts';
import { formatBytes, type ReportSnapshot } from '../contract/report.ts';
import type { Journal } from '../engine/journal.ts';
import type { Look } from '../engine/poll.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { EtcdTimeoutError, isCompacted } from '../etcd/errors.ts';
import { DEFAULT_DEADLINES } from '../etcd/member-client.ts';
import type { MemberClient, MemberStatus } from '../etcd/types.ts';
import { computedHash } from './computed-hash.ts';
import { type HashAnswer, judgeHashes } from './content-hashes.ts';
import { patiently } from './patience.ts';
import type { OpenCluster, Voter } from './voters.ts';

/** One voter's HashKV, and what is around it. */
const NEEDS_MS = DEFAULT_DEADLINES.hashMs + 30_000;
/** Between two voters: whoever waited for the first has caught up by then. */
const NEXT_AFTER_SECONDS = 2;
/** kube-apiserver compacts every five minutes, which may fall between two answers once, and hardly twice. */
const ROUNDS = 3;
/** Of opening the connections. */
const ACCIDENTS = 2;

export interface ComparisonSetting {
  readonly journal: Journal;
  readonly cluster: OpenCluster;
  /** Milliseconds since 1970: nobody is asked any more from then on. */
  readonly untilMs: number;
  /** A voter of whose file more is in use is not asked: it would not take in a write for too long. */
  readonly belowBytes: number;
}

/** What is kept from one voter to the next. */
interface Course {
  /** Decimal; undefined: the next round has not begun. */
  readonly revision?: string | undefined;
  readonly answers: readonly HashAnswer[];
  /** By id: whoever got no answer through may be at it still (R5), and is not asked again. */
  readonly silent: Readonly<Record<string, string>>;
  readonly rounds: number;
  /** They differed in a round before: in which words. */
  readonly differed?: string | undefined;
}

/** How a night's comparison ended, for the report's reason. */
export interface Comparison {
  readonly kind: 'equal' | 'differ' | 'not-told';
  /** One sentence without its end. */
  readonly words: string;
}

/**
 * HashKV of one voter after the other at one revision that all of them have, the leader last: meanwhile a member takes
 * in no write, as in a defragmentation. What differs is asked once more, at a newer revision, before it is believed.
 * @throws GuardError
 */
export async function compareVoters(
  { journal, cluster, untilMs, belowBytes }: ComparisonSetting,
  voters: readonly Voter[],
): Promise<Comparison> {
  const begin = beginning(voters, journal.snapshot);
  const options = { accidents: ACCIDENTS, againSeconds: NEXT_AFTER_SECONDS, neededMs: NEEDS_MS };
  const step = await patiently<{ done: string; refused: string }, Course>(
    { journal, untilMs },
    'compare',
    options,
    async ({ memory = begin }) => {
      if (Date.now() >= untilMs)
        return { outcome: 'unknown', detail: 'the maintenance window ended meanwhile', memory };
      return askNext(await cluster(), voters, belowBytes, memory);
    },
  );
  if (step.outcome === 'refused' && step.data !== undefined) return { kind: 'differ', words: step.data };
  if (step.outcome === 'done' && step.data !== undefined) return { kind: 'equal', words: step.data };
  return { kind: 'not-told', words: step.detail };
}

const COMPACTED =
  'not all of it is computed from what is kept, because somebody has compacted, or nobody has written since';

/** At the revision of the run's snapshot, whose member has answered already. */
function beginning(voters: readonly Voter[], snapshot: ReportSnapshot | undefined): Course {
  const { memberId, contentHash } = snapshot ?? {};
  const voter = voters.find(({ id }) => id === memberId);
  const course = { answers: [], silent: {}, rounds: 0 };
  if (voter === undefined || contentHash === undefined) return course;
  const { revision, hash, compactRevision } = contentHash;
  return { ...course, revision, answers: [{ voter, hash, compactRevision, computed: true, tookMs: 0 }] };
}

async function askNext(
  cluster: EtcdCluster,
  voters: readonly Voter[],
  belowBytes: number,
  course: Course,
): Promise<Look<{ done: string; refused: string }, Course>> {
  const looks = await Promise.all(voters.map((voter) => lookAt(cluster, voter, belowBytes, course)));
  const reached = looks.filter((look) => 'status' in look);
  const revision = course.revision ?? String(leastOf(reached.map(({ status }) => status.revision)));
  const asked = (voter: Voter) => course.answers.some((answer) => answer.voter.id === voter.id);
  // Who leads is seen anew each time: it may be another one by then.
  const open = reached.filter(({ voter }) => !asked(voter));
  const next = open.find(({ status, voter }) => status.leaderId !== voter.id) ?? open[0];
  if (next === undefined) {
    const away = looks.filter((look) => 'problem' in look).filter(({ voter }) => !asked(voter));
    return conclude(voters, { ...course, revision, answers: [...course.answers, ...away] });
  }
  const answer = await hashOf(next.client, next.voter, BigInt(revision));
  const silent = answer.lost === undefined ? course.silent : { ...course.silent, [next.voter.id]: answer.lost };
  const answers = [...course.answers, answer.answer];
  const after = { ...course, revision, answers, silent };
  // Whoever else is asked at this revision would be asked in vain.
  const isInVain = judgeHashes(answers).kind === 'compacted-meanwhile';
  if (isInVain || answers.length === voters.length) return conclude(voters, after);
  const detail = `${answers.length} of ${voters.length} voters asked`;
  return { outcome: 'unknown', detail, again: true, memory: after };
}

function conclude(voters: readonly Voter[], course: Course): Look<{ done: string; refused: string }, Course> {
  const { revision = '0', answers, differed } = course;
  const { kind, words, left } = judgeHashes(answers);
  const told = `at revision ${revision} etcd's HashKV is ${words}${left === '' ? '' : `; not compared: ${left}`}`;
  const rounds = course.rounds + 1;
  const next = { ...course, revision: undefined, answers: [], rounds };
  if (kind === 'differ') {
    if (differed !== undefined) return { outcome: 'refused', detail: `${told}; before, ${differed}`, data: told };
    return { outcome: 'unknown', detail: told, again: true, memory: { ...next, differed: told } };
  }
  if (kind === 'compacted-meanwhile' && rounds < ROUNDS) {
    return { outcome: 'unknown', detail: `${told}: ${COMPACTED}`, again: true, memory: next };
  }
  // What was seen once was seen; where they agree by now, what differed may have been compacted away.
  if (differed !== undefined && kind === 'equal') return { outcome: 'unknown', detail: `${told}; before, ${differed}` };
  if (differed !== undefined) return { outcome: 'refused', detail: told, data: differed };
  if (kind === 'equal' && left === '') {
    const data = `all ${voters.length} voters have the same contents at revision ${revision}`;
    return { outcome: 'done', detail: told, data };
  }
  if (kind === 'equal') return { outcome: 'unknown', detail: told };
  const why = kind === 'too-few' ? 'there is nobody to compare with' : COMPACTED;
  return { outcome: 'unknown', detail: `${told}: ${why}` };
}

type Reached = { readonly voter: Voter; readonly client: MemberClient; readonly status: MemberStatus };

async function lookAt(
  cluster: EtcdCluster,
  voter: Voter,
  belowBytes: number,
  { silent }: Course,
): Promise<Reached | HashAnswer> {
  const lost = silent[voter.id];
  if (lost !== undefined) return { voter, problem: lost };
  const client = cluster.client(voter.id);
  if (client === undefined) {
    const problem = cluster.members.find(({ id }) => id === voter.id)?.problem ?? 'there is no connection to it';
    return { voter, problem };
  }
  try {
    const status = await client.status();
    if (status.dbSizeInUse < belowBytes) return { voter, client, status };
    const inUse = formatBytes(status.dbSizeInUse);
    return { voter, problem: `${inUse} in use, and maintain.compareBelowBytes is ${formatBytes(belowBytes)}` };
  } catch (error) {
    return { voter, problem: describeError(error) };
  }
}

/** `lost`: the member may be at it still. */
async function hashOf(
  client: MemberClient,
  voter: Voter,
  revision: bigint,
): Promise<{ readonly answer: HashAnswer; readonly lost?: string }> {
  try {
    const { compactRevision, ...answer } = await computedHash(client, revision);
    return { answer: { voter, ...answer, compactRevision: String(compactRevision) } };
  } catch (error) {
    const problem = describeError(error);
    if (isCompacted(error)) return { answer: { voter, problem, compacted: true } };
    return { answer: { voter, problem }, ...(error instanceof EtcdTimeoutError && { lost: problem }) };
  }
}

function leastOf(revisions: readonly bigint[]): bigint {
  return revisions.reduce((least, revision) => (revision < least ? revision : least), revisions[0] ?? 0n);
}
