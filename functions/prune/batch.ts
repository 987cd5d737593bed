// Deletes reports many at a time, each exactly as it was listed (R12).
import type { DeleteOutcome, KubernetesClient, ListedObject, Resource } from '../kubernetes/types.ts';

/**
 * A delete waits for etcd's disk most of its time, so that many at once cost the API server little more than one; the client sends
 * fewer as soon as the server says that it is too many (429).
 */
const PARALLEL_DELETES = 16;

export type BatchCounts = Readonly<Record<DeleteOutcome, number>>;

export interface Batch extends BatchCounts {
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
  let begun = 0;
  const work = async (): Promise<void> => {
    while (problems.length === 0 && begun < reports && Date.now() < untilMs) {
      const object = candidates.pop();
      if (object === undefined) return;
      begun++;
      try {
        counts[await client.delete(resource, object)]++;
      } catch (error) {
        candidates.push(object);
        problems.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_DELETES }, work));
  return { ...counts, problem: problems[0] };
}
