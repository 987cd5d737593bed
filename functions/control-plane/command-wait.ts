// Sends a command and looks at what became of it until it has ended on every node, waiting through the durable engine
// rather than by compute.
import type * as z from 'zod/mini';
import { describeError } from '../contract/errors.ts';
import type { Journal } from '../engine/journal.ts';
import type { RecordedStep } from '../engine/step.ts';
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
 * @param confirm asked before each try, of a command that changes something. @default nobody is asked
 * @returns without data where it was not sent: `failed`; `unknown` where an answer was lost and the command never
 *   showed up
 * @throws GuardError
 */
export async function sendPatiently(
  journal: Journal,
  name: StepName,
  detail: string,
  options: SendCommandOptions,
  confirm: () => Promise<unknown> = async () => undefined,
): Promise<RecordedStep<SentCommand>> {
  const polling = { everySeconds: SEND_AGAIN_SECONDS, withinSeconds: SEND_WITHIN_SECONDS };
  return journal.poll<SentCommand>(name, polling, async (_look, last) => {
    await confirm();
    try {
      return { outcome: 'done', detail, data: await sendCommandOnce(options) };
    } catch (error) {
      const isUnknown = error instanceof CommandUnknownError || last?.outcome === 'unknown';
      return { outcome: isUnknown ? 'unknown' : 'failed', detail: describeError(error), again: mayComeThrough(error) };
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
 * A look that Systems Manager did not answer is made again like any other.
 * @returns what was last read; empty where nothing ever could be
 */
export async function untilEnded<Output>(
  { journal }: Pick<ReachableRun, 'journal'>,
  { sent, output, name, withinSeconds }: CommandWait<Output>,
): Promise<readonly NodeResult<Output>[]> {
  const polling = { everySeconds: LOOK_AGAIN_SECONDS, withinSeconds };
  const { data = [] } = await journal.poll<readonly NodeResult<Output>[]>(name, polling, async (_look, last) => {
    try {
      const data = await readCommand({ sent, output });
      const detail = data.map(({ instanceId, state }) => `${instanceId} ${state}`).join(', ');
      return { outcome: 'done', detail, data, again: data.some(({ state }) => state === 'Pending') };
    } catch (error) {
      return { outcome: 'unknown', detail: describeError(error), data: last?.data, again: true };
    }
  });
  return data;
}
