// What the last look must show: a table of what was seen, and whether it is well.
import { describe, expect, it } from 'vitest';
import type { Observation, ObservedMember } from '../../functions/control-plane/observation.ts';
import { unwell, withoutQuota } from '../../functions/control-plane/verify.ts';

const MiB = 1024 * 1024;

function member(name: string, changes: Partial<ObservedMember> = {}): ObservedMember {
  return {
    id: name,
    name,
    endpoint: `https://${name}:2379`,
    hosts: [name],
    isLearner: false,
    isLeader: false,
    healthy: true,
    silent: false,
    dbSize: 100 * MiB,
    dbSizeInUse: 90 * MiB,
    quota: { kind: 'limit', bytes: 1000 * MiB, source: 'metrics' },
    ...changes,
  };
}

const seen = (...members: ObservedMember[]): Observation => ({ clusterId: 'c', members, alarms: [], revision: '1' });
const unknown = { kind: 'unknown', problem: '404' } as const;

describe('the last look', () => {
  it.each<[string, Partial<ObservedMember>]>([
    ['a small file', {}],
    ['a file at 95 % of its quota', { dbSize: 950 * MiB }],
    ['a member without a quota, however large', { dbSize: 9000 * MiB, quota: { kind: 'none' } }],
    ['a quota that could be read earlier in the run only', { quota: unknown }],
  ])('is well with %s', (_name, changes) => {
    expect(unwell(seen(member('a'), member('b', changes)), seen(member('a'), member('b')))).toBeUndefined();
  });

  it.each<[string, Partial<ObservedMember>, RegExp]>([
    ['above 95 % of its quota', { dbSize: 951 * MiB }, /^b has 951 MiB \(\d+ bytes\), 95 % of its quota of 1000 MiB/],
    ['above its quota', { dbSize: 1070 * MiB }, /^b has 1.04 GiB .*107 % of its quota/],
    ['away', { healthy: false, problem: 'refused', dbSize: undefined }, /^b does not answer: refused/],
  ])('R7: is not well with a voter %s', (_name, changes, words) => {
    const trouble = unwell(seen(member('a'), member('b', changes)), seen(member('a'), member('b')));

    expect(trouble?.problems).toEqual([expect.stringMatching(words)]);
  });

  it('R7: holds a file against the quota of before where that of now could not be read', () => {
    const now = seen(member('a'), member('b', { dbSize: 1070 * MiB, quota: unknown }));

    expect(unwell(now, seen(member('a'), member('b')))?.problems[0]).toContain('107 % of its quota');
  });

  it('names the fullest first', () => {
    const now = seen(member('a', { dbSize: 960 * MiB }), member('b', { dbSize: 1070 * MiB }));

    expect(unwell(now, now)?.full?.name).toBe('b');
  });

  it('is not well with an alarm', () => {
    const now = { ...seen(member('a')), alarms: [{ memberId: 'a', type: 'NOSPACE' }] } as const;

    expect(unwell(now, now)).toEqual({ problems: [], full: undefined });
  });

  it('R8: is not well with a voter whose quota nobody could read, and says what to configure', () => {
    const now = seen(member('a'), member('b', { quota: unknown }), member('c', { quota: unknown, isLearner: true }));

    expect(unwell(now, now)?.problems).toEqual([expect.stringContaining('b does not tell its quota (404)')]);
    expect(withoutQuota(now, now)[0]).toContain('set etcd.quotaBytes');
  });
});
