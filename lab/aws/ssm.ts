// Systems Manager as far as a run needs it, on the wire: the inventory, Run Command and Parameter Store. A command runs
// the document's own script for each simulated node.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { DocumentContent } from '../../lib/documents/document-content.ts';
import { type ApiCall, close, listen, type RunningServer, signerOf } from './server.ts';
import { SsmFault, ssmActions } from './ssm-actions.ts';
import { commandStore, type RecordedCommand } from './ssm-commands.ts';
import type { SsmNode } from './ssm-node.ts';
import { scriptRunner } from './ssm-script.ts';

export interface SsmOptions {
  /** How long a second of the service's own times lasts (delivery, execution of what hangs), in ms. @default 1000 */
  readonly secondMs?: number;
}

export interface SsmStandIn extends RunningServer {
  /** By instance id. Add nodes, remove them, set their `fault`. */
  readonly nodes: Map<string, SsmNode>;
  /** By name: what documents there are. */
  readonly documents: Map<string, DocumentContent>;
  /** Parameter Store: name to value. */
  readonly parameters: Map<string, string>;
  /** Every command that was taken, in order. */
  readonly commands: readonly RecordedCommand[];
  /** A command shows up in lists only so long after it was sent. @default 0 */
  showAfterMs: number;
  /** The next so many calls of an action are refused: `ThrottlingException`, or another error. 0: none any more. */
  refuseNext(action: string, times: number, error?: string): void;
  /** The next so many calls of an action are done, and their answer is lost: the connection is cut. */
  loseNextAnswers(action: string, times: number): void;
}

export async function startSsm(calls: ApiCall[], { secondMs = 1_000 }: SsmOptions = {}): Promise<SsmStandIn> {
  const store = commandStore(await scriptRunner(), secondMs);
  const state = {
    nodes: new Map<string, SsmNode>(),
    documents: new Map<string, DocumentContent>(),
    parameters: new Map<string, string>(),
    commands: store.commands,
    showAfterMs: 0,
  };
  const refused: { action: string; error: string }[] = [];
  const lost: string[] = [];
  const actions = ssmActions({ state, store, calls });

  async function respond(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      // The client went away while it was sending: there is nobody to answer.
      return;
    }
    const action = String(incoming.headers['x-amz-target']).replace(/^AmazonSSM\./, '');
    const answer = (status: number, body: object) =>
      outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
    try {
      const refusal = refused.findIndex((each) => each.action === action);
      if (refusal >= 0) {
        const error = refused.splice(refusal, 1)[0]?.error ?? '';
        throw new SsmFault(error, error === 'ThrottlingException' ? 'Rate exceeded' : 'refused by the test');
      }
      const body = actions(action, JSON.parse(Buffer.concat(chunks).toString() || '{}'), signerOf(incoming.headers));
      const cut = lost.indexOf(action);
      if (cut < 0) return void answer(200, body);
      lost.splice(cut, 1);
      incoming.socket.destroy();
    } catch (error) {
      if (error instanceof SsmFault) answer(error.type === 'InternalServerError' ? 500 : 400, fault(error.type, error));
      else answer(500, fault('InternalServerError', error));
    }
  }

  const server = createServer((incoming, outgoing) => void respond(incoming, outgoing));
  const url = await listen(server);
  return Object.assign(state, {
    url,
    refuseNext: (action: string, times: number, error = 'ThrottlingException') => {
      if (times === 0) refused.splice(0, refused.length, ...refused.filter((each) => each.action !== action));
      for (let i = 0; i < times; i++) refused.push({ action, error });
    },
    loseNextAnswers: (action: string, times: number) => {
      for (let i = 0; i < times; i++) lost.push(action);
    },
    [Symbol.asyncDispose]: async () => {
      await close(server);
      await store[Symbol.asyncDispose]();
    },
  });
}

function fault(type: string, error: unknown): object {
  return { __type: type, message: error instanceof Error ? error.message : String(error) };
}
