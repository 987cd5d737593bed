// The commands that were sent to simulated nodes: what the service knows of each, from Pending to its end.
import { randomUUID } from 'node:crypto';
import type { DocumentContent } from '../../lib/documents/document-content.ts';
import { agentRefuses, handedOver } from './ssm-agent.ts';
import type { SsmNode } from './ssm-node.ts';
import type { ScriptRunner } from './ssm-script.ts';

interface CommandRequest {
  readonly document: string;
  readonly content: DocumentContent;
  readonly nodes: readonly SsmNode[];
  /** Defaults filled in. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly comment: string;
  readonly timeoutSeconds: number;
}

export interface SentInvocation {
  readonly instanceId: string;
  readonly computerName: string;
  status: string;
  /** As the service writes it in an answer. */
  statusDetails: string;
  /** -1 until the script has ended. */
  responseCode: number;
  stdout: string;
  stderr: string;
}

export interface RecordedCommand {
  readonly commandId: string;
  readonly document: string;
  readonly comment: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
  readonly sentAtMs: number;
  readonly pluginName: string;
  readonly invocations: readonly SentInvocation[];
}

export interface CommandStore extends AsyncDisposable {
  readonly commands: readonly RecordedCommand[];
  send(request: CommandRequest): RecordedCommand;
}

/** @param secondMs how long a second of the service's own times lasts; scripts have real time */
export function commandStore(runner: ScriptRunner, secondMs: number): CommandStore {
  const commands: RecordedCommand[] = [];
  const ends = new AbortController();
  const work = new Set<Promise<void>>();

  function send(request: CommandRequest): RecordedCommand {
    const command: RecordedCommand = {
      commandId: randomUUID(),
      document: request.document,
      comment: request.comment,
      parameters: request.parameters,
      timeoutSeconds: request.timeoutSeconds,
      sentAtMs: Date.now(),
      pluginName: request.content.mainSteps[0].name,
      invocations: request.nodes.map(({ instanceId, computerName }) => ({
        instanceId,
        computerName,
        status: 'Pending',
        statusDetails: 'Pending',
        responseCode: -1,
        stdout: '',
        stderr: '',
      })),
    };
    commands.push(command);
    for (const [index, invocation] of command.invocations.entries()) {
      const node = request.nodes[index];
      if (node === undefined) continue;
      const done = carryOut(node, invocation, request).finally(() => work.delete(done));
      work.add(done);
    }
    return command;
  }

  async function carryOut(node: SsmNode, invocation: SentInvocation, request: CommandRequest): Promise<void> {
    const set = (status: string, statusDetails = status) => Object.assign(invocation, { status, statusDetails });
    const fault = node.fault ?? (node.pingStatus === 'Online' ? undefined : { kind: 'offline' as const });
    switch (fault?.kind) {
      case 'offline':
        if (await passed(request.timeoutSeconds * secondMs)) set('TimedOut', 'Delivery Timed Out');
        return;
      case 'undeliverable':
        set('Failed', 'Undeliverable');
        return;
      case 'access-denied':
        set('Failed', 'Access Denied');
        return;
      case 'cancelled':
        set('Cancelled');
        return;
      case 'status':
        set(fault.status, fault.details);
        return;
      case 'hanging':
        set('InProgress', 'In Progress');
        if (!(await passed(Number(request.content.mainSteps[0].inputs.timeoutSeconds) * secondMs))) return;
        invocation.responseCode = 137;
        set('TimedOut', 'Execution Timed Out');
        return;
      default:
        if (fault?.kind === 'slow' && !(await passed(fault.delayMs))) return;
        set('InProgress', 'In Progress');
        // It ends there, with no exit code and without a word: what the agent found is in its own log on the node.
        if (agentRefuses(request.content, request.parameters) !== undefined) return void set('Failed');
        await runScript(node, invocation, request);
    }
  }

  async function runScript(node: SsmNode, invocation: SentInvocation, request: CommandRequest): Promise<void> {
    const { exitCode, stdout, stderr } = await runner.run(
      node,
      request.content,
      handedOver(node.agentVersion, request.parameters),
    );
    Object.assign(invocation, { stdout, stderr, responseCode: exitCode ?? 137 });
    if (exitCode === undefined) Object.assign(invocation, { status: 'TimedOut', statusDetails: 'Execution Timed Out' });
    else if (exitCode === 0) Object.assign(invocation, { status: 'Success', statusDetails: 'Success' });
    else Object.assign(invocation, { status: 'Failed', statusDetails: 'Failed' });
  }

  /** @returns false when the store was closed meanwhile */
  function passed(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      if (ends.signal.aborted) return resolve(false);
      const timer = setTimeout(() => resolve(true), ms);
      ends.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve(false);
      });
    });
  }

  return {
    commands,
    send,
    [Symbol.asyncDispose]: async () => {
      ends.abort();
      // Seen from now on: what ends with an error because its script is killed has nobody else to tell.
      const done = Promise.allSettled(work);
      await runner[Symbol.asyncDispose]();
      await done;
    },
  };
}

/** Of a command as a whole, by the service's rules for one that may fail anywhere. */
export function aggregatedStatus({ invocations }: RecordedCommand): string {
  const statuses = invocations.map(({ status }) => status);
  if (statuses.every((status) => status === 'Pending')) return 'Pending';
  if (statuses.some((status) => ['Pending', 'InProgress', 'Delayed', 'Cancelling'].includes(status)))
    return 'InProgress';
  return statuses.find((status) => status !== 'Success') ?? 'Success';
}
