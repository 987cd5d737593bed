// Tells "full of live data" from "full of history": after a compaction, what a defragmentation leaves is what is live.

import { describeError } from '../contract/errors.ts';
import { formatBytes } from '../contract/report.ts';
import type { StepResult } from '../engine/step.ts';
import type { EtcdCluster } from '../etcd/discovery.ts';
import { largestPrefixes, type PrefixUsage } from '../etcd/keyspace.ts';
import { clientOf, type Voter } from './voters.ts';

/** Above this share of the quota the live data alone would soon fill the file again (docs/decisions.md). */
const LIVE_DATA_LIMIT_SHARE = 0.8;
const PREFIXES_NAMED = 5;

/** How much a voter's live data fills of the smallest quota. */
export interface LiveShare {
  readonly liveBytes: number;
  readonly quotaBytes: number;
}

/** @returns undefined where the live data leaves room enough, or no voter has a quota */
export function tooMuchLiveData(liveBytes: number, quotas: readonly (number | undefined)[]): LiveShare | undefined {
  const quotaBytes = Math.min(...quotas.map((quota) => quota ?? Number.POSITIVE_INFINITY));
  return liveBytes > LIVE_DATA_LIMIT_SHARE * quotaBytes ? { liveBytes, quotaBytes } : undefined;
}

/**
 * Names what fills the database, for the person who has to make room. Reads only; a failure to read is said, not
 * thrown.
 */
export async function whatFillsIt(cluster: EtcdCluster, voter: Voter): Promise<StepResult> {
  try {
    const prefixes = await largestPrefixes(clientOf(cluster, voter), { limit: PREFIXES_NAMED });
    return { outcome: 'done', detail: prefixes.map(describeUsage).join('; ') || 'no keys' };
  } catch (error) {
    return { outcome: 'failed', detail: `what fills the database could not be read: ${describeError(error)}` };
  }
}

function describeUsage({ prefix, keys, bytes, errorBytes, measuredKeys }: PrefixUsage): string {
  if (errorBytes === 0) return `${prefix} ${keys} keys, ${formatBytes(bytes)}`;
  const share = `${Math.floor((100 * measuredKeys) / Math.max(1, keys))} % of them measured in the time for it`;
  if (errorBytes === undefined) return `${prefix} ${keys} keys, at least ${formatBytes(bytes)} (${share})`;
  return `${prefix} ${keys} keys, about ${formatBytes(bytes)} (± ${formatBytes(errorBytes)}: ${share})`;
}
