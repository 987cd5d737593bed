import { describe, expect, it } from 'vitest';
import { chooseSnapshotSource, type SnapshotSource } from '../../functions/control-plane/snapshot.ts';

function voter(name: string, changes: Partial<SnapshotSource> = {}): SnapshotSource {
  return { id: name, name, healthy: true, isLeader: false, raftAppliedIndex: 100n, ...changes };
}

describe('R13: chooseSnapshotSource', () => {
  it.each<[string, readonly SnapshotSource[], string | undefined]>([
    ['the follower that has applied the most', [voter('a'), voter('b', { raftAppliedIndex: 101n })], 'b'],
    [
      'a follower, though the leader has applied more',
      [voter('a', { isLeader: true, raftAppliedIndex: 900n }), voter('b')],
      'b',
    ],
    [
      'a healthy follower, though a sick one has applied more',
      [voter('a', { healthy: false, raftAppliedIndex: 900n }), voter('b')],
      'b',
    ],
    [
      'the leader where no follower is healthy',
      [voter('a', { isLeader: true }), voter('b', { healthy: false }), voter('c', { healthy: false })],
      'a',
    ],
    ['the only member there is', [voter('a', { isLeader: true })], 'a'],
    [
      'by the whole number, however large',
      [
        voter('a', { raftAppliedIndex: 9_007_199_254_740_992n }),
        voter('b', { raftAppliedIndex: 9_007_199_254_740_993n }),
      ],
      'b',
    ],
    ['the first by name where all are alike', [voter('c'), voter('b'), voter('d')], 'b'],
    ['nobody where nobody is healthy', [voter('a', { healthy: false }), voter('b', { healthy: false })], undefined],
    ['nobody where there is nobody', [], undefined],
  ])('takes %s', (_, voters, expected) => {
    expect(chooseSnapshotSource(voters)?.name).toBe(expected);
    expect(chooseSnapshotSource(voters.toReversed())?.name).toBe(expected);
  });
});
