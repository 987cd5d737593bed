// The colours of the page, once for CloudWatch's light and once for its dark theme.
import type { Frame } from './situation.ts';
import type { Level, RunKind } from './verdict.ts';

/**
 * Texts have a contrast of at least 4.5 against the widget's background, as WCAG asks (a test computes it). No colour
 * says anything that a word or a shape does not say too.
 */
export interface Theme {
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  /** The part of a bar that no file fills. */
  readonly track: string;
  readonly live: string;
  readonly free: string;
  /** What newer writes have replaced; between it and `live` nobody needs to tell red from green. */
  readonly history: string;
  readonly good: string;
  readonly attention: string;
  readonly bad: string;
  readonly info: string;
  /** Text on one of the four above. */
  readonly onColor: string;
  readonly goodSoft: string;
  readonly attentionSoft: string;
  readonly badSoft: string;
  readonly infoSoft: string;
}

const light: Theme = {
  ink: '#16191f',
  muted: '#545b64',
  line: '#d5dbdb',
  track: '#eef0f1',
  live: '#0972d3',
  free: '#a9cff2',
  history: '#d9822b',
  good: '#037f0c',
  attention: '#875c00',
  bad: '#c02508',
  info: '#0663ba',
  onColor: '#ffffff',
  goodSoft: '#eef8ee',
  attentionSoft: '#fdf5df',
  badSoft: '#fdf1ee',
  infoSoft: '#eff6fd',
};

const dark: Theme = {
  ink: '#e9ebed',
  muted: '#b0bac5',
  line: '#414d5c',
  track: '#273444',
  live: '#539fe5',
  free: '#2b557f',
  history: '#e3933f',
  good: '#6fd08c',
  attention: '#f2cd54',
  bad: '#ff9d8f',
  info: '#89bdee',
  onColor: '#0f1b2a',
  goodSoft: '#15301f',
  attentionSoft: '#332a10',
  badSoft: '#3c1d1b',
  infoSoft: '#172c43',
};

export function themeOf({ theme }: Pick<Frame, 'theme'>): Theme {
  return theme === 'dark' ? dark : light;
}

export type Tone = 'good' | 'attention' | 'bad' | 'info' | 'quiet';

/** With the sign that says the same without colour. */
export const LEVELS: Readonly<Record<Level, { readonly tone: Tone; readonly sign: string }>> = {
  ok: { tone: 'good', sign: '✓' },
  attention: { tone: 'attention', sign: '!' },
  alarm: { tone: 'bad', sign: '✕' },
  unknown: { tone: 'attention', sign: '?' },
  blind: { tone: 'bad', sign: '?' },
};

/** `word`: for the legend. In the chart each has a shape of its own. */
export const RUN_KINDS: Readonly<
  Record<RunKind, { readonly tone: Tone; readonly sign: string; readonly word: string }>
> = {
  done: { tone: 'good', sign: '✓', word: 'done' },
  idle: { tone: 'quiet', sign: '–', word: 'nothing to do' },
  plan: { tone: 'info', sign: '≡', word: 'only a plan' },
  person: { tone: 'attention', sign: '!', word: 'a person should look' },
  failed: { tone: 'bad', sign: '✕', word: 'failed' },
};

export function colorOf(theme: Theme, tone: Tone): string {
  return tone === 'quiet' ? theme.muted : theme[tone];
}
