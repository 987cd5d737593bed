// The members as the report and the sweep take them, made from what was observed.
import type { ReportMember } from '../contract/report.ts';
import type { Observation, ObservedMember } from './observation.ts';
import type { Voter } from './voters.ts';

/** @param after what was read at the end; undefined where nobody could be read any more */
export function reportMember(
  member: ObservedMember,
  before: Observation,
  after: Observation | undefined,
): ReportMember {
  const { id, name, endpoint, version, isLearner, quota } = member;
  const now = after?.members.find((other) => other.id === id);
  return {
    id,
    name,
    endpoint,
    version,
    isLeader: now?.isLeader ?? member.isLeader,
    isLearner,
    quotaBytes: quota.kind === 'limit' ? quota.bytes : quota.kind === 'none' ? 'none' : null,
    before: sizes(member, before),
    after: now && after ? sizes(now, after) : undefined,
    defragmented: false,
    note: note(member),
  };
}

function sizes({ id, dbSize, dbSizeInUse }: ObservedMember, { alarms }: Observation): ReportMember['before'] {
  if (dbSize === undefined || dbSizeInUse === undefined) return undefined;
  return { dbSize, dbSizeInUse, alarms: alarms.filter(({ memberId }) => memberId === id).map(({ type }) => type) };
}

function note({ isLearner, problem, busy, shared }: ObservedMember): string | undefined {
  if (isLearner) return 'a learner: it refuses to be defragmented and is left alone';
  if (problem === undefined || busy || shared) return problem;
  return `does not answer: ${problem}`;
}

/** The voters as the sweep takes them. */
export function votersOf({ members }: Observation): Voter[] {
  return members.filter(({ isLearner }) => !isLearner).map(({ id, name }) => ({ id, name: name || id }));
}

/** The largest file of a voter's, in bytes; 0 where none is known. */
export function largestFile({ members }: Observation): number {
  return Math.max(0, ...members.map(({ isLearner, dbSize = 0 }) => (isLearner ? 0 : dbSize)));
}
