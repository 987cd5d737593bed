// Comments and prose wrap at 120 characters, where the formatter wraps code.
import { describe, expect, it } from 'vitest';
import { textsOf } from './sources.ts';

const MOST = 120;

const SOURCES = ['{.ci,bench,bin,functions,lab,lib,test}/**/*.{ts,js}', '*.{ts,jsonc}'];
const SCRIPTS = ['.ci/run', '{docs,findings,lib}/**/*.{sh,yaml}'];
const PAGES = ['*.md', '{docs,findings}/**/*.md'];

/** What is not torn apart: code, and links with their addresses. */
const WHOLE = /(`+)(?:(?!\1).)+?\1(?!`)|\[[^\]]{1,60}\]\([^)\s]*\)/g;
/** Stand at a line's beginning, and leave it where it is. */
const MARK = /^\s*(?:\/\*\*?|\*|\/\/|#|[-+*]|\d+\.)?\s+/;

const SLASHES = /^\s*\/\/|[\s;,(){}[\]] \/\/ /;
const HASH = /^\s*#(?!!)/;
/** Tables, headings, HTML, pictures, and where links lead. */
const NOT_PROSE = /^\s*(?:\||#|<|!\[|\[[^\]]+\]: )/;
const ITEM = /^\s*(?:[-+*]|\d+\.)\s/;
const INDENTED = /^ {4,}/;
const FENCE = /^\s*```/;

type Lines = readonly string[];

function inSource(lines: Lines): Lines {
  let block = false;
  return lines.filter((line) => {
    block ||= /^\s*\/\*/.test(line);
    const comment = block || SLASHES.test(line);
    if (line.includes('*/')) block = false;
    return comment;
  });
}

const inScript = (lines: Lines): Lines => lines.filter((line) => HASH.test(line));

function inPage(lines: Lines): Lines {
  let fenced = false;
  let code = false;
  return lines.filter((line, at) => {
    if (FENCE.test(line)) fenced = !fenced;
    // Behind an empty line: otherwise it goes on with an item's text.
    code = INDENTED.test(line) && !ITEM.test(line) && (code || lines[at - 1] === '');
    return !fenced && !code && !NOT_PROSE.test(line);
  });
}

/** An address or a command alone on its line is as long as it is. */
function isTooLong(line: string): boolean {
  const text = line.replace(MARK, '').replace(WHOLE, (whole) => whole.replaceAll(' ', '_'));
  return [...line].length > MOST && /\s/.test(text.trim());
}

function tooLong(patterns: readonly string[], wrapped: (lines: Lines) => Lines): readonly string[] {
  const texts = textsOf(patterns);
  expect(texts.length).toBeGreaterThan(3);
  return texts.flatMap(({ file, text }) =>
    wrapped(text.split('\n'))
      .filter(isTooLong)
      .map((line) => `${file}: ${line.trim()}`),
  );
}

describe('lines that a person reads', () => {
  it('are at most 120 characters long in comments of the sources', () => {
    expect(tooLong(SOURCES, inSource)).toEqual([]);
  });

  it('are at most 120 characters long in comments of scripts and manifests', () => {
    expect(tooLong(SCRIPTS, inScript)).toEqual([]);
  });

  it('are at most 120 characters long in the pages', () => {
    expect(tooLong(PAGES, inPage)).toEqual([]);
  });

  it('would be found out: a check of this test itself', () => {
    const words = 'word '.repeat(24).concat('words');
    const found = (lines: Lines) => lines.filter(isTooLong).length;

    expect(words).toHaveLength(125);
    expect(
      found(inSource([`// ${words}`, `  f(); // ${words}`, '/**', ` * ${words}`, ' */', `const a = '${words}';`])),
    ).toBe(3);
    expect(found(inSource([`// ${'x'.repeat(125)}`, `/** ${words} */`, `const b = '${words}';`]))).toBe(1);
    expect(found(inScript([`# ${words}`, `echo ${words}`]))).toBe(1);
    expect(found(inPage([words, `- ${words}`, `See \`${words}\``, `| ${words} |`, '```', words, '```']))).toBe(3);
    expect(found(inPage(['Typed:', '', `    ${words}`, `    ${words}`, '', `  ${words}`, `      ${words}`]))).toBe(2);
  });
});
