// One member's defragmentation: sent at most once, and its outcome told by the size of the file, never by a timeout (R5).
import type { EtcdCluster } from '../etcd/discovery.ts';
import { EtcdError, EtcdTimeoutError } from '../etcd/errors.ts';
import type { MemberClient } from '../etcd/types.ts';
import { describeError } from '../run/errors.ts';
import type { StepResult } from '../run/journal.ts';
import { formatBytes } from '../run/report.ts';
import { checkOthersHealthy, clientOf, SweepStoppedError, type Voter } from './voters.ts';

export interface Defragmented {
  readonly kind: 'defragmented';
  /** Bytes. */
  readonly dbSize: number;
  readonly dbSizeInUse: number;
}

/** How a defragmentation ended: through; not sent, because the member leads now; or sent, with its outcome not known yet. */
export type Defragmentation =
  | Defragmented
  | { readonly kind: 'leads' }
  /** `serving`: the member answers reads again, so nothing is under way, yet its file did not shrink. */
  | { readonly kind: 'unknown'; readonly serving: boolean };

/** How long to wait for a member that is still busy with a defragmentation of an earlier attempt. */
const SERVING_WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 250;

/**
 * Checks R2, then defragments `target` unless that was done since `dbSizeBefore` was read: a database file only ever
 * shrinks by a defragmentation, so a smaller file is one that is done. That makes the step safe to repeat after a crash (R10).
 */
export async function defragment(
  cluster: EtcdCluster,
  voters: readonly Voter[],
  target: Voter,
  dbSizeBefore: number,
): Promise<StepResult<Defragmentation>> {
  const client = clientOf(cluster, target);
  await Promise.all([checkOthersHealthy(cluster, voters, target), untilServing(client, target)]);
  // Read once it serves: while it was still busy with an earlier attempt's defragmentation, its size said nothing.
  const before = await client.status();
  if (before.dbSize < dbSizeBefore) return settled(target, dbSizeBefore, before);
  if (voters.length > 1 && before.leaderId === target.id) {
    return { outcome: 'skipped', detail: `${target.name} leads now: its turn comes last`, data: { kind: 'leads' } };
  }
  try {
    await client.defragment();
  } catch (error) {
    // Refused is refused; anything else, a broken connection too, leaves the server at work (R5).
    if (!(error instanceof EtcdError && error.outcome === 'unknown')) throw error;
    return unknown(target, describeError(error), false);
  }
  return settled(target, dbSizeBefore, await client.status());
}

/** A member that is being defragmented answers Status but no read: a second Defragment must not follow the first (R5). */
async function untilServing(client: MemberClient, target: Voter): Promise<void> {
  const giveUpAt = Date.now() + SERVING_WITHIN_MS;
  for (;;) {
    try {
      return await client.checkServing();
    } catch (error) {
      if (!(error instanceof EtcdTimeoutError) || Date.now() > giveUpAt) {
        throw new SweepStoppedError(
          `${target.name} does not answer reads, so nothing was sent to it: ${describeError(error)}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}

/** Looks once whether a defragmentation of unknown outcome is through. Sends nothing that changes anything. */
export async function settle(
  cluster: EtcdCluster,
  target: Voter,
  dbSizeBefore: number,
): Promise<StepResult<Defragmentation>> {
  const client = clientOf(cluster, target);
  try {
    await client.checkServing();
    const status = await client.status();
    if (status.dbSize < dbSizeBefore) return settled(target, dbSizeBefore, status);
    return unknown(target, `it answers reads, but its file is still ${status.dbSize} bytes`, true);
  } catch (error) {
    return unknown(target, describeError(error), false);
  }
}

function settled(
  target: Voter,
  dbSizeBefore: number,
  { dbSize, dbSizeInUse }: { readonly dbSize: number; readonly dbSizeInUse: number },
): StepResult<Defragmentation> {
  const detail = `${target.name}: ${formatBytes(dbSizeBefore)} → ${formatBytes(dbSize)}`;
  return { outcome: 'done', detail, data: { kind: 'defragmented', dbSize, dbSizeInUse } };
}

function unknown(target: Voter, why: string, serving: boolean): StepResult<Defragmentation> {
  return { outcome: 'unknown', detail: `${target.name}: outcome unknown: ${why}`, data: { kind: 'unknown', serving } };
}
