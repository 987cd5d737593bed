// A member's /metrics page, which counts only where the page itself says that it is this member's (R19).
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { hostAndPort, isTls } from './endpoint.ts';
import { EtcdError, EtcdTimeoutError, NotEtcdError, WrongMemberError } from './errors.ts';
import { toEtcdError } from './translate.ts';

const MiB = 1024 * 1024;
/** Ten times what a busy etcd prints. */
const MAX_PAGE_BYTES = 8 * MiB;
/** On the page of every version from 3.3 on; 0 while the member is still starting. */
const SERVER_ID = /^etcd_server_id\{server_id="([0-9a-f]+)"\}\s+1$/m;

/**
 * Asks the client URL for /metrics, with the client certificate and on a connection of its own, which may lead
 * elsewhere than the others: so the page has to name the member. Answered at once, whatever the member is at.
 * @param memberId hexadecimal, whose page it has to be
 * @throws WrongMemberError where it is another member's; EtcdError where there is no page in time, or none that names
 *   its member
 */
export async function fetchMetrics(
  endpoint: string,
  tls: TlsMaterial | undefined,
  timeoutMs: number,
  memberId: string,
): Promise<string> {
  const call = { endpoint, method: 'GET /metrics' };
  let page: string;
  try {
    page = await fetchPage(endpoint, tls, timeoutMs);
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') {
      throw new EtcdTimeoutError(call, 'not-done', `no answer within ${timeoutMs} ms`);
    }
    throw isGrpcAlone(error) ? new EtcdError(call, 'not-done', grpcAlone(error)) : toEtcdError(error, call);
  }
  const [, found] = SERVER_ID.exec(page) ?? [];
  if (found === memberId) return page;
  if (found !== undefined) throw new WrongMemberError(call, { meant: memberId, found, done: false });
  throw new NotEtcdError(call, 'not-done', 'the page has no etcd_server_id, so it is not etcd or still starting');
}

/**
 * A member with --listen-client-http-urls serves gRPC alone at its client URLs: the connection comes about, and a
 * request of HTTP/1.1 is answered with frames of HTTP/2 (3.5.16) or by closing it (3.5.30, 3.6.16, 3.7.3).
 */
function isGrpcAlone(error: unknown): error is Error {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return (error.code === 'ECONNRESET' && /socket hang up/.test(error.message)) || /^HPE_/.test(String(error.code));
}

function grpcAlone({ message }: Error): string {
  return `no HTTP/1.1 is served there (${message}): the member has --listen-client-http-urls, so its /metrics is at that other URL, or it is just stopping`;
}

/** How many Snapshot streams the member has open: begun and not ended. Undefined: the page does not count them. */
export function parseOpenSnapshots(page: string): number | undefined {
  const started = sum(page, /^grpc_server_started_total\{[^}]*grpc_method="Snapshot"[^}]*\}\s+(\S+)$/gm);
  // A code that no stream has ended with yet may have no line.
  const handled = sum(page, /^grpc_server_handled_total\{[^}]*grpc_method="Snapshot"[^}]*\}\s+(\S+)$/gm) ?? 0;
  return started === undefined ? undefined : Math.max(0, started - handled);
}

function sum(page: string, line: RegExp): number | undefined {
  const values = [...page.matchAll(line)].map(([, value]) => Number(value));
  return values.length === 0 ? undefined : values.reduce((total, value) => total + value, 0);
}

function fetchPage(endpoint: string, tls: TlsMaterial | undefined, timeoutMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const url = new URL('/metrics', `${isTls(endpoint) ? 'https' : 'http'}://${hostAndPort(endpoint)}`);
  const common = { agent: false, signal: AbortSignal.timeout(timeoutMs) } as const;
  // R15: said here, so that no environment variable can turn it off.
  const material = { rejectUnauthorized: true, ...(tls && { ca: tls.ca, cert: tls.cert, key: tls.key }) };
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
