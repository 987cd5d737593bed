// The small parts that the page is put together from.
import { type Content, type Html, html } from './html.ts';
import type { Tone } from './theme.ts';

/** A word with a sign, in a colour. */
export function badge(tone: Tone, text: string, sign?: string): Html {
  return html`<span class="em-badge em-${tone}">${sign !== undefined && html`<b>${sign}</b> `}${text}</span>`;
}

/** A sentence that must not be overlooked. */
export function banner(tone: Tone, title: string, text: Content): Html {
  return html`<div class="em-banner em-banner-${tone}"><b>${title}</b> ${text}</div>`;
}
