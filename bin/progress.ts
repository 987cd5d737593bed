// What a run's durable operations look like to somebody who watches it on a terminal.
import type { RunReport } from '../functions/contract/report.ts';
import type { OperationChange } from '../lab/execution/local-operations.ts';

/** Steps that say nothing to a person. */
const BOOKKEEPING: ReadonlySet<string> = new Set(['finish', 'publish-metrics']);

/** One line when a step begins and one when it has ended, with its own words; undefined for everything else. */
export function progressLine({ name, type, from, to, result, problem }: OperationChange): string | undefined {
  if (type !== 'STEP' || name === undefined || BOOKKEEPING.has(name)) return undefined;
  if (to === 'STARTED' && from === undefined) return `${name} …`;
  if (to === 'SUCCEEDED') return isNotConfigured(result) ? undefined : `${name}: ${stepWords(result) ?? 'done'}`;
  return to === 'FAILED' ? `${name}: ${problem ?? 'failed'}` : undefined;
}

/** That is said once, at the end. */
function isNotConfigured(result: string | undefined): boolean {
  const recorded: unknown = result === undefined ? undefined : JSON.parse(result);
  return (
    typeof recorded === 'object' && recorded !== null && 'outcome' in recorded && recorded.outcome === 'not-configured'
  );
}

/** The last lines of a run: what isn't there, how it ended, why, and what it would have done. */
export function lastLines({ outcome, reason, plan = [], steps }: RunReport): string {
  const planned = plan.filter(({ detail }) => !NOT_CONFIGURED.test(detail));
  const missing = [
    ...steps.filter((step) => step.outcome === 'not-configured'),
    ...plan.filter(({ detail }) => NOT_CONFIGURED.test(detail)),
  ].map(({ name }) => name);
  const lines = [
    ...(missing.length > 0 ? [`not configured, and done without: ${[...new Set(missing)].join(', ')}`] : []),
    `outcome: ${outcome}`,
    `reason: ${reason}`,
    ...(planned.length > 0 ? [`plan: ${planned.map(({ name, detail }) => `${name} (${detail})`).join('; ')}`] : []),
  ];
  return lines.map((line) => `${line.replaceAll('\n', ' ')}\n`).join('');
}

/** As a plan says it of what it has no way to. */
const NOT_CONFIGURED = /: not configured\b/;

/** The outcome and detail that a journal's step recorded. */
export function stepWords(result: string | undefined): string | undefined {
  const recorded: unknown = result === undefined ? undefined : JSON.parse(result);
  if (typeof recorded !== 'object' || recorded === null || !('detail' in recorded) || !('outcome' in recorded))
    return undefined;
  // The report has all of its lines.
  const [detail] = String(recorded.detail).split('\n');
  return recorded.outcome === 'done' ? detail : `${String(recorded.outcome)}: ${detail}`;
}
