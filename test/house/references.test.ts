// Whoever has the repository has all that it refers to.
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, textsOf } from './sources.ts';

const TEXTS = [
  '{bench,bin,docs,events,findings,functions,lab,lib,test}/**/*.{ts,js,sh,json,md,yaml,go}',
  '*.{ts,json,md}',
  '.ci/*',
];
/** The pages that a text names, with a path or without. */
const PAGE = /[\w./-]*\w\.md\b/g;
/** The files that a page names by their path. One of which a part is left open (`<name>`) is none. */
const FILE = /`((?:bench|bin|events|functions|lab|lib|test|\.ci)\/[\w./-]+)`/g;

/**
 * What may lie beside the project, where a real API server is had from; without it the tests run against the stand-in
 * alone.
 */
const BESIDE = { folder: '../shared/kube-apiserver', namedIn: ['.ci/run', 'lab/kubernetes/real-api-server.ts'] };

const texts = textsOf(TEXTS, ['package-lock.json', 'test/house/references.test.ts']);

/** From the project's root, from the file's own folder, or by its name below docs/. */
function isHere(page: string, file: string): boolean {
  return [page, join(dirname(file), page), join('docs', page)]
    .map((path) => normalize(path))
    .some((path) => !path.startsWith('..') && existsSync(join(root, path)));
}

function pagesElsewhere(file: string, text: string): readonly string[] {
  return [...new Set(text.match(PAGE))].filter((page) => !isHere(page, file)).map((page) => `${file} names ${page}`);
}

function filesElsewhere(file: string, text: string): readonly string[] {
  const named = [...text.matchAll(FILE)].map(([, path = '']) => path);
  return named.filter((path) => !existsSync(join(root, path))).map((path) => `${file} names ${path}`);
}

function foldersBeside(file: string, text: string): readonly string[] {
  const rest = BESIDE.namedIn.includes(file) ? text.replaceAll(BESIDE.folder, '') : text;
  return rest.includes('../shared') ? [`${file} names ../shared`] : [];
}

describe('the texts of the repository', () => {
  it('name no page that is not in it', () => {
    expect(texts.length).toBeGreaterThan(500);
    expect(texts.flatMap(({ file, text }) => pagesElsewhere(file, text))).toEqual([]);
  });

  it('name no file that is not in it, on their pages', () => {
    // The change log tells of what was there at its time.
    const pages = texts.filter(({ file }) => file.endsWith('.md') && file !== 'CHANGELOG.md');

    expect(pages.flatMap(({ text }) => [...text.matchAll(FILE)]).length).toBeGreaterThan(50);
    expect(pages.flatMap(({ file, text }) => filesElsewhere(file, text))).toEqual([]);
  });

  it('name no folder beside it but that of the API server, where it is looked for', () => {
    expect(texts.flatMap(({ file, text }) => foldersBeside(file, text))).toEqual([]);
    for (const file of BESIDE.namedIn) {
      expect(texts.find((each) => each.file === file)?.text).toContain(BESIDE.folder);
    }
  });

  it('would be found out: a check of this test itself', () => {
    const text = 'See plan-of-record.md, ../docs/rules.md, ../shared/notes and ../shared/kube-apiserver.';

    expect(pagesElsewhere('lib/x.ts', text)).toEqual(['lib/x.ts names plan-of-record.md']);
    expect(filesElsewhere('x.md', '`lib/gone.ts` and `lib/names.ts`')).toEqual(['x.md names lib/gone.ts']);
    expect(foldersBeside('lib/x.ts', text)).toEqual(['lib/x.ts names ../shared']);
    expect(foldersBeside('.ci/run', 'if [ -d ../shared/kube-apiserver ]')).toEqual([]);
  });
});
