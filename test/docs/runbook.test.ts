import { describe, expect, it } from 'vitest';
import { CONNECTION_FAILURES, ETCD_ANSWERS, NOT_PROPOSED } from '../../functions/etcd/meanings.ts';
import { projectRoot } from '../../lib/bundling.ts';
import { type Literal, literals, literalsBelow } from './literals.ts';
import { codeIn, readPage, type Section, sectionsOf } from './page.ts';

const runbook = readPage('docs/runbook.md');
const sections = sectionsOf(runbook).filter(({ level }) => level === 3);
/** What the sections are found by: the beginning of a message, with `…` for what differs. */
const quotes = sections.flatMap((section) => saysOf(section));
const told = codeIn(runbook.text);

const folders = ['recover', 'maintain', 'prune', 'control-plane', 'nodes', 'engine', 'aws', 'notify', 'probe'].map(
  (name) => `functions/${name}`,
);
const sentences = folders.flatMap((folder) => literalsBelow(projectRoot, folder));
const alarms = ['lib/cluster-alarms.ts', 'lib/credentials-function.ts'].flatMap((file) =>
  literals(readPage(file).text),
);

/** A sentence that a run's reason may begin with, or a rule's. */
const ENDING =
  /^(… )*(R\d+: |NOSPACE |[A-Z][\w’']+ ([a-z]|…))|[Nn]othing (in it |in etcd )?was changed|changes nothing more|seem stale|voters away|person has to/;

/** What never comes first: it is joined to a sentence that has a section. */
const TAILS: readonly string[] = [
  'The alarm stays armed.',
  'But …',
  'Nothing was changed.',
  'Nothing else was changed.',
  'The others have the quorum, no alarm is raised, and nothing in etcd was changed.',
  'Something fills it faster than it is compacted: look at what writes.',
  'Upgrade etcd first',
  'An alarm other than NOSPACE is for people alone (R1)',
  'A dry run',
  'NOSPACE of …, once every voter',
  'nothing was changed. … steps are planned.',
  'nothing was changed. … members are worth a defragmentation as of now.',
  'nothing was changed. … reports are stale.…',
  'Compacted: …; defragmented: ….',
  'Left alone: ….',
  'Before it, ….',
  'Either it is damaged, or the member is',
  'Whether all voters have the same contents was not told: ….',
  'Look at some of them; if they are stale indeed, allow it for one run',
  // Of the guard: whether none or no more were deleted.
  'So …',
  'The limits of … were raised for this run by …',
  'Of … kinds some would not be deleted unasked: see the plan.',
  'Defragmented: …; not: ….',
  'All … voters are healthy and no alarm is raised',
  'Its lease could not be freed',
  'Its lease was freed',
  'It held no lease.',
  'The step that it was at may go on',
  'Start a dry run to see what is left to do',
  // A dry run's and the message's own words, which are no reason.
  'Rehearsal failed',
  'What failed on the way',
  'To rehearse once more',
  'Only planned',
  'Held back, can wait for the day',
  'Most of the copy: …',
  'Most of it, by the copy of …',
  'What fills it:',
  'What is live (…',
  'What filled it last night',
  'Nothing to do',
  'Started by: …',
  'Database files',
  'To have it done',
  'To see what is left to do',
  'To keep etcd-medic from acting',
  'Step by step',
  // Names of events and of fields.
  'Etcd ',
  'Report Pruning Finished',
  'Durable Execution Status Change',
  'Scheduled Event',
  'Invalid input',
  'SET ',
];

/** A single letter or word between backticks is the beginning of many messages. */
const SAYS_SOMETHING = 12;

describe('docs/runbook.md', () => {
  it('finds the reasons in the code: a check of this test itself', () => {
    const found = endings().map(({ text }) => text);

    expect(found).toContain('R7: … still has … of … bytes: the alarm would come back, so it stays armed');
    expect(found).toContain('The run … (…) and left no report. etcd was left as it is: an alarm may still be armed, ');
    expect(found.length).toBeGreaterThan(50);
  });

  it('has a section for every reason that a run can end with', () => {
    const missing = endings()
      .filter(({ text }) => !quotes.some((quote) => covers(quote, text)))
      .map(({ file, text }) => `${file}: ${text}`);

    expect(missing).toEqual([]);
  });

  it('has a section for every rule that stands before a reason', () => {
    const rules = sentences.flatMap(({ text }) => /^(R\d+)(: |$)/.exec(text)?.[1] ?? []);

    expect([...new Set(rules)].filter((rule) => !quotes.some((quote) => quote.startsWith(`${rule}: `)))).toEqual([]);
  });

  it('quotes nothing that the code does not say any more', () => {
    const all = [...sentences.map(({ text }) => text), ...alarms];

    expect(quotes.filter((quote) => !all.some((text) => covers(quote, text)))).toEqual([]);
  });

  it('lists no cause that the code does not name any more', () => {
    const all = literalsBelow(projectRoot, 'functions').map(({ text }) => text);
    const causes = [...runbook.text.slice(runbook.text.indexOf('## Causes')).matchAll(/^\| (`[^|]*) \|/gm)]
      .flatMap(([, cell = '']) => codeIn(cell))
      .flatMap((cause) => cause.split('…'))
      .map((piece) => piece.trim())
      .filter((piece) => piece.length >= SAYS_SOMETHING);

    expect(causes.length).toBeGreaterThan(50);
    expect(causes.filter((piece) => !all.some((text) => text.includes(piece)))).toEqual([]);
  });

  it("has a section for every alarm, found by the alarm's name", () => {
    const kinds = [
      ...readPage('lib/cluster-alarms.ts').text.matchAll(/kind: '([a-z-]+)'/g),
      ...readPage('lib/credentials-function.ts').text.matchAll(/alarmName: `etcd-medic-\$\{\w+\}-([a-z-]+)`/g),
    ].map(([, kind]) => kind);

    expect(kinds).toContain('nospace-persists');
    expect(sections.map(({ heading }) => heading)).toEqual(expect.arrayContaining(kinds));
  });

  it('says in every section what it means, what to check, what to do, and when it can wait', () => {
    const incomplete = sections
      .filter((section) => saysOf(section).length > 0)
      .filter(({ text }) => !['**Means**', '**Check**', '**Do**', '**Leave it**'].every((part) => text.includes(part)));

    expect(quotes.length).toBeGreaterThan(60);
    expect(incomplete.map(({ heading }) => heading)).toEqual([]);
  });

  it.each([
    ['etcd', [...ETCD_ANSWERS, NOT_PROPOSED, ...CONNECTION_FAILURES].map(({ text }) => text)],
    ['Systems Manager', problemsIn('functions/nodes/command-states.ts')],
    ['an API server', problemsIn('functions/kubernetes/translate.ts')],
  ])('names every cause that %s can give', (_, causes) => {
    const begins = told.map(bare).filter((begin) => begin.length >= SAYS_SOMETHING);
    const meant = causes.map(beginning).filter((cause) => cause.length >= SAYS_SOMETHING);

    expect(meant.length).toBeGreaterThan(5);
    expect(meant.filter((cause) => !begins.some((begin) => cause.startsWith(begin)))).toEqual([]);
  });
});

function endings(): readonly Literal[] {
  return sentences.filter(
    ({ text }) => ENDING.test(text) && bare(text) !== '' && !TAILS.some((tail) => bare(text).startsWith(bare(tail))),
  );
}

function saysOf({ text }: Section): readonly string[] {
  const says = /^Says: ([\s\S]*?)\n(?=- )/m.exec(text)?.[1];
  return says === undefined ? [] : codeIn(says);
}

function covers(quote: string, text: string): boolean {
  const begin = bare(quote);
  return begin === '' ? text.startsWith(quote) : bare(text).startsWith(begin);
}

/** Without the rule, without the values that stand before the first word, and without a value at the end. */
function bare(text: string): string {
  return text
    .replace(/^(R\d+|NOSPACE): /, '')
    .replace(/^(…|[\s,:.(";])+/, '')
    .replace(/(…|[\s:])+$/, '');
}

/** Of a cause, up to its first sentence's end or the server's own words in brackets. */
function beginning(text: string): string {
  return bare(text.split(/\. | \(/)[0] ?? '');
}

/** Sentences rather than names. */
function problemsIn(file: string): readonly string[] {
  return literals(readPage(file).text).filter((text) => text.split(' ').length >= 4 && !/[|\\^$]/.test(text));
}
