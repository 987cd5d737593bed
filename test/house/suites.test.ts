// A test file that belongs to no project never runs, and one of two projects runs twice.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SUITES, UNIT } from '../../vitest.config.ts';
import { closureOf, importGraph, root } from './sources.ts';

const graph = importGraph();
const testFiles = [...graph.keys()].filter((file) => file.endsWith('.test.ts'));

const matching = (patterns: readonly string[]) => new Set(patterns.flatMap((each) => globSync(each, { cwd: root })));

describe('the suites', () => {
  it('have each test file once', () => {
    const suites = SUITES.map(({ name, include, exclude = [] }) => {
      const left = matching(exclude);
      return { name, files: new Set([...matching(include)].filter((file) => !left.has(file))) };
    });

    const found = testFiles.map((file) => [
      file,
      suites.filter(({ files }) => files.has(file)).map(({ name }) => name),
    ]);

    expect(testFiles.length).toBeGreaterThan(100);
    expect(found.filter(([, names]) => names?.length !== 1)).toEqual([]);
  });

  it('have no pattern that fits nothing', () => {
    const patterns = SUITES.flatMap(({ include }) => include);

    expect(patterns.filter((pattern) => matching([pattern]).size === 0)).toEqual([]);
  });

  it('run all in .ci/run', () => {
    const script = readFileSync(join(root, '.ci/run'), 'utf8');

    expect([...script.matchAll(/^ *suite ([a-z-]+)$/gm)].map(([, name]) => name).sort()).toEqual(
      SUITES.map(({ name }) => name).sort(),
    );
  });

  it('have a unit suite that needs no etcd, no stand-in, no other process and no CDK', () => {
    const needs = [...matching(UNIT)].flatMap((file) =>
      [...closureOf(file, graph)].flatMap((each) => {
        const heavy = graph
          .get(each)
          ?.packages.filter((name) => /^(node:child_process|aws-cdk-lib|constructs)/.test(name));
        return each.startsWith('lab/') || heavy?.length ? [`${file} needs ${each}`] : [];
      }),
    );

    expect(needs).toEqual([]);
  });
});
