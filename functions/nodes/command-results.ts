// What became of a command on each node. Never waits: the caller asks again through the durable engine.
import {
  type CommandInvocation,
  GetCommandInvocationCommand,
  paginateListCommandInvocations,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import type * as z from 'zod/mini';
import { withSsm } from '../aws/ssm.ts';
import { describeError } from '../contract/errors.ts';
import { validate } from '../contract/validate.ts';
import { type CommandState, meaningOf } from './command-states.ts';
import type { SentCommand } from './commands.ts';
import { explainQuestion } from './errors.ts';
import { failureOutput } from './outputs.ts';

/** Requests under way at once: Systems Manager throttles an account, and others use it too. */
const CONCURRENCY = 5;

/** Plain data, to be kept as a durable step's result. */
export interface NodeResult<Output> {
  readonly instanceId: string;
  readonly state: CommandState;
  /** Whether the script began there. `unknown`: it may have, or may be running still (R5). */
  readonly ran: 'yes' | 'no' | 'unknown';
  readonly exitCode: number | undefined;
  /** What the script printed; undefined unless it succeeded and printed what it should. */
  readonly output: Output | undefined;
  /** One sentence on what went wrong; undefined for `Pending`, and for `Success` with an output. */
  readonly problem: string | undefined;
}

export interface ReadCommandOptions<Output> {
  readonly sent: SentCommand;
  /** Of outputs.ts: what the document prints. */
  readonly output: z.ZodMiniType<Output>;
}

/**
 * Looks once. A command that the service doesn't show yet is `Pending`, as it is for a moment after it was sent.
 * @returns one result for each instance of `sent`, the refused ones as `Undeliverable`
 * @throws SetupError, NodesUnreadableError
 */
export async function readCommand<Output>({
  sent,
  output,
}: ReadCommandOptions<Output>): Promise<readonly NodeResult<Output>[]> {
  try {
    return await withSsm(async (client) => {
      const results: NodeResult<Output>[] = sent.refused.map(({ instanceId, problem }) => ({
        ...nothing,
        instanceId,
        state: 'Undeliverable',
        ran: 'no',
        problem: `Systems Manager takes no command for it: ${problem}`,
      }));
      for (const { commandId, instanceIds } of sent.commands) {
        const invocations = await listInvocations(client, commandId);
        const read = (instanceId: string) => readOne(client, invocations.get(instanceId), instanceId, output);
        for (let start = 0; start < instanceIds.length; start += CONCURRENCY) {
          results.push(...(await Promise.all(instanceIds.slice(start, start + CONCURRENCY).map(read))));
        }
      }
      return results;
    });
  } catch (error) {
    const ids = sent.commands.map(({ commandId }) => commandId).join(', ');
    throw explainQuestion(`command ${ids}: tried to read what became of it`, error);
  }
}

const nothing = { exitCode: undefined, output: undefined, problem: undefined };

async function listInvocations(client: SSMClient, commandId: string): Promise<Map<string, CommandInvocation>> {
  const invocations = new Map<string, CommandInvocation>();
  const pages = paginateListCommandInvocations({ client, pageSize: 50 }, { CommandId: commandId });
  for await (const { CommandInvocations = [] } of pages) {
    for (const invocation of CommandInvocations) {
      if (invocation.InstanceId !== undefined) invocations.set(invocation.InstanceId, invocation);
    }
  }
  return invocations;
}

async function readOne<Output>(
  client: SSMClient,
  invocation: CommandInvocation | undefined,
  instanceId: string,
  schema: z.ZodMiniType<Output>,
): Promise<NodeResult<Output>> {
  const pending: NodeResult<Output> = { ...nothing, instanceId, state: 'Pending', ran: 'unknown' };
  if (invocation === undefined) return pending;
  const { state, ran, problem } = meaningOf(invocation);
  if (state !== 'Success' && state !== 'Failed') return { ...pending, state, ran, problem };
  if (ran === 'no') return { ...pending, state, ran, problem };
  // The list has 2,500 characters of output at most; this call has 24,000.
  const printed = await readPrinted(client, invocation.CommandId, instanceId);
  if (printed === undefined) return pending;
  const { stdout, stderr, exitCode } = printed;
  if (state === 'Success') return { instanceId, state, ran, exitCode, ...parseOutput(stdout, schema) };
  const words = failureOf(stdout, stderr, exitCode);
  // Without an exit code nobody saw the script end, and perhaps nobody began it.
  return {
    instanceId,
    state,
    ran: exitCode === undefined ? 'unknown' : ran,
    exitCode,
    output: undefined,
    problem: words,
  };
}

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | undefined;
}

/** @returns undefined while the service, which is consistent only after a while, does not show it here yet */
async function readPrinted(
  client: SSMClient,
  commandId: string | undefined,
  instanceId: string,
): Promise<Printed | undefined> {
  try {
    const request = new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: instanceId });
    const { StandardOutputContent, StandardErrorContent, ResponseCode = -1 } = await client.send(request);
    return {
      stdout: StandardOutputContent ?? '',
      stderr: StandardErrorContent ?? '',
      exitCode: ResponseCode < 0 ? undefined : ResponseCode,
    };
  } catch (error) {
    if (error instanceof Error && error.name === 'InvocationDoesNotExist') return undefined;
    throw error;
  }
}

function parseOutput<Output>(
  stdout: string,
  schema: z.ZodMiniType<Output>,
): Pick<NodeResult<Output>, 'output' | 'problem'> {
  try {
    return { output: validate(schema, JSON.parse(stdout), 'the script’s output'), problem: undefined };
  } catch (error) {
    return {
      output: undefined,
      problem: `the script succeeded, but what it printed is not understood: ${describeError(error)}`,
    };
  }
}

/**
 * What the service shows of a command whose document or parameters the agent could not work with, whatever its version.
 */
const ENDED_BY_THE_AGENT = `its agent ended the command with no exit code and without a word: it could not read the document or a parameter, or it was stopped; its log on the node (/var/log/amazon/ssm/amazon-ssm-agent.log) says why`;

/** The script's own words where it had any, or else the end of what it or its shell wrote. */
function failureOf(stdout: string, stderr: string, exitCode: number | undefined): string {
  try {
    return validate(failureOutput, JSON.parse(stdout), 'the script’s output').error;
  } catch {
    const words = (stderr.trim() || stdout.trim()).slice(-300);
    if (exitCode === undefined && words === '') return ENDED_BY_THE_AGENT;
    return `the script ended with ${exitCode ?? 'no exit code'} and said: ${words || 'nothing'}`;
  }
}
