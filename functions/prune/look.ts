// Observe: one survey of each kind, a durable step each. Changes nothing.
import type { RecordedStep } from '../run/journal.ts';
import { describeReasons, format } from './guard.ts';
import type { ReportKind } from './kinds.ts';
import { AWAY_AGAIN_SECONDS, AWAY_ATTEMPTS, type Reached, SURVEY_NEEDS_MS } from './pruning.ts';
import { type Surveyed, survey } from './survey.ts';
import { type Trouble, troubleOf } from './trouble.ts';

/** How many stale reports one invocation remembers, some 300 bytes each; what is beyond that is listed again when these are done. */
export const REMEMBERED = 20_000;

/** One kind, as it was found. */
export interface Found {
  readonly kind: ReportKind;
  readonly surveyed: Surveyed | undefined;
  /** Why it could not be looked at. */
  readonly trouble: Trouble | undefined;
}

/**
 * Looks at every kind in turn. Ends early where there is no use in going on: the last one's trouble is then `away` or `fatal`.
 * @throws GuardError
 */
export async function lookAtAll(pruning: Reached, kinds: readonly ReportKind[]): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const kind of kinds) {
    const look = await lookAt(pruning, kind);
    found.push(look);
    if (endsRun(look.trouble)) break;
  }
  const notServed = found.filter(({ trouble }) => trouble?.kind === 'not-served').map(({ kind }) => kind.name);
  if (notServed.length > 0) pruning.journal.missing('not served', notServed.join(', '), 'skipped');
  return found;
}

export function endsRun(trouble: Trouble | undefined): boolean {
  return trouble?.kind === 'away' || trouble?.kind === 'fatal';
}

type Data = { readonly surveyed: Surveyed } | { readonly trouble: Trouble };

async function lookAt(pruning: Reached, kind: ReportKind): Promise<Found> {
  const { journal, context } = pruning;
  const name = `survey ${kind.name}`;
  for (let attempt = 1; ; attempt++) {
    const attemptName = attempt === 1 ? name : `${name}, again (${attempt})`;
    const step = await journal.inTime<Data>(attemptName, SURVEY_NEEDS_MS, () => look(pruning, kind));
    const trouble = troubleIn(step);
    if (trouble?.kind === 'away' && attempt < AWAY_ATTEMPTS) {
      await context.wait('the API server', { seconds: AWAY_AGAIN_SECONDS });
      continue;
    }
    if (trouble?.kind !== 'not-served') journal.note(name, step);
    return { kind, surveyed: step.data && 'surveyed' in step.data ? step.data.surveyed : undefined, trouble };
  }
}

async function look({ api, session, configuration: { prune } }: Reached, kind: ReportKind) {
  try {
    const { client, directory } = await api();
    const { surveyed, resource, candidates } = await survey(client, directory, kind, memoryFor(prune.maxDeletes));
    session.candidates.set(kind.name, { resource, list: candidates, left: surveyed.stale });
    const { listed, stale, reasons } = surveyed;
    const detail = `${format(listed)} listed, ${format(stale)} stale: ${describeReasons(reasons)}`;
    return { outcome: stale > 0 ? 'done' : 'nothing-to-do', detail, data: { surveyed } } as const;
  } catch (error) {
    const trouble = troubleOf(error);
    const outcome = trouble.kind === 'refused' ? 'refused' : 'failed';
    return { outcome, detail: trouble.detail, data: { trouble } } as const;
  }
}

/** More than a run may delete is never asked for. */
export function memoryFor(maxDeletes: number): number {
  return Math.min(maxDeletes, REMEMBERED);
}

/** A step without data did not come to its end: an error that nobody foresaw, or no time for it in three invocations. */
function troubleIn({ data, detail }: RecordedStep<Data>): Trouble | undefined {
  if (data === undefined) return { kind: 'fatal', detail };
  return 'trouble' in data ? data.trouble : undefined;
}
