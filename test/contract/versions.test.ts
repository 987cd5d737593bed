// R17's table: which versions have which flaw, at each border of it.
import { describe, expect, it } from 'vitest';
import {
  flawInWords,
  hasFlaw,
  mayDefragmentBeside,
  VERSION_RULES,
  type VersionFlaw,
} from '../../functions/contract/versions.ts';

/** The last that has it and the first that has not, line by line; what is between lines stands beside it. */
const BORDERS: Readonly<Record<VersionFlaw, { readonly has: readonly string[]; readonly hasNot: readonly string[] }>> =
  {
    'defragmentation-corrupts': {
      has: ['2.3.8', '3.0.0', '3.3.18', '3.4.0', '3.4.3'],
      hasNot: ['3.3.19', '3.3.27', '3.4.4', '3.5.0', '3.6.0'],
    },
    'crash-leaves-difference': { has: ['3.5.0', '3.5.5'], hasNot: ['3.4.45', '3.5.6', '3.5.30', '3.6.0'] },
    'full-disk-panics': {
      has: ['3.3.27', '3.4.23', '3.4.34', '3.5.0', '3.5.16'],
      hasNot: ['3.4.35', '3.5.17', '3.6.0', '3.7.3'],
    },
    'snapshot-meanwhile-corrupts': {
      has: ['3.3.27', '3.4.37', '3.5.0', '3.5.22', '3.6.0', '3.6.4'],
      hasNot: ['3.4.38', '3.5.23', '3.6.5', '3.7.0'],
    },
    'status-quota-wrong': { has: ['3.4.23', '3.5.30', '3.6.0', '3.6.5'], hasNot: ['3.6.6', '3.7.0', '4.0.0'] },
    'read-may-be-stale': {
      has: ['3.3.27', '3.4.41', '3.5.0', '3.5.27', '3.6.0', '3.6.8'],
      hasNot: ['3.4.42', '3.5.28', '3.6.9', '3.7.0'],
    },
    'removed-members-return': { has: ['3.5.1', '3.5.25'], hasNot: ['3.4.45', '3.5.0', '3.5.26', '3.6.0'] },
  };
const FLAWS = Object.keys(BORDERS) as VersionFlaw[];

describe('a version of etcd', () => {
  it.each(FLAWS.flatMap((flaw) => BORDERS[flaw].has.map((version) => ({ flaw, version }))))(
    'R17: $version has $flaw',
    ({ flaw, version }) => {
      expect(hasFlaw(version, flaw)).toBe(true);
    },
  );

  it.each(FLAWS.flatMap((flaw) => BORDERS[flaw].hasNot.map((version) => ({ flaw, version }))))(
    'R17: $version has not $flaw',
    ({ flaw, version }) => {
      expect(hasFlaw(version, flaw)).toBe(false);
    },
  );

  it.each([
    ['3.6.5-rc.0', '3.6.4'],
    ['3.5.17-rc.1', '3.5.16'],
    ['3.6.0-rc.5', '3.5.0'],
    ['3.7.0-alpha.0', '3.6.0'],
    ['v3.5.16+git', '3.5.16'],
    ['3.5.5+lab', '3.5.5'],
    ['3.10.0', '3.7.0'],
  ])('R17: %s has what %s has', (version, like) => {
    expect(FLAWS.filter((flaw) => hasFlaw(version, flaw))).toEqual(FLAWS.filter((flaw) => hasFlaw(like, flaw)));
  });

  it.each([undefined, '', 'weird', '3.5', '3.5.x', '3.5.16 ', '3.5.16.1'])('R17: "%s" has every flaw', (version) => {
    expect(FLAWS.filter((flaw) => !hasFlaw(version, flaw))).toEqual([]);
  });

  it('R17: is named with what mends it in its own line', () => {
    expect(flawInWords('3.4.23', 'snapshot-meanwhile-corrupts')).toContain('at etcd 3.4.23, which may corrupt');
    expect(flawInWords('3.4.23', 'snapshot-meanwhile-corrupts')).toContain('mended in 3.4.38; R17');
    expect(flawInWords('3.5.16', 'snapshot-meanwhile-corrupts')).toContain('mended in 3.5.23; R17');
    expect(flawInWords('3.6.5-rc.0', 'snapshot-meanwhile-corrupts')).toContain('mended in 3.6.5; R17');
    expect(flawInWords('weird', 'snapshot-meanwhile-corrupts')).toBe(
      'at "weird", which is no version; an etcd before 3.4.38, 3.5.23, 3.6.5 may corrupt its data where a snapshot from the leader comes in the middle of a defragmentation (R17)',
    );
  });

  it.each([
    ['3.7.3', false],
    ['3.8.0-alpha.0', true],
    ['3.8.1', true],
    ['4.0.0', true],
    ['weird', false],
    [undefined, false],
  ])('R17: %s may have a gate for defragmenting beside its work: %s', (version, may) => {
    expect(mayDefragmentBeside(version)).toBe(may);
  });

  it('R17: has a source for each of its flaws', () => {
    const urls = Object.values(VERSION_RULES).flatMap(({ sources }) => sources);
    expect(urls.filter((url) => !URL.canParse(url))).toEqual([]);
    expect(Object.values(VERSION_RULES).every(({ sources }) => sources.length > 0)).toBe(true);
  });
});
