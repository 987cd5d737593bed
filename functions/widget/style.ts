// The page's style sheet. Every rule is held inside of the page: the dashboard around it keeps its own looks.
import type { Theme } from './theme.ts';

export function styleSheet(theme: Theme): string {
  const tones = (['good', 'attention', 'bad', 'info'] as const).map(
    (tone) => `
.em-page .em-${tone} { color: ${theme[tone]}; }
.em-page .em-badge.em-${tone} { border-color: ${theme[tone]}; background: ${theme[`${tone}Soft`]}; }
.em-page .em-banner-${tone} { border-color: ${theme[tone]}; background: ${theme[`${tone}Soft`]}; }
.em-page .em-sign.em-${tone} { background: ${theme[tone]}; color: ${theme.onColor}; }`,
  );
  return `
.em-page { box-sizing: border-box; width: 100%; padding: 4px 12px 8px; color: ${theme.ink}; font-size: 14px; line-height: 1.45;
  overflow-wrap: anywhere; }
.em-page * { box-sizing: border-box; }
.em-page svg { display: block; max-width: 100%; height: auto; }
.em-page h3 { margin: 12px 0 6px; font-size: 14px; font-weight: 700; color: ${theme.ink}; }
.em-page p, .em-page ul { margin: 0; padding: 0; list-style: none; }
.em-head, .em-line, .em-next, .em-legend, .em-facts, .em-actions { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 8px; }
.em-head { gap: 4px 10px; }
.em-sign { flex: none; width: 28px; height: 28px; border-radius: 50%; text-align: center; font-weight: 700; font-size: 16px;
  line-height: 28px; }
.em-headline { font-size: 20px; font-weight: 700; line-height: 1.3; }
.em-facts { margin-left: auto; color: ${theme.muted}; gap: 4px 16px; }
.em-note, .em-legend, .em-when { color: ${theme.muted}; font-size: 12px; }
.em-next { color: ${theme.muted}; gap: 2px 16px; margin-bottom: 4px; }
.em-next b { color: ${theme.ink}; font-weight: 600; }
.em-badge { padding: 0 6px; border: 1px solid ${theme.line}; border-radius: 8px; font-size: 12px; line-height: 18px; color: ${theme.muted}; }
.em-banner { margin: 8px 0; padding: 6px 10px; border-left: 4px solid ${theme.line}; border-radius: 2px; }
.em-banner-quiet { padding-top: 2px; padding-bottom: 2px; color: ${theme.muted}; }
.em-columns.em-wide { display: flex; gap: 32px; align-items: flex-start; }
.em-wide > .em-members { flex: 0 0 38%; min-width: 0; }
.em-wide > .em-history { flex: 1 1 0; min-width: 0; }
.em-member { margin-bottom: 8px; }
.em-stale svg path { opacity: 0.45; }
.em-kind { margin-top: 6px; }
.em-bar { display: flex; height: 12px; margin: 1px 0; overflow: hidden; border-radius: 2px; background: ${theme.track}; }
.em-bar i { flex: none; min-width: 2px; height: 100%; }
.em-name { font-weight: 600; }
.em-figure { margin-left: auto; font-variant-numeric: tabular-nums; }
.em-legend { margin: 4px 0 8px; gap: 2px 14px; }
.em-legend span { display: inline-flex; align-items: center; gap: 5px; }
.em-legend i { width: 12px; height: 12px; border-radius: 2px; }
.em-legend i.em-mark { width: 2px; }
.em-when { min-width: 82px; }
.em-page .em-runs li { margin: 0; padding: 5px 0; border-top: 1px solid ${theme.line}; }
.em-page details summary { padding: 4px 0; color: ${theme.info}; cursor: pointer; font-size: 12px; }
.em-actions { margin-top: 10px; padding-top: 10px; border-top: 1px solid ${theme.line}; gap: 8px 24px; }
.em-wide .em-actions { margin-top: 20px; padding-top: 14px; }
.em-actions div { display: flex; flex-wrap: wrap; gap: 8px; }
.em-page a.em-button { display: inline-block; padding: 3px 12px; border: 1px solid ${theme.info}; border-radius: 14px;
  background: transparent; color: ${theme.info}; cursor: pointer; font-size: 13px; font-weight: 600; text-decoration: none; white-space: nowrap; }
.em-page a.em-button:hover { background: ${theme.infoSoft}; }
.em-page a.em-button.em-real { border-color: ${theme.bad}; color: ${theme.bad}; }
.em-page a.em-button.em-real:hover { background: ${theme.badSoft}; }
.em-page cwdb-action { display: none; }
${tones.join('\n')}`;
}
