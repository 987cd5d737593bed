// Whose code is in a bundle, under which licence, and the notices that have to travel with it.
import { glob, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Metafile } from 'esbuild';
import * as z from 'zod/mini';
import { validate } from '../functions/contract/validate.ts';

const projectRoot = path.resolve(import.meta.dirname, '..');

export interface ThirdParty {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression, as its package.json says it. */
  readonly licence: string;
  readonly author: string | undefined;
  /** Relative to the project: `node_modules/undici`. */
  readonly folder: string;
  /** Of its licence and notice files, those of what it has taken in itself included. Some packages bring none. */
  readonly texts: readonly string[];
}

/** Beside the code of each function. */
export const NOTICES_FILE = 'THIRD-PARTY-NOTICES.txt';

const schema = z.object({
  name: z.string(),
  version: z.string(),
  license: z._default(z.string(), 'not stated'),
  author: z.optional(z.union([z.string(), z.object({ name: z.string() })])),
});

/** The packages of which at least one byte is in a bundle's modules, by name and version. */
export async function thirdPartiesIn(outputs: Metafile['outputs']): Promise<ThirdParty[]> {
  const packed = Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs));
  const folders = packed.flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? packageFolder(file) : []));
  const parties = await Promise.all([...new Set(folders)].map(readThirdParty));
  return parties.toSorted((a, b) => compare(a.name, b.name) || compare(a.version, b.version));
}

/** A package may lie in another's node_modules. Our own files are in none. */
function packageFolder(file: string): string[] {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.slice(0, 1) ?? [];
}

async function readThirdParty(folder: string): Promise<ThirdParty> {
  const absolute = path.join(projectRoot, folder);
  const packageJson: unknown = JSON.parse(await readFile(path.join(absolute, 'package.json'), 'utf8'));
  const { name, version, license, author } = validate(schema, packageJson, `${folder}/package.json`);
  const found = glob('**/{LICENSE,LICENCE,NOTICE,COPYING}*', {
    cwd: absolute,
    withFileTypes: true,
    exclude: (entry) => entry.name === 'node_modules',
  });
  const files: string[] = [];
  for await (const entry of found) if (entry.isFile()) files.push(path.join(entry.parentPath, entry.name));
  const texts = await Promise.all(files.toSorted(compare).map((file) => readFile(file, 'utf8')));
  return {
    ...{ name, version, licence: license, folder, texts: texts.map(tidy) },
    author: typeof author === 'object' ? author.name : author,
  };
}

/** What has to be in every copy of the code: each text once, under the names of the packages that it is of. */
export function noticesOf(parties: readonly ThirdParty[]): string {
  const sections = new Map<string, Set<string>>();
  for (const party of parties) {
    for (const text of party.texts.length > 0 ? party.texts : [statementOf(party)]) {
      const names = sections.get(text) ?? new Set();
      sections.set(text, names.add(`${party.name} ${party.version} (${party.licence})`));
    }
  }
  const line = '='.repeat(80);
  const written = [...sections].map(([text, names]) => `${line}\n${[...names].join('\n')}\n${line}\n\n${text}\n`);
  return [
    'The code in this folder contains code of these packages: minified, and only the parts that are used.\n',
    ...written,
  ].join('\n');
}

/** For those that state their licence in their package.json alone. */
function statementOf({ name, licence, author }: ThirdParty): string {
  const holder = author ?? `the authors of ${name}`;
  return `Copyright (c) ${holder}. ${STANDARD_TEXTS[licence] ?? `Licensed under ${licence}: https://spdx.org/licenses/${licence}.html`}`;
}

const NO_WARRANTY = `THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT
HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const GRANT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify,
merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished
to do so`;

/** Those that ask for their own text in every copy, or are as short. */
const STANDARD_TEXTS: Readonly<Record<string, string>> = {
  MIT: `${GRANT}, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

${NO_WARRANTY}`,
  'MIT-0': `${GRANT}.

${NO_WARRANTY}`,
};

/** Line ends and outer blank lines are not worth a second copy. */
function tidy(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(/^\s*\n/, '')
    .trimEnd();
}

/** The same on every machine, whatever its language. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
