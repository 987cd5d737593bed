// The blast radius: what is more than one run may delete unasked.
import { describe, expect, it } from 'vitest';
import { MOST_DELETES } from '../../functions/contract/policies.ts';
import { adviceOn } from '../../functions/contract/report.ts';
import { type Counts, guard, letThrough, raiseOf, wordsOf } from '../../functions/prune/guard.ts';
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
    ['more than the share', counts(99, 50), '50 of 99', '51 %', '"maxStaleShare":0.51,"maxDeletes":50}'],
    [
      'nearly all',
      counts(20_001, 10_000, { foreign: 10_000 }),
      'Of 10,001',
      'over 99 %',
      '"maxStaleShare":1,"maxDeletes":10000}',
    ],
    ['all', counts(1_000, 1_000), '1,000 of 1,000', '100 %', '"maxStaleShare":1,"maxDeletes":1000}'],
    ['more than the count', counts(40_000, 10_001), '10,001 of 40,000', '25 %', '{"maxDeletes":10001}'],
  ])('stops where %s are stale, with numbers, reasons and the event that allows it', (_name, found, ...words) => {
    const guarded = guard(kind, found, policy);
    const reason = guarded && wordsOf(kind, guarded);

    expect(guarded?.held).toEqual(['owners']);

    for (const word of [...words, 'owner-gone', kind.name]) expect(reason).toContain(word);
  });

  it.each([
    ['share', counts(1_000, 1_000)],
    ['count', counts(40_000, 10_001)],
  ])('says of the %s whether it came before the first delete or half-way', (_name, found) => {
    expect(guard(kind, found, policy)?.why).toContain('So none of them was deleted');
    const { why } = guard(kind, found, policy, { when: 'half-way' }) ?? {};
    expect(why).toContain('So no more of them are deleted');
    expect(why).not.toContain('none of them was');
  });

  it("counts the share of the producer's own reports, so that other tools' don't hide it", () => {
    expect(guard(kind, counts(1_000, 100), policy)).toBeUndefined();
    expect(guard(kind, counts(1_000, 100, { foreign: 850 }), policy)?.why).toContain('100 of 150');
  });

  it('obeys what it told to set', () => {
    const found = counts(1_003, 997);
    const { raise } = guard(kind, found, policy) ?? {};

    expect(raise).toEqual({ maxStaleShare: 1, maxDeletes: 997 });
    expect(guard(kind, found, policy, { raised: raise })).toBeUndefined();
  });

  it.each([
    ['a share that is still too small', { maxStaleShare: 0.6, maxDeletes: 5_000 }],
    ['no share', { maxDeletes: 5_000 }],
  ])('R12: asks again where a person allows %s', (_what, raised) => {
    expect(guard(kind, counts(1_003, 997), policy, { raised })?.raise).toEqual({ maxStaleShare: 1, maxDeletes: 997 });
  });

  it('R12: what a person allows is no operator’s absence', () => {
    const found = { listed: 500, stale: 500, reasons: { 'producer-gone': 500 }, kept: {} };
    const options = { unconfirmed: 'nobody has looked before', raised: { maxStaleShare: 1, maxDeletes: 500 } };

    expect(guard(kind, found, policy, options)).toMatchObject({ held: ['producer'], raise: undefined });
  });

  it('says it as one event for all kinds, ready to paste', () => {
    const advice = adviceOn({ [kind.name]: { maxStaleShare: 1, maxDeletes: 997 } });

    expect(JSON.parse(/\{.*\}/.exec(advice)?.[0] ?? '')).toEqual({
      workflow: 'prune',
      limits: { [kind.name]: { maxStaleShare: 1, maxDeletes: 997 } },
    });
  });

  it('asks for no more kinds at once than one run can delete, the most first', () => {
    const raise = { maxDeletes: MOST_DELETES - 10 };

    expect(
      raiseOf([
        ['a.example.com', { maxDeletes: 11 }],
        ['b.example.com', raise],
      ]),
    ).toEqual({ 'b.example.com': raise });
    expect(raiseOf([])).toBeUndefined();
  });

  it("takes a kind's own share before the one for all", () => {
    expect(guard({ ...kind, maxStaleShare: 0.05 }, counts(1_000, 60), policy)?.why).toContain('5 %');
  });

  it.each(['unowned-ephemeral', 'idle-ephemeral', 'leftover'] as const)(
    'holds nothing that is %s, however much it is: no list can be wrong about it',
    (reason) => {
      const found = { listed: 800_000, stale: 800_000, reasons: { [reason]: 800_000 }, kept: {} };

      expect(guard(kind, found, policy)).toBeUndefined();
      expect(letThrough(found, undefined)).toBe(800_000);
    },
  );

  it('holds what rests on owners alone, and judges its share without what says enough of itself', () => {
    const reasons = { 'idle-ephemeral': 5_000, 'owner-gone': 60, 'ttl-passed': 20 };
    const found = { listed: 5_100, stale: 5_080, reasons, kept: { fresh: 20 } };

    const guarded = guard(kind, found, policy);

    expect(guarded?.held).toEqual(['owners']);
    expect(guarded?.why).toContain('80 of 5,100');
    expect(guarded?.why).toContain('Of 100 that are judged by their owners it is 80 %');
    expect(guarded?.why).not.toContain('idle-ephemeral');
    expect(letThrough(found, guarded)).toBe(5_000);
  });

  it('lets go of all of an uninstalled operator’s, where two looks have not found it', () => {
    const found = { listed: 5_000, stale: 5_000, reasons: { 'producer-gone': 5_000 }, kept: {} };

    expect(guard(kind, found, policy)).toBeUndefined();
    const guarded = guard(kind, found, policy, { unconfirmed: 'nobody has looked before' });
    expect(guarded?.held).toEqual(['producer']);
    expect(guarded?.why).toContain('and nobody has looked before');
    expect(guarded?.why).not.toContain('maxStaleShare');
    expect(letThrough(found, guarded)).toBe(0);
  });

  it('says all that speaks against it at once', () => {
    const reasons = { 'owner-gone': 9_000, 'producer-gone': 8_000 };
    const found = { listed: 20_000, stale: 17_000, reasons, kept: { fresh: 3_000 } };

    const { why, held, raise } = guard(kind, found, policy, { unconfirmed: 'nobody has looked before' }) ?? {};

    expect(held).toEqual(['owners', 'producer']);
    expect(raise).toEqual({ maxStaleShare: 0.75, maxDeletes: 9_000 });
    const said = ['maxStaleCount (10,000)', 'share than maxStaleShare allows', 'nobody has looked'];
    for (const words of said) expect(why).toContain(words);
  });
});
