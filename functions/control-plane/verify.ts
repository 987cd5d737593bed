// What the last look has to show before a run may say that all is well (R7): a pure function.
import { formatBytes } from '../contract/report.ts';
import type { Observation, ObservedMember } from './observation.ts';

/** Above this share of its quota a member raises NOSPACE with one of its next writes: a request may be of 1.5 MB. */
const FULL_AGAIN_SHARE = 0.95;

export interface Unwell {
  /** A sentence each. */
  readonly problems: readonly string[];
  /** Of the fullest file: whoever reads the report will want to know what fills it. */
  readonly full: ObservedMember | undefined;
}

/**
 * @param after the last look; undefined: nobody could be read
 * @param before what was seen earlier: its quotas stand in for those that could not be read at the end
 * @returns undefined where every voter answers, no alarm is raised and no file is about to raise one
 */
export function unwell(after: Observation | undefined, before: Observation): Unwell | undefined {
  if (after === undefined) return { problems: [], full: undefined };
  const { members, alarms } = after;
  const untold = withoutQuota(after, before);
  const away = members.filter(({ healthy, isLearner }) => !healthy && !isLearner);
  const shares = members.map((member) => ({ member, quota: quotaOf(member, before) }));
  const full = shares
    .flatMap(({ member, quota }) =>
      quota.kind === 'limit' && (member.dbSize ?? 0) > FULL_AGAIN_SHARE * quota.bytes
        ? [{ member, bytes: quota.bytes, share: (member.dbSize ?? 0) / quota.bytes }]
        : [],
    )
    .sort((a, b) => b.share - a.share);
  if (alarms.length + away.length + full.length + untold.length === 0) return undefined;
  return {
    problems: [
      ...away.map(({ id, name, problem }) => `${name || id} does not answer: ${problem}.`),
      ...full.map(
        ({ member: { name, id, dbSize = 0 }, bytes, share }) =>
          `${name || id} has ${formatBytes(dbSize)} (${dbSize} bytes), ${Math.round(100 * share)} % of its quota of ${formatBytes(bytes)} (${bytes} bytes): NOSPACE comes with one of its next writes. Look at what writes, delete what is not needed or raise --quota-backend-bytes, then run again.`,
      ),
      ...untold,
    ],
    full: full[0]?.member,
  };
}

/**
 * @returns a sentence for each voter whose quota was read neither now nor earlier: its file may be full and nobody
 *   would know
 */
export function withoutQuota(after: Observation, earlier: Observation): string[] {
  return after.members.flatMap((member) => {
    const quota = quotaOf(member, earlier);
    if (member.isLearner || quota.kind !== 'unknown') return [];
    const size = member.dbSize === undefined ? 'its file' : `its file of ${formatBytes(member.dbSize)}`;
    return [
      `${member.name || member.id} does not tell its quota (${quota.problem}), so nobody knows how full ${size} is: set etcd.quotaBytes to the value of --quota-backend-bytes (R8).`,
    ];
  });
}

/** A quota changes with a restart only: what was read an hour ago is better than nothing. */
export function quotaOf({ id, quota }: ObservedMember, earlier: Observation): ObservedMember['quota'] {
  if (quota.kind !== 'unknown') return quota;
  return earlier.members.find((member) => member.id === id)?.quota ?? quota;
}
