// Who wrote an object last, as it lies in etcd: JSON by hand, protobuf by protobufjs from Kubernetes' definitions.
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { LOOK_BYTES, writtenBy } from '../../functions/contents/managed-fields.ts';

/** k8s.io/apimachinery 0.37, as far as it matters here. */
const { root } = protobuf.parse(`
  syntax = "proto2";
  message TypeMeta { optional string apiVersion = 1; optional string kind = 2; }
  message Unknown { optional TypeMeta typeMeta = 1; optional bytes raw = 2; optional string contentEncoding = 3;
    optional string contentType = 4; }
  message Time { optional int64 seconds = 1; optional int32 nanos = 2; }
  message FieldsV1 { optional bytes Raw = 1; }
  message ManagedFieldsEntry { optional string manager = 1; optional string operation = 2;
    optional string apiVersion = 3; optional Time time = 4; optional string fieldsType = 6;
    optional FieldsV1 fieldsV1 = 7; optional string subresource = 8; }
  message ObjectMeta { optional string name = 1; optional string namespace = 3; optional int64 generation = 7;
    map<string, string> annotations = 12; repeated ManagedFieldsEntry managedFields = 17; }
  message Pod { optional ObjectMeta metadata = 1; optional bytes spec = 2; }
`);

interface Entry {
  readonly manager?: string;
  readonly time?: string;
}

function json(entries: readonly Entry[], annotation = ''): Buffer {
  const managedFields = entries.map((entry) => ({ apiVersion: 'v1', fieldsV1: { 'f:a}]"': { '.': {} } }, ...entry }));
  const metadata = { annotations: { note: annotation }, managedFields, name: 'n' };
  return Buffer.from(
    JSON.stringify({ apiVersion: 'v1', kind: 'K', metadata, spec: { managedFields: [{ manager: 'x' }] } }),
  );
}

function proto(entries: readonly Entry[], annotation = ''): Buffer {
  const encode = (name: string, value: object) => {
    const type = root.lookupType(name);
    return Buffer.from(type.encode(type.create(value)).finish());
  };
  const managedFields = entries.map(({ manager, time }) => ({
    manager,
    operation: 'Update',
    fieldsV1: { Raw: Buffer.from('{"f:status":{}}') },
    ...(time && { time: { seconds: Date.parse(time) / 1000, nanos: 7 } }),
  }));
  const metadata = { name: 'n', namespace: 'd', generation: 3, annotations: { note: annotation }, managedFields };
  const raw = encode('Pod', { metadata, spec: Buffer.alloc(300, 1) });
  return Buffer.concat([Buffer.from('k8s\0'), encode('Unknown', { typeMeta: { apiVersion: 'v1', kind: 'Pod' }, raw })]);
}

const [early, late] = ['2026-03-01T10:00:00Z', '2026-03-02T10:00:00Z'];
const read = (value: Buffer) => writtenBy(value, 0, Math.min(value.length, LOOK_BYTES));

describe.each([
  ['JSON', json],
  ['protobuf', proto],
])('who wrote an object that is kept as %s', (_name, made) => {
  it('is the manager of the newest entry, the last one of equals', () => {
    const entries = [
      { manager: 'kubectl', time: early },
      { manager: 'trivy-operator', time: late },
      { manager: 'helm' },
    ];

    expect(read(made(entries))).toEqual({ manager: 'trivy-operator', atMs: Date.parse(late) });
    expect(read(made([...entries, { manager: 'kubelet', time: late }]))).toMatchObject({ manager: 'kubelet' });
    expect(read(made([{ manager: 'helm' }]))).toEqual({ manager: 'helm', atMs: 0 });
  });

  it.each([[[]], [[{ time: early }]], [[{ manager: '' }]]])(
    'is nobody in particular where nothing says so: %j',
    (entries) => {
      expect(read(made(entries))).toBe('none');
    },
  );

  it('is told whatever stands in an annotation', () => {
    const annotation = '"managedFields":[{"manager":"liar","time":"2030-01-01T00:00:00Z"}]';

    expect(read(made([{ manager: 'kubectl', time: early }], annotation))).toMatchObject({ manager: 'kubectl' });
  });

  it('R15: is all that is taken of a value', () => {
    const secret = 'c2VjcmV0LXRoYXQtbXVzdC1ub3QtbGVhdmU=';
    const written = read(made([{ manager: 'kubectl', time: early }], secret));

    expect(written).toEqual({ manager: 'kubectl', atMs: Date.parse(early) });
    expect(nameIn(read(made([{ manager: `a${secret.repeat(9)}`, time: early }])))).toHaveLength(128);
  });

  it('is told by what there is of the beginning', () => {
    const many = Array.from({ length: 400 }, (_, index) => ({ manager: `manager-${index}`, time: early }));

    expect(read(made(many))).toMatchObject({ manager: expect.stringMatching(/^manager-\d+$/) });
    expect(read(made([{ manager: 'late' }], 'a'.repeat(LOOK_BYTES)))).toBe('none');
  });

  it('throws for no bytes at all', () => {
    const value = made([{ manager: 'kubectl', time: early }]);

    for (let length = 0; length < value.length; length++) {
      for (const byte of [0, 0x7f, 0xff]) {
        const damaged = Buffer.from(value);
        damaged[length] = byte;
        read(damaged);
      }
      expect(['none', 'kubectl']).toContain(nameIn(read(value.subarray(0, length))));
    }
  });
});

function nameIn(written: ReturnType<typeof writtenBy>): string {
  return typeof written === 'string' ? written : written.manager;
}

it.each([
  ['k8s:enc:aescbc:v1:key1:', 'encrypted'],
  ['k8s:enc:', 'encrypted'],
  ['k8s', 'none'],
  ['', 'none'],
  ['1', 'none'],
] as const)('a value that begins with %j says %s', (value, said) => {
  expect(read(Buffer.from(value))).toBe(said);
});
