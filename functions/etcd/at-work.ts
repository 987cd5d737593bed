// Tells a member that is at work from one that is away: a defragmentation stops its Status and its reads, and not all
// of it.
import { EtcdTimeoutError } from './errors.ts';
import type { MemberClient } from './types.ts';

/**
 * @param error what Status or a read of the member's own data ended with: they wait for a defragmentation, and for no
 *   quorum
 * @returns why the member is not away, in words that complete "it is at work: …"; undefined where that can't be said of
 *   it
 */
export async function whyAtWork(client: MemberClient, error: unknown): Promise<string | undefined> {
  if (!(error instanceof EtcdTimeoutError) || error.outcome !== 'unknown') return undefined;
  try {
    // Answered at once on every version, whatever the member is at.
    await client.memberList();
  } catch {
    return undefined;
  }
  return `it says who it is, and its ${error.method} waits (${error.text}): it is being defragmented, or its disk does not keep up`;
}
