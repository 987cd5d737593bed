// What the page says of third parties is what the bundles hold, and nothing is delivered that must not be.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { noticesOf, type ThirdParty } from '../../lib/third-party.ts';
import {
  type DeliveredParty,
  deliveredParties,
  isAllowed,
  type Lock,
  PAGE,
  pageOf,
  problemsOf,
  readLock,
} from '../../lib/third-party-page.ts';

describe('the code of others in the functions', () => {
  let parties: readonly DeliveredParty[];
  beforeAll(async () => {
    parties = await deliveredParties();
  });

  it('is what docs/third-party.md says; otherwise run `npm run licences`', () => {
    expect(readFileSync(PAGE, 'utf8')).toBe(pageOf(parties));
  });

  it('has licences that ask for a notice alone, and is what package-lock.json has for production', async () => {
    expect(problemsOf(parties, await readLock())).toEqual([]);
  });

  it('is found where it is used, and nowhere else', () => {
    const functionsOf = (name: string) => parties.find((party) => party.name === name)?.functions;

    expect(functionsOf('etcd3')).toContain('recover');
    expect(functionsOf('etcd3')).not.toContain('dispatch');
    expect(functionsOf('echarts')).toEqual(['widget']);
    // It is imported, and not packed.
    expect(functionsOf('bowser')).toBeUndefined();
  });
});

describe('a licence', () => {
  it.each([
    ['MIT', true],
    ['(MIT OR GPL-3.0-only)', true],
    ['Apache-2.0 AND MIT', true],
    ['MIT AND CC-BY-4.0', false],
    ['GPL-3.0-only', false],
    ['AGPL-3.0-only OR BUSL-1.1', false],
    ['not stated', false],
    ['', false],
  ])('"%s" is allowed: %s', (expression, allowed) => {
    expect(isAllowed(expression)).toBe(allowed);
  });
});

describe('a package that is delivered', () => {
  const party: ThirdParty = {
    ...{ name: 'left-pad', version: '1.3.0', licence: 'MIT', author: 'azer', texts: ['The text.'] },
    folder: 'node_modules/left-pad',
  };
  const lockWith = (entry: Lock['packages'][string], root: Lock['packages'][string] = {}): Lock => ({
    packages: { '': root, [party.folder]: entry },
  });
  const locked = { version: '1.3.0' };

  it.each<[string, Partial<ThirdParty>, Lock, RegExp[]]>([
    ['as it should be', {}, lockWith(locked), []],
    ['under another licence', { licence: 'GPL-2.0-only' }, lockWith(locked), [/has the licence "GPL-2.0-only"/]],
    ['for development alone', {}, lockWith({ ...locked, dev: true }), [/for development alone/]],
    [
      "for development, and as another's dependency",
      {},
      lockWith(locked, { devDependencies: { 'left-pad': '1.3.0' } }),
      [/for development alone/],
    ],
    ['in another version', {}, lockWith({ version: '1.2.0' }), [/package-lock\.json has 1\.2\.0: run npm ci/]],
    ['that is not locked', {}, { packages: {} }, [/package-lock\.json has no such package/]],
  ])('%s', (_, changes, lock, expected) => {
    const problems = problemsOf([{ ...party, ...changes }], lock);

    expect(problems).toEqual(expected.map((problem) => expect.stringMatching(problem)));
    for (const problem of problems) expect(problem).toMatch(/^left-pad 1\.3\.0 /);
  });

  it('is named above its text, which is there once for all that have the same', () => {
    const notices = noticesOf([party, { ...party, name: 'right-pad' }]);

    expect(notices).toMatch(/\nleft-pad 1\.3\.0 \(MIT\)\nright-pad 1\.3\.0 \(MIT\)\n/);
    expect(notices.match(/The text\./g)).toHaveLength(1);
  });

  it('gets the text of its licence where it brings none', () => {
    const notices = noticesOf([{ ...party, texts: [] }]);

    expect(notices).toContain('Copyright (c) azer. Permission is hereby granted, free of charge');
  });
});
