// What an error of the API server means for a run: is it this kind's alone, does it pass, or is there nothing more to
// be done?

import { describeError, EtcdMedicError } from '../contract/errors.ts';
import {
  ApiUnavailableError,
  KubernetesError,
  ListExpiredError,
  NotServedError,
  StorageReadError,
  ThrottledError,
  UnauthorizedError,
} from '../kubernetes/errors.ts';

export interface Trouble {
  /**
   * `not-served`: the cluster does not have this kind. `elsewhere`: it is not in this etcd. `refused`: no to this
   * kind, the others may be handled. `unreadable`: the same, and a person has to mend what the server can't read.
   * `away`: it may be better in a while. `fatal`: it will not be, whatever the kind.
   */
  readonly kind: 'not-served' | 'elsewhere' | 'refused' | 'unreadable' | 'away' | 'fatal';
  /** For a person: what was asked, what came back, what to do. */
  readonly detail: string;
  /** Nobody answered, or the server could not: it is not only too busy. */
  readonly unanswered?: true | undefined;
}

/** A look took longer than its invocation has time for; a fresh one has more. */
export class TooSlowError extends EtcdMedicError {
  override readonly name = 'TooSlowError';
}

/**
 * Another server keeps this kind: Kyverno's reports-server, which heeds neither preconditions nor `limit`. To delete
 * there would take what nobody has judged (R12), and free nothing in etcd.
 */
export class ServedElsewhereError extends EtcdMedicError {
  override readonly name = 'ServedElsewhereError';
}

/**
 * @param what was being done
 * @param untilMs in ms since 1970
 * @throws TooSlowError
 */
export function checkTime(what: string, untilMs: number): void {
  if (Date.now() < untilMs) return;
  throw new TooSlowError(
    `${what} took longer than there was time for. Look at the API server's load and at etcd behind it, or run it at a quieter time`,
  );
}

/** @throws what is not an error of ours: it has to come up as what it is */
export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof EtcdMedicError)) throw error;
  const trouble = { kind: kindOf(error), detail: describeError(error) };
  return error instanceof ApiUnavailableError ? { ...trouble, unanswered: true } : trouble;
}

const PASSES = [ApiUnavailableError, ThrottledError, ListExpiredError, TooSlowError];

function kindOf(error: EtcdMedicError): Trouble['kind'] {
  if (error instanceof NotServedError) return 'not-served';
  if (error instanceof ServedElsewhereError) return 'elsewhere';
  if (error instanceof StorageReadError) return 'unreadable';
  if (PASSES.some((type) => error instanceof type)) return 'away';
  // The client has asked three times.
  if (error instanceof UnauthorizedError) return 'fatal';
  return error instanceof KubernetesError ? 'refused' : 'fatal';
}
