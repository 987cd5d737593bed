import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NodeResult, readCommand } from '../../functions/nodes/command-results.ts';
import { type SentCommand, sendCommandOnce } from '../../functions/nodes/commands.ts';
import { NodesUnreadableError } from '../../functions/nodes/errors.ts';
import { nodeInspection, type RestartKubeletOutput, restartKubeletOutput } from '../../functions/nodes/outputs.ts';
import type { NodeFault } from '../../lab/aws/ssm-node.ts';
import type { DocumentContent } from '../../lib/documents/document-content.ts';
import { type FolderNode, folderNode, WORKING_SYSTEMCTL } from './scripts.ts';
import { addNodes, bareNode, INSPECT, RESTART, type Service, startService } from './service.ts';

let service: Service;
let node: FolderNode;

beforeEach(async () => {
  // The service's own times pass a hundred times as fast.
  service = await startService({ secondMs: 10 });
  node = await folderNode();
  await node.program('systemctl', WORKING_SYSTEMCTL);
  addNodes(service.ssm, [node]);
});
afterEach(async () => {
  await service[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

let steps = 0;

const send = (instanceIds: readonly string[], document = RESTART): Promise<SentCommand> =>
  sendCommandOnce({ document, instanceIds, parameters: {}, stepId: `step ${++steps}`, timeoutSeconds: 30 });

const read = (sent: SentCommand) => readCommand({ sent, output: restartKubeletOutput });

/** Asks as the durable engine would, until nothing is pending. */
async function settle(sent: SentCommand): Promise<readonly NodeResult<RestartKubeletOutput>[]> {
  return await expect
    .poll(() => read(sent), { timeout: 60_000, interval: 50 })
    .toSatisfy(isSettled)
    .then(() => read(sent));
}

const isSettled = (results: readonly NodeResult<unknown>[]) => results.every(({ state }) => state !== 'Pending');

/** A document with a script of the test's own. */
const script = (...lines: readonly string[]): DocumentContent => ({
  schemaVersion: '2.2',
  description: 'a test',
  parameters: {},
  mainSteps: [
    {
      action: 'aws:runShellScript',
      name: 'Test',
      precondition: { StringEquals: ['platformType', 'Linux'] },
      inputs: { timeoutSeconds: '30', runCommand: lines },
    },
  ],
});

describe('what became of a command', () => {
  it('is Pending while the script runs, and then Success with what it printed', async () => {
    const sent = await send([node.instanceId]);

    const [first] = await read(sent);
    const [last] = await settle(sent);

    expect(first).toEqual({ instanceId: node.instanceId, state: 'Pending', ran: 'unknown' });
    expect(last).toMatchObject({ instanceId: node.instanceId, state: 'Success', ran: 'yes', exitCode: 0 });
    expect(last?.output).toMatchObject({ unit: 'kubelet', activeState: 'active', mainPid: 101 });
    expect(last?.problem).toBeUndefined();
  });

  it('has the inspection of a node', async () => {
    await node.file('/var/lib/etcd/member/snap/db', Buffer.alloc(4_096));
    const sent = await send([node.instanceId], INSPECT);
    await settle(sent);

    const [result] = await readCommand({ sent, output: nodeInspection });

    expect(result).toMatchObject({ state: 'Success', output: { dataDir: '/var/lib/etcd', dbBytes: 4_096 } });
  });

  it('is Failed with the script’s own words', async () => {
    await node.program('systemctl', 'echo LoadState=masked');

    const [result] = await settle(await send([node.instanceId]));

    expect(result).toEqual({
      instanceId: node.instanceId,
      state: 'Failed',
      ran: 'yes',
      exitCode: 1,
      output: undefined,
      problem: 'unit kubelet: systemd says it is masked on this node',
    });
  });

  it('is Failed with the end of what the shell wrote where the script had no words', async () => {
    service.ssm.documents.set(RESTART, script('echo doing', 'echo "bash: boom" >&2', 'exit 3'));

    const [result] = await settle(await send([node.instanceId]));

    expect(result).toMatchObject({
      state: 'Failed',
      exitCode: 3,
      problem: 'the script ended with 3 and said: bash: boom',
    });
  });

  it('is Failed without a word or an exit code where the agent cannot read a pattern of the document', async () => {
    const content = script('echo never');
    // 16 times 64: more than Go repeats.
    const allowedPattern = '^(/[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}){1,16}$';
    const Path = { type: 'String', description: 'a path', allowedPattern, interpolationType: 'ENV_VAR', default: '/a' };
    service.ssm.documents.set(RESTART, { ...content, parameters: { Path } } as DocumentContent);

    const [result] = await settle(await send([node.instanceId]));

    expect(result).toMatchObject({ state: 'Failed', ran: 'unknown', exitCode: undefined, output: undefined });
    expect(result?.problem).toMatch(
      /^its agent ended the command with no exit code and without a word: .*its log on the node/,
    );
    expect(result?.problem).not.toContain('the script');
    expect(await node.calls()).toEqual([]);
  });

  it('is Failed with the script’s own words where the agent is too old to hand over a parameter', async () => {
    addNodes(service.ssm, [{ ...node, agentVersion: '3.3.987.0' }]);

    const [result] = await settle(await send([node.instanceId]));

    expect(result).toMatchObject({ state: 'Failed', problem: expect.stringContaining('did not arrive') });
  });

  const faults: readonly [string, NodeFault, object][] = [
    ['its agent is offline', { kind: 'offline' }, { state: 'TimedOut', ran: 'no' }],
    ['its script hangs', { kind: 'hanging' }, { state: 'TimedOut', ran: 'yes' }],
    ['it can’t be reached', { kind: 'undeliverable' }, { state: 'Undeliverable', ran: 'no' }],
    ['somebody cancels it', { kind: 'cancelled' }, { state: 'Cancelled', ran: 'unknown' }],
    ['it lacks the tag', { kind: 'access-denied' }, { state: 'AccessDenied', ran: 'no' }],
    [
      'it runs Windows',
      { kind: 'status', status: 'Failed', details: 'InvalidPlatform' },
      { state: 'Failed', ran: 'no' },
    ],
    [
      'others failed',
      { kind: 'status', status: 'Cancelled', details: 'Terminated' },
      { state: 'Cancelled', ran: 'no' },
    ],
    [
      'delivery timed out, in one word',
      { kind: 'status', status: 'TimedOut', details: 'DeliveryTimedOut' },
      { state: 'TimedOut', ran: 'no' },
    ],
    [
      'execution timed out, in one word',
      { kind: 'status', status: 'TimedOut', details: 'ExecutionTimedOut' },
      { state: 'TimedOut', ran: 'yes' },
    ],
    [
      'it ended in a way this version does not know',
      { kind: 'status', status: 'Cancelled', details: 'Struck By Lightning' },
      { state: 'Cancelled', ran: 'unknown' },
    ],
    [
      'it ended without details',
      { kind: 'status', status: 'TimedOut', details: '' },
      { state: 'TimedOut', ran: 'unknown' },
    ],
  ];

  it.each(faults)('is told apart when %s', async (_what, fault, meaning) => {
    node.fault = fault;

    const [result] = await settle(await send([node.instanceId]));

    expect(result).toMatchObject({ instanceId: node.instanceId, ...meaning });
    expect(result?.problem).toEqual(expect.stringMatching(/\w+ \w+/));
    expect(result?.output).toBeUndefined();
    expect((await node.calls()).length).toBe(0);
  });

  it.each([
    ['Pending', 'Pending'],
    ['InProgress', 'In Progress'],
    ['Delayed', 'Delayed'],
    ['Cancelling', 'Cancelling'],
    ['Sleeping', 'Sleeping'],
  ])('is Pending while the service says %s', async (status, details) => {
    node.fault = { kind: 'status', status, details };

    const [result] = await read(await send([node.instanceId]));

    expect(result).toMatchObject({ state: 'Pending', problem: undefined });
  });

  it('is Pending while Systems Manager does not show the command yet', async () => {
    service.ssm.showAfterMs = 3_600_000;

    const [result] = await read(await send([node.instanceId]));

    expect(result).toMatchObject({ instanceId: node.instanceId, state: 'Pending' });
  });

  it('is Pending while the list shows its end and the output is not there yet', async () => {
    const sent = await send([node.instanceId]);
    await settle(sent);
    service.ssm.refuseNext('GetCommandInvocation', 1, 'InvocationDoesNotExist');

    expect((await read(sent))[0]?.state).toBe('Pending');
    expect((await read(sent))[0]?.state).toBe('Success');
  });

  it('comes in the end from a slow node', async () => {
    node.fault = { kind: 'slow', delayMs: 300 };
    const sent = await send([node.instanceId]);

    expect((await read(sent))[0]?.state).toBe('Pending');
    expect((await settle(sent))[0]?.state).toBe('Success');
  });

  it('has a problem when the script succeeded and printed something else', async () => {
    service.ssm.documents.set(RESTART, script('echo \'{"unit":"kubelet"}\''));

    const [result] = await settle(await send([node.instanceId]));

    expect(result).toMatchObject({ state: 'Success', exitCode: 0, output: undefined });
    expect(result?.problem).toContain('activeState: found nothing');
  });

  it('has a problem when the output was longer than Systems Manager hands out', async () => {
    service.ssm.documents.set(RESTART, script('printf \'"%030000d"\' 0'));

    const [result] = await settle(await send([node.instanceId]));

    expect(result).toMatchObject({ state: 'Success', output: undefined });
    expect(result?.problem).toContain('not understood');
  });

  it('has one result for each of 120 nodes, whatever their ends', async () => {
    const ends: readonly NodeFault[] = [
      { kind: 'undeliverable' },
      { kind: 'access-denied' },
      { kind: 'cancelled' },
      { kind: 'status', status: 'Failed', details: 'Failed' },
    ];
    const others = Array.from({ length: 119 }, (_, i) => bareNode(i + 1, { fault: ends[i % 4] }));
    const ids = [node.instanceId, ...addNodes(service.ssm, others)];

    const results = await settle(await send(ids));

    expect(results.map(({ instanceId }) => instanceId).sort()).toEqual([...ids].sort());
    const counts = Object.groupBy(results, ({ state }) => state);
    expect(Object.fromEntries(Object.entries(counts).map(([state, list]) => [state, list.length]))).toEqual({
      Success: 1,
      Undeliverable: 30,
      AccessDenied: 30,
      Cancelled: 30,
      Failed: 29,
    });
  });

  it('names the instances that Systems Manager took no command for', async () => {
    const gone = 'i-0ffffffffffffffff';

    const results = await settle(await send([node.instanceId, gone]));

    expect(results).toContainEqual(
      expect.objectContaining({
        instanceId: gone,
        state: 'Undeliverable',
        ran: 'no',
        problem: expect.stringContaining(gone),
      }),
    );
    expect(results).toContainEqual(expect.objectContaining({ instanceId: node.instanceId, state: 'Success' }));
  });

  it('is read in the end when Systems Manager throttles', async () => {
    const sent = await send([node.instanceId]);
    await settle(sent);
    service.ssm.refuseNext('ListCommandInvocations', 2);
    service.ssm.refuseNext('GetCommandInvocation', 2);

    expect((await read(sent))[0]?.state).toBe('Success');
  });

  it('can’t be read while Systems Manager answers nothing but errors', async () => {
    const sent = await send([node.instanceId]);
    service.ssm.refuseNext('ListCommandInvocations', 10, 'InternalServerError');

    await expect(read(sent)).rejects.toThrow(NodesUnreadableError);
  });
});
