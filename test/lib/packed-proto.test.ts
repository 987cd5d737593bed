// What is in bundles in @grpc/proto-loader's place, beside that loader itself.
import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import { describe, expect, it } from 'vitest';
import { lightProtoLoader } from '../../lib/light-proto-loader.ts';
import { packProto } from '../../lib/packed-proto.ts';

const file = fileURLToPath(new URL('../proto/rpc.proto', import.meta.resolve('etcd3')));
/** Those that etcd3 gives. */
const OPTIONS = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
const { loadSync: loadPacked } = lightProtoLoader(JSON.parse(JSON.stringify(packProto(file))));

/** Of each service of the loader's own: messages have no methods. */
const theirs = Object.entries(loadSync(file, OPTIONS)).flatMap(([service, definition]) =>
  'format' in definition ? [] : [{ service, definition }],
);
const KEY = Buffer.from([0, 0xff, 0x80]);
/** By method, what has whatever kind of field there is: 64 bits, bytes, enums, oneofs, repeated and nested ones. */
const REQUESTS: Record<string, object> = {
  Txn: {
    compare: [{ result: 'Greater', target: 'Mod', key: KEY, mod_revision: '9223372036854775807' }],
    success: [{ request_delete_range: { key: KEY } }, { request_put: { key: KEY, value: KEY, lease: '-1' } }],
    failure: [{ request_range: { key: KEY, limit: '3', sort_order: 'Descend', sort_target: 'Version' } }],
  },
  Alarm: { action: 'Deactivate', memberID: '18446744073709551615', alarm: 'Nospace' },
  Compact: { revision: '9007199254740993', physical: true },
  MemberAdd: { peerURLs: ['https://10.0.0.1:2380', 'https://10.0.0.2:2380'] },
  Range: { key: KEY, range_end: KEY, serializable: true, keys_only: false, max_mod_revision: 7 },
  Authenticate: { name: 'root', password: 'of-a-test' },
};
const RESPONSES: Record<string, object> = {
  Range: {
    header: { cluster_id: '17237436991929493444', member_id: '1', revision: '5', raft_term: '2' },
    kvs: [{ key: KEY, mod_revision: '9007199254740993', value: Buffer.alloc(3_000, 7), lease: '0' }],
    more: true,
    count: '9007199254740993',
  },
  Status: { version: '3.7.3', dbSize: '2147483648', leader: '9372538179322589801', raftIndex: '1' },
  Alarm: { alarms: [{ memberID: '10501334649042878790', alarm: 'Nospace' }, { alarm: 'None' }] },
  Txn: { succeeded: true, responses: [{ response_put: { prev_kv: { key: KEY } } }, { response_range: { count: 2 } }] },
};

describe('a packed .proto file', () => {
  it('has every service of the loader, and its methods by the same names', () => {
    const packed = loadPacked(file, OPTIONS);

    expect(theirs.length).toBeGreaterThan(5);
    expect(Object.keys(packed).toSorted()).toEqual(theirs.map(({ service }) => service).toSorted());
    for (const { service, definition } of theirs) {
      expect(packed[service]).toEqual(
        Object.fromEntries(
          Object.entries(definition).map(([name, { path, requestStream, responseStream, originalName }]) => [
            name,
            expect.objectContaining({ path, requestStream, responseStream, originalName }),
          ]),
        ),
      );
    }
  });

  const methods = theirs.flatMap(({ service, definition }) =>
    Object.entries(definition).map(([name, method]) => ({ service, name, method })),
  );
  it.each(methods)('sends and reads $service.$name as the loader does', ({ service, name, method }) => {
    const packed = loadPacked(file, OPTIONS)[service]?.[name];
    const [request, response] = [REQUESTS[name] ?? {}, RESPONSES[name] ?? {}];

    const sent = method.requestSerialize(request);
    const answered = method.responseSerialize(response);

    expect(packed?.requestSerialize(request)).toEqual(sent);
    expect(packed?.responseSerialize(response)).toEqual(answered);
    expect(packed?.requestDeserialize(sent)).toEqual(method.requestDeserialize(sent));
    expect(packed?.responseDeserialize(answered)).toEqual(method.responseDeserialize(answered));
  });

  it('has an example for messages with fields of each kind', () => {
    const names = methods.map(({ name }) => name);

    expect(names).toEqual(expect.arrayContaining([...Object.keys(REQUESTS), ...Object.keys(RESPONSES)]));
  });

  it('refuses what is not in it, as the loader refuses what is not there', () => {
    expect(() => loadPacked('/somewhere/channelz.proto', OPTIONS)).toThrow(
      'expected rpc.proto, found /somewhere/channelz.proto: it is not packed',
    );
    const put = loadPacked(file, OPTIONS)['etcdserverpb.KV']?.Put;
    expect(() => put?.requestSerialize([])).toThrow('expected an object of the structure PutRequest, found an array');
  });
});
