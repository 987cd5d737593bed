// Members and nodes brought together: by addresses and names in all the forms that EC2 and kubeadm give them.
import { describe, expect, it } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { nodeOf } from '../../functions/control-plane/node-match.ts';
import { endpointsOf, observedNodes } from '../../functions/control-plane/nodes.ts';
import type { ObservedNode } from '../../functions/control-plane/observation.ts';

function node(number: number, changes: Partial<ObservedNode> = {}): ObservedNode {
  return {
    instanceId: `i-0123456789abcdef${number}`,
    name: `ip-10-0-0-1${number}.ec2.internal`,
    ipAddress: `10.0.0.1${number}`,
    online: true,
    ...changes,
  };
}
const nodes = [node(1), node(2), node(3)];

describe("a member's node", () => {
  it.each([
    ['its address', '10.0.0.12'],
    ["its name in EC2's form", 'ip-10-0-0-12.ec2.internal'],
    ['that of another region', 'ip-10-0-0-12.eu-central-1.compute.internal'],
    ['its short name', 'ip-10-0-0-12'],
    ['another spelling of it', 'IP-10-0-0-12.EC2.internal.'],
    ['its resource name', 'i-0123456789abcdef2.ec2.internal'],
    ['that of another region', 'i-0123456789abcdef2.eu-central-1.compute.internal'],
  ])('is known by %s: %s', (_what, host) => {
    expect(nodeOf({ hosts: [host] }, nodes).node).toBe(nodes[1]);
  });

  it('is known by what is written in its own name where Systems Manager has the address of a bridge', () => {
    const bridged = nodes.map((each) => ({ ...each, ipAddress: '172.17.0.1' }));
    expect(nodeOf({ hosts: ['10.0.0.13'] }, bridged).node).toBe(bridged[2]);
    expect(nodeOf({ hosts: ['172.17.0.1'] }, bridged).problem).toMatch(
      /cannot be told: 172\.17\.0\.1 compared with .*10\.0\.0\.11/,
    );
  });

  it('is known by any address that the node has told of, IPv6 in any spelling', () => {
    const told = [
      node(1, { addresses: ['172.17.0.1', '10.9.0.1', 'fd00:0:0::1'] }),
      node(2, { addresses: ['172.17.0.1'] }),
    ];
    expect(nodeOf({ hosts: ['172.17.0.1', '10.9.0.1'] }, told).node).toBe(told[0]);
    expect(nodeOf({ hosts: ['fd00::1'] }, told).node).toBe(told[0]);
  });

  it("is known by host names of one's own, short or whole, but not across domains", () => {
    const named = [node(1, { name: 'cp-1.example.internal' }), node(2, { name: 'cp-2' })];
    expect(nodeOf({ hosts: ['cp-1'] }, named).node).toBe(named[0]);
    expect(nodeOf({ hosts: ['cp-2.example.internal'] }, named).node).toBe(named[1]);
    expect(nodeOf({ hosts: ['cp-1.example.com'] }, named).problem).toContain(
      'cp-1.example.com compared with cp-1.example.internal',
    );
  });

  it("is known by the member's name where nothing that it advertises tells", () => {
    expect(nodeOf({ name: 'ip-10-0-0-11', hosts: ['etcd.example'] }, nodes).node).toBe(nodes[0]);
    expect(nodeOf({ name: 'default', hosts: ['etcd.example'] }, nodes).node).toBeUndefined();
  });

  it('is the one that is online where the inventory still has a replaced node with its address', () => {
    const replaced = [node(1, { instanceId: 'i-0aaaaaaaaaaaaaaaa', online: false }), node(1), node(2)];
    expect(nodeOf({ hosts: ['10.0.0.11'] }, replaced).node).toBe(replaced[1]);
    expect(nodeOf({ hosts: ['10.0.0.11'] }, replaced.slice(0, 1)).node).toBe(replaced[0]);
  });

  it('is that of what it advertises where it answered at an address that moves', () => {
    const member = { endpoint: 'https://10.0.0.100:2379', hosts: ['10.0.0.100', '10.0.0.12'] };
    const holder = [node(1, { addresses: ['10.0.0.11', '10.0.0.100'] }), node(2)];
    expect(nodeOf(member, holder).node).toBe(holder[1]);
  });

  it('is not guessed where what it advertises is on two nodes', () => {
    expect(nodeOf({ endpoint: 'https://x:2379', hosts: ['10.0.0.11', '10.0.0.12'] }, nodes).problem).toContain(
      'cannot be told',
    );
    expect(nodeOf({ hosts: [] }, nodes).problem).toContain('no address compared with');
    expect(nodeOf({ hosts: ['10.0.0.11'] }, []).problem).toContain('compared with no nodes');
  });
});

describe('the endpoints that nodes stand for', () => {
  const cluster = parseCluster({
    name: 'demo',
    etcd: { credentials: { secretArn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:x' } },
    nodes: { tag: { key: 'cluster', value: 'demo' } },
  });

  it('are those of the nodes that are online first, each once, and none of a node without an address', () => {
    const listed = { lastPingAt: undefined, agentVersion: '3.3.3050.0' };
    const found = observedNodes([
      { ...listed, instanceId: 'i-1', name: 'old', ipAddress: '10.0.0.11', pingStatus: 'ConnectionLost' },
      { ...listed, instanceId: 'i-2', name: 'gone', ipAddress: '10.0.0.19', pingStatus: 'Inactive' },
      { ...listed, instanceId: 'i-3', name: 'new', ipAddress: '10.0.0.11', pingStatus: 'Online' },
      { ...listed, instanceId: 'i-4', name: 'bare', ipAddress: undefined, pingStatus: 'Online' },
    ]);
    expect(found.map(({ name }) => name)).toEqual(['new', 'bare', 'old', 'gone']);
    expect(endpointsOf(cluster, found)).toEqual(['https://10.0.0.11:2379', 'https://10.0.0.19:2379']);
  });

  it('are what the nodes have told themselves, before the address that Systems Manager has', () => {
    const told = [node(1, { etcdUrls: ['https://[fd00::1]:2379'] }), node(2)];
    expect(endpointsOf(cluster, told)).toEqual(['https://[fd00::1]:2379', 'https://10.0.0.12:2379']);
  });
});
