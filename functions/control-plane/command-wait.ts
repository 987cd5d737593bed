// Sends a command and looks at what became of it until it has ended on every node, waiting through the durable engine
// rather than by compute.
import type * as z from 'zod/mini';
import { describeError } from '../contract/errors.ts';
import type { Journal } from '../engine/journal.ts';
import type { NoData, RecordedStep } from '../engine/step.ts';
import type { StepName } from '../engine/step-name.ts';
import { type NodeResult, readCommand } from '../nodes/command-results.ts';
import { type SendCommandOptions, type SentCommand, sendCommandOnce } from '../nodes/commands.ts';
import { CommandUnknownError, mayComeThrough } from '../nodes/errors.ts';
import type { ReachableRun } from './run-context.ts';

const LOOK_AGAIN_SECONDS = 2;

/** A service that is in trouble for so long is not given up yet. */
const SEND_WITHIN_SECONDS = 75;
const SEND_AGAIN_SECONDS = 5;

/**
 * Sends it, again where that is known not to have come through: each try looks first for what an earlier one sent (R5).
 * A quiet step.
 * @param changes it changes something, so the guard is asked directly before each try
 * @returns `failed` where it was not sent; `unknown` where an answer was lost and the command never showed up
 * @throws GuardError
 */
export async function sendPatiently(
  journal: Journal,
  name: StepName,
  detail: string,
  command: SendCommandOptions,
  { changes }: { readonly changes: boolean },
): Promise<RecordedStep<{ done: SentCommand }>> {
  const polling = { everySeconds: SEND_AGAIN_SECONDS, withinSeconds: SEND_WITHIN_SECONDS, quiet: true };
  return journal.poll<{ done: SentCommand }, { wasUnknown: boolean }>(name, polling, async ({ confirm, memory }) => {
    if (changes) await confirm();
    try {
      return { outcome: 'done', detail, data: await sendCommandOnce(command) };
    } catch (error) {
      const wasUnknown = error instanceof CommandUnknownError || memory?.wasUnknown === true;
      const told = { detail: describeError(error), again: mayComeThrough(error), memory: { wasUnknown } };
      return wasUnknown ? { outcome: 'unknown', ...told } : { outcome: 'failed', ...told };
    }
  });
}

export interface CommandWait<Output> {
  readonly sent: SentCommand;
  /** Of functions/nodes/outputs.ts: what the document prints. */
  readonly output: z.ZodMiniType<Output>;
  readonly name: StepName;
  /** What is still `Pending` after so long is left so. */
  readonly withinSeconds: number;
}

/**
 * A look that Systems Manager did not answer is made again like any other. A quiet step.
 * @returns what was last read; empty where nothing ever could be
 */
export async function untilEnded<Output>(
  { journal }: Pick<ReachableRun, 'journal'>,
  { sent, output, name, withinSeconds }: CommandWait<Output>,
): Promise<readonly NodeResult<Output>[]> {
  const polling = { everySeconds: LOOK_AGAIN_SECONDS, withinSeconds, quiet: true };
  const { memory = [] } = await journal.poll<NoData, readonly NodeResult<Output>[]>(name, polling, async () => {
    try {
      const read = await readCommand({ sent, output });
      const detail = read.map(({ instanceId, state }) => `${instanceId} ${state}`).join(', ');
      return { outcome: 'done', detail, again: read.some(({ state }) => state === 'Pending'), memory: read };
    } catch (error) {
      return { outcome: 'unknown', detail: describeError(error), again: true };
    }
  });
  return memory;
}
