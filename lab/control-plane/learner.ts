// Joins a new member to a running cluster as a learner, before its process is started.
import { setTimeout as wait } from 'node:timers/promises';
import { describeError } from '../../functions/contract/errors.ts';
import type { CredentialFiles } from './certificates.ts';
import { within, withMember } from './client.ts';

/** Longer than etcd's own 7 s. */
const CALL_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 100;
/** etcd changes its member list only once its members have known each other for 5 s. */
const JOIN_TIMEOUT_MS = 30_000;

/** What a busy cluster says, perhaps after it was done. */
const AGAIN = /unhealthy cluster|leader changed|no leader|proposal dropped|timed out|deadline/i;

/** @param endpoint a voter's client URL */
export async function joinAsLearner(
  credentials: CredentialFiles | undefined,
  endpoint: string,
  peerUrl: string,
): Promise<void> {
  const giveUpAt = Date.now() + JOIN_TIMEOUT_MS;
  await withMember({ credentials }, endpoint, async (client) => {
    for (let repeated = false; ; repeated = true) {
      try {
        await client.cluster.memberAdd({ peerURLs: [peerUrl], isLearner: true }, within(CALL_TIMEOUT_MS));
        return;
      } catch (error) {
        const problem = describeError(error);
        if (repeated && /peer ?urls? (already )?exists/i.test(problem)) return;
        if (Date.now() > giveUpAt || !AGAIN.test(problem)) throw error;
        await wait(LOOK_EVERY_MS);
      }
    }
  });
}

/**
 * A new member asks any of them who there is, and ends at once where that one does not know of it yet.
 * @param endpoint a running member's client URL; one that doesn't answer tells the new member nothing either
 */
export async function untilListed(
  credentials: CredentialFiles | undefined,
  endpoint: string,
  peerUrl: string,
): Promise<void> {
  const giveUpAt = Date.now() + JOIN_TIMEOUT_MS;
  await withMember({ credentials }, endpoint, async (client) => {
    while (Date.now() < giveUpAt) {
      // Not linearizable: by its own list.
      const answer = await client.cluster.memberList({}, within(CALL_TIMEOUT_MS)).catch(() => undefined);
      if (answer === undefined || answer.members.some(({ peerURLs }) => peerURLs.includes(peerUrl))) return;
      await wait(LOOK_EVERY_MS);
    }
  });
}
