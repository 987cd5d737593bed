// One member's defragmentation: sent at most once, and its outcome told by the size of the file, never by a timeout (R5).
import { EtcdError, EtcdUnreachableError, PermissionDeniedError } from '../etcd/errors.ts';
import { DEFAULT_DEADLINES } from '../etcd/member-client.ts';
import type { MemberClient } from '../etcd/types.ts';
import { describeError } from '../run/errors.ts';
import type { StepResult } from '../run/journal.ts';
import { formatBytes } from '../run/report.ts';
import { checkOthersHealthy, clientOf, type OpenCluster, reach, type Voter } from './voters.ts';

export interface Defragmented {
  readonly kind: 'defragmented';
  /** Bytes. */
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  /** How long the member worked on it, in milliseconds; undefined where its end was only found by looking. */
  readonly tookMs?: number | undefined;
}

/** How a defragmentation ended: through; not sent, because the member leads now; or sent, with its outcome not known yet. */
export type Defragmentation =
  | Defragmented
  | { readonly kind: 'leads' }
  /**
   * `sent`: this attempt sent it; otherwise the member did not answer, perhaps because of an earlier attempt.
   * `serving`: the member answers reads again, so nothing is under way, yet its file did not shrink.
   */
  | { readonly kind: 'unknown'; readonly sent: boolean; readonly serving: boolean };

/** How long one step waits for a member that is still busy with a defragmentation of an earlier attempt; then it is looked at. */
const SERVING_WITHIN_MS = 60_000;
const RESTARTED_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 250;

/** What one step may need: the wait before it, the call itself, and a little for the looks around them. */
export const DEFRAGMENT_NEEDS_MS = SERVING_WITHIN_MS + DEFAULT_DEADLINES.defragmentMs + 30_000;

/**
 * Checks R2, then defragments `target` unless that was done since `dbSizeBefore` was read: a database file only ever
 * shrinks by a defragmentation, so a smaller file is one that is done. That makes the step safe to repeat after a crash (R10).
 * @param mayLead it is defragmented also while it leads (R3)
 */
export async function defragment(
  open: OpenCluster,
  voters: readonly Voter[],
  target: Voter,
  { dbSizeBefore, mayLead }: { readonly dbSizeBefore: number; readonly mayLead: boolean },
): Promise<StepResult<Defragmentation>> {
  const cluster = await reach(open, voters);
  const client = clientOf(cluster, target);
  const silence = await untilServing(client);
  if (silence !== undefined)
    return unknown(target, `it does not answer reads: ${silence}`, { sent: false, serving: false });
  // After the wait, so that nothing stands between this look and the change. A member that was still busy with an earlier attempt's
  // defragmentation has its new size by now.
  const before = (await checkOthersHealthy(cluster, voters, target)).get(target.id) ?? (await client.status());
  if (before.dbSize < dbSizeBefore) return settled(target, dbSizeBefore, before);
  if (!mayLead && before.leaderId === target.id) {
    return { outcome: 'skipped', detail: `${target.name} leads now: its turn comes last`, data: { kind: 'leads' } };
  }
  const began = performance.now();
  try {
    await client.defragment();
  } catch (error) {
    // Refused is refused; anything else, a broken connection too, leaves the server at work (R5).
    if (!(error instanceof EtcdError && error.outcome === 'unknown')) throw error;
    return unknown(target, describeError(error), { sent: true, serving: false });
  }
  const tookMs = Math.ceil(performance.now() - began);
  const done = settled(target, dbSizeBefore, await client.status(), tookMs);
  const led = voters.length > 1 && before.leaderId === target.id;
  return led ? { ...done, detail: `${done.detail}, while it led` } : done;
}

/**
 * A member that is being defragmented answers no read: a second Defragment must not follow the first (R5).
 * @returns what it said last, where it did not serve in time
 */
async function untilServing(client: MemberClient): Promise<string | undefined> {
  const started = Date.now();
  for (;;) {
    try {
      await client.checkServing();
      return undefined;
    } catch (error) {
      // An answer, and no wait changes it.
      if (error instanceof PermissionDeniedError) throw error;
      // No connection is a restart, or worse; one that is busy keeps its connections.
      const patienceMs = error instanceof EtcdUnreachableError ? RESTARTED_WITHIN_MS : SERVING_WITHIN_MS;
      if (Date.now() - started > patienceMs) return describeError(error);
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}

/** Looks once whether a defragmentation of unknown outcome is through. Sends nothing that changes anything. */
export async function settle(
  open: OpenCluster,
  target: Voter,
  dbSizeBefore: number,
): Promise<StepResult<Defragmentation>> {
  try {
    const client = clientOf(await open(), target);
    await client.checkServing();
    const status = await client.status();
    if (status.dbSize < dbSizeBefore) return settled(target, dbSizeBefore, status);
    return unknown(target, `it answers reads, but its file is still ${status.dbSize} bytes`, {
      sent: true,
      serving: true,
    });
  } catch (error) {
    return unknown(target, describeError(error), { sent: true, serving: false });
  }
}

function settled(
  target: Voter,
  dbSizeBefore: number,
  { dbSize, dbSizeInUse }: { readonly dbSize: number; readonly dbSizeInUse: number },
  tookMs?: number,
): StepResult<Defragmentation> {
  const detail = `${target.name}: ${formatBytes(dbSizeBefore)} → ${formatBytes(dbSize)}`;
  return { outcome: 'done', detail, data: { kind: 'defragmented', dbSize, dbSizeInUse, tookMs } };
}

function unknown(
  target: Voter,
  why: string,
  { sent, serving }: { readonly sent: boolean; readonly serving: boolean },
): StepResult<Defragmentation> {
  return {
    outcome: 'unknown',
    detail: `${target.name}: outcome unknown: ${why}`,
    data: { kind: 'unknown', sent, serving },
  };
}
