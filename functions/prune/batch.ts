// Deletes reports many at a time, each exactly as it was listed (R12).
import { DeniedError } from '../kubernetes/errors.ts';
import type { DeleteOutcome, KubernetesClient, ListedObject, Resource } from '../kubernetes/types.ts';

/**
 * A delete waits for etcd's disk most of its time, and many at once share one write there; the client begins with few,
 * and sends fewer as soon as the server says that it is too many (429).
 */
const PARALLEL_DELETES = 64;

export type BatchCounts = Readonly<Record<DeleteOutcome, number>>;

/** So many in a row, and it is not about single reports: the rest of the kind would be denied as well. */
const DENIED_IN_A_ROW = 10;
/** Enough to go and look. */
export const NAMES = 5;

/** Reports that admission did not let go. They are no candidates of this run any more. */
export interface Denied {
  readonly count: number;
  /** The first few, as `<namespace>/<name>`. */
  readonly names: readonly string[];
  /** What the server said of the first. */
  readonly detail: string;
}

export interface Batch extends BatchCounts {
  /** Undefined: none. */
  readonly denied: Denied | undefined;
  /** What ended it before its time; what it concerned is a candidate again. */
  readonly problem: unknown;
}

export interface BatchLimits {
  readonly reports: number;
  /** Nothing new is begun after this, in ms since 1970. */
  readonly untilMs: number;
}

export const NOTHING: BatchCounts = { deleted: 0, gone: 0, changed: 0, finalizers: 0 };

/** Takes what it deletes out of `candidates`. Never throws for a delete that fails: that is `problem`. */
export async function deleteBatch(
  client: Pick<KubernetesClient, 'delete'>,
  resource: Resource,
  candidates: ListedObject[],
  { reports, untilMs }: BatchLimits,
): Promise<Batch> {
  const counts = { ...NOTHING };
  const problems: unknown[] = [];
  let denied: Denied | undefined;
  let deniedInARow = 0;
  let begun = 0;
  const work = async (): Promise<void> => {
    while (problems.length === 0 && begun < reports && Date.now() < untilMs) {
      const object = candidates.pop();
      if (object === undefined) return;
      begun++;
      try {
        counts[await client.delete(resource, object)]++;
        deniedInARow = 0;
      } catch (error) {
        if (error instanceof DeniedError) {
          denied = add(denied, object, error);
          if (++deniedInARow < DENIED_IN_A_ROW) continue;
        } else {
          candidates.push(object);
        }
        problems.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_DELETES }, work));
  return { ...counts, denied, problem: problems[0] };
}

function add(denied: Denied | undefined, { namespace, name }: ListedObject, { message }: DeniedError): Denied {
  const { count, names, detail } = denied ?? { count: 0, names: [], detail: message };
  const more = names.length < NAMES ? [namespace === undefined ? name : `${namespace}/${name}`] : [];
  return { count: count + 1, names: [...names, ...more], detail };
}
