// Pruning as a part of another run: the prune function works as that run's durable child, under its lease (R9).
import type { Command } from '../contract/command.ts';
import { describeError } from '../contract/errors.ts';
import type { RunReport } from '../contract/report.ts';
import type { Journal } from './journal.ts';

/**
 * What Lambda says of a function that nobody has called for weeks: the invocation that finds it so fails, and wakes it.
 * The durable SDK (2.4.0) hands on the words alone: its InvokeError has no room for the service's type of error. That
 * it doesn't try again by itself is not verified; trying here harms nothing: should a child have begun after all, the
 * next one finds less that is stale.
 */
const ASLEEP =
  /function is inactive|in the following state: (Pending|Inactive)|isn't ready yet|Rate exceeded|throttled/i;
/** A minute and a half: so long the slowest took that others have seen. */
const WAKING_PAUSE_SECONDS = 15;
export const WAKING_TRIES = 7;

export interface PruneOrder {
  readonly journal: Journal;
  /** Of the run that orders it. */
  readonly command: Command;
  /** etcd refuses writes until it is done. @default false */
  readonly emergency?: boolean;
  /** The prune function's ARN with its alias; undefined: not configured. */
  readonly pruneFunction: string | undefined;
}

export type ChildPruning =
  | { readonly kind: 'report'; readonly report: RunReport }
  | { readonly kind: 'not-configured' }
  /** It ended without a report; what it deleted stays deleted. */
  | { readonly kind: 'failed'; readonly problem: string };

/**
 * Has stale reports deleted before this run goes on. The child renews this run's lease while it works; waiting for it
 * costs nothing.
 * @throws GuardError when the lease is lost before it begins
 */
export async function pruneFirst({
  journal,
  command,
  pruneFunction,
  emergency = false,
}: PruneOrder): Promise<ChildPruning> {
  if (pruneFunction === undefined) {
    journal.note('prune', { outcome: 'not-configured', detail: 'no prune function: not configured' });
    return { kind: 'not-configured' };
  }
  const begin = await journal.step('before prune', { quiet: true }, async ({ confirm }) => {
    await confirm();
    return { outcome: 'done', detail: 'the lease is held' };
  });
  const parent = command.parent ?? journal.executionArn;
  const order: Command = { ...command, workflow: 'prune', parent, ...(emergency && { emergency }) };
  const ended = await invokeAwake(journal, pruneFunction, order);
  const finished = await journal.step('after prune', { guarded: false, quiet: true }, async () => ({
    outcome: 'done',
    detail: 'ended',
  }));
  const durationMs = Date.parse(finished.startedAt) - Date.parse(begin.startedAt);
  const detail = ended.kind === 'report' ? `${ended.report.outcome}: ${ended.report.reason}` : ended.problem;
  const outcome = ended.kind === 'failed' ? 'failed' : stepOutcome(ended.report.outcome);
  journal.note('prune', { startedAt: begin.startedAt, durationMs, outcome, detail });
  return ended;
}

async function invokeAwake(
  journal: Journal,
  pruneFunction: string,
  order: Command,
): Promise<Exclude<ChildPruning, { kind: 'not-configured' }>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return { kind: 'report', report: await journal.invoke<Command, RunReport>('prune', pruneFunction, order) };
    } catch (error) {
      const problem = describeError(error);
      if (attempt === WAKING_TRIES || !ASLEEP.test(problem)) return { kind: 'failed', problem };
      await journal.wait('the prune function wakes', WAKING_PAUSE_SECONDS);
    }
  }
}

function stepOutcome(outcome: RunReport['outcome']): 'done' | 'nothing-to-do' | 'refused' | 'failed' {
  if (outcome === 'pruned') return 'done';
  if (outcome === 'nothing-to-do') return 'nothing-to-do';
  return outcome === 'failed' ? 'failed' : 'refused';
}
