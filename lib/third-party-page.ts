// What docs/third-party.md says, and what may not be delivered at all.
import { globSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import * as z from 'zod/mini';
import { validate } from '../functions/contract/validate.ts';
import { packFunction } from './pack.ts';
import { NOTICES_FILE, type ThirdParty, thirdPartiesIn } from './third-party.ts';

const projectRoot = path.resolve(import.meta.dirname, '..');

export const PAGE = path.join(projectRoot, 'docs/third-party.md');

export interface DeliveredParty extends ThirdParty {
  /** The functions that its code is in, by name. */
  readonly functions: readonly string[];
}

/** Licences that ask for nothing but their notice: by SPDX's names. */
const ALLOWED_LICENCES: readonly string[] = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
];

/** Every directory of functions/ that has a handler. */
export function functionNames(): string[] {
  return globSync('functions/*/handler.ts', { cwd: projectRoot })
    .map((file) => path.basename(path.dirname(file)))
    .toSorted();
}

/** Packs every function, and says whose code is in which. */
export async function deliveredParties(): Promise<DeliveredParty[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'etcd-medic-licences-'));
  try {
    const parties = await Promise.all(
      functionNames().map(async (name) =>
        (await thirdPartiesIn(await packFunction(name, path.join(folder, name)))).map((party) => ({ name, party })),
      ),
    );
    const byFolder = Map.groupBy(parties.flat(), ({ party }) => party.folder);
    return [...byFolder.values()]
      .flatMap((found) =>
        found.slice(0, 1).map(({ party }) => ({ ...party, functions: found.map(({ name }) => name) })),
      )
      .toSorted((a, b) => compare(titleOf(a), titleOf(b)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param expression SPDX's: of several licences with OR one must be allowed, with AND all */
export function isAllowed(expression: string): boolean {
  return expression
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((licence) => ALLOWED_LICENCES.includes(licence)));
}

const lockedPackage = z.object({
  version: z.optional(z.string()),
  dev: z.optional(z.boolean()),
  devDependencies: z.optional(z.record(z.string(), z.string())),
});
const lockSchema = z.object({ packages: z.record(z.string(), lockedPackage) });

/**
 * package-lock.json: its packages by folder, the project's own is ''; `dev` where no other than a development
 * dependency needs it.
 */
export type Lock = z.output<typeof lockSchema>;

export async function readLock(): Promise<Lock> {
  const file = 'package-lock.json';
  return validate(lockSchema, JSON.parse(await readFile(path.join(projectRoot, file), 'utf8')), file);
}

/** One sentence for each thing that must not be delivered as it is. */
export function problemsOf(parties: readonly ThirdParty[], { packages }: Lock): string[] {
  const forDevelopment = Object.keys(packages['']?.devDependencies ?? {}).map((name) => `node_modules/${name}`);
  return parties.flatMap((party) => {
    const { licence, folder, version } = party;
    const locked = packages[folder];
    const problems: string[] = [];
    if (!isAllowed(licence)) {
      problems.push(`has the licence "${licence}", expected one of ${ALLOWED_LICENCES.join(', ')}`);
    }
    // npm audit and npm sbom leave such a package out, even where another's dependency brings it as well.
    if (locked?.dev === true || forDevelopment.includes(folder)) {
      problems.push('is delivered, but package.json has it for development alone');
    }
    if (locked?.version !== version) {
      problems.push(`is installed, but package-lock.json has ${locked?.version ?? 'no such package'}: run npm ci`);
    }
    return problems.map((problem) => `${titleOf(party)} ${problem}`);
  });
}

export function pageOf(parties: readonly DeliveredParty[]): string {
  const rows = parties.map(
    ({ name, version, licence, functions }) => `| ${name} | ${version} | ${licence} | ${functions.join(', ')} |`,
  );
  return `${INTRODUCTION}
| package | version | licence | in |
|---|---|---|---|
${rows.join('\n')}
`;
}

const INTRODUCTION = `# Third-party code in the functions

Of each of these packages some code is in the functions that are deployed. Their licences ask for their notices in every
copy, so each bundle has a \`${NOTICES_FILE}\` with all texts. What only builds and tests is not here: it is not
delivered. A test fails while this page is not what the bundles hold.

- **Licences.** \`npm run licences\` writes this page. It fails on a package that package.json has for development alone,
  and on one whose licence is none of these, which ask for nothing but their notice:
  ${ALLOWED_LICENCES.join(', ')}.
- **Software bill of materials.** \`npm run sbom\` writes \`sbom.cdx.json\` (CycloneDX 1.5): every package that is installed
  for production, more than the bundles hold. Those whose code is delivered have the property \`etcd-medic:functions\`.
- **Known vulnerabilities.** \`npm audit --omit=dev\`, against a registry that answers such questions.
- **etcd's interface definitions** (\`proto/*.proto\` of etcd3, Apache-2.0) are in the code of those that have etcd3.
`;

function titleOf({ name, version }: ThirdParty): string {
  return `${name} ${version}`;
}

/** The same on every machine, whatever its language. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
