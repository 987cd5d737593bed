// The places of the timeline: one for each of the last runs, for the one at work, and for each that is scheduled.
import type { PastRun } from './records.ts';
import { RUN_KINDS } from './theme.ts';
import { formatDate } from './time.ts';
import { type FileChange, fileChange, kindOf, type RunKind } from './verdict.ts';

/** Few runs are not stretched over the whole width. */
const MIN_SLOTS = 8;

export interface Start {
  readonly workflow: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface TimelineData {
  /** The newest first. */
  readonly runs: readonly PastRun[];
  /** A run at work, and when it began. */
  readonly running: Start | undefined;
  /** The soonest first. */
  readonly upcoming: readonly Start[];
}

export interface Slot {
  readonly kind: RunKind | 'running' | 'upcoming' | 'empty';
  readonly workflow: string;
  readonly date: string;
  readonly change?: FileChange | undefined;
}

export const EMPTY: Slot = { kind: 'empty', workflow: '', date: '' };

/**
 * From left to right as time goes.
 * @param room how many there is room for: of the last runs, the oldest are left out
 */
export function slotsOf({ runs, running, upcoming }: TimelineData, room: number, offsetMinutes: number): Slot[] {
  const slot = (kind: Slot['kind'], { workflow, at }: Start, change?: FileChange): Slot => {
    return { kind, workflow, date: formatDate(at, offsetMinutes), change };
  };
  const ahead = upcoming.map((start) => slot('upcoming', start));
  const atWork = running === undefined ? [] : [slot('running', running)];
  const past = runs
    .slice(0, Math.max(1, room - ahead.length - atWork.length))
    .reverse()
    .map((run) => slot(kindOf(run), { workflow: run.workflow, at: Date.parse(run.startedAt) }, fileChange(run)));
  const missing = Math.max(0, MIN_SLOTS - past.length - atWork.length - ahead.length);
  return [...Array.from({ length: missing }, () => EMPTY), ...past, ...atWork, ...ahead];
}

export function isRun(kind: Slot['kind']): kind is RunKind {
  return Object.hasOwn(RUN_KINDS, kind);
}
