// "Away now" is not lost: a step that meets a voter that is away has done nothing, and is taken again when the voter is
// back. It is waited for through the durable engine, so that waiting costs nothing.

import { describeError } from '../contract/errors.ts';
import { GuardError, type Journal } from '../engine/journal.ts';
import type { Look } from '../engine/poll.ts';
import {
  type Ends,
  type NoData,
  type RecordedStep,
  type StepOptions,
  type StepRecord,
  withRecord,
} from '../engine/step.ts';
import { reportName, type StepName } from '../engine/step-name.ts';
import { EtcdTimeoutError, EtcdUnreachableError, NoSpaceError, QuorumLostError } from '../etcd/errors.ts';
import { AwayError, type BeforeChange, HEALTHY_WITHIN_MS, SweepStoppedError } from './voters.ts';

/**
 * A kubelet's back-off doubles from 10 s to 5 minutes: 10 minutes see the fifth restart (after 310 s) and a slow start
 * of its etcd. A voter that is away for longer is a person's.
 */
export const AWAY_SECONDS = 600;

/**
 * Often at first, when most are back; then so rarely that a member that hangs does not cost a call's deadline every few
 * seconds.
 */
export function lookAgainSeconds(look: number): number {
  if (look <= 6) return 5;
  return look <= 12 ? 15 : 30;
}

/** All of AWAY_SECONDS, as looks. */
const AWAY_LOOKS = 28;

/** Work that is safe to repeat is tried again so often, 5 s apart, when what it met was an accident. */
const ACCIDENTS = 12;
const AFTER_ACCIDENT_SECONDS = 5;
/** Every step has bounds of its own, in looks. */
const UNBOUNDED_SECONDS = 24 * 60 * 60;

export interface Patience {
  readonly journal: Journal;
  /** Milliseconds since 1970: nobody is waited for any more from then on. @default AWAY_SECONDS alone */
  readonly untilMs?: number | undefined;
  /** As BeforeChange has it. */
  readonly emergency?: boolean | undefined;
}

/** What one attempt is given. */
export interface Attempt<Memory> extends BeforeChange {
  readonly patienceMs: number;
  readonly confirm: () => Promise<boolean>;
  /** What the attempts before it have left, where there were any: also after a crash. */
  readonly memory: Memory | undefined;
}

export interface AttemptOptions<Memory> extends Pick<StepOptions, 'quiet'> {
  /** What an attempt may need of its invocation, in milliseconds. @default nothing is asked */
  readonly neededMs?: number | ((memory: Memory | undefined) => number);
  /** Until an attempt that answered `again` is made again. @default 10 */
  readonly againSeconds?: number;
  /** How often an error that is no rule's is taken for an accident. 0: the first is the last. @default 12, a minute */
  readonly accidents?: number;
  /** A call that got no answer, or found no leader, is what a member is away for, too. @default true */
  readonly lostIsAway?: boolean;
}

/** What is kept from one attempt to the next. */
interface Course<Memory> {
  readonly awayLooks: number;
  readonly accidents: number;
  /** Names of who was away, and since when, in milliseconds since 1970. */
  readonly who: readonly string[];
  readonly sinceMs?: number | undefined;
  readonly pauseSeconds: number;
  readonly own?: Memory | undefined;
}

/**
 * One durable operation in which `attempt` is made again while it throws an AwayError: for AWAY_SECONDS at most.
 * Whoever was waited for stands in the detail. Another SweepStoppedError, and a NoSpaceError, is `refused`; any other
 * error is `failed`.
 * @returns of the last attempt
 * @throws GuardError
 */
export async function patiently<E extends Ends = NoData, Memory = never>(
  { journal, untilMs = Number.POSITIVE_INFINITY, emergency }: Patience,
  name: StepName,
  options: AttemptOptions<Memory>,
  attempt: (attempt: Attempt<Memory>) => Promise<Look<E, Memory>>,
): Promise<RecordedStep<E>> {
  const { neededMs = 0, againSeconds = 10, accidents: mayFail = ACCIDENTS, lostIsAway = true, quiet = false } = options;
  const polling = {
    everySeconds: ({ memory }: { memory: Course<Memory> | undefined }) => memory?.pauseSeconds ?? againSeconds,
    withinSeconds: UNBOUNDED_SECONDS,
    neededMs: (memory: Course<Memory> | undefined) => (typeof neededMs === 'number' ? neededMs : neededMs(memory?.own)),
    quiet: true,
  };
  const polled = await journal.poll<E, Course<Memory>>(name, polling, async ({ look, memory, confirm }) => {
    const { awayLooks, accidents, who, sinceMs, own } = memory ?? FIRST;
    const nowMs = Date.now();
    const kept = { awayLooks, accidents, who, sinceMs, own, pauseSeconds: againSeconds };
    try {
      // By itself an attempt waits for an election; for longer, nobody pays for computing.
      const patienceMs = look === 1 ? HEALTHY_WITHIN_MS : 0;
      const result = await attempt({ memory: own, patienceMs, emergency, confirm });
      return withRecord(result, { memory: { ...kept, own: result.memory ?? own } });
    } catch (error) {
      const detail = describeError(error);
      if (error instanceof GuardError) throw error;
      if (error instanceof AwayError || (lostIsAway && isLost(error))) {
        const looks = awayLooks + 1;
        const away = {
          ...kept,
          awayLooks: looks,
          who: error instanceof AwayError ? [...new Set([...who, ...error.who])] : who,
          sinceMs: sinceMs ?? nowMs,
          pauseSeconds: lookAgainSeconds(looks),
        };
        return { outcome: 'failed', detail, again: looks <= AWAY_LOOKS && nowMs < untilMs, memory: away };
      }
      if (error instanceof SweepStoppedError || error instanceof NoSpaceError) {
        return { outcome: 'refused', detail, memory: kept };
      }
      const failed = { ...kept, accidents: accidents + 1, pauseSeconds: AFTER_ACCIDENT_SECONDS };
      return { outcome: 'failed', detail, again: accidents < mayFail, memory: failed };
    }
  });
  const step = withRecord(polled, { detail: polled.detail + waited(polled, polled.memory) });
  if (!quiet) journal.note(reportName(name), step);
  return step;
}

function isLost(error: unknown): boolean {
  return [EtcdTimeoutError, EtcdUnreachableError, QuorumLostError].some((type) => error instanceof type);
}

const FIRST: Course<never> = { awayLooks: 0, accidents: 0, who: [], pauseSeconds: 0 };

/** @returns what to add to the detail; nothing where nobody was waited for */
function waited(
  { startedAt, durationMs }: StepRecord,
  { who, sinceMs }: Pick<Course<unknown>, 'who' | 'sinceMs'> = FIRST,
): string {
  if (sinceMs === undefined) return '';
  const seconds = Math.round((Date.parse(startedAt) + durationMs - sinceMs) / 1000);
  return `; waited ${seconds} s for ${who.join(', ') || 'an answer'}`;
}
