// The calls of etcd's API that are made here, and how etcd3 writes and reads their messages.
import type { MethodDefinition } from '@grpc/grpc-js';
import type {
  IAlarmRequest,
  IAlarmResponse,
  ICompactionRequest,
  ICompactionResponse,
  IDefragmentResponse,
  IDeleteRangeRequest,
  IDeleteRangeResponse,
  IHashKVRequest,
  IHashKVResponse,
  IMemberListRequest,
  IMemberListResponse,
  IMoveLeaderRequest,
  IMoveLeaderResponse,
  IPutRequest,
  IPutResponse,
  IRangeRequest,
  IRangeResponse,
  ISnapshotResponse,
  IStatusResponse,
  ITxnRequest,
  ITxnResponse,
} from 'etcd3/lib/rpc.js';

/** The calls of etcd's API that are made here: request and response by method. */
interface Calls {
  Range: [IRangeRequest, IRangeResponse];
  Put: [IPutRequest, IPutResponse];
  DeleteRange: [IDeleteRangeRequest, IDeleteRangeResponse];
  Txn: [ITxnRequest, ITxnResponse];
  Compact: [ICompactionRequest, ICompactionResponse];
  MemberList: [IMemberListRequest, IMemberListResponse];
  Alarm: [IAlarmRequest, IAlarmResponse];
  Status: [Record<string, never>, IStatusResponse];
  Defragment: [Record<string, never>, IDefragmentResponse];
  HashKV: [IHashKVRequest, IHashKVResponse];
  MoveLeader: [IMoveLeaderRequest, IMoveLeaderResponse];
}
export type Method = keyof Calls;
export type Request<M extends Method> = Calls[M][0];
export type Response<M extends Method> = Calls[M][1];

/** The calls that are answered by a stream of messages. */
export interface StreamCalls {
  Snapshot: [Record<string, never>, ISnapshotResponse];
}
export type StreamMethod = keyof StreamCalls;

/** Where each call belongs in etcd's API. */
export const SERVICE_OF = {
  Range: 'KV',
  Put: 'KV',
  DeleteRange: 'KV',
  Txn: 'KV',
  Compact: 'KV',
  MemberList: 'Cluster',
  Alarm: 'Maintenance',
  Status: 'Maintenance',
  Defragment: 'Maintenance',
  HashKV: 'Maintenance',
  MoveLeader: 'Maintenance',
  Snapshot: 'Maintenance',
} as const satisfies Record<Method | StreamMethod, 'KV' | 'Cluster' | 'Maintenance'>;

/** How etcd3 writes and reads one method's messages. It has them on the constructor of its generated clients. */
export function methodDefinition<Req, Res>(client: object, method: string): MethodDefinition<Req, Res> {
  const service: unknown = Reflect.get(client.constructor, 'service');
  const definition: unknown =
    typeof service === 'object' && service !== null ? Reflect.get(service, method) : undefined;
  if (typeof definition !== 'object' || definition === null || !('responseDeserialize' in definition)) {
    throw new TypeError(`etcd3 does not know the method ${method}`);
  }
  return definition as MethodDefinition<Req, Res>;
}
