// A report's lists in lines short enough for a phone: members before and after, reports deleted, steps planned.
import {
  formatBytes,
  type MemberSizes,
  type PrunedResource,
  type ReportMember,
  worthTelling,
} from '../contract/report.ts';

/** More lines than these are counted, not shown. */
const MAX_LINES = 9;
const MAX_NOTE_LENGTH = 160;

/** @returns a title and a line each; empty where there is nothing to list */
export function list(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  const more = lines.length - MAX_LINES;
  return [title, ...lines.slice(0, MAX_LINES), ...(more > 0 ? [`and ${more} more`] : [])].join('\n');
}

export function describeMembers(members: readonly ReportMember[]): string {
  const changed = members.some(({ before, after }) => before?.dbSize !== after?.dbSize);
  return list(changed ? 'Database files, before -> after:' : 'Database files:', members.map(describeMember));
}

function describeMember(member: ReportMember): string {
  const { id, name, isLeader, isLearner, quotaBytes, before, after, note } = member;
  const title = `${name || id}${isLearner ? ' (learner)' : isLeader ? ' (leader)' : ''}`;
  if (before === undefined && after === undefined) return `${title}: ${shorten(note ?? NO_ANSWER)}`;
  const sizes = before?.dbSize === after?.dbSize ? [size(after)] : [size(before), size(after)];
  const usage =
    after !== undefined && typeof quotaBytes === 'number' && quotaBytes > 0
      ? `, ${Math.round((after.dbSize / quotaBytes) * 100)} % of its quota`
      : '';
  const alarms = after?.alarms.length ? `, ${after.alarms.join(' and ')}` : '';
  return `${title}: ${sizes.join(' -> ')}${usage}${alarms}${remark(note)}`;
}

const NO_ANSWER = 'no answer';

function size(sizes: MemberSizes | undefined): string {
  return sizes === undefined ? NO_ANSWER : formatBytes(sizes.dbSize);
}

/** Those of which there is something to say, the largest first. */
export function describePruned(pruned: readonly PrunedResource[]): string {
  return list(
    'Reports:',
    worthTelling(pruned).map(({ resource, listed, stale, deleted, staleBytes, directly, note }) => {
      const bytes = staleBytes === undefined ? '' : ` (about ${formatBytes(staleBytes)})`;
      const how = directly ? ' directly in etcd' : '';
      // Of a kind that could not be looked at there are no numbers.
      if (listed === 0 && note !== undefined) return `${resource}: ${shorten(note)}`;
      return `${resource}: ${count(deleted)} of ${count(stale)} stale deleted${how}${bytes}, ${count(listed)} in all${remark(note)}`;
    }),
  );
}

/** 1200 is "1,200". */
function count(number: number): string {
  return number.toLocaleString('en-US');
}

function remark(note: string | undefined): string {
  return note === undefined ? '' : `; ${shorten(note)}`;
}

function shorten(note: string): string {
  return note.length > MAX_NOTE_LENGTH ? `${note.slice(0, MAX_NOTE_LENGTH - 3)}...` : note;
}
