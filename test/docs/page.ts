// The documentation as tests see it: its pages, their sections, links, commands and examples.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { projectRoot } from '../../lib/bundling.ts';

export interface Page {
  /** From the project's root. */
  readonly file: string;
  readonly text: string;
}

export interface Section {
  readonly heading: string;
  /** How many `#` it has. */
  readonly level: number;
  readonly text: string;
}

/** Everything that people read: the pages beside the README, and all of docs/. */
export function allPages(): readonly Page[] {
  const docs = readdirSync(path.join(projectRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .sort();
  return [
    'README.md',
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...docs.map((name) => path.join('docs', name)),
  ].map(readPage);
}

export function readPage(file: string): Page {
  return { file, text: readFileSync(path.join(projectRoot, file), 'utf8') };
}

/** A section ends where the next heading of any level begins. */
export function sectionsOf({ text }: Page): readonly Section[] {
  const parts = withoutBlocks(text).split(/^(#+) (.*)$/m);
  const sections: Section[] = [];
  for (let at = 1; at + 2 < parts.length; at += 3) {
    sections.push({ level: parts[at]?.length ?? 0, heading: parts[at + 1] ?? '', text: parts[at + 2] ?? '' });
  }
  return sections;
}

/** The headings' anchors, as GitHub makes them. */
export function anchorsOf(page: Page): ReadonlySet<string> {
  return new Set(
    sectionsOf(page).map(({ heading }) =>
      heading
        .toLowerCase()
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
        .replace(/ /g, '-'),
    ),
  );
}

/** Targets of links and pictures, without those to other sites. */
export function localLinksOf({ text }: Page): readonly string[] {
  const found = [...withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)|\b(?:src|srcset|href)="([^"]+)"/g)];
  return found.flatMap(([, inline, attribute]) => inline ?? attribute ?? []).filter((target) => !/^\w+:/.test(target));
}

/** Blocks between fences, by their language, and those that are indented. */
export function blocksOf({ text }: Page): readonly { readonly language: string; readonly text: string }[] {
  const fenced = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  const indented = [...text.matchAll(/(?<=\n\n|:\n\n)((?: {4,}.*\n|\n(?= {4}))+)/g)];
  return [
    ...fenced.map(([, language = '', body = '']) => ({ language, text: body })),
    ...indented.map(([body]) => ({ language: '', text: body.replace(/^ {4}/gm, '') })),
  ];
}

/** What stands between backticks, outside of fenced blocks; a line's end in it counts as a blank. */
export function codeIn(text: string): readonly string[] {
  const found = [...withoutFences(text).matchAll(/(?<!`)(`+)(?!`)([\s\S]*?)(?<!`)\1(?!`)/g)];
  return found.map(([, , code = '']) => code.replace(/\s+/g, ' ').trim());
}

function withoutFences(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '');
}

/** A `#` or a bracket in a shell's line is neither a heading nor a link. */
function withoutBlocks(text: string): string {
  return withoutFences(text).replace(/^( {4,}).*$/gm, '');
}
