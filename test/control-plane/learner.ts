// Joins a new member to a running cluster as a learner, before its process is started.
import { setTimeout as wait } from 'node:timers/promises';
import { describeError } from '../../functions/run/errors.ts';
import type { CredentialFiles } from './certificates.ts';
import { within, withMember } from './client.ts';

const CALL_TIMEOUT_MS = 3_000;
const LOOK_EVERY_MS = 100;
/** etcd changes its member list only once its members have known each other for 5 s. */
const JOIN_TIMEOUT_MS = 30_000;

/** @param endpoint a voter's client URL */
export async function joinAsLearner(
  credentials: CredentialFiles | undefined,
  endpoint: string,
  peerUrl: string,
): Promise<void> {
  const giveUpAt = Date.now() + JOIN_TIMEOUT_MS;
  await withMember({ credentials }, endpoint, async (client) => {
    for (;;) {
      try {
        await client.cluster.memberAdd({ peerURLs: [peerUrl], isLearner: true }, within(CALL_TIMEOUT_MS));
        return;
      } catch (error) {
        if (Date.now() > giveUpAt || !describeError(error).includes('unhealthy cluster')) throw error;
        await wait(LOOK_EVERY_MS);
      }
    }
  });
}
