// The texts that stand in the code: what a page about messages is held against.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface Literal {
  /** The text with `…` for each value that is put into it. */
  readonly text: string;
  /** From the project's root. */
  readonly file: string;
}

/**
 * Every string and template of the TypeScript files below `folder`, those in comments and regular expressions left out.
 */
export function literalsBelow(root: string, folder: string): readonly Literal[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .flatMap((name) => {
      const file = path.join(folder, name);
      return literals(readFileSync(path.join(root, file), 'utf8')).map((text) => ({ text, file }));
    });
}

/** In the order in which they begin; what stands inside of a template's `${…}` comes before the template itself. */
export function literals(source: string): readonly string[] {
  const found: string[] = [];
  code(source, 0, found, false);
  return found;
}

/** After one of these a slash begins a regular expression and not a division. */
const BEFORE_REGEX = /(^|[(,=:[!&|?{};+]|\breturn|=>)\s*$/;

/** Reads code up to its end, or up to the brace that closes a template's `${`. @returns the position behind it */
function code(source: string, from: number, found: string[], inTemplate: boolean): number {
  let depth = 0;
  for (let at = from; at < source.length; ) {
    const char = source.charAt(at);
    const two = source.slice(at, at + 2);
    if (two === '//') at = endOf(source, '\n', at);
    else if (two === '/*') at = endOf(source, '*/', at) + 1;
    else if (char === '/' && BEFORE_REGEX.test(source.slice(Math.max(0, at - 40), at))) at = regex(source, at);
    else if (char === "'" || char === '"') at = quoted(source, at, found);
    else if (char === '`') at = template(source, at, found);
    else {
      if (char === '{') depth++;
      if (char === '}' && depth-- === 0 && inTemplate) return at + 1;
      at++;
    }
  }
  return source.length;
}

function endOf(source: string, mark: string, from: number): number {
  const at = source.indexOf(mark, from);
  return at < 0 ? source.length : at + 1;
}

function regex(source: string, from: number): number {
  let inClass = false;
  for (let at = from + 1; at < source.length; at++) {
    const char = source.charAt(at);
    if (char === '\\') at++;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) return at + 1;
  }
  return source.length;
}

function quoted(source: string, from: number, found: string[]): number {
  let text = '';
  for (let at = from + 1; at < source.length; at++) {
    const char = source.charAt(at);
    if (char === source.charAt(from)) {
      found.push(text);
      return at + 1;
    }
    text += char === '\\' ? source.charAt(++at) : char;
  }
  return source.length;
}

function template(source: string, from: number, found: string[]): number {
  let text = '';
  for (let at = from + 1; at < source.length; ) {
    const char = source.charAt(at);
    if (char === '`') {
      found.push(text);
      return at + 1;
    }
    if (source.slice(at, at + 2) === '${') {
      text += '…';
      at = code(source, at + 2, found, true);
    } else {
      text += char === '\\' ? source.charAt(at + 1) : char;
      at += char === '\\' ? 2 : 1;
    }
  }
  return source.length;
}
