// What the voters' answers to HashKV say together: pure functions over plain data that goes through checkpoints.
import type { Voter } from './voters.ts';

/** One voter's answer, or why there is none. */
export type HashAnswer =
  | {
      readonly voter: Voter;
      /** Hexadecimal. */
      readonly hash: string;
      /** Decimal: what it was compacted to. */
      readonly compactRevision: string;
      /** From what it keeps now. Otherwise it is one that etcd remembers from a compaction, and proves nothing. */
      readonly computed: boolean;
      readonly tookMs: number;
    }
  | {
      readonly voter: Voter;
      readonly problem: string;
      /** It was compacted further than that revision. */
      readonly compacted?: true;
    };

type Answered = Extract<HashAnswer, { hash: string }>;

export interface HashVerdict {
  /**
   * `compacted-meanwhile`: what there is can't be compared, and another revision may do better. `too-few`: nobody to
   * compare with.
   */
  readonly kind: 'equal' | 'differ' | 'compacted-meanwhile' | 'too-few';
  /** A clause, with every voter's name in it. */
  readonly words: string;
  /** Who was not compared, with the reasons; empty where all were. */
  readonly left: string;
}

/** @param answers of one revision */
export function judgeHashes(answers: readonly HashAnswer[]): HashVerdict {
  const answered = answers.filter((answer): answer is Answered => 'hash' in answer);
  const left = answers
    .flatMap((answer) => ('problem' in answer ? [`${answer.voter.name}: ${answer.problem}`] : []))
    .join('; ');
  const compacted = new Set(answered.map(({ compactRevision }) => compactRevision));
  const isOld = answers.some((answer) => ('hash' in answer ? !answer.computed : answer.compacted === true));
  if (isOld || compacted.size > 1) return { kind: 'compacted-meanwhile', words: inWords(answered), left };
  if (answered.length < 2) return { kind: 'too-few', words: inWords(answered), left };
  const byHash = groupByHash(answered);
  if (byHash.length === 1) return { kind: 'equal', words: inWords(answered), left };
  const words = `${whoDiffers(byHash, answers.length)}: ${inWords(answered)}`;
  return { kind: 'differ', words, left };
}

/** The most first. */
function groupByHash(answered: readonly Answered[]): readonly (readonly Answered[])[] {
  const hashes = [...new Set(answered.map(({ hash }) => hash))];
  return hashes
    .map((hash) => answered.filter((each) => each.hash === hash))
    .sort((a, b) => b.length - a.length || (a[0]?.hash ?? '').localeCompare(b[0]?.hash ?? ''));
}

/** Who is alone against more than half of all voters; without such a majority nobody can tell. */
function whoDiffers([most = [], ...others]: readonly (readonly Answered[])[], voters: number): string {
  const names = (group: readonly Answered[]) => group.map(({ voter }) => voter.name).join(', ');
  if (most.length * 2 > voters) return `${names(others.flat())} differs from ${names(most)}`;
  return 'no majority of them agrees';
}

function inWords(answered: readonly Answered[]): string {
  const words = answered.map(
    ({ voter, hash, compactRevision, tookMs }) =>
      `${voter.name} ${hash} (compacted to ${compactRevision}, ${(tookMs / 1000).toFixed(1)} s)`,
  );
  return words.join(', ') || 'none';
}
