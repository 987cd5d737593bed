// What HashKV's answers say together, for any answers.
import { describe, expect, it } from 'vitest';
import { type HashAnswer, judgeHashes } from '../../functions/control-plane/content-hashes.ts';

type Hash = Extract<HashAnswer, { hash: string }>;

function answer(name: string, hash: string, more: Partial<Hash> = {}): HashAnswer {
  return { voter: { id: name, name }, hash, compactRevision: '7', computed: true, tookMs: 100, ...more };
}
const silent: HashAnswer = { voter: { id: 'cp-3', name: 'cp-3' }, problem: 'HashKV at cp-3: no answer in 120 s' };

describe('what the voters say of their contents', () => {
  it.each<[string, readonly HashAnswer[], string, RegExp]>([
    ['all alike', [answer('cp-1', 'a'), answer('cp-2', 'a'), answer('cp-3', 'a')], 'equal', /^cp-1 a \(compacted to 7/],
    [
      'one is alone',
      [answer('cp-1', 'a'), answer('cp-2', 'b'), answer('cp-3', 'b')],
      'differ',
      /^cp-1 differs from cp-2, cp-3:/,
    ],
    ['two of two', [answer('cp-1', 'a'), answer('cp-2', 'b')], 'differ', /^no majority of them agrees:/],
    // The third may be of either side.
    ['two of three, with one silent', [answer('cp-1', 'a'), answer('cp-2', 'b'), silent], 'differ', /^no majority/],
    ['each for itself', [answer('cp-1', 'a'), answer('cp-2', 'b'), answer('cp-3', 'c')], 'differ', /^no majority/],
    ['two of three alike, with one silent', [answer('cp-1', 'a'), answer('cp-2', 'a'), silent], 'equal', /cp-2 a/],
    ['nobody', [silent], 'too-few', /^none$/],
    ['one alone', [answer('cp-1', 'a'), silent], 'too-few', /cp-1 a/],
  ])('%s', (_name, answers, kind, words) => {
    const verdict = judgeHashes(answers);

    expect(verdict.kind).toBe(kind);
    expect(verdict.words).toMatch(words);
    expect(verdict.left).toBe(answers.includes(silent) ? 'cp-3: HashKV at cp-3: no answer in 120 s' : '');
  });

  it.each<[string, HashAnswer]>([
    ['compacted further', answer('cp-3', 'b', { compactRevision: '9' })],
    ['of a hash that etcd remembers', answer('cp-3', 'b', { computed: false })],
    ['of a revision that is gone', { ...silent, compacted: true }],
  ])('nothing beside a voter that is %s, however many others there are', (_name, other) => {
    for (const answers of [[other], [answer('cp-1', 'a'), other], [answer('cp-1', 'a'), answer('cp-2', 'a'), other]]) {
      expect(judgeHashes(answers).kind).toBe(
        answers.length === 1 && 'hash' in other && other.computed ? 'too-few' : 'compacted-meanwhile',
      );
    }
  });
});
