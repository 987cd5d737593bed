// What an error of the API server means for a run: is it this kind's alone, does it pass, or is there nothing more to be done?
import {
  ApiUnavailableError,
  ForbiddenError,
  KubernetesError,
  ListExpiredError,
  NotServedError,
  ThrottledError,
  UnauthorizedError,
} from '../kubernetes/errors.ts';
import { describeError, EtcdMedicError } from '../run/errors.ts';

export interface Trouble {
  /**
   * `not-served`: the cluster does not have this kind. `refused`: no to this kind, the others may be handled. `away`: it may be better
   * in a while. `fatal`: it will not be, whatever the kind.
   */
  readonly kind: 'not-served' | 'refused' | 'away' | 'fatal';
  /** For a person: what was asked, what came back, what to do. */
  readonly detail: string;
}

/** @throws what is not an error of ours: it has to come up as what it is */
export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof EtcdMedicError)) throw error;
  return { kind: kindOf(error), detail: describeError(error) };
}

function kindOf(error: EtcdMedicError): Trouble['kind'] {
  if (error instanceof NotServedError) return 'not-served';
  if (error instanceof ForbiddenError) return 'refused';
  if (error instanceof ApiUnavailableError || error instanceof ThrottledError || error instanceof ListExpiredError) {
    return 'away';
  }
  if (error instanceof UnauthorizedError) return 'fatal';
  return error instanceof KubernetesError ? 'refused' : 'fatal';
}
