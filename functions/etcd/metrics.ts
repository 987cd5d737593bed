// A member's /metrics page, which counts only where the page itself says that it is this member's (R19).
import { type ClientRequest, Agent as PlainAgent, request as requestPlain } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { hostAndPort, isTls } from './endpoint.ts';
import { EtcdError, EtcdTimeoutError, NotEtcdError, WrongMemberError } from './errors.ts';
import { toEtcdError } from './translate.ts';
import type { RaftSnapshots } from './types.ts';

const MiB = 1024 * 1024;
/** Ten times what a busy etcd prints. */
const MAX_PAGE_BYTES = 8 * MiB;
/** On the page of every version from 3.3 on; 0 while the member is still starting. */
const SERVER_ID = /^etcd_server_id\{server_id="([0-9a-f]+)"\}\s+1$/m;

/**
 * The page at one client URL, asked with the client certificate. Its connection is its own and may lead elsewhere than
 * the others, so the page has to name the member. It is kept for the next page: a TLS handshake takes longer than the
 * page.
 */
export class MetricsPage implements Disposable {
  readonly endpoint: string;
  readonly #agent: PlainAgent | TlsAgent;

  constructor(endpoint: string, tls: TlsMaterial | undefined) {
    this.endpoint = endpoint;
    const material = tls && { ca: tls.ca, cert: tls.cert, key: tls.key };
    // R15: said here, so that no environment variable can turn it off.
    this.#agent = isTls(endpoint)
      ? new TlsAgent({ keepAlive: true, rejectUnauthorized: true, ...material })
      : new PlainAgent({ keepAlive: true });
  }

  /**
   * Answered at once, whatever the member is at.
   * @param memberId hexadecimal, whose page it has to be
   * @throws WrongMemberError where it is another member's; EtcdError where there is no page in time, or none that names
   *   its member
   */
  async fetch(timeoutMs: number, memberId: string): Promise<string> {
    const call = { endpoint: this.endpoint, method: 'GET /metrics' };
    let page: string;
    try {
      page = await this.#ask(AbortSignal.timeout(timeoutMs));
    } catch (error) {
      if (error instanceof Error && error.name === 'AbortError') {
        throw new EtcdTimeoutError(call, 'not-done', `no answer within ${timeoutMs} ms`);
      }
      throw isGrpcAlone(error) ? new EtcdError(call, 'not-done', grpcAlone(error)) : toEtcdError(error, call);
    }
    const [, found] = SERVER_ID.exec(page) ?? [];
    if (found === memberId) return page;
    // The next one opens a new connection, which may lead to whom it should.
    this.#agent.destroy();
    if (found !== undefined) throw new WrongMemberError(call, { meant: memberId, found, done: false });
    throw new NotEtcdError(call, 'not-done', 'the page has no etcd_server_id, so it is not etcd or still starting');
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #ask(signal: AbortSignal): Promise<string> {
    const request = this.#request(signal);
    try {
      return await readPage(request);
    } catch (error) {
      // The member had closed what was kept, as one that was restarted has; a page may be asked for as often as wanted.
      if (!request.reusedSocket || signal.aborted) throw error;
      this.#agent.destroy();
      return await readPage(this.#request(signal));
    }
  }

  #request(signal: AbortSignal): ClientRequest {
    const url = new URL('/metrics', `${isTls(this.endpoint) ? 'https' : 'http'}://${hostAndPort(this.endpoint)}`);
    const send = isTls(this.endpoint) ? requestTls : requestPlain;
    return send(url, { agent: this.#agent, signal });
  }
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

/** Snapshots that members send each other, as one member's page has them. A line is there once there was one. */
export function parseRaftSnapshots(page: string): RaftSnapshots {
  const sending = page.matchAll(/^etcd_network_snapshot_send_inflights_total\{To="([0-9a-f]+)"\}\s+(\S+)$/gm);
  const receiving = sum(page, /^etcd_network_snapshot_receive_inflights_total\{[^}]*\}\s+(\S+)$/gm) ?? 0;
  const applying = sum(page, /^etcd_server_snapshot_apply_in_progress_total\s+(\S+)$/gm) ?? 0;
  return {
    sendingTo: [...sending].flatMap(([, id = '', count]) => (Number(count) > 0 ? [id] : [])),
    takesOne: receiving + applying > 0,
  };
}

/** Whether the page says of a feature gate that it is on. */
export function isFeatureOn(page: string, name: string): boolean {
  return [...page.matchAll(/^etcd_server_feature_enabled\{([^}]*)\}\s+(\S+)$/gm)].some(
    ([, labels = '', value]) => labels.split(',').includes(`name="${name}"`) && Number(value) === 1,
  );
}

function sum(page: string, line: RegExp): number | undefined {
  const values = [...page.matchAll(line)].map(([, value]) => Number(value));
  return values.length === 0 ? undefined : values.reduce((total, value) => total + value, 0);
}

function readPage(request: ClientRequest): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
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
