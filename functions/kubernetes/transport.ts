// The connections to one API server: a small pool that is kept alive, over which each request is sent once.
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Agent } from 'undici';
import type { KubernetesCredentials } from './credentials.ts';
import type { RequestContext } from './requests.ts';

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Of the body as it came over the wire, compressed or not. */
  readonly receivedBytes: number;
}

export interface TransportOptions {
  /** How many connections there are at most, each with one request at a time. */
  readonly connections: number;
  /** How long the whole of an answer may take. */
  readonly timeoutMs: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Load balancers forget connections that are silent for longer: AWS's after 350 s, others after 60. */
const KEEP_ALIVE_MS = 30_000;

const unzip = promisify(gunzip);

export class Transport implements AsyncDisposable {
  readonly #agent: Agent;
  readonly #timeoutMs: number;
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #token: string | undefined;

  constructor(credentials: KubernetesCredentials, { connections, timeoutMs }: TransportOptions) {
    const own = 'token' in credentials ? {} : { cert: credentials.cert, key: credentials.key };
    this.#agent = new Agent({
      connections,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // One request a connection: when it breaks, it is plain which delete is in doubt.
      allowH2: false,
      // The whole call has one time limit.
      headersTimeout: 0,
      bodyTimeout: 0,
      // Said here, so that no environment variable can turn it off.
      connect: { ca: credentials.ca, ...own, rejectUnauthorized: true, timeout: CONNECT_TIMEOUT_MS },
    });
    this.#timeoutMs = timeoutMs;
    this.#token = 'token' in credentials ? credentials.token : undefined;
    this.#authorization = 'token' in credentials ? { authorization: `Bearer ${credentials.token}` } : {};
  }

  /** @throws undici's, TLS's and the system's own errors; a TimeoutError after `timeoutMs` */
  async send(request: RequestContext): Promise<Answer> {
    const url = new URL(request.getUrl());
    const body = request.getBody();
    const {
      statusCode,
      headers,
      body: answer,
    } = await this.#agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: request.getHttpMethod(),
      headers: {
        ...request.getHeaders(),
        'accept-encoding': 'gzip',
        'user-agent': 'etcd-medic',
        ...this.#authorization,
      },
      ...(typeof body === 'string' && { body }),
      // undici closes a connection behind a DELETE that has a body, for servers that trip over one. Kubernetes' expects
      // it, and a TLS handshake for each object would take most of the time.
      reset: false,
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    const received = Buffer.from(await answer.arrayBuffer());
    const bytes = headers['content-encoding'] === 'gzip' ? await unzip(received) : received;
    const text = statusCode < 400 ? bytes.toString() : this.#withoutToken(bytes.toString());
    return { status: statusCode, headers, text, receivedBytes: received.length };
  }

  /** R15: a server's, or a proxy's, words on a failure may repeat what it was sent, and they are quoted to people. */
  #withoutToken(text: string): string {
    return this.#token === undefined ? text : text.replaceAll(this.#token, '[token removed]');
  }

  /** Ends the connections; calls under way end with an error. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }
}
