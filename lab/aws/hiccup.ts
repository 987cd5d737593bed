// A proxy before each of the AWS stand-ins, which has all of AWS answer 500 for a while, beginning at a chosen call of
// a run.
import { createServer, type IncomingMessage } from 'node:http';
import { passOn, refuse } from './front.ts';
import { operationOf } from './s3-wire.ts';
import { close, listen } from './server.ts';
import type { AwsStandIn } from './stand-in.ts';

/** Longer than all attempts that the SDK makes by itself. */
const OUTAGE_MS = 2_000;

/** One of a run's calls. */
export interface Call {
  /** `ssm GetParameter` */
  readonly action: string;
  /** Among those of its action, from 1. */
  readonly number: number;
  /**
   * What is asked for is done all the same, by this call and by those after it; only their answers are lost.
   * @default false
   */
  readonly done?: boolean;
}

export interface Hiccups extends AsyncDisposable {
  /** Of the calls since the last `arm`, in order: `ssm GetParameter`. What is refused is not among them. */
  readonly calls: readonly string[];
  /** How many requests were answered 500 since then. */
  readonly refused: number;
  /**
   * Counts from here; this call is answered 500, and so is all that comes in the next two seconds, at every service.
   */
  arm(call?: Call): void;
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
  let armed: Call | undefined;
  let downUntil = 0;
  let isDone = false;
  let counts = false;

  function isDown(action: string): boolean {
    if (!counts) return false;
    if (Date.now() < downUntil) return true;
    state.calls.push(action);
    if (action !== armed?.action) return false;
    if (state.calls.filter((each) => each === action).length !== armed.number) return false;
    isDone = armed.done === true;
    armed = undefined;
    downUntil = Date.now() + OUTAGE_MS;
    return true;
  }

  const fronts = Object.entries(aws.environment).flatMap(([name, url]) => {
    const service = ENDPOINT.exec(name)?.[1]?.toLowerCase();
    if (service === undefined) return [];
    const target = new URL(url);
    const server = createServer((incoming, outgoing) => {
      if (!isDown(`${service} ${actionOf(incoming, service)}`)) return passOn(incoming, outgoing, target);
      state.refused++;
      const answer = () => refuse(outgoing, service === 's3');
      if (isDone) return passOn(incoming, outgoing, target, answer);
      incoming.resume().on('end', answer);
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
    arm: (call) => {
      armed = call;
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

function actionOf({ headers, method = 'GET', url = '/' }: IncomingMessage, service: string): string {
  const target = headers['x-amz-target'];
  if (target !== undefined) return String(target).replace(/^.*\./, '');
  if (service !== 's3') return method;
  const { pathname, searchParams } = new URL(url, 'http://stand-in');
  const [, _bucket, ...key] = pathname.split('/');
  return operationOf(method, key.join('/'), searchParams);
}
