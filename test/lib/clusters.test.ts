import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../functions/contract/errors.ts';
import { readClusters } from '../../lib/clusters.ts';
import { sampleCluster } from './synth.ts';

function problemOf(context: unknown): string {
  try {
    readClusters(context);
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message;
    throw error;
  }
  return 'accepted';
}

describe('the context "clusters"', () => {
  it('is the list that cdk.json has, with the defaults filled in', () => {
    const clusters = readClusters([sampleCluster]);

    expect(clusters.map(({ name, recover, alarms }) => ({ name, recover, alarms }))).toEqual([
      { name: 'demo', recover: { watchSeconds: 120, restartKubelets: true }, alarms: [] },
    ]);
  });

  it('may come as JSON text from the command line and means the same', () => {
    expect(readClusters(JSON.stringify([sampleCluster]))).toEqual(readClusters([sampleCluster]));
  });

  it.each([
    ['no list', undefined, 'cdk.json context "clusters": (the whole document): found nothing, expected array'],
    ['an object instead of a list', { name: 'demo' }, 'found {"name":"demo"}, expected array'],
    ['an empty list', [], 'cdk.json context "clusters": (the whole document): found [], expected at least one cluster'],
    ['two clusters of one name', [sampleCluster, sampleCluster], 'expected names that differ'],
    ['an unknown field', [{ ...sampleCluster, qouta: 1 }], '[0].qouta: found a field that is not known here'],
    [
      'a name with capitals',
      [{ ...sampleCluster, name: 'Demo' }],
      '[0].name: found "Demo", expected lower case letters',
    ],
    ['text that is not JSON', '[{name: demo}]', 'found "[{name: demo}]", which is not JSON'],
    [
      'text that is JSON, but no list',
      '"demo"',
      'context "clusters" (-c clusters=…): (the whole document): found "demo"',
    ],
  ])('is refused with the place and what was expected: %s', (_, context, expected) => {
    expect(problemOf(context)).toContain(expected);
  });

  it('refuses certificate files, which no function has', () => {
    const etcd = {
      endpoints: ['https://10.0.0.11:2379'],
      credentials: { caFile: 'ca.crt', certFile: 'client.crt', keyFile: 'client.key' },
    };

    expect(problemOf([sampleCluster, { name: 'other', etcd }])).toBe(
      'cdk.json context "clusters": [1].etcd.credentials: found files, expected { "secretArn" } or { "issued": true }, because a function in ' +
        'Lambda has no such files',
    );
  });

  it.each([
    ['a kind that is never pruned', 'clustercompliancereports.aquasecurity.github.io', {}],
    ['an unknown kind without its version', 'scans.example.com', {}],
    ['a kind of Kubernetes itself', 'leases.coordination.k8s.io', { version: 'v1' }],
  ])('refuses at synth what would fail in the first night: %s', (_, kind, settings) => {
    expect(problemOf([{ ...sampleCluster, prune: { kinds: { [kind]: settings } } }])).toContain(
      `[0].prune.kinds["${kind}"]`,
    );
  });

  it.each([
    ['a bucket', { snapshot: { bucket: '*' } }, '[0].snapshot.bucket: found "*", expected the name of an S3 bucket'],
    ['a folder in a bucket', { snapshot: { bucket: 'mine/x' } }, '[0].snapshot.bucket: found "mine/x"'],
    ["a tag's key", { nodes: { tag: { key: 'a*', value: 'demo' } } }, '[0].nodes.tag.key: found "a*"'],
    [
      "a tag's value",
      { nodes: { tag: { key: 'cluster', value: 'a$b' } } },
      '[0].nodes.tag.value: found "a$b", expected letters, digits, blanks and _ . : / = + - @',
    ],
  ])('refuses what would mean more in a permission than it says: %s', (_, fields, expected) => {
    expect(problemOf([{ ...sampleCluster, ...fields }])).toContain(expected);
  });

  it.each([
    { snapshot: { bucket: 'my-snapshots.example' } },
    { snapshot: {} },
    { snapshot: false },
    { nodes: { tag: { key: 'kubernetes.io/cluster/größe', value: 'a b' } } },
  ])('takes %j', (fields) => {
    expect(problemOf([{ ...sampleCluster, ...fields }])).toBe('accepted');
  });

  it.each([
    [
      'the registry of test events',
      { console: { registry: 'create' } },
      '[1].console.registry: found "create", expected "existing", because there is one registry, which [0] makes',
    ],
    [
      'a route table’s gateway endpoints',
      { network: { ...sampleCluster.network, routeTableIds: ['rtb-1', 'rtb-2'] } },
      '[1].network.routeTableIds: found "rtb-1", expected [], because [0] makes its gateway endpoints',
    ],
  ])('refuses what only one stack can make, and a second one would fail on: %s', (_, fields, expected) => {
    const [first, second] = ['one', 'two'].map((name) => ({ ...sampleCluster, name, ...fields }));

    expect(problemOf([first, second])).toContain(expected);
    expect(problemOf([first])).toBe('accepted');
    expect(problemOf([first, { ...sampleCluster, console: { registry: 'existing' } }])).toBe('accepted');
  });
});
