// What can go wrong between etcd-medic and the API server, as types that a workflow can tell apart.
import { EtcdMedicError } from '../contract/errors.ts';

/** The call that failed: what was asked of whom. */
export interface ApiCall {
  readonly verb: 'list' | 'get' | 'delete';
  /** `vulnerabilityreports.aquasecurity.github.io`, for one object with its namespace and name behind it. */
  readonly target: string;
  /** Its URL. */
  readonly server: string;
}

/**
 * `not-done`: the server refused the call or never got it. `unknown`: it may have done it, or be doing it still.
 * Reads change nothing, so it matters for a delete only.
 */
export type ApiCallOutcome = 'not-done' | 'unknown';

/** The server answered with an error that has no class of its own; the base of all errors of this room's calls. */
export class KubernetesError extends EtcdMedicError {
  override readonly name: string = 'KubernetesError';
  readonly call: ApiCall;
  readonly outcome: ApiCallOutcome;

  /** @param text completes "<verb> <target> at <server>: …" and says what a person can do */
  constructor(call: ApiCall, outcome: ApiCallOutcome, text: string, options?: ErrorOptions) {
    super(`${call.verb} ${call.target} at ${call.server}: ${text}`, options);
    this.call = call;
    this.outcome = outcome;
  }
}

/**
 * 401: the server doesn't know who is asking: the token or the client certificate is expired, revoked or another
 * cluster's.
 */
export class UnauthorizedError extends KubernetesError {
  override readonly name = 'UnauthorizedError';
}

/** 403: the server knows who is asking, and RBAC does not allow it. */
export class ForbiddenError extends KubernetesError {
  override readonly name = 'ForbiddenError';
}

/** An admission webhook or policy said no to this one object; others of its kind may go. */
export class DeniedError extends KubernetesError {
  override readonly name = 'DeniedError';
}

/** The cluster does not have this kind, or not in this version. */
export class NotServedError extends KubernetesError {
  override readonly name = 'NotServedError';
}

/**
 * The server can't decode, or decrypt, what etcd has of this kind: one such object, and no list of the kind that would
 * have it is answered. Nobody but a person can do something about it.
 */
export class StorageReadError extends KubernetesError {
  override readonly name = 'StorageReadError';
}

/** 429 for longer than a call waits; what it asked for was not done. */
export class ThrottledError extends KubernetesError {
  override readonly name = 'ThrottledError';
}

/**
 * No answer, a broken connection or 5xx, for longer than a call waits. `outcome` says whether a delete may have
 * happened.
 */
export class ApiUnavailableError extends KubernetesError {
  override readonly name = 'ApiUnavailableError';
}

/** 410 without a token to go on with: the list has to begin again from its start. */
export class ListExpiredError extends KubernetesError {
  override readonly name = 'ListExpiredError';
}
