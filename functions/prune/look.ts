// Observe: one survey of each kind, a durable step each. Changes nothing.

import type { ReportKind } from '../contract/kinds.ts';
import type { StepResult } from '../engine/step.ts';
import { describeReasons, format } from './guard.ts';
import { AWAY_AGAIN_SECONDS, hasteOf, type Reached, SURVEY_NEEDS_MS } from './pruning.ts';
import { type Surveyed, survey } from './survey.ts';
import { type Trouble, troubleOf } from './trouble.ts';

/**
 * How many stale reports one invocation remembers, some 500 bytes each; what is beyond that is listed again when these
 * are done.
 */
const REMEMBERED = 20_000;

/**
 * What a survey leaves of its invocation: its last call may take two minutes, and so may the one that looks whether all
 * is away.
 */
const SURVEY_LEAVES_MS = 4 * 60_000;
/** A call with all the patience that the client has. */
const CALL_NEEDS_MS = 2 * 60_000;

/** Kinds of which there is nothing in this etcd, each in one line of the report for all of them. */
const PASSED_OVER: ReadonlyMap<Trouble['kind'], string> = new Map([
  ['not-served', 'not served'],
  ['elsewhere', 'kept elsewhere'],
]);

/** One kind, as it was found. */
export interface Found {
  readonly kind: ReportKind;
  readonly surveyed: Surveyed | undefined;
  /** Why it could not be looked at. */
  readonly trouble: Trouble | undefined;
}

/**
 * Looks at every kind in turn, and passes over one that can't be looked at. Ends early where there is no use in going
 * on: the last one's trouble is then `away` or `fatal`.
 * @throws GuardError
 */
export async function lookAtAll(pruning: Reached, kinds: readonly ReportKind[]): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const kind of kinds) {
    const look = await lookAt(pruning, kind);
    found.push(look);
    if (endsRun(look.trouble)) break;
  }
  for (const [kind, name] of PASSED_OVER) {
    const names = found.filter(({ trouble }) => trouble?.kind === kind).map((one) => one.kind.name);
    if (names.length > 0) pruning.journal.note(name, { outcome: 'skipped', detail: names.join(', ') });
  }
  return found;
}

export function endsRun(trouble: Trouble | undefined): boolean {
  return trouble?.kind === 'away' || trouble?.kind === 'fatal';
}

interface SurveyEnds {
  readonly done: Surveyed;
  readonly 'nothing-to-do': Surveyed;
  readonly skipped: Trouble;
  readonly refused: Trouble;
  readonly failed: Trouble;
}

async function lookAt(pruning: Reached, kind: ReportKind): Promise<Found> {
  const { journal } = pruning;
  const name = `survey ${kind.name}`;
  const waits = { everySeconds: AWAY_AGAIN_SECONDS, withinSeconds: hasteOf(pruning).awayWithinSeconds };
  const polling = { ...waits, neededMs: SURVEY_NEEDS_MS, quiet: true };
  const step = await journal.poll<SurveyEnds>(name, polling, async () => {
    const seen = await look(pruning, kind);
    return { ...seen, again: seen.outcome === 'failed' && seen.data?.kind === 'away' };
  });
  if (step.outcome === 'done' || step.outcome === 'nothing-to-do') {
    journal.note(name, step);
    return { kind, surveyed: step.data, trouble: undefined };
  }
  // Without data it did not come to its end: an error that nobody foresaw, or no time for it in three invocations.
  const trouble = step.data ?? { kind: 'fatal', detail: step.detail };
  if (!PASSED_OVER.has(trouble.kind)) journal.note(name, step);
  const whose = trouble.kind === 'away' ? await whoseTrouble(pruning, kind, trouble) : trouble;
  return { kind, surveyed: undefined, trouble: whose };
}

/**
 * An aggregated group has a server of its own, which may be dead while all others answer: that is trouble of this kind
 * alone.
 * @returns `refused` then; `away` where the API server as a whole is
 */
async function whoseTrouble({ journal, api }: Reached, { name }: ReportKind, trouble: Trouble): Promise<Trouble> {
  const options = { neededMs: CALL_NEEDS_MS, quiet: true };
  const step = await journal.step<{ done: Trouble; failed: Trouble }>(`look beyond ${name}`, options, async () => {
    try {
      const { directory } = await api();
      if (await directory.isAway()) return { outcome: 'failed', detail: 'all is away', data: trouble };
      const detail = `${trouble.detail}. The rest of the API server answers, so only this kind was passed over: \`kubectl get apiservices\` says which server has it`;
      return { outcome: 'done', detail: 'the rest answers', data: { kind: 'refused', detail } };
    } catch (error) {
      const data = troubleOf(error);
      return { outcome: 'failed', detail: data.detail, data };
    }
  });
  return step.data ?? trouble;
}

async function look(
  { api, session, journal, emergency, raised, configuration: { prune } }: Reached,
  kind: ReportKind,
): Promise<StepResult<SurveyEnds>> {
  const untilMs = Date.now() + journal.leftMs - SURVEY_LEAVES_MS;
  try {
    const { client, directory } = await api();
    const what = {
      kind,
      rules: prune,
      capacity: memoryFor(raised[kind.name]?.maxDeletes ?? prune.maxDeletes, emergency),
    };
    const { surveyed, resource, candidates } = await survey(client, directory, what, untilMs);
    session.candidates.set(kind.name, { resource, list: candidates, left: surveyed.stale });
    const { listed, stale, reasons } = surveyed;
    const detail = `${format(listed)} listed, ${format(stale)} stale: ${describeReasons(reasons)}`;
    return { outcome: stale > 0 ? 'done' : 'nothing-to-do', detail, data: surveyed };
  } catch (error) {
    const trouble = troubleOf(error);
    const refused = trouble.kind === 'refused' || trouble.kind === 'unreadable';
    const outcome = PASSED_OVER.has(trouble.kind) ? 'skipped' : refused ? 'refused' : 'failed';
    return { outcome, detail: trouble.detail, data: trouble };
  }
}

/** More than a run may delete is never asked for. */
export function memoryFor(maxDeletes: number, emergency: boolean): number {
  return emergency ? REMEMBERED : Math.min(maxDeletes, REMEMBERED);
}
