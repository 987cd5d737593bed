import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SetupError } from '../../functions/contract/errors.ts';
import { NodesUnreadableError } from '../../functions/nodes/errors.ts';
import { findNodes } from '../../functions/nodes/inventory.ts';
import { addNodes, bareNode, type Service, startService } from './service.ts';

const tag = { key: 'cluster', value: 'demo' };

let service: Service;

beforeEach(async () => {
  service = await startService();
});
afterEach(() => service[Symbol.asyncDispose]());

describe('the inventory', () => {
  it('has each node with the tag, with its id, address, name and state', async () => {
    addNodes(service.ssm, [
      bareNode(2, { pingStatus: 'ConnectionLost' }),
      bareNode(1),
      bareNode(3, { tags: { cluster: 'another' } }),
      bareNode(4, { tags: { name: 'demo' } }),
    ]);

    const nodes = await findNodes({ tag });

    expect(nodes).toEqual([
      {
        instanceId: 'i-00000000000000001',
        ipAddress: '10.0.0.1',
        name: 'cp-1.example.internal',
        pingStatus: 'Online',
        lastPingAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        agentVersion: '3.3.3050.0',
      },
      expect.objectContaining({ instanceId: 'i-00000000000000002', pingStatus: 'ConnectionLost' }),
    ]);
  });

  it('is empty where no node has the tag', async () => {
    addNodes(service.ssm, [bareNode(1, { tags: {} })]);

    expect(await findNodes({ tag })).toEqual([]);
  });

  it('has more nodes than fit on a page, each once', async () => {
    const ids = addNodes(
      service.ssm,
      Array.from({ length: 120 }, (_, i) => bareNode(i + 1)),
    );

    const nodes = await findNodes({ tag });

    expect(nodes.map(({ instanceId }) => instanceId)).toEqual([...ids].sort());
    expect(service.count('DescribeInstanceInformation')).toBe(3);
  });

  it('is read in the end when Systems Manager throttles', async () => {
    addNodes(service.ssm, [bareNode(1)]);
    service.ssm.refuseNext('DescribeInstanceInformation', 2);

    expect(await findNodes({ tag })).toHaveLength(1);
  });

  it('names the tag when it may not be read', async () => {
    service.ssm.refuseNext('DescribeInstanceInformation', 1, 'AccessDeniedException');

    const finding = findNodes({ tag });

    await expect(finding).rejects.toThrow(SetupError);
    await expect(finding).rejects.toThrow('nodes with the tag cluster=demo');
  });

  it('says that Systems Manager did not answer', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_SSM', 'http://127.0.0.1:1');

    await expect(findNodes({ tag })).rejects.toThrow(NodesUnreadableError);
  });
});
