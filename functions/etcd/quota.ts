// A member's quota from its /metrics page, for versions whose Status doesn't have it (R8).
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { hostAndPort, isTls } from './endpoint.ts';
import { type EtcdCall, type EtcdError, QuotaUnreadableError } from './errors.ts';
import { toEtcdError } from './translate.ts';
import type { MemberStatus, Quota, TlsMaterial } from './types.ts';

const MiB = 1024 * 1024;
/** Ten times what a busy etcd prints. */
const MAX_PAGE_BYTES = 8 * MiB;
/** Status has carried the quota since 3.6.0, and the right one since this version. */
const STATUS_RIGHT_SINCE = [3, 6, 6] as const;

/** The quota that Status tells, where this version of etcd can be believed; undefined where it can't. */
export function quotaFromStatus({ version, dbSizeQuota }: MemberStatus): Quota | undefined {
  if (dbSizeQuota === undefined || dbSizeQuota <= 0 || !isAtLeast(version, STATUS_RIGHT_SINCE)) return undefined;
  return { kind: 'limit', bytes: dbSizeQuota, source: 'status' };
}

/**
 * Asks the client URL for /metrics, with the client certificate and on a connection of its own.
 * @throws QuotaUnreadableError when there is no answer in time, or none that has a quota
 */
export async function quotaFromMetrics(
  endpoint: string,
  tls: TlsMaterial | undefined,
  timeoutMs: number,
): Promise<Quota> {
  const call = { endpoint, method: 'GET /metrics' };
  let page: string;
  try {
    page = await fetchPage(endpoint, tls, timeoutMs);
  } catch (error) {
    throw unreadable(call, reason(error, call, timeoutMs));
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

function fetchPage(endpoint: string, tls: TlsMaterial | undefined, timeoutMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const url = new URL('/metrics', `${isTls(endpoint) ? 'https' : 'http'}://${hostAndPort(endpoint)}`);
  const common = { agent: false, signal: AbortSignal.timeout(timeoutMs) } as const;
  const material = tls && { ca: tls.ca, cert: tls.cert, key: tls.key };
  const request = isTls(endpoint) ? requestTls(url, { ...common, ...material }) : requestPlain(url, common);
  request.on('error', reject);
  request.on('response', (response) => {
    if (response.statusCode !== 200) {
      response.destroy();
      reject(new Error(`HTTP status ${response.statusCode}`));
      return;
    }
    let page = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      page += chunk;
      if (page.length > MAX_PAGE_BYTES) response.destroy(new Error(`a page of more than ${MAX_PAGE_BYTES} bytes`));
    });
    response.on('error', reject);
    response.on('end', () => resolve(page));
  });
  request.end();
  return promise;
}

function reason(error: unknown, call: EtcdCall, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'AbortError') return `no answer within ${timeoutMs} ms`;
  const known: EtcdError = toEtcdError(error, call);
  return known.message.slice(`${call.method} at ${call.endpoint}: `.length);
}

function unreadable(call: EtcdCall, why: string): QuotaUnreadableError {
  const text = `the quota could not be read: ${why}. Configure \`etcd.quotaBytes\` if this member can't be asked`;
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
