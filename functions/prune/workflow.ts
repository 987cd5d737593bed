// Pruning of stale reports: observe, decide, act, report (docs/architecture.md, "The way of an event").

import { checkLimits, kindsToPrune } from '../contract/kinds.ts';
import { adviceOn } from '../contract/report.ts';
import type { Conclusion } from '../engine/conduct.ts';
import { GuardError } from '../engine/journal.ts';
import { type Mode, readMode } from '../engine/mode.ts';
import { carryOut } from '../engine/plan.ts';
import { confirmAbsence, type Unconfirmed } from './absence.ts';
import { Acting } from './act.ts';
import {
  describeDone,
  describeStep,
  type Ending,
  endingOf,
  type Handled,
  planOf,
  prunedResource,
  raiseOfAll,
  refusals,
  sentences,
  unavailable,
  unreadableIn,
  untold,
} from './conclude.ts';
import { format, type Guarded, guard } from './guard.ts';
import { describeRaised, limitsOf } from './limits.ts';
import { endsRun, type Found, lookAtAll } from './look.ts';
import { hasteOf, type Pruning, type Reached } from './pruning.ts';

/** One pruning, from the first look to the last batch. Everything it finds out or does is in the journal's steps. */
export async function prune(pruning: Pruning): Promise<Conclusion> {
  const { configuration, session, journal, raised } = pruning;
  const { kubernetes } = configuration;
  if (kubernetes === undefined) {
    const reason =
      'Nothing was looked at: the configuration has no `kubernetes`. Set kubernetes.server to the API server’s URL and kubernetes.credentials to a token or client certificate with the rights of docs/rbac.yaml.';
    return { outcome: 'refused', reason, members: [] };
  }
  const kinds = kindsToPrune(configuration.prune.kinds);
  checkLimits(raised, kinds, 'command');
  const allowed = describeRaised(pruning);
  if (allowed !== undefined) journal.note('limits', { outcome: 'done', detail: allowed });
  const mode = await readMode(pruning);
  const { patienceMs } = hasteOf(pruning);
  const reached: Reached = { ...pruning, api: () => session.api(kubernetes, patienceMs) };
  const found = await lookAtAll(reached, kinds);
  const unconfirmed = await confirmAbsence(reached, found);
  const handled = found.map((one) => ({
    ...one,
    guarded: guardOf(one, reached, unconfirmed),
    progress: undefined,
  }));
  const conclusion = unusable(found) ?? (await decide(reached, handled, unconfirmed, mode));
  return allowed === undefined ? conclusion : { ...conclusion, reason: `${conclusion.reason} ${allowed}.` };
}

function guardOf(
  { kind, surveyed }: Found,
  { configuration: { prune }, raised }: Reached,
  unconfirmed: Unconfirmed,
): Guarded | undefined {
  const options = { unconfirmed: kind.producer && unconfirmed[kind.producer], raised: raised[kind.name] };
  return surveyed && guard(kind, surveyed, prune, options);
}

/** What ends a run before anything is decided. */
function unusable(found: readonly Found[]): Conclusion | undefined {
  const pruned = found.map((one) => prunedResource({ ...one, guarded: undefined, progress: undefined }));
  const last = found.at(-1)?.trouble;
  if (endsRun(last)) {
    const reason = `The API server could not be used, and nothing was changed: ${last?.detail}`;
    return { outcome: 'failed', reason, members: [], pruned, ...unavailable(last) };
  }
  const unreadable = sentences(unreadableIn(found));
  const passedOver = [...unreadable, ...refusals(found)];
  if (passedOver.length === 0 || found.some(({ surveyed }) => surveyed !== undefined)) return undefined;
  const reason = `No kind of report may be looked at, so nothing was changed. ${passedOver[0]}`;
  return { outcome: unreadable.length > 0 ? 'escalated' : 'refused', reason, members: [], pruned };
}

async function decide(
  pruning: Reached,
  handled: readonly Handled[],
  unconfirmed: Unconfirmed,
  { mode, why: standing }: Mode,
): Promise<Conclusion> {
  const members: Conclusion['members'] = [];
  const pruned = handled.map(prunedResource);
  const sum = (of: (one: NonNullable<Found['surveyed']>) => number) =>
    handled.reduce((total, { surveyed }) => total + (surveyed ? of(surveyed) : 0), 0);
  const stale = sum((surveyed) => surveyed.stale);
  const unreadable = sentences(unreadableIn(handled));
  const refused = refusals(handled);
  const passedOver = [...unreadable, ...refused];
  if (stale === 0) {
    const served = handled.filter(({ surveyed }) => surveyed !== undefined).length;
    const looked =
      served === 0
        ? 'This cluster serves none of the kinds of reports.'
        : `None of ${format(sum((surveyed) => surveyed.listed))} reports of ${served} kinds is known to be stale.`;
    // Nothing to do is said only of what could be looked at.
    const outcome = unreadable.length > 0 ? 'escalated' : refused.length > 0 ? 'refused' : 'nothing-to-do';
    return { outcome, reason: [looked, ...untold(handled), ...passedOver].join(' '), members, pruned };
  }
  if (pruning.dryRun || mode === 'observe') {
    const plan = planOf(handled).map(describeStep);
    const why = pruning.dryRun ? 'A dry run' : standing;
    const blocked = handled.filter(({ guarded }) => guarded !== undefined).length;
    const but = blocked === 0 ? '' : ` Of ${blocked} kinds some would not be deleted unasked: see the plan.`;
    const reason = `${why}: nothing was changed. ${format(stale)} reports are stale.${but}`;
    const outcome = unreadable.length > 0 ? 'escalated' : 'planned';
    const raise = raiseOfAll(handled);
    const act = raise === undefined ? [] : [`${adviceOn(raise)}.`];
    return {
      outcome,
      reason: [reason, ...act, ...passedOver].join(' '),
      members,
      plan,
      pruned,
      ...(raise && { raise }),
    };
  }
  return act(pruning, handled, unconfirmed);
}

async function act(pruning: Reached, handled: readonly Handled[], unconfirmed: Unconfirmed): Promise<Conclusion> {
  const plan = planOf(handled);
  const toDelete = plan.reduce((sum, step) => sum + (step.action === 'delete' ? step.toDelete : 0), 0);
  const limits = limitsOf(pruning.configuration.prune, toDelete, pruning.emergency, pruning.raised);
  const acting = new Acting(pruning, limits, unconfirmed);
  const progress = new Map<string, Handled['progress']>();
  const all = () => handled.map((one) => ({ ...one, progress: progress.get(one.kind.name) }));
  const conclude = (ending: Ending): Conclusion => ({
    ...ending,
    members: [],
    pruned: all().map(prunedResource),
  });
  try {
    await carryOut(plan, async (step) => {
      if (step.action === 'leave') return undefined;
      const { kind, toDelete: stale, held } = step;
      // Others may have limits of their own.
      if (acting.isSpent(kind)) return undefined;
      await acting.deleteStale({ kind, stale, held }, (now) => progress.set(kind.name, now));
      const why = progress.get(kind.name)?.stopped?.why;
      return why === 'time' || why === 'away' || why === 'fatal' ? [] : undefined;
    });
  } catch (error) {
    if (!(error instanceof GuardError)) throw error;
    return conclude({ outcome: 'escalated', reason: `${error.message}. ${describeDone(all())}` });
  }
  return conclude(endingOf(all(), limits));
}
