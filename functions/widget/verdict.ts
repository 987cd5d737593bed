// What the situation comes to, in a word and a sentence. Pure.
import type { ProbedMember, ProbeLook } from '../contract/probe-record.ts';
import { formatBytes, type Outcome } from '../contract/report.ts';
import type { PastRun } from './records.ts';
import type { Situation } from './situation.ts';
import { formatAge } from './time.ts';

/** `unknown`: nothing was ever seen. `blind`: not any more. */
export type Level = 'ok' | 'attention' | 'alarm' | 'unknown' | 'blind';

export interface Verdict {
  readonly level: Level;
  readonly headline: string;
  readonly detail: string;
}

/** The probe looks every minute: two looks that are missed can be chance, the third is not. */
export const STALE_AFTER_MS = 3 * 60_000;

/** Of its quota. From here on the alarm starts maintenance. */
export const FULL_SHARE = 0.8;

/** Milliseconds since the probe's last look; undefined where there is none. */
export function ageOfLook({ look, now }: Pick<Situation, 'look' | 'now'>): number | undefined {
  return look === null ? undefined : Math.max(0, now - Date.parse(look.at));
}

export function verdictOf(situation: Pick<Situation, 'look' | 'now'>): Verdict {
  const { look } = situation;
  const age = ageOfLook(situation);
  if (look === null || age === undefined) {
    return {
      level: 'unknown',
      headline: 'No look yet',
      detail: 'There is nothing from the probe, which looks at every member once a minute.',
    };
  }
  if (age > STALE_AFTER_MS) {
    const detail = `The probe has been silent for ${formatAge(age)}. What stands below is how it was then: nobody knows how it is now.`;
    return { level: 'blind', headline: 'Nobody is looking', detail };
  }
  return judge(look);
}

function judge({ members, strayAlarms, problem }: ProbeLook): Verdict {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const away = voters.filter(({ healthy }) => !healthy);
  const raised = (matches: (type: string) => boolean) => [
    ...members.filter(({ alarms }) => alarms.some(matches)).map(({ name }) => name),
    ...strayAlarms.filter(({ type }) => matches(type)).map(({ memberId }) => `${memberId}, no member any more`),
  ];
  // R1: a kind that is not known here is nothing that a program should touch either.
  const corrupt = raised((type) => type !== 'NOSPACE');
  const full = raised((type) => type === 'NOSPACE');
  const alarm = (headline: string, detail: string): Verdict => ({ level: 'alarm', headline, detail });
  if (corrupt.length > 0) {
    const all = [...members.flatMap(({ alarms }) => alarms), ...strayAlarms.map(({ type }) => type)];
    const kinds = [...new Set(all.filter((type) => type !== 'NOSPACE'))];
    return alarm(
      kinds.join(', '),
      `Raised by ${corrupt.join(', ')}. Nothing is changed by itself: a person has to act.`,
    );
  }
  if (problem !== null || members.length === 0) {
    return alarm('Nobody answers', problem ?? 'The probe found no members.');
  }
  if (full.length > 0) return alarm('NOSPACE', `The cluster takes no writes. Raised by ${full.join(', ')}.`);
  const names = away.map(({ name }) => name).join(', ');
  if (away.length > 0 && (voters.length - away.length) * 2 <= voters.length) {
    return alarm('No quorum', `${away.length} of ${voters.length} voters are away: ${names}.`);
  }
  if (away.length > 0) {
    const headline = `${away.length} of ${voters.length} voters away`;
    return { level: 'attention', headline, detail: `${names} ${away.length === 1 ? 'does' : 'do'} not answer.` };
  }
  return judgeUsage(voters);
}

function judgeUsage(voters: readonly ProbedMember[]): Verdict {
  const [fullest] = voters
    .flatMap((member) => ({ member, share: usageShare(member) ?? -1 }))
    .sort((a, b) => b.share - a.share);
  const all = `All ${voters.length} voters answer`;
  const isKnown = fullest !== undefined && fullest.share >= 0;
  const usage = isKnown
    ? ` The fullest file is at ${percent(fullest.share)} of its quota (${fullest.member.name}).`
    : '';
  if (isKnown && fullest.share >= FULL_SHARE) {
    return { level: 'attention', headline: 'Filling up', detail: `${all}.${usage}` };
  }
  const unknown = voters.filter(({ quotaBytes }) => quotaBytes === null).map(({ name }) => name);
  if (unknown.length > 0) {
    const detail = `${all}, but the quota of ${unknown.join(', ')} is not known, so a recovery would be refused (R8): set etcd.quotaBytes.${usage}`;
    return { level: 'attention', headline: 'Quota not known', detail };
  }
  return { level: 'ok', headline: 'Healthy', detail: `${all}.${usage}` };
}

/** How much of its quota a member's file takes; undefined where one of the two is not known, or there is no quota. */
export function usageShare({ dbSize, quotaBytes }: Pick<ProbedMember, 'dbSize' | 'quotaBytes'>): number | undefined {
  return dbSize === null || typeof quotaBytes !== 'number' || quotaBytes === 0 ? undefined : dbSize / quotaBytes;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/**
 * How a run ended, in five kinds: what was to be done is done; nothing was; only a plan; a person should look; it
 * broke.
 */
export type RunKind = 'done' | 'idle' | 'plan' | 'person' | 'failed';

const KINDS: Readonly<Record<Outcome, RunKind>> = {
  recovered: 'done',
  maintained: 'done',
  pruned: 'done',
  healthy: 'done',
  'nothing-to-do': 'idle',
  skipped: 'idle',
  planned: 'plan',
  refused: 'person',
  escalated: 'person',
  failed: 'failed',
};

export function kindOf({ outcome }: Pick<PastRun, 'outcome'>): RunKind {
  return KINDS[outcome];
}

/** The largest voter's file before and after a run, in bytes. */
export interface FileChange {
  readonly before: number | undefined;
  readonly after: number | undefined;
  readonly quotaBytes: number | undefined;
}

/** Undefined where no member was read. */
export function fileChange({ members }: PastRun): FileChange | undefined {
  const read = members.flatMap(({ isLearner, before, after, quotaBytes }) => {
    const size = (before ?? after)?.dbSize;
    return isLearner || size === undefined ? [] : [{ size, before, after, quotaBytes }];
  });
  const [largest] = read.sort((a, b) => b.size - a.size);
  if (largest === undefined) return undefined;
  return {
    before: largest.before?.dbSize,
    after: largest.after?.dbSize,
    quotaBytes: typeof largest.quotaBytes === 'number' ? largest.quotaBytes : undefined,
  };
}

/** `1.90 GiB → 41.2 MiB`, `412 reports deleted`, or nothing to say. */
export function changeInWords(run: PastRun): string {
  const { before, after } = fileChange(run) ?? {};
  const { pruned = [] } = run;
  const deleted = pruned.reduce((sum, resource) => sum + resource.deleted, 0);
  const directly = pruned.some((resource) => resource.directly && resource.deleted > 0);
  const words = [
    before !== undefined && after !== undefined && before !== after && `${formatBytes(before)} → ${formatBytes(after)}`,
    before !== undefined && (after === undefined || after === before) && formatBytes(before),
    deleted > 0 && `${deleted.toLocaleString('en')} reports deleted${directly ? ' in etcd' : ''}`,
  ];
  return words.filter((text) => text !== false).join(', ');
}

/** The last run that stopped short of its end, and whether a later one of its kind has come through since. */
export function lastTrouble(runs: readonly PastRun[]): { readonly run: PastRun; readonly isOpen: boolean } | undefined {
  const index = runs.findIndex(({ outcome, dryRun }) => !dryRun && (outcome === 'escalated' || outcome === 'failed'));
  const run = runs[index];
  if (run === undefined) return undefined;
  const settled = runs.slice(0, index).some((later) => {
    const cameThrough = !later.dryRun && ['done', 'idle'].includes(kindOf(later)) && later.outcome !== 'skipped';
    return cameThrough && later.workflow === run.workflow;
  });
  return { run, isOpen: !settled };
}
