// Deletes what is judged to be deleted out of a range of keys, many at a time and each exactly as it was read (R12). In
// constant memory: a page of values is dropped before the next is asked for.
import { MAX_DELETES } from './member-client.ts';
import type { MemberClient, ReadKey, StoredValue } from './types.ts';

const FIRST_PAGE_KEYS = 100;
/** For each page etcd counts the whole rest of the range, so that few large pages cost less than many small ones. */
const MAX_PAGE_KEYS = 1_000;
const MiB = 1024 * 1024;
/** A page is asked for by its number of keys; of values of 1.5 MB, the largest that etcd takes, it is to be no more. */
const PAGE_BYTES = 4 * MiB;
/** Each waits for the members' disks most of its time; many share one write there. */
const PARALLEL_DELETES = 8;

export interface KeySweep<Reason extends string> {
  readonly from: string;
  /** The key after the last. */
  readonly to: string;
  /** Why a key is to be deleted; undefined: it stays. Asked once of each. */
  readonly judge: (stored: StoredValue) => Reason | undefined;
  /** No more than so many are deleted. */
  readonly limit: number;
  /** No page is asked for after this, in ms since 1970. */
  readonly untilMs: number;
  /** Asked before each page. @throws what ends it where nothing more may be changed */
  readonly confirm: () => Promise<unknown>;
}

/** How far it came. */
export interface SweptKeys<Reason extends string> {
  /** Of which all is known: kept, deleted or changed. */
  readonly listed: number;
  readonly deleted: number;
  /** Written again, or gone, since they were read: left as they are. */
  readonly changed: number;
  /** Both of these, by why they were to be deleted. */
  readonly reasons: Readonly<Partial<Record<Reason, number>>>;
  /** Bytes of the deleted values. */
  readonly deletedBytes: number;
  /** Where to go on; undefined: the range is through. */
  readonly next: string | undefined;
  /** What ended it before its time: what was begun by then is counted. Undefined: nothing did. */
  readonly problem: unknown;
}

/**
 * Through one member. Never throws for what that answers: an error ends it, with what was begun by then brought to its
 * end.
 * @throws what `confirm` throws
 */
export async function sweepKeys<Reason extends string>(
  client: Pick<MemberClient, 'values' | 'deleteUnchanged'>,
  { from, to, judge, limit, untilMs, confirm }: KeySweep<Reason>,
): Promise<SweptKeys<Reason>> {
  const counts = { deleted: 0, changed: 0, deletedBytes: 0 };
  const reasons: Partial<Record<Reason, number>> = {};
  let kept = 0;
  const underWay = new Set<Promise<void>>();
  const problems: unknown[] = [];
  let next: string | undefined = from;
  let pageKeys = FIRST_PAGE_KEYS;
  let chosen = 0;
  const remove = async (batch: readonly Chosen<Reason>[]) => {
    try {
      const deleted = await deleteAsRead(client, batch);
      counts.deleted += deleted.length;
      counts.changed += batch.length - deleted.length;
      counts.deletedBytes += deleted.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const { reason } of batch) reasons[reason] = (reasons[reason] ?? 0) + 1;
    } catch (error) {
      problems.push(error);
    }
  };
  try {
    while (next !== undefined && chosen < limit && Date.now() < untilMs && problems.length === 0) {
      await confirm();
      const page: readonly StoredValue[] | undefined = await client
        .values({ from: next, to, limit: pageKeys })
        .catch((error: unknown) => void problems.push(error));
      if (page === undefined) break;
      const stale: Chosen<Reason>[] = [];
      let seen = 0;
      for (const stored of page) {
        if (chosen === limit) break;
        seen++;
        next = `${stored.key}\0`;
        const reason = judge(stored);
        if (reason === undefined) continue;
        chosen++;
        stale.push({ key: stored.key, modRevision: stored.modRevision, bytes: stored.value.length, reason });
      }
      kept += seen - stale.length;
      if (page.length < pageKeys && seen === page.length) next = undefined;
      const bytes = page.reduce((sum, { value }) => sum + value.length, 0);
      const fitting = Math.floor((PAGE_BYTES * page.length) / Math.max(1, bytes));
      // Never more than twice as many at once: the first objects may be the smallest.
      pageKeys = Math.max(1, Math.min(fitting, 2 * pageKeys, MAX_PAGE_KEYS));
      for (let i = 0; i < stale.length; i += MAX_DELETES) {
        while (underWay.size >= PARALLEL_DELETES) await Promise.race(underWay);
        const removal: Promise<void> = remove(stale.slice(i, i + MAX_DELETES)).finally(() => underWay.delete(removal));
        underWay.add(removal);
      }
    }
  } finally {
    await Promise.all(underWay);
  }
  // Some of what was before it may not have gone: the range is gone through again.
  const settled = counts.deleted + counts.changed;
  const [problem] = problems;
  if (problem !== undefined) return { ...counts, reasons, listed: settled, next: from, problem };
  return { ...counts, reasons, listed: kept + settled, next, problem };
}

type Chosen<Reason extends string> = ReadKey & { readonly bytes: number; readonly reason: Reason };

/** By halves, where one of them is not as it was read: one such key refuses the whole transaction. */
async function deleteAsRead<Key extends ReadKey>(
  client: Pick<MemberClient, 'deleteUnchanged'>,
  batch: readonly Key[],
): Promise<readonly Key[]> {
  if (batch.length === 0 || (await client.deleteUnchanged(batch))) return batch;
  if (batch.length === 1) return [];
  const middle = batch.length >> 1;
  const halves = [await deleteAsRead(client, batch.slice(0, middle)), await deleteAsRead(client, batch.slice(middle))];
  return halves.flat();
}
