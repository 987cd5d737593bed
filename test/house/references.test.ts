// Whoever has the repository has all that it refers to.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './sources.ts';

const TEXTS = [
  '{bench,bin,docs,events,findings,functions,lab,lib,test}/**/*.{ts,js,sh,json,md,yaml,go}',
  '*.{ts,json,md}',
  '.ci/*',
];
/** The pages that a text names, with a path or without. */
const PAGE = /[\w./-]*\w\.md\b/g;

/**
 * What may lie beside the project, where a real API server is had from; without it the tests run against the stand-in
 * alone.
 */
const BESIDE = { folder: '../shared/kube-apiserver', namedIn: ['.ci/run', 'lab/kubernetes/real-api-server.ts'] };

const texts = globSync(TEXTS, { cwd: root, exclude: ['package-lock.json', 'test/house/references.test.ts'] })
  .map((file) => normalize(file))
  .sort()
  .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));

/** From the project's root, from the file's own folder, or by its name below docs/. */
function isHere(page: string, file: string): boolean {
  return [page, join(dirname(file), page), join('docs', page)]
    .map((path) => normalize(path))
    .some((path) => !path.startsWith('..') && existsSync(join(root, path)));
}

function pagesElsewhere(file: string, text: string): readonly string[] {
  return [...new Set(text.match(PAGE))].filter((page) => !isHere(page, file)).map((page) => `${file} names ${page}`);
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

  it('name no folder beside it but that of the API server, where it is looked for', () => {
    expect(texts.flatMap(({ file, text }) => foldersBeside(file, text))).toEqual([]);
    for (const file of BESIDE.namedIn) {
      expect(texts.find((each) => each.file === file)?.text).toContain(BESIDE.folder);
    }
  });

  it('would be found out: a check of this test itself', () => {
    const text = 'See plan-of-record.md, ../docs/rules.md, ../shared/notes and ../shared/kube-apiserver.';

    expect(pagesElsewhere('lib/x.ts', text)).toEqual(['lib/x.ts names plan-of-record.md']);
    expect(foldersBeside('lib/x.ts', text)).toEqual(['lib/x.ts names ../shared']);
    expect(foldersBeside('.ci/run', 'if [ -d ../shared/kube-apiserver ]')).toEqual([]);
  });
});
