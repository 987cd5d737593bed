// One look of a poll, and what is recorded of it: from that alone the next look goes on, in whichever invocation.
import type { RecordedStep, StepResult } from './step.ts';

/** What one look came to. */
export type Look<Data> = StepResult<Data> & {
  /** Wait and look again. @default false: this is the answer */
  readonly again?: boolean;
};

/**
 * @param last what the look before answered, also where that was in another invocation; undefined at the first
 * @param neededMs as the polling says of this look
 */
export type LookAgain<Data> = (
  look: number,
  last: StepResult<Data> | undefined,
  neededMs: number,
) => Promise<Look<Data>>;

export interface Polling<Data> {
  /** From one look to the next: whole seconds, at least 1. */
  readonly everySeconds: number | ((last: StepResult<Data>, look: number) => number);
  /** How long it waits in all; the looks' own time comes on top. The last look comes when all of it is waited. */
  readonly withinSeconds: number;
  /**
   * The guard and the switch stand before each look, which also renews the lease; only looks that change nothing do
   * without.
   * @default true
   */
  readonly guarded?: boolean;
  /**
   * What a look may take: where less is left of this invocation, it is put off to a fresh one.
   * @default nothing is asked
   */
  readonly neededMs?: number | ((last: StepResult<Data> | undefined) => number);
}

/** The last look's answer; `startedAt` is of the first, `durationMs` over all. */
export type PolledStep<Data> = RecordedStep<Data> & {
  readonly looks: number;
  readonly waitedSeconds: number;
  /**
   * The last look asked for another one, but all of the time was waited, or three fresh invocations had too little left
   * for it.
   */
  readonly timeUp: boolean;
};

/** What is recorded from one look to the next. */
export type PollState<Data> = PolledStep<Data> & {
  /** How often in a row the next look was put off. */
  readonly putOff: number;
  /** Until the next look; left out: there is none. */
  readonly pauseSeconds?: number;
};

/** How often a look is put off to an invocation with more time left; a fresh one has all that Lambda gives. */
const FRESH_INVOCATIONS = 3;
const NO_TIME = 'too little of this invocation is left';

/** @param leftMs of this invocation. @param work never throws */
export async function lookOnce<Data>(
  { everySeconds, withinSeconds, neededMs = 0 }: Polling<Data>,
  before: PollState<Data> | undefined,
  leftMs: number,
  work: LookAgain<Data>,
): Promise<PollState<Data>> {
  const began = Date.now();
  const { looks: looked = 0, waitedSeconds: waited = 0, startedAt = new Date(began).toISOString() } = before ?? {};
  const last = looked === 0 ? undefined : before;
  const needsMs = typeof neededMs === 'number' ? neededMs : neededMs(last);
  if (leftMs < needsMs) {
    const putOff = (before?.putOff ?? 0) + 1;
    const result = last ?? { outcome: 'skipped', detail: NO_TIME };
    const over = putOff === FRESH_INVOCATIONS;
    const durationMs = began - Date.parse(startedAt);
    const state = { ...result, startedAt, durationMs, looks: looked, waitedSeconds: waited, timeUp: over, putOff };
    return withPause(state, over ? 0 : 1);
  }
  const { again = false, ...result } = await work(looked + 1, last, needsMs);
  const looks = looked + 1;
  const every = typeof everySeconds === 'number' ? everySeconds : everySeconds(result, looks);
  const pause = again ? Math.min(every, withinSeconds - waited) : 0;
  const durationMs = Date.now() - Date.parse(startedAt);
  const timeUp = again && pause <= 0;
  const state = { ...result, startedAt, durationMs, looks, waitedSeconds: waited + pause, timeUp, putOff: 0 };
  return withPause(state, pause);
}

function withPause<Data>(state: PollState<Data>, pauseSeconds: number): PollState<Data> {
  const { pauseSeconds: _last, ...rest } = state;
  return pauseSeconds > 0 ? { ...rest, pauseSeconds } : rest;
}
