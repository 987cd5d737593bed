// R13: that what was stored has the contents that its member says it has, by etcd's own hash of them. Changes nothing.
import { describeError } from '../contract/errors.ts';
import { hashIsKnown } from '../contract/versions.ts';
import type { MemberClient } from '../etcd/types.ts';
import { computedHash } from './computed-hash.ts';

/** What is known of a snapshot's contents: plain data that goes through checkpoints. */
export interface Proof {
  /** `differs`: it is not what the member has. `unknown`: that can't be told. */
  readonly kind: 'proven' | 'differs' | 'unknown';
  /** A clause. */
  readonly words: string;
  /** The member's answer at the snapshot's own newest revision, in decimal. Undefined where it counts for nothing. */
  readonly answer?: { readonly revision: string; readonly hash: string; readonly compactRevision: string } | undefined;
}

/** What was made of the snapshot while it went by. */
export interface ReadSnapshot {
  /** Its newest, in decimal; `0` where no key was ever written. */
  readonly revision: string;
  /** HashKV at that revision of a member that is compacted to `compacted`. */
  readonly hash: (compacted: bigint) => string | undefined;
}

/** What differs is asked once more before it is believed. */
const ASKED = 2;

/**
 * @param member whose snapshot it is
 * @param version of that member's etcd
 */
export async function proveSnapshot(
  member: MemberClient,
  { name, version }: { readonly name: string; readonly version: string },
  read: ReadSnapshot,
): Promise<Proof> {
  // An empty store is at 1.
  const revision = read.revision === '0' ? 1n : BigInt(read.revision);
  try {
    for (let asked = 1; ; asked++) {
      const { hash, compactRevision, computed } = await computedHash(member, revision);
      const at = `at revision ${revision} (compacted to ${compactRevision})`;
      if (!computed) return untold(`nothing newer than what was compacted, ${at}, is in it`);
      const ours = read.hash(compactRevision);
      if (ours === undefined) return untold(`no key is left ${at}`);
      const answer = { revision: String(revision), hash, compactRevision: String(compactRevision) };
      if (ours === hash) return { kind: 'proven', words: `by HashKV of ${name} ${at}, ${hash}`, answer };
      const words = `by HashKV of ${name} ${at} it would be ${hash}, and it is ${ours}`;
      if (!hashIsKnown(version)) return untold(`${words}, and what etcd ${version} hashes is not known here`);
      if (asked === ASKED) return { kind: 'differs', words };
    }
  } catch (error) {
    return untold(describeError(error));
  }
}

function untold(words: string): Proof {
  return { kind: 'unknown', words };
}
