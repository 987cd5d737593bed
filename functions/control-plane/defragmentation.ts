// One member's turn: its defragmentation is sent at most once at a time, and its outcome told by the size of the file,
// never by a timeout (R5).

import { describeError } from '../contract/errors.ts';
import { formatBytes } from '../contract/report.ts';
import type { Look } from '../engine/poll.ts';
import type { StepResult } from '../engine/step.ts';
import { EtcdError, EtcdTimeoutError, EtcdUnreachableError, PermissionDeniedError } from '../etcd/errors.ts';
import { DEFAULT_DEADLINES } from '../etcd/member-client.ts';
import type { MemberClient } from '../etcd/types.ts';
import { harmMeanwhile } from './harm-meanwhile.ts';
import type { Attempt } from './patience.ts';
import {
  AwayError,
  checkBeforeChange,
  clientOf,
  connectAll,
  MemberBusyError,
  type OpenCluster,
  refuseAtWork,
  type Voter,
} from './voters.ts';

export interface Defragmented {
  /** Bytes. */
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  /**
   * How long the member worked on it, in milliseconds, where it answered; undefined where its end was only found by
   * looking.
   */
  readonly tookMs?: number | undefined;
  /** The same, with the looks around it; undefined where not this attempt had sent it, and so nobody knows. */
  readonly withinMs?: number | undefined;
}

/** Sent, and not answered. */
interface Sent {
  readonly kind: 'sent';
  readonly atMs: number;
  /** What came instead of an answer. */
  readonly why: string;
  /** The member said itself that it failed; otherwise the answer was lost. */
  readonly refused: boolean;
  /** How often it was sent. */
  readonly times: number;
  readonly looks: number;
  /** How many looks in a row found it serving reads, with its file as it was. */
  readonly serving: number;
}

export interface TurnEnds {
  readonly done: Defragmented;
  /**
   * Not sent, because the member leads now; or it is held, because it would wait behind somebody's Snapshot stream,
   * with the member answering nothing meanwhile, or because it might harm the member (R17).
   */
  readonly skipped:
    | { readonly kind: 'leads' }
    /** What a person can do about it, as the beginning of a sentence. */
    | { readonly kind: 'held'; readonly remedy: string };
}

/** How far a turn has come. */
export type TurnProgress =
  | { readonly kind: 'held'; readonly looks: number }
  /** Not sent: it is busy, perhaps with the defragmentation of an earlier attempt. */
  | { readonly kind: 'busy'; readonly looks: number; readonly times: number }
  /** What was sent has ended, with the file as it was: the turn may be taken again. */
  | { readonly kind: 'ended'; readonly times: number }
  | Sent;

type TurnLook = Look<TurnEnds, TurnProgress>;

export interface Turn {
  /** Bytes, read after the barrier (R4): a smaller file later is one that was defragmented since. */
  readonly dbSizeBefore: number;
  /** It is defragmented also while it leads (R3). */
  readonly mayLead: boolean;
  /** How many looks, 10 s apart, what holds it is waited for. */
  readonly heldLooks: number;
}

export const LOOK_AGAIN_SECONDS = 10;
/**
 * A defragmentation of unknown outcome is looked at for 30 to 45 minutes: a file of 8 GiB on a slow disk takes less.
 */
const SETTLE_LOOKS = 180;
/**
 * A member that serves reads has no defragmentation under way; so often in a row, and its file did not shrink: it has
 * ended.
 */
const SERVING_LOOKS = 3;
/** One that was lost with its member is sent once more; a member that doesn't survive two has something else. */
const TIMES = 2;

/**
 * How long one attempt waits for a member that is still busy with a defragmentation of an earlier attempt; then it is
 * looked at.
 */
const SERVING_WITHIN_MS = 60_000;
const RESTARTED_WITHIN_MS = 10_000;
const LOOK_AGAIN_MS = 250;

/** What an attempt may need: the wait before it, the call itself, and a little for the looks around them. */
const SEND_NEEDS_MS = SERVING_WITHIN_MS + DEFAULT_DEADLINES.defragmentMs + 30_000;
const LOOK_NEEDS_MS = 30_000;

/** In milliseconds. */
export function turnNeedsMs(memory: TurnProgress | undefined): number {
  return memory?.kind === 'sent' ? LOOK_NEEDS_MS : SEND_NEEDS_MS;
}

/**
 * Checks R2, then defragments `target` unless that was done since `dbSizeBefore` was read: a database file only ever
 * shrinks by a defragmentation, so a smaller file is one that is done. That makes the attempt safe to repeat after a
 * crash (R10). What was sent and not answered is looked at by the attempts that follow, and sent again only where it is
 * seen to have ended (R5).
 * @throws AwayError, SweepStoppedError; EtcdError where the member refuses
 */
export async function takeTurn(
  open: OpenCluster,
  voters: readonly Voter[],
  target: Voter,
  turn: Turn,
  attempt: Attempt<TurnProgress>,
): Promise<TurnLook> {
  const { memory } = attempt;
  if (memory?.kind === 'sent') return settle(open, target, turn, memory, attempt);
  return send(open, voters, target, turn, attempt);
}

async function send(
  open: OpenCluster,
  voters: readonly Voter[],
  target: Voter,
  { dbSizeBefore, mayLead, heldLooks }: Turn,
  attempt: Attempt<TurnProgress>,
): Promise<TurnLook> {
  const { memory: last, patienceMs } = attempt;
  const times = last !== undefined && 'times' in last ? last.times : 0;
  const cluster = await connectAll(open, voters, patienceMs);
  const client = clientOf(cluster, target);
  const atWork = await untilServing(client, target, patienceMs);
  if (atWork !== undefined) {
    const looks = last?.kind === 'busy' ? last.looks + 1 : 1;
    const detail = `${target.name}: outcome unknown: ${atWork}`;
    return { outcome: 'unknown', detail, again: looks < SETTLE_LOOKS, memory: { kind: 'busy', looks, times } };
  }
  // After the waits, so that nothing stands between these looks and the change. A member that was still busy with an
  // earlier attempt's defragmentation has its new size by now.
  const [streams, statuses] = await Promise.all([
    openStreams(client),
    checkBeforeChange(cluster, voters, target, attempt),
  ]);
  const before = statuses.get(target.id) ?? (await client.status());
  if (before.dbSize < dbSizeBefore) return settled(target, dbSizeBefore, before);
  const harm = await harmMeanwhile(cluster, voters, target, statuses);
  const hold =
    streams > 0
      ? {
          why: `${target.name} has ${streams} open Snapshot stream(s) of somebody else's, a backup perhaps, and a defragmentation would wait for their end, with the member answering nothing meanwhile`,
          remedy: 'end it',
        }
      : harm?.hold;
  if (hold !== undefined) {
    const { why: detail, remedy } = hold;
    const looks = last?.kind === 'held' ? last.looks + 1 : 0;
    const again = looks < heldLooks;
    return { outcome: 'skipped', detail, data: { kind: 'held', remedy }, again, memory: { kind: 'held', looks } };
  }
  if (!mayLead && before.leaderId === target.id) {
    return { outcome: 'skipped', detail: `${target.name} leads now: its turn comes last`, data: { kind: 'leads' } };
  }
  const atMs = Date.now();
  const began = performance.now();
  try {
    await client.defragment();
  } catch (error) {
    // Not sent, or refused: nothing is under way there. Anything else, a broken connection too, leaves the server at
    // work (R5).
    if (!(error instanceof EtcdError)) throw error;
    const why = describeError(error);
    if (error.outcome !== 'unknown') {
      if (!isLost(error)) throw error;
      throw new AwayError(`${target.name}: ${why}`, [target], { cause: error });
    }
    const sent = { kind: 'sent', atMs, why, refused: !isLost(error), times: times + 1, looks: 0, serving: 0 } as const;
    return { outcome: 'unknown', detail: unknown(target, why), again: true, memory: sent };
  }
  const tookMs = Math.ceil(performance.now() - began);
  const done = settled(target, dbSizeBefore, await client.status(), { tookMs, withinMs: tookMs });
  const led = voters.length > 1 && before.leaderId === target.id ? ', while it led' : '';
  const told = harm === undefined ? '' : `; ${harm.told}`;
  return { ...done, detail: `${done.detail}${led}${told}` };
}

/** No answer, as against one that says no. */
function isLost(error: EtcdError): boolean {
  return error instanceof EtcdTimeoutError || error instanceof EtcdUnreachableError;
}

/** What can't be told is not taken for a stream: most clusters have none. */
async function openStreams(client: MemberClient): Promise<number> {
  return client.openSnapshots().catch((error: unknown) => {
    if (error instanceof EtcdError) return 0;
    throw error;
  });
}

/**
 * A member that is being defragmented answers no read: a second Defragment must not follow the first (R5).
 * @returns what it is at, where it is there and did not serve in time
 * @throws AwayError where it is not
 */
async function untilServing(client: MemberClient, target: Voter, patienceMs: number): Promise<string | undefined> {
  const started = Date.now();
  for (;;) {
    try {
      await client.checkServing();
      return undefined;
    } catch (error) {
      // An answer, and no wait changes it.
      if (error instanceof PermissionDeniedError) throw error;
      // No connection is a restart, or worse; one that is busy keeps its connections.
      const isAway = error instanceof EtcdUnreachableError;
      const waitMs = Math.min(isAway ? RESTARTED_WITHIN_MS : SERVING_WITHIN_MS, patienceMs);
      if (Date.now() - started >= waitMs) {
        const busy = await refuseAtWork(client, target, error).catch((reason: unknown) => reason);
        if (busy instanceof MemberBusyError) return busy.message;
        throw new AwayError(`R2: ${target.name} does not answer: ${describeError(error)}`, [target], { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}

/** Looks once whether a defragmentation of unknown outcome is through. Sends nothing that changes anything. */
async function settle(
  open: OpenCluster,
  target: Voter,
  { dbSizeBefore }: Turn,
  last: Sent,
  { patienceMs }: Attempt<TurnProgress>,
): Promise<TurnLook> {
  const looks = last.looks + 1;
  try {
    const client = clientOf(await connectAll(open, [target], patienceMs), target);
    await client.checkServing();
    const status = await client.status();
    if (status.dbSize < dbSizeBefore) {
      return settled(target, dbSizeBefore, status, { withinMs: Date.now() - last.atMs });
    }
    const serving = last.serving + 1;
    const why = `it answers reads, but its file is still ${status.dbSize} bytes`;
    const detail = unknown(target, `${last.why}; last look: ${why}`);
    if (serving < SERVING_LOOKS && looks < SETTLE_LOOKS) {
      return { outcome: 'unknown', detail, again: true, memory: { ...last, looks, serving } };
    }
    // Ended, one way or the other: lost with the member's process it may be sent again, and that is not blindly.
    const again = !last.refused && last.times < TIMES;
    return { outcome: 'unknown', detail, again, memory: { kind: 'ended', times: last.times } };
  } catch (error) {
    const detail = unknown(target, `${last.why}; last look: ${describeError(error)}`);
    return { outcome: 'unknown', detail, again: looks < SETTLE_LOOKS, memory: { ...last, looks, serving: 0 } };
  }
}

function settled(
  target: Voter,
  dbSizeBefore: number,
  { dbSize, dbSizeInUse }: { readonly dbSize: number; readonly dbSizeInUse: number },
  time: Pick<Defragmented, 'tookMs' | 'withinMs'> = {},
): StepResult<TurnEnds> {
  const found =
    time.withinMs === undefined ? ', as it was found at its turn: it was defragmented since the compaction' : '';
  const detail = `${target.name}: ${formatBytes(dbSizeBefore)} → ${formatBytes(dbSize)}${found}`;
  return { outcome: 'done', detail, data: { dbSize, dbSizeInUse, ...time } };
}

function unknown(target: Voter, why: string): string {
  return `${target.name}: outcome unknown: ${why}`;
}
