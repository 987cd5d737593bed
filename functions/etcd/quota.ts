// A member's quota from its /metrics page, for versions whose Status doesn't have it (R8).

import { type EtcdCall, QuotaUnreadableError } from './errors.ts';
import type { MetricsPage } from './metrics.ts';
import { toEtcdError } from './translate.ts';
import type { MemberStatus, Quota } from './types.ts';

/** Status has carried the quota since 3.6.0, and the right one since this version. */
const STATUS_RIGHT_SINCE = [3, 6, 6] as const;

/** The quota that Status tells, where this version of etcd can be believed; undefined where it can't. */
export function quotaFromStatus({ version, dbSizeQuota }: MemberStatus): Quota | undefined {
  if (dbSizeQuota === undefined || dbSizeQuota <= 0 || !isAtLeast(version, STATUS_RIGHT_SINCE)) return undefined;
  return { kind: 'limit', bytes: dbSizeQuota, source: 'status' };
}

/**
 * @param memberId whose quota it has to be
 * @throws QuotaUnreadableError when there is no answer in time, none that has a quota, or another member's
 */
export async function quotaFromMetrics(metrics: MetricsPage, timeoutMs: number, memberId: string): Promise<Quota> {
  const call = { endpoint: metrics.endpoint, method: 'GET /metrics' };
  let page: string;
  try {
    page = await metrics.fetch(timeoutMs, memberId);
  } catch (error) {
    throw unreadable(call, toEtcdError(error, call).text);
  }
  const quota = parseQuota(page);
  if (quota) return quota;
  throw unreadable(
    call,
    'the page has no etcd_server_quota_backend_bytes other than 0, so it is not etcd or still starting',
  );
}

/** @returns undefined when the page has no quota, or 0: the member has not worked it out yet */
export function parseQuota(page: string): Quota | undefined {
  const value = /^etcd_server_quota_backend_bytes(?:\{[^}]*\})?\s+(\S+)/m.exec(page)?.[1];
  const bytes = value === undefined ? Number.NaN : Number(value);
  if (bytes < 0) return { kind: 'none', source: 'metrics' };
  return Number.isSafeInteger(bytes) && bytes > 0 ? { kind: 'limit', bytes, source: 'metrics' } : undefined;
}

function unreadable(call: EtcdCall, why: string): QuotaUnreadableError {
  const text = `the quota could not be read: ${why}. Configure \`etcd.quotaBytes\` if this member can't be asked (from etcd 3.6.6 on it tells its quota without this page)`;
  return new QuotaUnreadableError(call, 'not-done', text);
}

function isAtLeast(version: string, wanted: readonly [number, number, number]): boolean {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  const found = [Number(major), Number(minor), Number(patch)] as const;
  // A pre-release such as 3.6.6-rc.0 counts as what it is becoming; text that is no version as older than everything.
  for (const i of [0, 1, 2] as const) {
    if (found[i] !== wanted[i]) return found[i] > wanted[i];
  }
  return true;
}
