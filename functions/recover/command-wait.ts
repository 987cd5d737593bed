// Looks at what became of a command until it has ended on every node, waiting through the durable engine rather than by compute.
import type * as z from 'zod/mini';
import { type NodeResult, readCommand } from '../nodes/command-results.ts';
import type { SentCommand } from '../nodes/commands.ts';
import type { Reached } from './workflow.ts';

const LOOK_AGAIN_SECONDS = 2;

export interface CommandWait<Output> {
  readonly sent: SentCommand;
  /** Of functions/nodes/outputs.ts: what the document prints. */
  readonly output: z.ZodMiniType<Output>;
  /** Of the step that sent it: each look is called `<name>, look <n>`. */
  readonly name: string;
  /** After so many looks, two seconds apart, what is still `Pending` is left so. */
  readonly looks: number;
}

/** @returns what was last read; empty where nothing ever could be */
export async function untilEnded<Output>(
  { journal, context }: Pick<Reached, 'journal' | 'context'>,
  { sent, output, name, looks }: CommandWait<Output>,
): Promise<readonly NodeResult<Output>[]> {
  let results: readonly NodeResult<Output>[] = [];
  for (let look = 1; look <= looks; look++) {
    const step = await journal.quietStep(`${name}, look ${look}`, async () => {
      const data = await readCommand({ sent, output });
      const detail = data.map(({ instanceId, state }) => `${instanceId} ${state}`).join(', ');
      return { outcome: 'done', detail, data };
    });
    results = step.data ?? results;
    if (step.data?.every(({ state }) => state !== 'Pending')) break;
    await context.wait(`${name} goes on`, { seconds: LOOK_AGAIN_SECONDS });
  }
  return results;
}
