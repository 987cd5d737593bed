// What fills the database, in the few lines that are read on a phone: which kind, how many bytes, who writes it.
import { formatPerMinute, heldBytes, type ReportContents, WORTH_A_MINUTE } from '../contract/contents.ts';
import { formatBytes, type RunReport } from '../contract/report.ts';
import { list } from './figures.ts';

const MOST_KINDS = 3;
/** Of what there is in all: smaller ones are not what fills it. */
const WORTH_SHARE = 0.03;
const MANAGERS = 2;
const LONGEST_NAME = 60;
const LONGEST_KIND = 80;

type Kind = ReportContents['kinds'][number];

/**
 * Of the run's own copy; and where that was taken behind a compaction, or not at all, of the last night's, which tells
 * history by kind.
 * @returns empty where neither is known
 */
export function describeContents({ contents, lastNight, members, startedAt }: RunReport): string {
  const parts = [
    contents && ofCopy(contents, historyBefore(contents, members)),
    lastNight &&
      list(`What filled it last night, with its history (${ageOf(lastNight, startedAt)}):`, kindsOf(lastNight)),
  ];
  return parts.filter(Boolean).join('\n\n');
}

function ofCopy(contents: ReportContents, historyBytes: number | undefined): string {
  const { isCompacted, bytes, freeBytes, kinds } = contents;
  const data = heldBytes(contents);
  const free = freeBytes > data ? [`free pages, which a defragmentation gives back: ${formatBytes(freeBytes)}`] : [];
  const before = historyBytes === undefined ? '' : `, besides ${formatBytes(historyBytes)} of history before`;
  const title = isCompacted ? `What is live (${formatBytes(bytes)} in all${before}):` : 'What fills it:';
  return list(title, kinds.length === 0 ? [] : [...kindsOf(contents), ...free]);
}

/** As etcd's own sizes have it: what was in use before and is not in the compacted copy. */
function historyBefore({ isCompacted, bytes }: ReportContents, members: RunReport['members']): number | undefined {
  const inUse = Math.max(0, ...members.map(({ isLearner, before }) => (isLearner ? 0 : (before?.dbSizeInUse ?? 0))));
  return isCompacted && inUse > bytes ? inUse - bytes : undefined;
}

function kindsOf(contents: ReportContents): readonly string[] {
  const held = heldBytes(contents);
  const worth = contents.kinds.filter((kind, index) => index === 0 || heldBytes(kind) >= WORTH_SHARE * held);
  const shown = worth.slice(0, MOST_KINDS);
  const others = contents.kinds.length - shown.length + contents.otherKinds;
  const rest = held - shown.reduce((sum, kind) => sum + heldBytes(kind), 0);
  return [
    ...shown.map((kind) => describeKind(kind, contents)),
    ...(others > 0 ? [`${others} other ${others === 1 ? 'kind' : 'kinds'}: ${formatBytes(rest)}`] : []),
  ];
}

/** "vulnerabilityreports.… in 41 namespaces: 1.20 GiB of 2.00 GiB, 96 % of it history, written by trivy-operator …" */
function describeKind(kind: Kind, { bytes, isCompacted }: ReportContents): string {
  const { resource, namespaces, historyBytes } = kind;
  const where = namespaces > 1 ? ` in ${namespaces} namespaces` : '';
  const held = heldBytes(kind);
  const history = isCompacted ? [] : [`${Math.round((100 * historyBytes) / Math.max(1, held))} % of it history`];
  const words = [`${formatBytes(held)} of ${formatBytes(bytes)}`, ...history, ...writtenBy(kind), ...rateOf(kind)];
  return `${cut(resource, LONGEST_KIND)}${where}: ${words.join(', ')}`;
}

function writtenBy({ writers }: Kind): readonly string[] {
  if (writers === undefined) return [];
  const { managers, writes, encrypted } = writers;
  if (managers.length > 0) {
    return [
      `written by ${managers
        .slice(0, MANAGERS)
        .map(({ manager }) => cut(manager, LONGEST_NAME))
        .join(' and ')}`,
    ];
  }
  return encrypted === writes ? ['encrypted, so that nobody knows who writes it'] : [];
}

function rateOf({ growth }: Kind): readonly string[] {
  if (growth === undefined || growth.writesPerMinute < WORTH_A_MINUTE) return [];
  const { writesPerMinute, since } = growth;
  return [`${formatPerMinute(writesPerMinute)} a minute or more since ${dayOf(since)}`];
}

function ageOf({ at = '' }: ReportContents, startedAt: string): string {
  const hours = Math.max(0, Math.round((Date.parse(startedAt) - Date.parse(at)) / 3_600_000));
  const age = hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
  return `copy of ${at.slice(0, 16).replace('T', ' ')} UTC, ${age} before`;
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** "Tuesday, 2026-03-03": the day in the reader's words, and which one it was. */
function dayOf(at: string): string {
  return `${DAYS[new Date(at).getUTCDay()] ?? ''}, ${at.slice(0, 10)}`;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 3)}...` : text;
}
