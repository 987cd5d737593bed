// A little HTTP server on 127.0.0.1 that a stand-in of an AWS service answers from.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';

/** One API action that was called: what a function's role must allow. */
export interface ApiCall {
  /** As in IAM: `events:PutEvents`. */
  readonly action: string;
  /** The name or ARN that the caller gave. */
  readonly resource: string;
  /** What conditions of a policy may ask for, as IAM names it: `dynamodb:LeadingKeys`. */
  readonly conditions?: Readonly<Record<string, readonly string[]>>;
  /** The access key id of the caller; left out for the one that all tests have, `test`. */
  readonly signedBy?: string;
}

/** Who has signed a request. */
export function signerOf({ authorization = '' }: IncomingMessage['headers']): Pick<ApiCall, 'signedBy'> {
  // AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, …
  const [, signedBy] = /Credential=([^/]+)\//.exec(authorization) ?? [];
  return signedBy === undefined || signedBy === 'test' ? {} : { signedBy };
}

export interface Request {
  readonly method: string;
  /** Still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Response {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a text is sent as it is. */
  readonly body?: unknown;
}

export interface RunningServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
}

/** Answers every request with what `respond` returns; an error in it becomes a 500 with its message. */
export async function startServer(respond: (request: Request) => Promise<Response>): Promise<RunningServer> {
  const server = createServer(async (incoming, outgoing) => {
    const { status, headers, body } = await answer(incoming, respond);
    const text = typeof body === 'string' ? body : JSON.stringify(body ?? {});
    outgoing.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
  });
  return { url: await listen(server), [Symbol.asyncDispose]: () => close(server) };
}

/** An error as the service would send it, for JSON and REST protocols alike. */
export function errorResponse(status: number, type: string, message: string): Response {
  return { status, headers: { 'x-amzn-errortype': type }, body: { __type: type, Type: 'User', message } };
}

/** @returns the server's address, on a free port */
export async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port');
  return `http://127.0.0.1:${address.port}`;
}

export async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve, reject) => server.close((error) => (error ? reject(error) : resolve())));
  server.closeAllConnections();
  await closed;
}

async function answer(incoming: IncomingMessage, respond: (request: Request) => Promise<Response>): Promise<Response> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://stand-in');
    const { method = 'GET', headers } = incoming;
    return await respond({
      method,
      path: pathname,
      query: searchParams,
      headers,
      body: Buffer.concat(chunks).toString(),
    });
  } catch (error) {
    return errorResponse(500, 'InternalFailure', error instanceof Error ? error.message : String(error));
  }
}
