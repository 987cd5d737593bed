// What a run's durable operations look like to somebody who watches it on a terminal.
import type { OperationChange } from '../lab/execution/local-operations.ts';

/** Steps that say nothing to a person. */
const BOOKKEEPING: ReadonlySet<string> = new Set(['finish', 'publish-metrics']);

/** One line when a step begins and one when it has ended, with its own words; undefined for everything else. */
export function progressLine({ name, type, from, to, result, problem }: OperationChange): string | undefined {
  if (type !== 'STEP' || name === undefined || BOOKKEEPING.has(name)) return undefined;
  if (to === 'STARTED' && from === undefined) return `${name} …`;
  if (to === 'SUCCEEDED') return `${name}: ${stepWords(result) ?? 'done'}`;
  return to === 'FAILED' ? `${name}: ${problem ?? 'failed'}` : undefined;
}

/** The outcome and detail that a journal's step recorded. */
export function stepWords(result: string | undefined): string | undefined {
  const recorded: unknown = result === undefined ? undefined : JSON.parse(result);
  if (typeof recorded !== 'object' || recorded === null || !('detail' in recorded) || !('outcome' in recorded))
    return undefined;
  // The report has all of its lines.
  const [detail] = String(recorded.detail).split('\n');
  return recorded.outcome === 'done' ? detail : `${String(recorded.outcome)}: ${detail}`;
}
