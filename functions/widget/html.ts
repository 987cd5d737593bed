// HTML as text that knows it is HTML: whatever else is put into a page is escaped, always.
import { redact } from '../contract/errors.ts';

/** Only `html` and `trusted` make one. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Html | string | number | false | undefined | readonly Content[];

/** `` html`<b>${name}</b>` ``: everything that is put in is escaped, but what `html` itself has made. */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Html {
  const texts = contents.map((content, index) => `${textOf(content)}${parts[index + 1] ?? ''}`);
  return new Html(`${parts[0] ?? ''}${texts.join('')}`);
}

/** For what this program's own code has written, never for data. */
export function trusted(text: string): Html {
  return new Html(text);
}

function textOf(content: Content): string {
  if (content === undefined || content === false) return '';
  if (content instanceof Html) return content.text;
  if (typeof content === 'object') return content.map(textOf).join('');
  return escapeHtml(String(content));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For elements and quoted attributes. R15: whatever looks like key material is cut out. */
function escapeHtml(text: string): string {
  return redact(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** At most so many characters; what was cut off shows. */
export function cut(text: string, maxLength: number): string {
  const characters = [...text];
  return characters.length > maxLength
    ? `${characters
        .slice(0, maxLength - 1)
        .join('')
        .trimEnd()}…`
    : text;
}
