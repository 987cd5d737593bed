// Trouble with one AWS service: a front before its stand-in that answers 500 for a while, as real services do now and
// then.
import { createServer } from 'node:http';
import { passOn, refuse } from './front.ts';
import { close, listen } from './server.ts';

export interface Trouble extends AsyncDisposable {
  /** From now on, for so long and so many of them, every call (or those of these actions) is answered with 500. */
  begin(forMs: number, actions?: readonly string[], calls?: number): void;
  end(): void;
  /** How many calls were answered so. */
  readonly refused: number;
}

/**
 * Stands before the service that `AWS_ENDPOINT_URL_<service>` names, until it is disposed of.
 * @param service `DYNAMODB`, `SSM`, …
 */
export async function troubled(service: string): Promise<Trouble> {
  const variable = `AWS_ENDPOINT_URL_${service}`;
  const before = process.env[variable];
  if (before === undefined) throw new Error(`${variable} is not set: enter the stand-ins first`);
  const target = new URL(before);
  let refused = 0;
  let untilMs = 0;
  let only: readonly string[] | undefined;
  let left = 0;
  const server = createServer((incoming, outgoing) => {
    const action = String(incoming.headers['x-amz-target'] ?? '').split('.')[1] ?? '';
    if (Date.now() < untilMs && left > 0 && only?.includes(action) !== false) {
      refused++;
      left--;
      incoming.resume().on('end', () => refuse(outgoing, false));
      return;
    }
    passOn(incoming, outgoing, target);
  });
  process.env[variable] = await listen(server);
  return {
    begin: (forMs, actions, calls = Number.POSITIVE_INFINITY) => {
      left = calls;
      untilMs = Date.now() + forMs;
      only = actions;
    },
    end: () => {
      untilMs = 0;
    },
    get refused() {
      return refused;
    },
    [Symbol.asyncDispose]: async () => {
      process.env[variable] = before;
      await close(server);
    },
  };
}
