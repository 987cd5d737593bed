// What fills the database, by the last copy of it: each kind as a bar of the file, what is live in it and what is
// history.
import { formatPerMinute, heldBytes, type KeptContents, WORTH_A_MINUTE } from '../contract/contents.ts';
import { formatBytes } from '../contract/report.ts';
import { cut, type Html, html } from './html.ts';
import type { Frame, Situation } from './situation.ts';
import type { Theme } from './theme.ts';
import { formatAge, formatDate, formatTime } from './time.ts';
import { percent } from './verdict.ts';

const SHOWN_KINDS = 5;
/** Less of the file is shown among the others. */
const WORTH_SHARE = 0.005;
const SHOWN_MANAGERS = 2;
/** Of the file, a day: growth that can be seen. */
const WORTH_GROWTH = 0.001;

type Kind = KeptContents['kinds'][number];

export interface ContentsOptions extends Pick<Frame, 'offsetMinutes'> {
  readonly theme: Theme;
}

/** Nothing where no run has told it yet. */
export function drawContents(
  { contents, now }: Pick<Situation, 'contents' | 'now'>,
  { theme, offsetMinutes }: ContentsOptions,
): Html {
  if (contents === null) return html``;
  const { at, bytes, freeBytes, isCompacted, earlier } = contents;
  const shown = contents.kinds.filter((kind) => heldBytes(kind) >= WORTH_SHARE * bytes).slice(0, SHOWN_KINDS);
  const others = contents.kinds.length - shown.length + contents.otherKinds;
  const rest = {
    liveBytes: contents.liveBytes - sum(shown, ({ liveBytes }) => liveBytes),
    historyBytes: contents.historyBytes - sum(shown, ({ historyBytes }) => historyBytes),
  };
  const time = Date.parse(at);
  const age = `${formatTime(time, offsetMinutes)}, ${formatAge(Math.max(0, now - time))} ago`;
  const colors = { live: theme.live, history: theme.history, free: theme.free };
  return html`<div class="em-contents">
    <h3>What fills it</h3>
    <div class="em-note">${formatBytes(bytes)} as copied ${age}${isCompacted && ', behind a compaction'}${
      earlier && ` · ${formatPerMinute(earlier.revisionsPerMinute)} revisions a minute`
    }</div>
    ${shown.map((kind) => drawKind(kind, contents, { theme, offsetMinutes }))}
    ${others > 0 && drawRow(`${others} other ${others === 1 ? 'kind' : 'kinds'}`, rest, bytes, theme)}
    ${freeBytes > 0 && drawRow('free pages', { freeBytes }, bytes, theme)}
    <div class="em-legend">
      <span><i style="background:${colors.live}"></i>live</span>
      <span><i style="background:${colors.history}"></i>history, gone with a compaction</span>
      <span><i style="background:${colors.free}"></i>free, given back by a defragmentation</span>
    </div>
    ${drawNamespaces(shown)}
  </div>`;
}

function drawKind(kind: Kind, { bytes }: KeptContents, { theme, offsetMinutes }: ContentsOptions): Html {
  const { resource, historyBytes, namespaces, growth, writers } = kind;
  const managers = writers?.managers.slice(0, SHOWN_MANAGERS).map(({ manager }) => cut(manager, 60)) ?? [];
  const perDay = growth?.liveBytesPerDay ?? 0;
  // On a phone the whole name leaves no room for the figure.
  const [plural = '', ...group] = resource.split('.');
  const words = [
    cut(group.join('.'), 80),
    historyBytes > 0 && `${percent(historyBytes / heldBytes(kind))} history`,
    namespaces > 1 && `${namespaces.toLocaleString('en')} namespaces`,
    managers.length > 0 && `written by ${managers.join(' and ')}`,
    managers.length === 0 && writers !== undefined && writers.encrypted === writers.writes && 'encrypted',
    growth !== undefined &&
      growth.writesPerMinute >= WORTH_A_MINUTE &&
      `${formatPerMinute(growth.writesPerMinute)} or more a minute since ${formatDate(Date.parse(growth.since), offsetMinutes)}`,
    Math.abs(perDay) >= WORTH_GROWTH * bytes && `${perDay < 0 ? '−' : '+'}${formatBytes(Math.abs(perDay))} live a day`,
  ];
  return drawRow(
    cut(plural, 60),
    kind,
    bytes,
    theme,
    words.filter((word) => word !== false).filter((word) => word !== ''),
  );
}

interface Parts {
  readonly liveBytes?: number;
  readonly historyBytes?: number;
  readonly freeBytes?: number;
}

/** All bars have the file's scale. */
function drawRow(name: string, parts: Parts, fileBytes: number, theme: Theme, words: readonly string[] = []): Html {
  const { liveBytes = 0, historyBytes = 0, freeBytes = 0 } = parts;
  const pieces = [
    { word: 'live', bytes: liveBytes, color: theme.live },
    { word: 'history', bytes: historyBytes, color: theme.history },
    { word: 'free', bytes: freeBytes, color: `${theme.free};box-shadow:inset 0 0 0 1px ${theme.live}` },
  ].filter(({ bytes }) => bytes > 0);
  const all = liveBytes + historyBytes + freeBytes;
  const label = pieces.map(({ word, bytes }) => `${formatBytes(bytes)} ${word}`).join(', ') || 'nothing';
  return html`<div class="em-kind">
    <div class="em-line"><span class="em-name">${name}</span><span class="em-figure">${formatBytes(all)} · ${percent(all / Math.max(1, fileBytes))}</span></div>
    <div class="em-bar" role="img" aria-label="${`${name}: ${label}`}" title="${label}">${pieces.map(
      ({ bytes, color }) => html`<i style="background:${color};width:${((100 * bytes) / fileBytes).toFixed(2)}%"></i>`,
    )}</div>
    ${words.length > 0 && html`<div class="em-note">${words.join(' · ')}</div>`}
  </div>`;
}

/** On second look. */
function drawNamespaces(kinds: readonly Kind[]): Html {
  const namespaced = kinds.filter(({ largest }) => largest.length > 0);
  if (namespaced.length === 0) return html``;
  return html`<details><summary>Where the largest are</summary>${namespaced.map((kind) => {
    const more = kind.namespaces - kind.largest.length;
    const places = kind.largest.map(({ namespace, bytes }) => `${cut(namespace, 63)} ${formatBytes(bytes)}`);
    return html`<div class="em-note"><b>${cut(kind.resource, 80)}</b> ${places.join(', ')}${more > 0 && ` and ${more} more`}</div>`;
  })}</details>`;
}

function sum(kinds: readonly Kind[], of: (kind: Kind) => number): number {
  return kinds.reduce((all, kind) => all + of(kind), 0);
}
