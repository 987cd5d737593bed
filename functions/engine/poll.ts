// One look of a poll, and what is recorded of it: from that alone the next look goes on, in whichever invocation.
import {
  type AnyResult,
  type Attempt,
  type Ends,
  type NoData,
  type StepOptions,
  type StepRecord,
  type StepResult,
  withRecord,
} from './step.ts';

/** What one look came to. */
export type Look<E extends Ends = NoData, Memory = never> = StepResult<E> & {
  /** Wait and look again. @default false: this is the answer */
  readonly again?: boolean | undefined;
  /** What the looks after it have to know. @default what the look before has left */
  readonly memory?: Memory | undefined;
};

/** What a look is given. */
interface LookAttempt<Memory> extends Attempt {
  /** From 1. */
  readonly look: number;
  /** What the looks before have left, also where they were in another invocation. */
  readonly memory: Memory | undefined;
}

export type LookAgain<E extends Ends = NoData, Memory = never> = (
  attempt: LookAttempt<Memory>,
) => Promise<Look<E, Memory>>;

export interface Polling<Memory> extends Pick<StepOptions, 'guarded' | 'quiet'> {
  /** From one look to the next: whole seconds, at least 1. */
  readonly everySeconds: number | ((last: LastLook<Memory>) => number);
  /** How long it waits in all; the looks' own time comes on top. The last look comes when all of it is waited. */
  readonly withinSeconds: number;
  /**
   * What a look may take, in milliseconds: where less is left of this invocation, it is put off to a fresh one.
   * @default nothing is asked
   */
  readonly neededMs?: number | ((memory: Memory | undefined) => number);
}

interface LastLook<Memory> extends Pick<LookAttempt<Memory>, 'look' | 'memory'>, Pick<AnyResult, 'outcome'> {}

interface PollRecord<Memory> extends StepRecord {
  readonly memory?: Memory | undefined;
  readonly looks: number;
  readonly waitedSeconds: number;
  /**
   * The last look asked for another one, but all of the time was waited, or three fresh invocations had too little left
   * for it.
   */
  readonly timeUp: boolean;
}

/** The last look's answer; `startedAt` is of the first, `durationMs` over all. */
export type PolledStep<E extends Ends = NoData, Memory = never> = StepResult<E> & PollRecord<Memory>;

/** What is recorded from one look to the next. */
export type PollState<E extends Ends, Memory> = PolledStep<E, Memory> & {
  /** How often in a row the next look was put off. */
  readonly putOff: number;
  /** Until the next look; undefined: there is none. */
  readonly pauseSeconds: number | undefined;
};

/** How often a look is put off to an invocation with more time left; a fresh one has all that Lambda gives. */
const FRESH_INVOCATIONS = 3;
const NO_TIME = { outcome: 'skipped', detail: 'too little of this invocation is left' } as const;

/** @param leftMs of this invocation. @param work never throws */
export async function lookOnce<E extends Ends, Memory>(
  { everySeconds, withinSeconds, neededMs = 0 }: Polling<Memory>,
  before: PollState<E, Memory> | undefined,
  leftMs: number,
  work: (look: number, neededMs: number) => Promise<Look<E, Memory>>,
): Promise<PollState<E, Memory>> {
  const began = Date.now();
  const { looks: looked = 0, waitedSeconds: waited = 0, startedAt = new Date(began).toISOString() } = before ?? {};
  const needsMs = typeof neededMs === 'number' ? neededMs : neededMs(before?.memory);
  if (leftMs < needsMs) {
    const putOff = (before?.putOff ?? 0) + 1;
    const over = putOff === FRESH_INVOCATIONS;
    const durationMs = began - Date.parse(startedAt);
    const kept = { startedAt, durationMs, looks: looked, waitedSeconds: waited, timeUp: over, putOff };
    const last = before === undefined || looked === 0 ? NO_TIME : before;
    return withRecord(last, { ...kept, pauseSeconds: over ? undefined : 1 });
  }
  const result = await work(looked + 1, needsMs);
  const looks = looked + 1;
  const { again = false, outcome, memory } = result;
  const every = typeof everySeconds === 'number' ? everySeconds : everySeconds({ outcome, look: looks, memory });
  const pause = again ? Math.min(every, withinSeconds - waited) : 0;
  const durationMs = Date.now() - Date.parse(startedAt);
  const timeUp = again && pause <= 0;
  const kept = { startedAt, durationMs, looks, waitedSeconds: waited + pause, timeUp, putOff: 0 };
  return withRecord(result, { ...kept, pauseSeconds: pause > 0 ? pause : undefined });
}
