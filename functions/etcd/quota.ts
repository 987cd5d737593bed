// A member's quota from its /metrics page, for versions whose Status doesn't have it (R8).

import { hasFlaw } from '../contract/versions.ts';
import { type EtcdCall, QuotaUnreadableError } from './errors.ts';
import type { MetricsPage } from './metrics.ts';
import { toEtcdError } from './translate.ts';
import type { MemberStatus, Quota } from './types.ts';

/** The quota that Status tells, where this version of etcd can be believed (R17); undefined where it can't. */
export function quotaFromStatus({ version, dbSizeQuota }: MemberStatus): Quota | undefined {
  if (dbSizeQuota === undefined || dbSizeQuota <= 0 || hasFlaw(version, 'status-quota-wrong')) return undefined;
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
