// Everything that a run leaves where somebody could read it.
import { format, inspect } from 'node:util';
import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import { vi } from 'vitest';
import type { OperationChange } from '../../lab/execution/local-operations.ts';
import type { Stage } from '../permissions/stage.ts';
import type { Secrets } from './material.ts';

export interface Traces extends Disposable {
  /** To be given to the stage. */
  readonly onOperation: (change: OperationChange) => void;
  /** Keeps what the work comes to, also where it throws. */
  watch(work: Promise<unknown>): Promise<unknown>;
  /** What was left so far, by where: each as one text. */
  left(stage: Stage): Promise<ReadonlyMap<string, string>>;
  /** Where some of a secret was left, or of what was issued since: one line each. */
  secretsLeft(stage: Stage, secrets: Secrets): Promise<readonly string[]>;
  /** What this process printed, answered, threw and recorded until now is not looked at again. */
  forget(): void;
}

/** From now on what this process prints is kept, and not printed. */
export function watchTraces(): Traces {
  const output: string[] = [];
  const results: unknown[] = [];
  const operations: OperationChange[] = [];
  const spies = [
    ...[process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, 'write').mockImplementation((chunk) => {
        output.push(String(chunk));
        return true;
      }),
    ),
    // The test runner puts a console of its own in front of both.
    ...(['debug', 'error', 'info', 'log', 'trace', 'warn'] as const).map((method) =>
      vi.spyOn(console, method).mockImplementation((...words) => {
        output.push(format(...words));
      }),
    ),
  ];
  const left: Traces['left'] = async (stage) =>
    new Map([
      ['logs and metrics', output.join('')],
      ['what functions answered or threw', whole(results)],
      ["the executions' steps", whole(operations)],
      [
        'what executions were started with',
        whole(stage.aws.lambda.executions.map(({ payload, name }) => [payload, name])),
      ],
      ['events', whole(stage.aws.events)],
      ['messages', whole(stage.aws.sns.messages)],
      ['the table', whole(await itemsOf(stage))],
      ['parameters', whole(stage.aws.ssm.parameters)],
      ['commands and their output', whole(stage.aws.ssm.commands)],
      ["snapshots' names and metadata", whole(stage.aws.s3.objects)],
      ['requests to the API server', whole(stage.api.requests)],
      ['what AWS was asked', whole(stage.aws.calls)],
      ["the functions' variables", whole(stage.deployed.functions)],
    ]);
  return {
    onOperation: (change) => operations.push(change),
    watch: async (work) => {
      const [end] = await Promise.allSettled([work]);
      results.push(end.status === 'fulfilled' ? end.value : end.reason);
      return end.status === 'fulfilled' ? end.value : end.reason;
    },
    left,
    secretsLeft: async (stage, secrets) => {
      for (const { written } of Object.values(stage.secrets)) {
        // The first version of each has no key: it says that nothing was issued yet.
        for (const text of written) secrets.addKeys(text.replaceAll('\\n', '\n'));
      }
      return [...(await left(stage))].flatMap(([where, text]) => {
        const before = secrets.foundIn(text);
        return before === undefined ? [] : [`${where}, after: …${before}`];
      });
    },
    forget: () => {
      for (const list of [output, results, operations]) list.length = 0;
    },
    [Symbol.dispose]: () => {
      for (const spy of spies) spy.mockRestore();
    },
  };
}

/** With all that an error has: message, stack, causes and fields. */
function whole(value: unknown): string {
  return inspect(value, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null });
}

async function itemsOf({ aws, asTest }: Stage): Promise<unknown> {
  asTest();
  const client = new DynamoDBClient({});
  try {
    return (await client.send(new ScanCommand({ TableName: aws.table }))).Items;
  } finally {
    client.destroy();
  }
}
