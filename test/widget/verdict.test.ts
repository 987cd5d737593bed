import { describe, expect, it } from 'vitest';
import {
  changeInWords,
  fileChange,
  lastTrouble,
  STALE_AFTER_MS,
  usageShare,
  verdictOf,
} from '../../functions/widget/verdict.ts';
import { iso, look, member, NOW, run } from './situations.ts';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;
const three = [member(1), member(2), member(3)] as const;
const [first, second, third] = three;
const gone = { healthy: false, dbSize: null, dbSizeInUse: null, quotaBytes: null };

describe('the verdict', () => {
  it.each([
    ['all is well', look(three), 'ok', 'Healthy'],
    ['there are no quotas', look(three.map((each) => ({ ...each, quotaBytes: 'none' }))), 'ok', 'Healthy'],
    ['a file is at 80 %', look([first, { ...second, dbSize: 1.6 * GiB }, third]), 'attention', 'Filling up'],
    ['a file is just below', look([first, { ...second, dbSize: 1.59 * GiB }, third]), 'ok', 'Healthy'],
    ['a learner is full', look([...three, member(4, { isLearner: true, dbSize: 2 * GiB })]), 'ok', 'Healthy'],
    ['one voter is away', look([first, second, { ...third, ...gone }]), 'attention', '1 of 3 voters away'],
    ['two of three are away', look([first, { ...second, ...gone }, { ...third, ...gone }]), 'alarm', 'No quorum'],
    ['one of two is away', look([first, { ...second, ...gone }]), 'alarm', 'No quorum'],
    ['a learner is away', look([...three, member(4, { isLearner: true, ...gone })]), 'ok', 'Healthy'],
    ['NOSPACE is raised', look([first, { ...second, alarms: ['NOSPACE'] }, third]), 'alarm', 'NOSPACE'],
    ['R1: CORRUPT outweighs NOSPACE', look([{ ...first, alarms: ['NOSPACE', 'CORRUPT'] }]), 'alarm', 'CORRUPT'],
    ['R1: so does an alarm of an unknown kind', look([{ ...first, alarms: ['ALARM_7'] }]), 'alarm', 'ALARM_7'],
    [
      'a member that was removed has left NOSPACE behind',
      look(three, { strayAlarms: [{ memberId: 'ff', type: 'NOSPACE' }] }),
      'alarm',
      'NOSPACE',
    ],
    [
      'R1: a member that was removed has left CORRUPT behind',
      look(three, { strayAlarms: [{ memberId: 'ff', type: 'CORRUPT' }] }),
      'alarm',
      'CORRUPT',
    ],
    ['R8: a quota is not known', look([first, { ...second, quotaBytes: null }, third]), 'attention', 'Quota not known'],
    ['nobody answers', look(three, { problem: 'connection refused' }), 'alarm', 'Nobody answers'],
    ['no member was found', look([]), 'alarm', 'Nobody answers'],
    ['there is no look yet', null, 'unknown', 'No look yet'],
    ['the look is three minutes old', look(three, { at: iso(NOW - STALE_AFTER_MS) }), 'ok', 'Healthy'],
    ['the look is older', look(three, { at: iso(NOW - STALE_AFTER_MS - 1) }), 'blind', 'Nobody is looking'],
    ['the clocks differ a little', look(three, { at: iso(NOW + 900) }), 'ok', 'Healthy'],
  ] as const)('when %s', (_, given, level, headline) => {
    expect(verdictOf({ look: given, now: NOW })).toMatchObject({ level, headline });
  });
});

describe('how full a file is', () => {
  it.each([
    [{ dbSize: GiB, quotaBytes: 2 * GiB }, 0.5],
    [{ dbSize: null, quotaBytes: 2 * GiB }, undefined],
    [{ dbSize: GiB, quotaBytes: null }, undefined],
    [{ dbSize: GiB, quotaBytes: 'none' }, undefined],
    [{ dbSize: GiB, quotaBytes: 0 }, undefined],
  ] as const)('%j is %s', (given, expected) => {
    expect(usageShare(given)).toBe(expected);
  });
});

describe('what a run did to the files', () => {
  const sizes = (dbSize: number) => ({ dbSize, dbSizeInUse: 0, alarms: [] });
  const report = (...members: Partial<ReturnType<typeof run>['members'][number]>[]) =>
    run({
      members: members.map((changes, index) => ({
        id: String(index),
        name: `cp-${index}`,
        endpoint: 'https://10.0.0.1:2379',
        isLeader: false,
        isLearner: false,
        quotaBytes: 2 * GiB,
        defragmented: false,
        ...changes,
      })),
    });

  it.each([
    [
      'of the largest voter',
      report({ before: sizes(5), after: sizes(1) }, { before: sizes(7), after: sizes(2) }),
      7,
      2,
    ],
    ['not of a learner', report({ before: sizes(9), isLearner: true }, { before: sizes(3), after: sizes(3) }), 3, 3],
    ['of one that was away at the end', report({ before: sizes(5) }), 5, undefined],
    ['of one that was away at first', report({ after: sizes(4) }), undefined, 4],
  ])('is told %s', (_, given, before, after) => {
    expect(fileChange(given)).toEqual({ before, after, quotaBytes: 2 * GiB });
  });

  it('is not told where nobody was read', () => {
    expect(fileChange(report({}))).toBeUndefined();
  });

  it.each([
    [report({ before: sizes(2 * GiB), after: sizes(41 * MiB) }), '2.00 GiB → 41.0 MiB'],
    [report({ before: sizes(MiB), after: sizes(MiB) }), '1.00 MiB'],
    [
      {
        ...report({}),
        pruned: [
          { resource: 'a.b', stale: 1_200, deleted: 1_200 },
          { resource: 'c.d', stale: 4, deleted: 4 },
        ],
      },
      '1,204 reports deleted',
    ],
    [{ ...report({}), pruned: [{ resource: 'a.b', stale: 0, deleted: 0 }] }, ''],
    [
      { ...report({}), pruned: [{ resource: 'a.b', stale: 4, deleted: 4, directly: true as const }] },
      '4 reports deleted in etcd',
    ],
  ])('in words', (given, expected) => {
    expect(changeInWords(given)).toBe(expected);
  });
});

describe('the last trouble', () => {
  const escalated = run({ workflow: 'recover', outcome: 'escalated' });
  const failed = run({ workflow: 'maintain', outcome: 'failed' });
  const recovered = run({ workflow: 'recover', outcome: 'recovered' });

  it.each([
    ['open, as the newest run', [escalated, recovered], escalated, true],
    ['settled by a later run of its kind', [recovered, escalated], escalated, false],
    ['not settled by another workflow', [run(), escalated], escalated, true],
    [
      'not settled by a dry run',
      [run({ workflow: 'recover', outcome: 'planned', dryRun: true }), escalated],
      escalated,
      true,
    ],
    [
      'not settled by a run that was skipped',
      [run({ workflow: 'recover', outcome: 'skipped' }), escalated],
      escalated,
      true,
    ],
    ['settled by one that had nothing to do', [run({ outcome: 'nothing-to-do' }), failed], failed, false],
    ['a failure too', [failed, escalated], failed, true],
  ])('is %s', (_, runs, expected, isOpen) => {
    expect(lastTrouble(runs)).toEqual({ run: expected, isOpen });
  });

  it.each([
    ['where all went well', [recovered]],
    ['where only a dry run failed', [run({ outcome: 'failed', dryRun: true })]],
    ['where nothing ran', []],
  ])('is none %s', (_, runs) => {
    expect(lastTrouble(runs)).toBeUndefined();
  });
});
