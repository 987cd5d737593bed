// What is read of an object in etcd, and what is left alone.
import { describe, expect, it } from 'vitest';
import { keysOf, readStoredObject } from '../../functions/kubernetes/stored-object.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { type NewObject, storedJson } from '../../lab/kubernetes/objects.ts';

const REPORT = kindNamed('EphemeralReport');
const CLUSTER_REPORT = kindNamed('ClusterEphemeralReport');
const WRITTEN: NewObject = {
  name: 'r1',
  namespace: 'shop',
  uid: 'u1',
  creationTimestamp: '2026-01-01T00:00:00Z',
  lastWrittenAt: '2026-01-02T00:00:00Z',
  finalizers: ['example.com/hold'],
};

function read(key: string, value: string | Buffer) {
  return readStoredObject(keysOf(REPORT, '/registry').from, { key, value: Buffer.from(value), modRevision: '7' });
}

describe('R12: an object as etcd has it', () => {
  it("is read for its metadata, with the key's revision as its resourceVersion", () => {
    const value = JSON.stringify(storedJson(REPORT, WRITTEN));

    expect(read('/registry/reports.kyverno.io/ephemeralreports/shop/r1', value)).toEqual({
      kind: 'object',
      metadata: {
        uid: 'u1',
        name: 'r1',
        namespace: 'shop',
        resourceVersion: '7',
        creationTimestamp: '2026-01-01T00:00:00Z',
        lastWrittenAt: '2026-01-02T00:00:00Z',
        deletionTimestamp: undefined,
        labels: {},
        annotations: {},
        ownerReferences: [],
        finalizers: ['example.com/hold'],
      },
    });
  });

  it('may be in no namespace, and under another prefix', () => {
    const { from, to } = keysOf(CLUSTER_REPORT, '/prod');
    const value = Buffer.from(JSON.stringify(storedJson(CLUSTER_REPORT, { name: 'c1' })));

    expect([from, to]).toEqual([
      '/prod/reports.kyverno.io/clusterephemeralreports/',
      '/prod/reports.kyverno.io/clusterephemeralreports0',
    ]);
    expect(readStoredObject(from, { key: `${from}c1`, value, modRevision: '7' }).kind).toBe('object');
  });

  it('is not read where it is encrypted at rest', () => {
    expect(read('/registry/reports.kyverno.io/ephemeralreports/shop/r1', 'k8s:enc:aescbc:v1:key1:\0')).toEqual({
      kind: 'encrypted',
    });
  });

  it.each([
    ['protobuf', 'k8s\0\n', /protobuf/],
    ['no JSON', '{"apiVersion": ', /not JSON/],
    ['JSON that is no object', '[1]', /not an object as Kubernetes writes it/],
    ['an object without metadata', '{"kind":"EphemeralReport"}', /not an object as Kubernetes writes it/],
    [
      "another one's",
      JSON.stringify(storedJson(REPORT, { ...WRITTEN, name: 'r2' })),
      /its key is \/registry\/reports\.kyverno\.io\/ephemeralreports\/shop\/r2/,
    ],
  ])('is unreadable, with why, where it is %s', (_, value, why) => {
    expect(read('/registry/reports.kyverno.io/ephemeralreports/shop/r1', value)).toEqual({
      kind: 'unreadable',
      why: expect.stringMatching(why),
    });
  });
});
