import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SetupError } from '../../functions/contract/errors.ts';
import { type SendCommandOptions, sendCommandOnce } from '../../functions/nodes/commands.ts';
import { CommandRefusedError, CommandUnknownError, NodesUnreadableError } from '../../functions/nodes/errors.ts';
import { addNodes, bareNode, RESTART, type Service, startService } from './service.ts';

let service: Service;

beforeEach(async () => {
  service = await startService();
});
afterEach(() => service[Symbol.asyncDispose]());

const stepId = 'arn:aws:lambda:eu-west-1:111122223333:function:recover:1/durable-execution/alarm-1/x#restart kubelets';

const request = (instanceIds: readonly string[], changes: Partial<SendCommandOptions> = {}): SendCommandOptions => ({
  document: RESTART,
  instanceIds,
  parameters: { KubeletUnit: 'kubelet' },
  stepId,
  timeoutSeconds: 60,
  ...changes,
});

const some = (count: number) =>
  addNodes(
    service.ssm,
    Array.from({ length: count }, (_, i) => bareNode(i + 1)),
  );

/** How often each instance was really sent something. */
function deliveries(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { invocations } of service.ssm.commands) {
    for (const { instanceId } of invocations) counts[instanceId] = (counts[instanceId] ?? 0) + 1;
  }
  return counts;
}

const once = (ids: readonly string[]) => Object.fromEntries(ids.map((id) => [id, 1]));

describe('a command', () => {
  it('goes to exactly the instances named, with the parameters and the delivery time given', async () => {
    const ids = some(3);

    const sent = await sendCommandOnce(request(ids.slice(0, 2)));

    expect(deliveries()).toEqual(once(ids.slice(0, 2)));
    const [command] = service.ssm.commands;
    expect(sent).toEqual({ commands: [{ commandId: command?.commandId, instanceIds: ids.slice(0, 2) }], refused: [] });
    expect(command).toMatchObject({ document: RESTART, parameters: { KubeletUnit: 'kubelet' }, timeoutSeconds: 60 });
    expect(command?.comment.length).toBeLessThanOrEqual(100);
  });

  it('R10: is found and not sent again when its step is repeated', async () => {
    const ids = some(3);
    const first = await sendCommandOnce(request(ids));

    const second = await sendCommandOnce(request(ids));

    expect(second).toEqual(first);
    expect(deliveries()).toEqual(once(ids));
  });

  it('is sent again for another step, and for another run', async () => {
    const ids = some(1);
    await sendCommandOnce(request(ids));

    await sendCommandOnce(request(ids, { stepId: `${stepId} again` }));

    expect(service.ssm.commands).toHaveLength(2);
  });

  it('R10: reaches 120 nodes in batches, each node once, whatever was sent before the crash', async () => {
    const ids = some(120);
    await sendCommandOnce(request(ids.slice(0, 70)));

    const sent = await sendCommandOnce(request(ids));

    expect(deliveries()).toEqual(once(ids));
    expect(sent.commands.flatMap(({ instanceIds }) => instanceIds).sort()).toEqual([...ids].sort());
    expect(service.ssm.commands.map(({ invocations }) => invocations.length)).toEqual([50, 20, 50]);
  });

  it('is found among more commands than fit on a page', async () => {
    const ids = some(1);
    const first = await sendCommandOnce(request(ids));
    for (let i = 0; i < 60; i++) await sendCommandOnce(request(ids, { stepId: `other ${i}` }));

    expect(await sendCommandOnce(request(ids))).toEqual(first);
  });

  it('is sent once to an instance that is named twice', async () => {
    const ids = some(1);

    await sendCommandOnce(request([...ids, ...ids]));

    expect(deliveries()).toEqual(once(ids));
  });

  it('R5: is found when its answer was lost, and not sent again', async () => {
    const ids = some(3);
    service.ssm.loseNextAnswers('SendCommand', 1);

    const sent = await sendCommandOnce(request(ids));

    expect(sent.commands).toEqual([{ commandId: service.ssm.commands[0]?.commandId, instanceIds: ids }]);
    expect(deliveries()).toEqual(once(ids));
  });

  it('R5: is found when its answer was lost and the list shows it late', async () => {
    const ids = some(2);
    service.ssm.showAfterMs = 1_000;
    service.ssm.loseNextAnswers('SendCommand', 1);

    const sent = await sendCommandOnce(request(ids));

    expect(sent.commands).toHaveLength(1);
    expect(deliveries()).toEqual(once(ids));
  });

  it('R5: is not known to be sent when its answer was lost and the list never shows it', async () => {
    const ids = some(2);
    service.ssm.showAfterMs = 3_600_000;
    service.ssm.loseNextAnswers('SendCommand', 1);

    const sending = sendCommandOnce(request(ids, { lookAgainAfterMs: [10, 20] }));

    await expect(sending).rejects.toThrow(CommandUnknownError);
    expect(service.ssm.commands).toHaveLength(1);
  });

  it('R5: is looked for, not repeated, after an error inside of the service', async () => {
    const ids = some(1);
    service.ssm.refuseNext('SendCommand', 1, 'InternalServerError');

    const sending = sendCommandOnce(request(ids, { lookAgainAfterMs: [10, 20] }));

    await expect(sending).rejects.toThrow(CommandUnknownError);
    expect(service.ssm.commands).toHaveLength(0);
    // Once before it was sent, and after each pause.
    expect(service.count('ListCommands')).toBe(3);
  });

  it('is sent in the end when Systems Manager throttles, and once', async () => {
    const ids = some(2);
    service.ssm.refuseNext('SendCommand', 2);
    service.ssm.refuseNext('ListCommands', 2);

    await sendCommandOnce(request(ids));

    expect(deliveries()).toEqual(once(ids));
  });

  it('is refused when Systems Manager never stops throttling', async () => {
    const ids = some(1);
    service.ssm.refuseNext('SendCommand', 100);

    const sending = sendCommandOnce(request(ids));

    await expect(sending).rejects.toThrow(CommandRefusedError);
    await expect(sending).rejects.toMatchObject({ cause: { name: 'ThrottlingException' } });
  });

  it('goes to the others when Systems Manager takes none for some instances', async () => {
    const ids = some(4);
    addNodes(service.ssm, [bareNode(2, { fault: { kind: 'invalid' } })]);
    const gone = 'i-0ffffffffffffffff';

    const sent = await sendCommandOnce(request([...ids, gone]));

    const good = ids.filter((_, index) => index !== 1);
    expect(sent.commands.map(({ instanceIds }) => instanceIds)).toEqual([good]);
    expect(sent.refused).toEqual(
      [ids[1], gone].map((instanceId) => ({
        instanceId,
        problem: expect.stringContaining('InvalidInstanceId: Instances [['),
      })),
    );
    expect(deliveries()).toEqual(once(good));
  });

  it('goes to nobody, without an error, when it is taken for none of the instances', async () => {
    const sent = await sendCommandOnce(request(['i-0ffffffffffffffff']));

    expect(sent).toMatchObject({ commands: [], refused: [{ instanceId: 'i-0ffffffffffffffff' }] });
  });

  it('fails on a document that is not there', async () => {
    const sending = sendCommandOnce(request(some(1), { document: 'etcd-medic-demo-Nothing' }));

    await expect(sending).rejects.toThrow(SetupError);
    await expect(sending).rejects.toThrow('etcd-medic-demo-Nothing');
  });

  it('fails on a document that must not be sent', async () => {
    const ids = some(1);
    service.ssm.refuseNext('SendCommand', 1, 'AccessDeniedException');

    await expect(sendCommandOnce(request(ids))).rejects.toThrow(SetupError);
  });

  it.each([
    ['that the document does not have', { KubeletUnit: 'kubelet', Script: 'id' }],
    ['that the document does not allow', { KubeletUnit: 'kubelet; id' }],
  ])('is refused with a parameter %s', async (_what, parameters) => {
    const sending = sendCommandOnce(request(some(1), { parameters }));

    await expect(sending).rejects.toThrow(CommandRefusedError);
    expect(service.ssm.commands).toHaveLength(0);
  });

  it('R10: is not sent when what was already sent can’t be read', async () => {
    const ids = some(1);
    service.ssm.refuseNext('ListCommands', 10);

    await expect(sendCommandOnce(request(ids))).rejects.toThrow(NodesUnreadableError);
    expect(service.ssm.commands).toHaveLength(0);
  });

  it('is not sent to nobody', async () => {
    expect(await sendCommandOnce(request([]))).toEqual({ commands: [], refused: [] });
    expect(service.ssm.commands).toHaveLength(0);
  });

  it('is not sent where Systems Manager can’t be reached', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_SSM', 'http://127.0.0.1:1');

    await expect(sendCommandOnce(request(['i-0ffffffffffffffff']))).rejects.toThrow(NodesUnreadableError);
  });
});
