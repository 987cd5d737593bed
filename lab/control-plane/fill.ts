// Fills a plane with reports until it refuses writes, as a scanner that nobody watches does.
import { setTimeout as wait } from 'node:timers/promises';
import type { Etcd3 } from 'etcd3';
import { describeError } from '../../functions/contract/errors.ts';
import { waitForAlarm } from './alarms.ts';
import { type Reachable, within, withMember } from './client.ts';
import { isOfElection, leaderOf } from './elections.ts';
import { REPORTS_PREFIX, reportMaker } from './reports.ts';
import { settled } from './settle.ts';

export interface FillOptions {
  /** `history`: a few reports, rewritten again and again. `live`: a new report each time. @default 'history' */
  readonly mode?: 'history' | 'live';
  /** Of each report. @default 200,000 */
  readonly reportBytes?: number;
  /** In `history`: how many reports, which are then all the live data. @default as many as one request takes, 1.4 MB */
  readonly reports?: number;
  /** Called after every write that was acknowledged. */
  readonly onProgress?: (progress: FillProgress) => void;
}

interface FillProgress {
  /** Reports written. */
  readonly puts: number;
  /** Of their values. */
  readonly bytes: number;
}

export interface FillResult extends FillProgress {
  /** The newest write that etcd has said yes to. */
  readonly acknowledgedRevision: bigint;
  /** Names of the members that have raised NOSPACE. */
  readonly alarmed: readonly string[];
}

const DEFAULT_REPORT_BYTES = 200_000;
/** etcd takes 1.5 MiB a request; the rest is for keys and the envelope. */
const REQUEST_BYTES = 1_400_000;
/** etcd takes 128 operations a transaction. */
const REQUEST_OPERATIONS = 100;
/** More don't make it faster: etcd then waits for its disk. */
const WRITERS = 3;
const WRITE_TIMEOUT_MS = 30_000;
const STATUS_TIMEOUT_MS = 5_000;
/**
 * On a slow machine leaders change, and what was under way then ends in an error; so often in a row, it is something
 * else.
 */
const TROUBLES_IN_A_ROW = 20;
const LOOK_EVERY_MS = 200;

/**
 * Writes reports through the leader until NOSPACE is raised, and then one large write through every member whose own
 * quota is reached, so that each of them raises its own alarm (etcd asks that of the member that a client writes to).
 */
export async function fillWithReports(plane: Reachable, options: FillOptions = {}): Promise<FillResult> {
  const { mode = 'history', reportBytes = DEFAULT_REPORT_BYTES, onProgress } = options;
  const report = reportMaker(reportBytes);
  const batch = Math.min(REQUEST_OPERATIONS, Math.max(1, Math.floor(REQUEST_BYTES / reportBytes)));
  // A transaction takes each key once.
  const reports = mode === 'live' ? Number.MAX_SAFE_INTEGER : Math.max(options.reports ?? batch, batch);
  const { endpoint: leader } = await leaderOf(plane);
  let next = 0;
  let puts = 0;
  let bytes = 0;
  let acknowledgedRevision = 0n;
  let full = false;

  const write = async (client: Etcd3): Promise<void> => {
    for (let troubles = 0; !full; ) {
      const success = Array.from({ length: batch }, () => {
        const number = next++;
        const { key, value } = report(number % reports, Math.floor(number / reports));
        return { request_put: { key: Buffer.from(key), value } };
      });
      try {
        const { header } = await client.kv.txn({ compare: [], success, failure: [] }, within(WRITE_TIMEOUT_MS));
        const revision = BigInt(header.revision);
        if (revision > acknowledgedRevision) acknowledgedRevision = revision;
        puts += batch;
        bytes += success.reduce((sum, { request_put }) => sum + request_put.value.length, 0);
        onProgress?.({ puts, bytes });
        troubles = 0;
      } catch (error) {
        // Done or not: which reports are there is not known exactly anyway, as with one refused for want of space.
        if (isOfElection(error) && ++troubles < TROUBLES_IN_A_ROW) {
          await wait(LOOK_EVERY_MS);
          continue;
        }
        full = true;
        if (!isNospace(error)) throw error;
      }
    }
  };
  // A connection each: etcd3 closes one over its first refusal, with whatever else is under way on it.
  await Promise.all(Array.from({ length: WRITERS }, () => withMember(plane, leader, write)));

  const sizes = await settled(plane);
  const reached = plane.members.filter(
    ({ name, quotaBytes }) => quotaBytes > 0 && (sizes.get(name) ?? 0) + REQUEST_BYTES >= quotaBytes,
  );
  await Promise.all(reached.map(({ endpoint }) => pushOver(plane, endpoint)));
  const alarms = await waitForAlarm(plane, 'NOSPACE', { memberIds: reached.map(({ id }) => id) });
  await settled(plane);
  const alarmed = plane.members
    .filter(({ id }) => alarms.some(({ memberId, type }) => memberId === id && type === 'NOSPACE'))
    .map(({ name }) => name);
  return { acknowledgedRevision, puts, bytes, alarmed };
}

/** Asks a member to write more than what it has left. */
async function pushOver(plane: Reachable, endpoint: string): Promise<void> {
  try {
    await withMember(plane, endpoint, (client) =>
      client.kv.put(
        { key: Buffer.from(`${REPORTS_PREFIX}default/one-too-many`), value: Buffer.alloc(REQUEST_BYTES, 'x') },
        within(STATUS_TIMEOUT_MS),
      ),
    );
  } catch (error) {
    // A refusal is what was asked for. A learner and a member that is down raise nothing, and the result shows it.
    if (!isNospace(error) && !/learner|UNAVAILABLE|Deadline|DEADLINE|connect/i.test(describeError(error))) throw error;
  }
}

function isNospace(error: unknown): boolean {
  return describeError(error).includes('database space exceeded');
}
