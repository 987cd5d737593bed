// The page on versions says what the table in the code says, and names no test that does not run that version.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { VERSION_RULES, type VersionRule } from '../../functions/contract/versions.ts';
import { projectRoot } from '../../lib/bundling.ts';
import { readPage } from './page.ts';

const page = readPage('docs/versions.md');
const rows = page.text.split('\n').filter((line) => line.startsWith('| '));

function rowOf({ flawed, what, maintenance, emergency, sources }: VersionRule): string {
  const members = flawed.map(({ from, mendedIn }) => (from === '0.0.0' ? `< ${mendedIn}` : `${from} to < ${mendedIn}`));
  const links = sources.map((url, index) => `[${index + 1}](${url})`);
  return `| ${members.join(', ')} | ${what} | ${maintenance} | ${emergency} | ${links.join(' ')} |`;
}

it.each(Object.entries<VersionRule>(VERSION_RULES))('R17: has the row of %s as the code has it', (_flaw, rule) => {
  expect(rows).toContain(rowOf(rule));
});

const RUN = /^\| (?<versions>3\.[^|]*) \| [^|]* \| (?<tests>[^|]*\.test\.ts[^|]*) \|$/;
const runs = rows.flatMap((row) => {
  const { versions = '', tests = '' } = RUN.exec(row)?.groups ?? {};
  const files = [...tests.matchAll(/\]\(\.\.\/(test\/[^)]+)\)/g)].map(([, file = '']) => file);
  return files.flatMap((file) => versions.split(', ').map((version) => ({ file, version })));
});

it.each(runs)('$file runs etcd $version, as it says', ({ file, version }) => {
  expect(existsSync(path.join(projectRoot, file))).toBe(true);
  expect(readFileSync(path.join(projectRoot, file), 'utf8')).toContain(`'${version}'`);
});

it('says of more than a handful of tests what they run', () => {
  expect(runs.length).toBeGreaterThan(20);
});
