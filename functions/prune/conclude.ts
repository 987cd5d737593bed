// Report: what a run found and did, in numbers for the record and in words for a person.
import type { ReportKind } from '../contract/kinds.ts';
import {
  adviceOn,
  formatBytes,
  NOT_SERVED,
  type Outcome,
  type PlannedStep,
  type PrunedResource,
  type RunReport,
} from '../contract/report.ts';
import { EVIDENCES, type Evidence } from '../reports/stale.ts';
import type { Denied } from './batch.ts';
import { describeReasons, format, type Guarded, letThrough, only, raiseOf, wordsOf } from './guard.ts';
import type { Limits } from './limits.ts';
import type { Found } from './look.ts';
import type { Progress } from './progress.ts';
import type { Surveyed } from './survey.ts';
import type { Trouble } from './trouble.ts';

/** One kind, from the look at it to what became of it. */
export interface Handled extends Found {
  /** What of it the guard did not let be touched. */
  readonly guarded: Guarded | undefined;
  /** Undefined: nothing was to be deleted, or it was not begun. */
  readonly progress: Progress | undefined;
}

export function prunedResource({ kind, surveyed, trouble, guarded, progress }: Handled): PrunedResource {
  const notes = [
    trouble?.kind === 'not-served' ? NOT_SERVED : trouble?.detail,
    guarded && wordsOf(kind, guarded),
    progress?.stopped?.detail,
    surveyed && surveyed.finalizers.length > 0
      ? `stale ones with finalizers are left to whoever set them: ${surveyed.finalizers.join(', ')}`
      : undefined,
    surveyed && surveyed.unknownOwners.length > 0
      ? `owners could not be listed: ${surveyed.unknownOwners.join('; ')}`
      : undefined,
    progress?.denied ? `${format(progress.denied.count)} ${describeDenied(progress.denied)}` : undefined,
    progress && progress.missing > 0 ? `${format(progress.missing)} ${MISSING}` : undefined,
  ].filter((note) => note !== undefined);
  const { fresh: _, ...kept } = surveyed?.kept ?? {};
  return {
    resource: kind.name,
    listed: surveyed?.listed ?? 0,
    stale: surveyed?.stale ?? 0,
    deleted: progress?.deleted ?? 0,
    skipped: progress ? progress.gone + progress.changed + progress.finalizers + deniedOf(progress) : 0,
    ...(progress && progress.missing > 0 && { missing: progress.missing }),
    ...(isRefused({ trouble, progress }) && { refused: true as const }),
    reasons: surveyed?.reasons ?? {},
    ...(surveyed && guarded && { held: only(surveyed.reasons, guarded.held) }),
    ...(Object.keys(kept).length > 0 && { kept }),
    ...(surveyed?.staleBytes !== undefined && { staleBytes: surveyed.staleBytes }),
    ...(notes.length > 0 && { note: notes.join('. ') }),
  };
}

function isRefused({ trouble, progress }: Pick<Handled, 'trouble' | 'progress'>): boolean {
  return progress?.denied !== undefined || progress?.stopped?.why === 'refused' || trouble?.kind === 'refused';
}

export type PruneStep =
  | {
      readonly action: 'delete';
      readonly kind: ReportKind;
      readonly surveyed: Surveyed;
      readonly toDelete: number;
      /** What is not among them. */
      readonly held: Guarded['held'];
    }
  | { readonly action: 'leave'; readonly kind: ReportKind; readonly why: string };

/** A step for each kind of which something is stale. */
export function planOf(all: readonly Handled[]): readonly PruneStep[] {
  return all.flatMap(({ kind, surveyed, guarded }): PruneStep[] => {
    if (surveyed === undefined || surveyed.stale === 0) return [];
    const toDelete = letThrough(surveyed, guarded);
    return [
      ...(toDelete > 0 ? [{ action: 'delete' as const, kind, surveyed, toDelete, held: guarded?.held ?? [] }] : []),
      ...(guarded === undefined ? [] : [{ action: 'leave' as const, kind, why: wordsOf(kind, guarded) }]),
    ];
  });
}

export function describeStep(step: PruneStep): PlannedStep {
  if (step.action === 'leave') return { name: `leave ${step.kind.name}`, detail: step.why };
  const { toDelete } = step;
  const held: readonly Evidence[] = step.held;
  const { stale, listed, reasons, staleBytes } = step.surveyed;
  const evidence = EVIDENCES.filter((each) => !held.includes(each));
  const bytes = staleBytes === undefined ? '' : `; about ${formatBytes((staleBytes * toDelete) / stale)} in etcd`;
  const detail = `${format(toDelete)} of ${format(listed)}: ${describeReasons(only(reasons, evidence))}${bytes}`;
  return { name: `delete ${step.kind.name}`, detail };
}

const MISSING =
  'were not stale or not there any more when they were looked at again: where this run was interrupted, it had most likely deleted them itself';

function deniedOf({ denied }: Progress): number {
  return denied?.count ?? 0;
}

function describeDenied({ count, names, detail }: Denied): string {
  const some = count > names.length ? `${names.join(', ')} and more` : names.join(', ');
  return `were not let go by admission (${some}): ${detail}`;
}

export interface Ending extends Pick<RunReport, 'unavailable' | 'raise' | 'canWait'> {
  readonly outcome: Outcome;
  readonly reason: string;
}

/** The mark on the report of a run that found nobody to answer. */
export function unavailable(trouble: Pick<Trouble, 'unanswered'> | undefined): Pick<RunReport, 'unavailable'> {
  return trouble?.unanswered ? { unavailable: 'kubernetes' } : {};
}

/** How a run ended that got as far as deleting. */
export function endingOf(all: readonly Handled[], limits: Limits): Ending {
  const guarded = all.flatMap((one) => one.guarded?.why ?? []);
  const stops = all.flatMap(({ kind, progress }) =>
    progress?.stopped ? [{ ...progress.stopped, name: kind.name }] : [],
  );
  const broken = stops.filter(({ why }) => why === 'away' || why === 'fatal');
  const late = stops.filter(({ why }) => why === 'guard').map(({ detail }) => detail);
  const refused = stops.filter(({ why }) => why === 'refused' || why === 'not-served');
  const unreadable = [
    ...unreadableIn(all),
    ...stops.filter(({ why }) => why === 'unreadable').map(({ detail }) => detail),
  ];
  const done = `${describeDone(all)}${left(all, limits)}`;
  const reason = (...more: readonly string[]) => [done, ...more, ...refusals(all)].join(' ');
  if (broken.length > 0) {
    const why = broken.map(({ detail }) => detail).join('; ');
    const words = reason(`Then the API server could not be used any more: ${why}. Run again.`);
    return { outcome: 'failed', reason: words, ...unavailable(broken.find(({ unanswered }) => unanswered)) };
  }
  if (guarded.length + late.length + unreadable.length > 0) {
    const raise = raiseOfAll(all);
    // What to do comes first: a message has no room for more than a few kinds.
    const act = raise === undefined ? [] : [`${adviceOn(raise)}.`];
    const rules = [...guarded, ...late].map((text) => `R12: ${text}.`);
    const words = reason(...act, ...rules, ...sentences(unreadable));
    const canWait = unreadable.length === 0 && limits.configured;
    return { outcome: 'escalated', reason: words, ...(raise && { raise }), ...(canWait && { canWait }) };
  }
  const nothingDone = all.every(({ progress }) => progress === undefined || progress.deleted === 0);
  // Fewer than stop a kind may be all that there are.
  const denied = all.flatMap(({ progress }) => progress?.denied ?? []);
  if (refused.length + denied.length > 0 && nothingDone) {
    const why = refused.length > 0 ? refused : denied;
    return { outcome: 'refused', reason: reason(...why.map(({ detail }) => `${detail}.`)) };
  }
  return { outcome: 'pruned', reason: reason(...refused.map(({ detail }) => `${detail}.`)) };
}

/** The limits with which one run may delete what is held back. */
export function raiseOfAll(all: readonly Handled[]): RunReport['raise'] {
  return raiseOf(all.flatMap(({ kind, guarded }) => (guarded?.raise ? [[kind.name, guarded.raise]] : [])));
}

/** Kinds that could not be looked at, in a sentence each. */
export function refusals(all: readonly Found[]): string[] {
  return all.flatMap(({ trouble }) => (trouble?.kind === 'refused' ? [`Passed over: ${trouble.detail}.`] : []));
}

/**
 * What the server can't read, of reports' kinds and of owners', each once: a person has to mend it, whatever else was
 * done.
 */
export function unreadableIn(all: readonly Found[]): string[] {
  const details = all.flatMap(({ trouble, surveyed }) => [
    ...(trouble?.kind === 'unreadable' ? [trouble.detail] : []),
    ...(surveyed?.unreadable ?? []),
  ]);
  return [...new Set(details)];
}

export function sentences(details: readonly string[]): string[] {
  return details.map((detail) => `Unreadable: ${detail}.`);
}

/**
 * Of how many reports nobody can tell whether they are stale, and why, in a sentence; none where it can be told of all.
 */
export function untold(all: readonly Found[]): string[] {
  const surveys = all.flatMap(({ surveyed }) => surveyed ?? []);
  const unknown = surveys.reduce((sum, { kept }) => sum + (kept['owner-unknown'] ?? 0), 0);
  if (unknown === 0) return [];
  const why = [...new Set(surveys.flatMap(({ unknownOwners }) => unknownOwners))].join('; ');
  return [`Of ${format(unknown)} it cannot be told, because their owners could not be listed: ${why}.`];
}

/** "Deleted 5,900 stale reports of 2 kinds, about 70.1 MiB in etcd." */
export function describeDone(all: readonly Handled[]): string {
  const sum = (of: (progress: Progress) => number) =>
    all.reduce((total, { progress }) => total + (progress ? of(progress) : 0), 0);
  const deleted = sum((progress) => progress.deleted);
  const skipped = sum(({ gone, changed, finalizers }) => gone + changed + finalizers);
  const missing = sum((progress) => progress.missing);
  const denied = sum(deniedOf);
  const kinds = all.filter(({ progress }) => progress && progress.deleted > 0).length;
  const bytes = all.reduce((total, { surveyed, progress }) => {
    const share = progress && surveyed && surveyed.stale > 0 ? progress.deleted / surveyed.stale : 0;
    return total + share * (surveyed?.staleBytes ?? 0);
  }, 0);
  const size = bytes > 0 ? `, about ${formatBytes(bytes)} in etcd once it is compacted and defragmented` : '';
  const of = kinds === 1 ? '1 kind' : `${kinds} kinds`;
  return [
    deleted === 0 ? 'Deleted nothing.' : `Deleted ${format(deleted)} stale ${plural(deleted)} of ${of}${size}.`,
    ...(skipped > 0
      ? [`${format(skipped)} more changed, vanished or got a finalizer in the meantime and were left alone.`]
      : []),
    ...(denied > 0 ? [`${format(denied)} more were not let go by an admission webhook or policy, and stay.`] : []),
    ...(missing > 0 ? [`${format(missing)} more ${MISSING}.`] : []),
  ].join(' ');
}

/** What this run did not get to; what the guard holds is said by it. */
function left(all: readonly Handled[], { maxDeletes, configured }: Limits): string {
  const reports = all.reduce((total, { surveyed, guarded, progress }) => {
    return total + (progress ? progress.left : surveyed ? letThrough(surveyed, guarded) : 0);
  }, 0);
  if (reports === 0) return '';
  const runs = Math.ceil(reports / maxDeletes);
  const next = runs === 1 ? 'for the next run' : `for ${format(runs)} more runs`;
  const so = runs > 1 && configured ? ` (prune.maxDeletes is ${format(maxDeletes)})` : '';
  return ` ${format(reports)} stale ${plural(reports)} are left ${next}${so}.`;
}

function plural(reports: number): string {
  return reports === 1 ? 'report' : 'reports';
}
