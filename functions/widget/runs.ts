// The last runs in words, the one at work, what comes next, and the last trouble.
import { formatBytes, reasonWithoutAdvice, worthTelling } from '../contract/report.ts';
import { allow } from './actions.ts';
import { drawChart } from './chart.ts';
import { cut, type Html, html } from './html.ts';
import { nameOf } from './names.ts';
import { nextRun } from './next-runs.ts';
import { badge, banner } from './parts.ts';
import type { PastRun } from './records.ts';
import type { Frame, ScheduledWorkflow, Situation } from './situation.ts';
import type { Start } from './slots.ts';
import { colorOf, RUN_KINDS, type Theme } from './theme.ts';
import { formatAge, formatTime } from './time.ts';
import { timelineChart } from './timeline.ts';
import { changeInWords, kindOf, lastTrouble } from './verdict.ts';

/** More are there, but folded away. */
const SHOWN_RUNS = 5;
const SHOWN_KINDS = 8;

export interface RunsOptions extends Omit<Frame, 'theme'> {
  readonly theme: Theme;
}

export function drawRuns(situation: Situation, options: RunsOptions): Html {
  const { runs, now } = situation;
  const upcoming = situation.schedules
    .flatMap((scheduled) => upcomingOf(scheduled, now) ?? [])
    .sort((a, b) => a.at - b.at);
  const { lease } = situation;
  const running =
    lease === null || lease.expiresAt <= now ? undefined : { workflow: lease.workflow, at: lease.acquiredAt };
  const isEmpty = runs.length === 0 && running === undefined;
  return html`${!isEmpty && [drawChart(timelineChart({ runs, running, upcoming }, options)), legend(options.theme)]}
    ${drawAtWork(situation, options)}
    ${runs.length === 0 && html`<p class="em-note">No run has ended yet.</p>`}
    <ul class="em-runs">${runs.slice(0, SHOWN_RUNS).map((run) => drawRun(run, now, options))}</ul>
    ${
      runs.length > SHOWN_RUNS &&
      html`<details><summary>${runs.length - SHOWN_RUNS} more</summary>
        <ul class="em-runs">${runs.slice(SHOWN_RUNS).map((run) => drawRun(run, now, options))}</ul></details>`
    }`;
}

function upcomingOf({ workflow, schedule }: ScheduledWorkflow, now: number): Start | undefined {
  const at = schedule === false ? 'never' : nextRun(schedule, now);
  return typeof at === 'number' ? { workflow, at } : undefined;
}

/** `Next: Pruning in 3 h (4 Mar 01:30) · Maintenance …` */
export function drawNext({ schedules, now }: Situation, { offsetMinutes }: Frame): Html {
  const inOrder = schedules
    .map((scheduled) => ({ ...scheduled, at: upcomingOf(scheduled, now)?.at ?? Number.POSITIVE_INFINITY }))
    .sort((a, b) => a.at - b.at);
  return html`${inOrder.map(({ workflow, schedule, at }) => {
    const name = html`<b>${nameOf(workflow)}</b>`;
    if (schedule === false) return html`<span>${name} never by itself</span>`;
    const { cron, timeZone } = schedule;
    const expression = `${cut(cron, 60)} (${cut(timeZone, 40)})`;
    if (!Number.isFinite(at)) return html`<span>${name} by its schedule ${expression}</span>`;
    return html`<span title="${expression}">${name} in ${formatAge(at - now)}, ${formatTime(at, offsetMinutes)}</span>`;
  })}`;
}

function legend(theme: Theme): Html {
  // The chart's shapes as characters would depend on the fonts that are there; drawn, they don't.
  const shapes = { done: 'disc', idle: 'dash', plan: 'box', person: 'triangle', failed: 'cross' } as const;
  const kinds = ['done', 'idle', 'plan', 'person', 'failed'] as const;
  return html`<div class="em-legend">
    ${kinds.map((kind) => {
      const { tone, word } = RUN_KINDS[kind];
      return html`<span>${shape(shapes[kind], colorOf(theme, tone))}${word}</span>`;
    })}
    <span>${shape('diamond', theme.muted)}scheduled</span>
    <span>${shape('ring', theme.muted)}${shape('disc', theme.muted)}the largest voter's file before and after</span>
  </div>`;
}

const SHAPES = {
  disc: (color: string) => html`<circle cx="6" cy="6" r="5" fill="${color}" />`,
  dash: (color: string) => html`<rect x="0" y="4.5" width="12" height="3" fill="${color}" />`,
  box: (color: string) =>
    html`<rect x="2" y="2" width="8" height="8" fill="none" stroke="${color}" stroke-width="2" />`,
  triangle: (color: string) => html`<path d="M6 0L12 11L0 11Z" fill="${color}" />`,
  cross: (color: string) => html`<path d="M2 2L10 10M2 10L10 2" fill="none" stroke="${color}" stroke-width="3" />`,
  ring: (color: string) => html`<circle cx="6" cy="6" r="4" fill="none" stroke="${color}" stroke-width="2" />`,
  diamond: (color: string) => html`<path d="M6 1L11 6L6 11L1 6Z" fill="none" stroke="${color}" stroke-width="1.5" />`,
};

function shape(name: keyof typeof SHAPES, color: string): Html {
  return html`<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">${SHAPES[name](color)}</svg>`;
}

function drawAtWork({ lease, now }: Situation, { offsetMinutes }: RunsOptions): Html {
  if (lease === null) return html``;
  const name = nameOf(lease.workflow);
  const since = `${formatTime(lease.acquiredAt, offsetMinutes)} (${formatAge(now - lease.acquiredAt)})`;
  if (lease.isEnded) {
    if (lease.expiresAt <= now) return html``;
    const until = formatTime(lease.expiresAt, offsetMinutes);
    return banner(
      'attention',
      `${name} ended from outside`,
      `Its last step may go on until ${until}; no run begins before.`,
    );
  }
  if (lease.expiresAt > now) return banner('info', `${name} at work`, `since ${since}.`);
  const expired = formatAge(now - lease.expiresAt);
  return banner(
    'attention',
    `${name} abandoned`,
    `It began at ${since} and has not been heard of; its lease ran out ${expired} ago. The next run takes it over.`,
  );
}

function drawRun(run: PastRun, now: number, { offsetMinutes }: RunsOptions): Html {
  const { tone, sign } = RUN_KINDS[kindOf(run)];
  const startedAt = Date.parse(run.startedAt);
  const seconds = formatAge(Math.max(0, Date.parse(run.finishedAt) - startedAt));
  const change = changeInWords(run);
  const reason = reasonWithoutAdvice(run);
  return html`<li>
    <div class="em-line">
      <span class="em-when" title="${formatAge(Math.max(0, now - startedAt))} ago, took ${seconds}">${formatTime(startedAt, offsetMinutes)}</span>
      <span class="em-name">${nameOf(run.workflow)}${run.dryRun && ' (dry run)'}</span>
      ${badge(tone, run.canWait ? 'held back' : run.outcome.replaceAll('-', ' '), sign)}
      <span class="em-figure">${change}</span>
    </div>
    <div class="em-note" title="${cut(reason, 1_000)}">${cut(reason, 180)}</div>
    ${drawKinds(run)}
  </li>`;
}

/** Of which kinds of reports there is something to say, folded away. */
function drawKinds({ pruned = [] }: PastRun): Html {
  const kinds = worthTelling(pruned);
  if (kinds.length === 0) return html``;
  const lines = kinds.slice(0, SHOWN_KINDS).map(({ resource, stale, deleted, staleBytes, directly, note }) => {
    const bytes = staleBytes === undefined ? '' : `, about ${formatBytes(staleBytes)}`;
    const numbers = `${deleted.toLocaleString('en')} deleted${directly ? ' in etcd' : ''} of ${stale.toLocaleString('en')} stale${bytes}`;
    return html`<div class="em-note" title="${cut(note ?? '', 400)}"><b>${cut(resource, 80)}</b> ${numbers}${
      note !== undefined && `; ${cut(note, 120)}`
    }</div>`;
  });
  const more = kinds.length - lines.length;
  const title = kinds.length === 1 ? '1 kind of report' : `${kinds.length} kinds of reports`;
  return html`<details><summary>${title}</summary>${lines}${more > 0 && html`<div class="em-note">and ${more} more</div>`}</details>`;
}

/** Loud as long as no later run of its kind has come through. */
export function drawTrouble(situation: Situation, { offsetMinutes }: Frame): Html {
  const { runs, now } = situation;
  const trouble = lastTrouble(runs);
  if (trouble === undefined) return html``;
  const { run, isOpen } = trouble;
  const startedAt = Date.parse(run.startedAt);
  const verb = run.outcome === 'failed' ? 'failed' : 'escalated';
  const when = `${formatTime(startedAt, offsetMinutes)}, ${formatAge(Math.max(0, now - startedAt))} ago`;
  const words = reasonWithoutAdvice(run);
  const reason = html`<span title="${cut(words, 2_000)}">${cut(words, 400)}</span>`;
  if (isOpen && run.canWait) {
    const act =
      run.raise !== undefined && html`<div>Look at a few of them; if they may go: ${allow(situation, run.raise)}</div>`;
    return banner('attention', `${nameOf(run.workflow)} holds back (${when}):`, html`${act}${reason}`);
  }
  if (isOpen) return banner('bad', `${nameOf(run.workflow)} ${verb} (${when}):`, reason);
  return banner('quiet', `Last ${verb}: ${nameOf(run.workflow)} (${when}), settled since.`, reason);
}
