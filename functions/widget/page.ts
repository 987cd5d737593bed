// The page as one HTML text: a pure function of the situation and the frame. No script, and nothing from anywhere else.
import { drawActions } from './actions.ts';
import { drawContents } from './contents.ts';
import { cut, type Html, html, trusted } from './html.ts';
import { drawMembers } from './members.ts';
import { withShortNames } from './names.ts';
import { banner } from './parts.ts';
import { drawNext, drawRuns, drawTrouble } from './runs.ts';
import type { Frame, Situation } from './situation.ts';
import { styleSheet } from './style.ts';
import { LEVELS, themeOf } from './theme.ts';
import { formatAge, formatOffset, formatTime } from './time.ts';
import { ageOfLook, verdictOf } from './verdict.ts';

/** From here on members and runs stand side by side. In pixels, as all below. */
const WIDE = 960;
const PADDING = 24;
const GAP = 32;
const MEMBERS_SHARE = 0.38;

/** @returns HTML for CloudWatch's custom widget, whose own styles it turns off */
export function drawPage(whole: Situation, frame: Frame): string {
  const look = whole.look && { ...whole.look, members: withShortNames(whole.look.members) };
  const situation = { ...whole, look };
  const theme = themeOf(frame);
  const isWide = frame.width >= WIDE;
  const inside = frame.width - PADDING;
  const membersWidth = isWide ? Math.floor(inside * MEMBERS_SHARE) : inside;
  const runsWidth = isWide ? inside - membersWidth - GAP : inside;
  const members = look?.members ?? [];
  const isBlind = verdictOf(situation).level === 'blind';
  const actions = drawActions(situation);
  const page = html`<style>${trusted(styleSheet(theme))}</style>
    <div class="em-page cwdb-no-default-styles">
      ${drawHead(situation, frame)}
      ${situation.problems.map((problem) => banner('bad', 'Incomplete:', cut(problem, 400)))}
      ${situation.mode.isProblem && banner('attention', 'Switch:', cut(situation.mode.detail, 300))}
      ${drawTrouble(situation, frame)}
      <div class="em-columns${isWide && ' em-wide'}">
        <div class="em-members${isBlind && ' em-stale'}">
          <h3>Members</h3>
          ${members.length === 0 && html`<p class="em-note">None are known yet.</p>`}
          ${drawMembers(members, { theme, width: membersWidth })}
          ${drawContents(situation, { ...frame, theme })}
          ${isWide && actions}
        </div>
        <div class="em-history">
          <h3>Runs</h3>
          <div class="em-next"><span>Next:</span>${drawNext(situation, frame)}</div>
          ${drawRuns(situation, { ...frame, theme, width: runsWidth })}
        </div>
      </div>
      ${!isWide && actions}
    </div>`;
  return page.text;
}

/** How it is, how sure that is, and whether anything would be changed. */
function drawHead(situation: Situation, { offsetMinutes }: Frame): Html {
  const { level, headline, detail } = verdictOf(situation);
  const { tone, sign } = LEVELS[level];
  const age = ageOfLook(situation);
  const lookedAt = situation.look === null ? '' : formatTime(Date.parse(situation.look.at), offsetMinutes);
  const { mode } = situation.mode;
  return html`<div class="em-head">
      <span class="em-sign em-${tone}" aria-hidden="true">${sign}</span>
      <span class="em-headline em-${tone}">${cut(headline, 32)}</span>
      <span class="em-facts">
        <span>cluster <b>${situation.cluster}</b></span>
        ${age !== undefined && html`<span>looked at ${formatAge(age)} ago, ${lookedAt}</span>`}
        <span>switch <b${mode === 'observe' && html` class="em-attention"`}>${mode}</b>${
          mode === 'observe' && ': plans, changes nothing'
        }</span>
        <span>times in ${formatOffset(offsetMinutes)}</span>
      </span>
    </div>
    ${
      level === 'ok' ? html`<p>${detail}</p>` : html`<div class="em-banner em-banner-${tone}">${cut(detail, 600)}</div>`
    }`;
}
