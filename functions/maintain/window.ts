// The time in which a night's maintenance may begin something new.
import type { Trigger } from '../contract/command.ts';

/**
 * A scheduled run's window opens when it was to start, however late it did; any other run's with the run itself.
 * @param startedAt of the run, ISO 8601
 * @returns when it ends, in milliseconds since 1970
 */
export function windowEnd(trigger: Trigger, startedAt: string, windowMinutes: number): number {
  const opens = trigger.kind === 'schedule' && trigger.at !== undefined ? trigger.at : startedAt;
  return Date.parse(opens) + windowMinutes * 60_000;
}

/** @returns why nothing more is begun; undefined inside of the window */
export function windowOver(endMs: number, nowMs: number): string | undefined {
  if (nowMs < endMs) return undefined;
  return `the maintenance window ended at ${new Date(endMs).toISOString()}`;
}
