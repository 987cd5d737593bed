// A proxy before each of the AWS stand-ins, which has all of AWS answer 500 for a while, beginning at a chosen call of a run.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { close, listen } from './server.ts';
import type { AwsStandIn } from './stand-in.ts';

/** Longer than all attempts that the SDK makes by itself. */
export const OUTAGE_MS = 2_000;

export interface Hiccups extends AsyncDisposable {
  /** Of the calls since the last `arm`, in order: `ssm GetParameter`. What is refused is not among them. */
  readonly calls: readonly string[];
  /** How many requests were answered 500 since then. */
  readonly refused: number;
  /** Counts from here; the n-th call (from 1) is answered 500, and so is all that comes in the next two seconds, at every service. */
  arm(n?: number): void;
  /** All is well from now on, and nothing is counted. */
  heal(): void;
}

const ENDPOINT = /^AWS_ENDPOINT_URL_(\w+)$/;

/**
 * In this process, from now on, AWS is what stands before `aws`. The durable engine's own record is not touched.
 * @param aws entered already
 */
export async function startHiccups(aws: AwsStandIn): Promise<Hiccups> {
  const state = { calls: [] as string[], refused: 0 };
  let armed = Number.POSITIVE_INFINITY;
  let downUntil = 0;
  let counts = false;

  function isDown(what: string): boolean {
    if (!counts) return false;
    if (Date.now() < downUntil) return true;
    state.calls.push(what);
    if (state.calls.length !== armed) return false;
    downUntil = Date.now() + OUTAGE_MS;
    return true;
  }

  const fronts = Object.entries(aws.environment).flatMap(([name, url]) => {
    const service = ENDPOINT.exec(name)?.[1]?.toLowerCase();
    if (service === undefined) return [];
    const target = new URL(url);
    const server = createServer((incoming, outgoing) => {
      const action = String(incoming.headers['x-amz-target'] ?? incoming.method).replace(/^.*\./, '');
      if (!isDown(`${service} ${action}`)) return pass(incoming, outgoing, target);
      state.refused++;
      refuse(incoming, outgoing, service === 's3');
    });
    return [{ name, server }];
  });
  for (const { name, server } of fronts) process.env[name] = await listen(server);
  return {
    get calls() {
      return state.calls;
    },
    get refused() {
      return state.refused;
    },
    arm: (n = Number.POSITIVE_INFINITY) => {
      armed = n;
      downUntil = 0;
      counts = true;
      Object.assign(state, { calls: [], refused: 0 });
    },
    heal: () => {
      counts = false;
    },
    [Symbol.asyncDispose]: async () => {
      for (const { name, server } of fronts) {
        const direct = aws.environment[name];
        if (direct !== undefined) process.env[name] = direct;
        await close(server);
      }
    },
  };
}

const S3_ERROR =
  '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>Try again.</Message></Error>';
const JSON_ERROR = '{"__type":"InternalServerError","message":"Try again."}';

function refuse(incoming: IncomingMessage, outgoing: ServerResponse, isXml: boolean): void {
  const type = isXml ? 'application/xml' : 'application/x-amz-json-1.1';
  incoming.resume();
  incoming.on('end', () => outgoing.writeHead(500, { 'content-type': type }).end(isXml ? S3_ERROR : JSON_ERROR));
}

function pass(incoming: IncomingMessage, outgoing: ServerResponse, { hostname, port }: URL): void {
  const { method, url: path, headers } = incoming;
  const onward = request({ hostname, port, method, path, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(outgoing);
  });
  // Either side may go away, as a client does that has waited for long enough.
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
