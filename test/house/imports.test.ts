// Who imports whom, as docs/architecture.md says it. Where this fails, either the import is in the wrong room, or the
// page has to change first.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { circleThrough, importGraph, root } from './sources.ts';

const graph = importGraph();

/** `recover` for functions/recover, `lib` for lib. */
function roomOf(file: string): string {
  const [folder = '', room = ''] = file.split('/');
  return folder === 'functions' ? room : folder;
}

/** The arrows of docs/architecture.md: a room, and whom it may import. */
function arrowsOnThePage(): Readonly<Record<string, readonly string[]>> {
  const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  const lines = [...page.matchAll(/^ {4}([a-z-]+) +→(.*)$/gm)];
  return Object.fromEntries(lines.map(([, room = '', others = '']) => [room, others.split(/\s+/).filter(Boolean)]));
}

/** What files of one folder import from elsewhere: `from => to`, as a sentence of a failure. */
function importsFrom(folder: string, isWrong: (to: string) => boolean): string[] {
  return [...graph].flatMap(([file, { files }]) =>
    file.startsWith(`${folder}/`) ? files.filter(isWrong).map((to) => `${file} imports ${to}`) : [],
  );
}

describe('the house', () => {
  it('has the rooms and the arrows of docs/architecture.md, no more and no fewer', () => {
    const found: Record<string, Set<string>> = {};
    for (const [file, { files }] of graph) {
      if (!file.startsWith('functions/')) continue;
      const room = roomOf(file);
      found[room] ??= new Set();
      for (const to of files) if (roomOf(to) !== room) found[room].add(roomOf(to));
    }

    const inWords = Object.fromEntries(Object.entries(found).map(([room, to]) => [room, [...to].sort()]));
    expect(inWords).toEqual(arrowsOnThePage());
  });

  it('has no circle, of values or of types', () => {
    const circles = [...graph.keys()].flatMap((file) => {
      const circle = circleThrough(file, graph);
      return circle === undefined ? [] : [circle.join(' imports ')];
    });

    expect(graph.size).toBeGreaterThan(500);
    expect(circles).toEqual([]);
  });

  it('deploys by the contract alone: lib imports nothing else of functions', () => {
    const wrong = importsFrom('lib', (to) => to.startsWith('functions/') && roomOf(to) !== 'contract');

    expect(wrong).toEqual([]);
  });

  it.each(['bench', 'bin', 'functions', 'lab', 'lib'])('keeps %s free of what only tests need', (folder) => {
    expect(importsFrom(folder, (to) => to.startsWith('test/'))).toEqual([]);
  });

  it('has functions that know neither the lab nor what is deployed', () => {
    expect(importsFrom('functions', (to) => !to.startsWith('functions/'))).toEqual([]);
  });

  it.each([
    ['etcd3', ['etcd']],
    ['@kubernetes/client-node', ['kubernetes']],
    ['@aws-sdk/client-ssm', ['aws', 'nodes']],
    ['@aws-sdk/client-s3', ['aws']],
  ])('has one room that knows %s', (name, rooms) => {
    const knowing = [...graph].filter(
      ([file, { packages }]) =>
        file.startsWith('functions/') && packages.some((each) => each === name || each.startsWith(`${name}/`)),
    );

    expect([...new Set(knowing.map(([file]) => roomOf(file)))].sort()).toEqual(rooms);
  });
});
