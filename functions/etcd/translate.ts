// Makes one of this room's errors of whatever a gRPC call ended with, and says what it means and what to do about it.
import { status as grpcStatus } from '@grpc/grpc-js';
import { redact } from '../contract/errors.ts';
import {
  type CallOutcome,
  type EtcdCall,
  EtcdError,
  EtcdTimeoutError,
  EtcdUnreachableError,
  NotEtcdError,
  UnsupportedError,
} from './errors.ts';
import { CONNECTION_FAILURES, ETCD_ANSWERS, type Meaning, NOT_PROPOSED } from './meanings.ts';
import { CONNECT_TIMEOUT_MS, GIVEN_UP, HELD } from './open-sockets.ts';

/** The server's clock for a call starts later than ours, and it may be that much ahead in ending it. */
const SERVER_IS_EARLY_MS = 500;

/** In milliseconds. */
export interface CallTime {
  readonly timeoutMs: number;
  readonly elapsedMs: number;
}

/** The call never left this process: grpc-js was still looking for a connection to send it over. */
const NEVER_SENT = /waiting for (name resolution|metadata filters|LB pick)/i;

/** How grpc-js begins when there was nothing to send a call over; what broke a call under way it says without this. */
const NO_CONNECTION = /^(?=Name resolution failed)|^No connection established\. (?:Last error: (?:Error: )?)?/;

/**
 * How etcd's own words begin. Everything else is the transport's, or somebody's between: they make up codes that look
 * like refusals.
 */
const ETCDS_OWN = /^(?:etcdserver|auth): /;

/** grpc-js's words for an answer that is no gRPC, of a gateway or another server. */
const HTTP_STATUS = /^Received HTTP status code/;

/** The codes by which etcd says no. After any other it may have done what it was asked. */
const REFUSALS: readonly (number | undefined)[] = [
  grpcStatus.INVALID_ARGUMENT,
  grpcStatus.NOT_FOUND,
  grpcStatus.ALREADY_EXISTS,
  grpcStatus.RESOURCE_EXHAUSTED,
  grpcStatus.FAILED_PRECONDITION,
  grpcStatus.OUT_OF_RANGE,
];

/**
 * The error of this room that says what `error` means. The gRPC error isn't passed on as its cause: its text stands,
 * cleaned, in brackets in the message, and a report that lists causes would say everything twice.
 * @param time the call's deadline and how long it took
 */
export function toEtcdError(error: unknown, call: EtcdCall, time?: CallTime): EtcdError {
  if (error instanceof EtcdError) return error;
  const code = grpcCode(error);
  const details = grpcDetails(error);

  const saidByServer = /context deadline exceeded/.test(details);
  if (saidByServer && time && time.elapsedMs < time.timeoutMs - SERVER_IS_EARLY_MS) {
    return explain(NOT_PROPOSED, call, details);
  }
  if (code === grpcStatus.DEADLINE_EXCEEDED || saidByServer) {
    return timeoutError(call, NEVER_SENT.test(details) ? 'not-done' : 'unknown', time?.timeoutMs);
  }
  if (code === grpcStatus.CANCELLED) {
    return new EtcdError(call, 'unknown', `the call was given up on this side (${details})`);
  }
  if (code === grpcStatus.UNIMPLEMENTED) return unimplemented(call, details);
  if (NO_CONNECTION.test(details) || code === undefined) return notConnected(call, details.replace(NO_CONNECTION, ''));
  if (ETCDS_OWN.test(details)) {
    const answer = ETCD_ANSWERS.find(({ pattern }) => pattern.test(details));
    if (answer) return explain(answer, call, details);
    return new EtcdError(call, REFUSALS.includes(code) ? 'not-done' : 'unknown', `etcd answered: ${details}`);
  }
  // Nothing that etcd is asked for here is that big or that garbled: this is another server's page read as gRPC.
  if (
    /Received message larger than max|Response message parsing error|invalid wire type|index out of range/.test(details)
  ) {
    return new NotEtcdError(call, 'unknown', `the answer is not etcd's (${details}). Check the address and the port`);
  }
  if (HTTP_STATUS.test(details)) {
    const text = `something that is not etcd answered (${details}): a gateway or a proxy before it. Check the address and the port`;
    return new NotEtcdError(call, 'unknown', text);
  }
  if (code === grpcStatus.UNAVAILABLE) {
    return new EtcdUnreachableError(call, 'unknown', `the connection broke (${details})`);
  }
  return new EtcdError(call, 'unknown', `etcd, or something before it, answered: ${details || 'nothing'}`);
}

/** No answer within `timeoutMs`. */
export function timeoutError(call: EtcdCall, outcome: CallOutcome, timeoutMs: number | undefined): EtcdTimeoutError {
  const within = timeoutMs === undefined ? 'in time' : `within ${timeoutMs} ms`;
  const text =
    outcome === 'not-done'
      ? `no connection ${within}. Something may accept connections there and not serve: a stalled member, a firewall, or not etcd at all`
      : `no answer ${within}. Whether it was done, or still is being done, is not known`;
  return new EtcdTimeoutError(call, outcome, text);
}

function unimplemented(call: EtcdCall, details: string): EtcdError {
  if (/unknown method/.test(details)) {
    return new UnsupportedError(call, 'not-done', `this version of etcd does not have it (${details})`);
  }
  // What a gRPC server doesn't have it has not done; what a gateway has done nobody knows.
  const outcome = HTTP_STATUS.test(details) ? 'unknown' : 'not-done';
  return new NotEtcdError(call, outcome, `a server that is not etcd (${details}). Check the address and the port`);
}

function notConnected(call: EtcdCall, details: string): EtcdError {
  if (details.includes(GIVEN_UP)) return timeoutError(call, 'not-done', CONNECT_TIMEOUT_MS);
  if (details.includes(HELD)) {
    const text =
      'the connection on which the member had said who it is broke before this was sent, and it goes over no other';
    return new EtcdUnreachableError(call, 'not-done', text);
  }
  const failure = CONNECTION_FAILURES.find(({ pattern }) => pattern.test(details));
  if (failure) return explain(failure, call, details);
  return new EtcdUnreachableError(call, 'not-done', `there is no connection (${details})`);
}

function explain({ type, outcome, text }: Meaning, call: EtcdCall, details: string): EtcdError {
  const [first, ...rest] = text.split(/\. (?=[A-Z`])/);
  const advice = rest.length > 0 ? `. ${rest.join('. ')}` : '';
  return new type(call, outcome, `${first} (${details})${advice}`);
}

function grpcCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'number' ? error.code : undefined;
}

/**
 * What came back, in one line: OpenSSL's thread ids and source files, grpc-js's time stamps and empty notes are cut
 * out.
 */
function grpcDetails(error: unknown): string {
  const own = error instanceof Error && 'details' in error && typeof error.details === 'string' ? error.details : '';
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : '';
  const text = own || (error instanceof Error ? code + error.message : String(error));
  return redact(text)
    .replace(/; if the root CA is installed locally, try running Node\.js with --use-system-ca/g, '')
    .replace(/\b[0-9A-F]{8,}:error:[0-9A-F]+:/g, '')
    .replace(/SSL routines:\w+:/g, '')
    .replace(/:\.\.\/deps\/[^\s:]+:\d+:/g, '; ')
    .replace(/\s*\(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, '')
    .replace(/\.?\s*Resolution note:\s*$/, '')
    .replace(/\s+/g, ' ')
    .replace(/[:;]\s*$/, '')
    .trim();
}
