// Elections: who leads now, and what etcd says while nobody does. A slow disk or processor is enough for one.
import { setTimeout as wait } from 'node:timers/promises';
import { describeError, EtcdMedicError } from '../../functions/contract/errors.ts';
import { hexId, type Reachable, within, withMember } from './client.ts';

const STATUS_TIMEOUT_MS = 5_000;
const LOOK_EVERY_MS = 100;
const GIVE_UP_AFTER_MS = 30_000;

/** The voter that leads; waits for an election to end. @throws EtcdMedicError after half a minute */
export async function leaderOf(plane: Reachable): Promise<Reachable['members'][number]> {
  const giveUpAt = Date.now() + GIVE_UP_AFTER_MS;
  for (;;) {
    const problems: string[] = [];
    for (const { name, endpoint } of plane.members) {
      try {
        const { leader } = await withMember(plane, endpoint, (client) =>
          client.maintenance.status(within(STATUS_TIMEOUT_MS)),
        );
        const found = plane.members.find(({ id }) => id === hexId(leader));
        if (found) return found;
        problems.push(`${name} sees no leader`);
      } catch (error) {
        problems.push(`${name}: ${describeError(error)}`);
      }
    }
    if (Date.now() > giveUpAt) throw new EtcdMedicError(`no member names a leader: ${problems.join('; ')}`);
    await wait(LOOK_EVERY_MS);
  }
}

/** Whether a write failed because of an election: it may have been done or not, and can be sent again. */
export function isOfElection(error: unknown): boolean {
  return /leader changed|no leader|proposal dropped|request timed out|too many requests/i.test(describeError(error));
}
