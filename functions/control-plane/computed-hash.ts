// One member's HashKV, and whether it says anything.
import type { MemberClient } from '../etcd/types.ts';

export interface ComputedHash {
  /** Hexadecimal. */
  readonly hash: string;
  /** What the member was compacted to; -1: never. */
  readonly compactRevision: bigint;
  /** From what it keeps now. Otherwise it may be one that it remembers from a compaction, and proves nothing. */
  readonly computed: boolean;
  /** Of HashKV alone. */
  readonly tookMs: number;
}

/**
 * From 3.5 on etcd remembers the hash that it made at a compaction, and answers with it, and with what was compacted
 * before, whoever asks at that revision or an older one: so nothing as new as `revision` may have been compacted.
 * @throws EtcdError
 */
export async function computedHash(member: MemberClient, revision: bigint): Promise<ComputedHash> {
  const beganMs = performance.now();
  const { hash, compactRevision } = await member.contentHash(revision);
  const tookMs = Math.round(performance.now() - beganMs);
  // After it, so that it holds for the answer, too.
  const computed = compactRevision < revision && (await member.canReadAt(revision - 1n));
  return { hash, compactRevision, computed, tookMs };
}
