// Waits for a plane to come to rest, so that sizes read twice are the same.
import { setTimeout as wait } from 'node:timers/promises';
import { EtcdMedicError } from '../../functions/contract/errors.ts';
import { type Reachable, within, withMember } from './client.ts';

const STATUS_TIMEOUT_MS = 5_000;
/** Half as much again as etcd's interval between commits. */
const LOOK_EVERY_MS = 150;
const GIVE_UP_AFTER_MS = 60_000;

/**
 * Waits until all voters that answer have applied the same and their files grow no more: etcd writes what it has
 * applied to the file, and counts it, up to 100 ms later.
 * @returns dbSize in bytes by member name
 * @throws EtcdMedicError where somebody goes on writing
 */
export async function settled(plane: Reachable): Promise<ReadonlyMap<string, number>> {
  const giveUpAt = Date.now() + GIVE_UP_AFTER_MS;
  for (let before = ''; Date.now() < giveUpAt; ) {
    const voters = (await Promise.all(plane.members.map((member) => read(plane, member)))).filter(
      (each) => each !== undefined && !each.isLearner,
    );
    const now = JSON.stringify(voters);
    const applied = new Set(voters.map((voter) => voter?.applied));
    if (now === before && applied.size === 1) {
      return new Map(voters.flatMap((voter) => (voter ? [[voter.name, voter.dbSize]] : [])));
    }
    before = now;
    await wait(LOOK_EVERY_MS);
    await Promise.all(plane.members.map((member) => untilCommitted(plane, member)));
  }
  throw new EtcdMedicError(`the members' sizes still change after ${GIVE_UP_AFTER_MS} ms: something goes on writing`);
}

async function read(plane: Reachable, { name, endpoint }: Reachable['members'][number]) {
  try {
    const status = await withMember(plane, endpoint, (client) => client.maintenance.status(within(STATUS_TIMEOUT_MS)));
    return { name, isLearner: status.isLearner, applied: status.raftAppliedIndex, dbSize: Number(status.dbSize) };
  } catch {
    // Down, as a test may have it: there is nothing to wait for then.
    return undefined;
  }
}

/**
 * A slow disk takes longer for a commit than the time between two looks, and sizes show none of it before its end; a
 * read waits for it.
 */
async function untilCommitted(plane: Reachable, { endpoint }: Reachable['members'][number]): Promise<void> {
  const request = { key: Buffer.from('/'), serializable: true };
  await withMember(plane, endpoint, (client) => client.kv.range(request, within(STATUS_TIMEOUT_MS))).catch(() => {
    // A learner refuses it; who is down has nothing to wait for.
  });
}
