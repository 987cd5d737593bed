// The blast radius: what is more than one run may delete unasked.
import { describe, expect, it } from 'vitest';
import { type Counts, guard } from '../../functions/prune/guard.ts';
import { kindOf } from './samples.ts';

const policy = { maxStaleShare: 0.5, maxStaleCount: 10_000 };
const kind = kindOf('vulnerabilityreports');

function counts(listed: number, stale: number, kept: Counts['kept'] = {}): Counts {
  return { listed, stale, reasons: { 'owner-gone': stale }, kept };
}

describe('R12: the blast-radius guard', () => {
  it.each([
    ['nothing is stale', counts(0, 0)],
    ['half of them is', counts(1_000, 500)],
    ['all of a few are', counts(49, 49)],
    ['as many as may be', counts(20_000, 10_000)],
  ])('lets a kind be pruned where %s', (_name, found) => {
    expect(guard(kind, found, policy)).toBeUndefined();
  });

  it.each([
    ['more than the share', counts(99, 50), '50 of 99', '51 %', '"].maxStaleShare to 0.51 or more'],
    [
      'nearly all',
      counts(20_001, 10_000, { foreign: 10_000 }),
      '10,000 of 10,001',
      'over 99 %',
      'maxStaleShare to 1 and',
    ],
    ['all', counts(1_000, 1_000), '1,000 of 1,000', '100 %', 'maxStaleShare to 1 and'],
    ['more than the count', counts(40_000, 10_001), '10,001 of 40,000', '25 %', 'prune.maxStaleCount to 10001'],
  ])('stops where %s are stale, with numbers, reasons and what to set', (_name, found, ...words) => {
    const reason = guard(kind, found, policy);

    for (const word of [...words, 'owner-gone', kind.name]) expect(reason).toContain(word);
  });

  it.each([
    ['share', counts(1_000, 1_000)],
    ['count', counts(40_000, 10_001)],
  ])('says of the %s whether it came before the first delete or half-way', (_name, found) => {
    expect(guard(kind, found, policy)).toContain('so none was deleted');
    expect(guard(kind, found, policy, 'half-way')).toContain('so no more are deleted');
    expect(guard(kind, found, policy, 'half-way')).not.toContain('none was');
  });

  it("counts the share of the producer's own reports, so that other tools' don't hide it", () => {
    expect(guard(kind, counts(1_000, 100), policy)).toBeUndefined();
    expect(guard(kind, counts(1_000, 100, { foreign: 850 }), policy)).toContain('100 of 150');
  });

  it('obeys what it told to set', () => {
    const found = counts(1_003, 997);
    const share = Number(/maxStaleShare to ([\d.]+)/.exec(guard(kind, found, policy) ?? '')?.[1]);

    expect(guard({ ...kind, maxStaleShare: share }, found, policy)).toBeUndefined();
  });

  it("takes a kind's own share before the one for all", () => {
    expect(guard({ ...kind, maxStaleShare: 0.05 }, counts(1_000, 60), policy)).toContain('5 %');
  });
});
