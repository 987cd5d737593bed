// docs/rules.md against the code: no number without its rule, and no rule without a place that keeps it and a test.
import { existsSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, textsOf } from './sources.ts';

const PAGE = 'docs/rules.md';
const RULE = /\bR\d+\b/g;
const SCANNED = ['{functions,lib,bin,lab,bench,test,docs,events}/**/*.{ts,js,sh,json,md,yaml,go}', '*.md', '.ci/*'];

interface Named {
  /** From the project's root. */
  readonly file: string;
  /** A document's script runs on a node and knows no rules: the page says so beside it. */
  readonly isScript: boolean;
}

interface Rule {
  /** As `R4`. */
  readonly number: string;
  readonly enforcedIn: readonly Named[];
  readonly testedIn: readonly Named[];
}

/** The headings `## R4 …`, with the files that are linked in each part below. */
function rulesOf(page: string): readonly Rule[] {
  const [, ...sections] = page.split(/^## /m);
  return sections.map((section) => {
    const [, enforced = '', tested = ''] = section.split(/^\*(?:Enforced|Tested) in\*$/m);
    return {
      number: /^R\d+(?= )/.exec(section)?.[0] ?? `no rule's number: ${section.slice(0, 20)}`,
      enforcedIn: linksIn(enforced),
      testedIn: linksIn(tested),
    };
  });
}

function linksIn(part: string): readonly Named[] {
  return [...part.matchAll(/\]\(([^)\s]+)\)( \(script\))?/g)].map(([, target = '', script]) => ({
    file: normalize(join('docs', target)),
    isScript: script !== undefined,
  }));
}

/** What the page says of a rule that is not so, a sentence each. */
function mistakesIn({ number, enforcedIn, testedIn }: Rule): readonly string[] {
  const code = enforcedIn.filter(({ file, isScript }) => /^(functions|lib)\//.test(file) && !isScript);
  return [
    ...(code.length === 0 ? [`${number} names no file of functions or lib that enforces it`] : []),
    ...(testedIn.length === 0 ? [`${number} names no test`] : []),
    ...testedIn.filter(({ file }) => !/^test\/.*\.test\.ts$/.test(file)).map(({ file }) => `${file} is no test file`),
    ...[...enforcedIn, ...testedIn].flatMap(({ file, isScript }) => mistakesOf(number, file, isScript)),
  ];
}

function mistakesOf(number: string, file: string, isScript: boolean): readonly string[] {
  if (!existsSync(join(root, file))) return [`${number} names ${file}, which is not there`];
  if (isScript) return file.endsWith('.sh') ? [] : [`${file} is no script`];
  if (!numbersIn(file).has(number)) return [`${file} does not name ${number}`];
  return !file.endsWith('.test.ts') || isTitled(number, file)
    ? []
    : [`${file} has no test that is named after ${number}`];
}

/**
 * Whether it is in a test's name (`R4: …`, `R3, R4: …`) or in what the file says of itself, and not in an expectation
 * alone.
 */
function isTitled(number: string, file: string): boolean {
  const text = readFileSync(join(root, file), 'utf8');
  return new RegExp(`^//.*\\b${number}\\b|['"\`][^'"\`\\n]*\\b${number}[:,]`).test(text);
}

function numbersIn(file: string): ReadonlySet<string> {
  return numbersOf(readFileSync(join(root, file), 'utf8'));
}

function numbersOf(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(RULE)].map(([number]) => number));
}

const rules = rulesOf(readFileSync(join(root, PAGE), 'utf8'));
/** The checksums in a go.sum are not scanned: they are base64, in which `R5` is no rule. */
const named = textsOf(SCANNED).map(({ file, text }) => ({ file, numbers: numbersOf(text) }));

describe(PAGE, () => {
  it('has a heading for every number that is written anywhere', () => {
    const known = new Set(rules.map(({ number }) => number));

    const unknown = named.flatMap(({ file, numbers }) =>
      [...numbers].filter((number) => !known.has(number)).map((number) => `${file} names ${number}`),
    );

    expect(named.length).toBeGreaterThan(500);
    expect(unknown).toEqual([]);
  });

  it('has each number once, and no heading that nothing but the page knows', () => {
    const numbers = rules.map(({ number }) => number);
    const elsewhere = new Set(named.flatMap(({ file, numbers }) => (file === PAGE ? [] : [...numbers])));

    expect(numbers.filter((number, i) => numbers.indexOf(number) !== i)).toEqual([]);
    expect(numbers.filter((number) => !elsewhere.has(number))).toEqual([]);
  });

  it.each(rules.map((rule) => [rule.number, rule] as const))(
    'names for %s where it is enforced and tested: files that are there and name it',
    (_number, rule) => {
      expect(mistakesIn(rule)).toEqual([]);
    },
  );

  it('would find what is wrong: a check of this test itself', () => {
    const [rule] = rulesOf(
      [
        '## R13 Snapshot',
        '*Enforced in*',
        '[a](../functions/gone.ts) · [b](../functions/contract/kinds.ts) · [c](../bin/app.ts) (script)',
        '*Tested in*',
        '[d](../test/house/sources.ts) · [e](../test/permissions/calls.test.ts)',
      ].join('\n'),
    );

    expect(rule && mistakesIn(rule)).toEqual([
      'test/house/sources.ts is no test file',
      'R13 names functions/gone.ts, which is not there',
      'functions/contract/kinds.ts does not name R13',
      'bin/app.ts is no script',
      'test/house/sources.ts does not name R13',
      'test/permissions/calls.test.ts has no test that is named after R13',
    ]);
    expect(rulesOf('## R4 Barrier\n').flatMap(mistakesIn)).toEqual([
      'R4 names no file of functions or lib that enforces it',
      'R4 names no test',
    ]);
  });
});
