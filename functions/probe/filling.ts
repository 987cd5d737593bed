// What fills the database and how long that can go on, by the newest copy that a night has told. Pure.
import { heldBytes, type KeptContents } from '../contract/contents.ts';
import { formatBytes } from '../contract/report.ts';

type Kind = KeptContents['kinds'][number];

const HOURS_A_DAY = 24;
/** Later than this is nobody's business today. */
const MOST_DAYS = 365;

/**
 * @param quotaBytes the smallest of the voters'; undefined: none has one
 * @returns a sentence; empty where the copy tells nothing
 */
export function describeFilling({ at, bytes, kinds, liveBytes }: KeptContents, quotaBytes: number | undefined): string {
  const [largest] = kinds;
  if (largest === undefined) return '';
  const held = heldBytes(largest);
  const history = `${Math.round((100 * largest.historyBytes) / Math.max(1, held))} % of it history`;
  const most = `${largest.resource}, ${formatBytes(held)} of ${formatBytes(bytes)}, ${history}${writer(largest)}`;
  return `Most of it, by the copy of ${at.slice(0, 10)}: ${most}.${growing(kinds, liveBytes, quotaBytes)}`;
}

function writer({ writers }: Kind): string {
  const [first] = writers?.managers ?? [];
  return first === undefined ? '' : `, written by ${first.manager}`;
}

/** Of live data alone: what else grows, a compaction and a defragmentation take back. */
function growing(kinds: readonly Kind[], liveBytes: number, quotaBytes: number | undefined): string {
  const perDay = (kind: Kind) => kind.growth?.liveBytesPerDay ?? 0;
  const total = kinds.reduce((sum, kind) => sum + perDay(kind), 0);
  const [fastest] = kinds.toSorted((a, b) => perDay(b) - perDay(a));
  if (quotaBytes === undefined || fastest === undefined || total <= 0) return '';
  const days = Math.max(0, quotaBytes - liveBytes) / total;
  if (days > MOST_DAYS) return '';
  const time = days < 2 ? `${Math.round(days * HOURS_A_DAY)} hours` : `${Math.round(days)} days`;
  const most = `most of that ${fastest.resource}${writer(fastest)}`;
  return ` Live data grows by ${formatBytes(total)} a day, ${most}: at that, the quota is full of it in ${time}.`;
}
