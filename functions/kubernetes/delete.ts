// Deletes one object as it was listed, whatever happens to the answer on its way (R12).
import { readDeleted, readStatus } from './answers.ts';
import type { Calls, Patience } from './calls.ts';
import { type ApiCall, ApiUnavailableError, DeniedError, type KubernetesError, NotServedError } from './errors.ts';
import type { RequestContext } from './requests.ts';
import { isNotServed, refusal } from './translate.ts';
import type { Answer } from './transport.ts';
import type { DeleteOutcome, ListedObject, ObjectMetadata } from './types.ts';

export interface DeleteSteps {
  /** The request: with preconditions for uid and resourceVersion. */
  readonly remove: () => Promise<RequestContext>;
  /** What is there now; undefined: nothing. */
  readonly look: (patience: Patience) => Promise<ObjectMetadata | undefined>;
}

/**
 * Sent again only where nothing was done. Where that isn't known (no answer, a broken connection, 5xx), the object is
 * looked at first: still there as it was listed, it is sent again. Even a request that is still on its way then does no
 * harm, as its preconditions let it delete nothing but that. One that has vanished in between counts as deleted: it was
 * asked for. All of it has one patience, from the first call on.
 * @throws SetupError, KubernetesError
 */
export async function deleteListed(
  calls: Calls,
  call: ApiCall,
  object: ListedObject,
  { remove, look }: DeleteSteps,
): Promise<DeleteOutcome> {
  const patience = calls.patience().begin();
  for (;;) {
    const result = await calls.change(call, remove, patience);
    const problem = problemOf(result, call);
    if (typeof problem === 'string') return problem;
    const there = await look(patience);
    if (!there) return problem.outcome === 'unknown' ? 'deleted' : 'gone';
    if (there.uid !== object.uid) return 'changed';
    if (there.deletionTimestamp !== undefined) return 'finalizers';
    if (there.resourceVersion !== object.resourceVersion) return 'changed';
    if (!(await patience.pause())) throw problem;
  }
}

/** How it ended, or the problem after which it has to be looked at. @throws KubernetesError where the server said no */
function problemOf(result: Answer | ApiUnavailableError, call: ApiCall): DeleteOutcome | KubernetesError {
  if (result instanceof ApiUnavailableError) return result;
  if (result.status >= 200 && result.status < 300) return readDeleted(result, call);
  if (result.status === 404 && !isNotServed(result)) return 'gone';
  const problem = refusal(result, call);
  if (problem instanceof DeniedError) throw problem;
  if (result.status === 409) {
    // Other conflicts are the server's own trouble with somebody who wrote at the same time.
    return /\bprecondition\b/i.test(readStatus(result)?.message ?? '') ? 'changed' : problem;
  }
  // The kind was listed a moment ago: a server that doesn't have it is still starting.
  if (problem instanceof ApiUnavailableError || problem instanceof NotServedError) return problem;
  throw problem;
}
