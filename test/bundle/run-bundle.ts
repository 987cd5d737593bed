// A process as Lambda would be: imports a bundle, calls its handler once, and prints its result as the last line.
import { pathToFileURL } from 'node:url';
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { runLocally } from '../../lab/execution/local-execution.ts';

const [, , bundle = '', event = ''] = process.argv;
const { handler } = await import(pathToFileURL(bundle).href);
const input: unknown = JSON.parse(event);
const result = isCommand(input)
  ? await durable(handler)
  : await handler(input, { awsRequestId: 'test', getRemainingTimeInMillis: () => 60_000 });
process.stdout.write(`\n${JSON.stringify(result)}\n`);

async function durable(durableHandler: DurableLambdaHandler): Promise<unknown> {
  const execution = await runLocally(durableHandler, input, { skipTime: true, remainingTimeMs: () => 900_000 });
  if (execution.status === 'FAILED') throw new Error(execution.error?.message);
  return execution.result;
}

/** A command has a trigger; what a person sends to dispatch has none. */
function isCommand(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'trigger' in value;
}
