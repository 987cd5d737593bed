// What can go wrong between etcd-medic and one etcd member, as types that a workflow can tell apart.
import { EtcdMedicError } from '../contract/errors.ts';

/** The call that failed: what was asked of whom. */
export interface EtcdCall {
  /** The client URL. */
  readonly endpoint: string;
  /** As etcd names it: `Status`, `Defragment`, … */
  readonly method: string;
}

/**
 * `not-done`: the member refused the call or never got it. `unknown`: it may have done it, or be doing it still, so
 * nothing is sent again before the member's state has told (R5).
 */
export type CallOutcome = 'not-done' | 'unknown';

/** The member answered with an error that has no class of its own; the base of all errors of this room's calls. */
export class EtcdError extends EtcdMedicError {
  override readonly name: string = 'EtcdError';
  readonly endpoint: string;
  readonly method: string;
  readonly outcome: CallOutcome;
  /** The message without "<method> at <endpoint>: ". */
  readonly text: string;

  /** @param text completes "<method> at <endpoint>: …" and says what a person can do */
  constructor(call: EtcdCall, outcome: CallOutcome, text: string, options?: ErrorOptions) {
    super(`${call.method} at ${call.endpoint}: ${text}`, options);
    this.endpoint = call.endpoint;
    this.method = call.method;
    this.outcome = outcome;
    this.text = text;
  }
}

/** No answer in time. It means unknown, not failed: the server goes on with what it was asked. */
export class EtcdTimeoutError extends EtcdError {
  override readonly name = 'EtcdTimeoutError';
}

/** No connection, or it broke: refused, reset, no route. */
export class EtcdUnreachableError extends EtcdError {
  override readonly name: string = 'EtcdUnreachableError';
}

/**
 * Nobody was even asked: the name does not resolve, or this side has no way out. It says nothing about the member
 * (R11).
 */
export class UnaskedError extends EtcdUnreachableError {
  override readonly name = 'UnaskedError';
}

/** The two sides don't trust each other: wrong CA, expired certificate, refused client certificate, no TLS at all. */
export class EtcdTlsError extends EtcdError {
  override readonly name = 'EtcdTlsError';
}

/** Something answered, and it isn't etcd. */
export class NotEtcdError extends EtcdError {
  override readonly name = 'NotEtcdError';
}

/** At this moment the member has no leader that a majority follows; nothing that needs the cluster's consent works. */
export class QuorumLostError extends EtcdError {
  override readonly name = 'QuorumLostError';
}

/** A NOSPACE alarm stands: the cluster refuses everything that makes the database grow. */
export class NoSpaceError extends EtcdError {
  override readonly name = 'NoSpaceError';
}

/** A CORRUPT alarm stands: the cluster refuses reads and writes, and no program may disarm it (R1). */
export class CorruptError extends EtcdError {
  override readonly name = 'CorruptError';
}

/** Only the leader does this, and this member isn't it (any more). */
export class NotLeaderError extends EtcdError {
  override readonly name = 'NotLeaderError';
}

/** The member is a learner, which answers Status and reads of its own data and nothing else. */
export class LearnerError extends EtcdError {
  override readonly name = 'LearnerError';
}

/** The member's version of etcd doesn't have this call. */
export class UnsupportedError extends EtcdError {
  override readonly name = 'UnsupportedError';
}

/** etcd's own authorization is on and the user (the client certificate's common name) may not do this. */
export class PermissionDeniedError extends EtcdError {
  override readonly name = 'PermissionDeniedError';
}

/** The member's quota could not be read, so nothing that depends on it is done on a guess (R8). */
export class QuotaUnreadableError extends EtcdError {
  override readonly name = 'QuotaUnreadableError';
}

/** The two members of a mix-up, by their hexadecimal ids. */
export interface MixUp {
  /** Whom the call was meant for; nothing was done there. */
  readonly meant: string;
  /** Who answered. */
  readonly found: string;
  /** The call was a change, and who answered has made it. */
  readonly done: boolean;
}

/** Another member answered than the one that was meant (R19): the address leads to several, or to a new one. */
export class WrongMemberError extends EtcdError {
  override readonly name = 'WrongMemberError';
  readonly mixUp: MixUp;

  constructor(call: EtcdCall, mixUp: MixUp) {
    const { meant, found, done } = mixUp;
    const effect = done ? `${call.method} was done there, and not on ${meant}` : 'so its answer does not count';
    const advice =
      'This address leads to more than one member: give each a client URL of its own (--advertise-client-urls)';
    super(call, 'not-done', `member ${found} answered instead of member ${meant}, ${effect}. ${advice}`);
    this.mixUp = mixUp;
  }
}

/** One endpoint and why it did not serve. */
export interface EndpointProblem {
  readonly endpoint: string;
  readonly problem: string;
  /** Nothing answers there at all: refused, no route, no answer in time. */
  readonly silent: boolean;
}

/** Not one of the endpoints answered as a member of a cluster: nothing is known about it, and nothing was changed. */
export class NoMemberAnsweredError extends EtcdMedicError {
  override readonly name = 'NoMemberAnsweredError';
  readonly problems: readonly EndpointProblem[];

  constructor(summary: string, problems: readonly EndpointProblem[], options?: ErrorOptions) {
    super([summary, ...problems.map(({ problem }) => `- ${problem}`)].join('\n'), options);
    this.problems = problems;
  }
}

/** The configured endpoints belong to more than one cluster; nothing was changed in any of them. */
export class DifferentClustersError extends EtcdMedicError {
  override readonly name = 'DifferentClustersError';
}

/** The member does not have that revision any more. */
export function isCompacted(error: unknown): boolean {
  return error instanceof EtcdError && /required revision has been compacted/.test(error.message);
}
