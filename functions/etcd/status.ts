// What a member says about itself: the Status answer as plain data, alarms and the fields of newer versions included.
import type { IStatusResponse } from 'etcd3/lib/rpc.js';
import protobuf from 'protobufjs/minimal.js';
import type { Alarm, AlarmType } from '../contract/alarm.ts';
import type { MemberStatus } from './types.ts';

/** etcd3's StatusResponse and what etcd 3.6 has added to it. */
export interface StatusResponse extends IStatusResponse {
  /** Bytes; undefined where it isn't on the wire, which is also how 0 is sent. */
  readonly dbSizeQuota: number | undefined;
}

/** `int64 dbSizeQuota = 12` of etcdserverpb.StatusResponse; etcd3's copy of the protocol ends at 10. */
const DB_SIZE_QUOTA = 12;
const VARINT = 0;

/** For MemberConnection.call: reads what etcd3 knows and what it doesn't from the same bytes. */
export function decodeStatus(bytes: Buffer, known: IStatusResponse): StatusResponse {
  const reader = protobuf.Reader.create(bytes);
  let dbSizeQuota: number | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === DB_SIZE_QUOTA && (tag & 7) === VARINT) dbSizeQuota = Number(String(reader.int64()));
    else reader.skipType(tag & 7);
  }
  return { ...known, dbSizeQuota };
}

export function toMemberStatus(response: StatusResponse): MemberStatus {
  const alarms: Alarm[] = [];
  const errors: string[] = [];
  for (const line of response.errors) {
    const alarm = parseAlarm(line);
    if (alarm) alarms.push(alarm);
    else errors.push(line);
  }
  return {
    memberId: hexId(response.header.member_id),
    version: response.version,
    dbSize: Number(response.dbSize),
    dbSizeInUse: Number(response.dbSizeInUse),
    dbSizeQuota: response.dbSizeQuota,
    leaderId: response.leader === '0' ? undefined : hexId(response.leader),
    isLearner: response.isLearner,
    raftTerm: BigInt(response.raftTerm),
    raftIndex: BigInt(response.raftIndex),
    raftAppliedIndex: BigInt(response.raftAppliedIndex),
    revision: BigInt(response.header.revision),
    alarms,
    errors,
  };
}

/**
 * `memberID:123 alarm:NOSPACE `: Go's text form of an AlarmMember, the id decimal, a blank at the end; a zero is left
 * out.
 */
function parseAlarm(line: string): Alarm | undefined {
  const [, id = '0', type] = /^(?:memberID:(\d+)\s+)?alarm:(\S+)\s*$/.exec(line) ?? [];
  return type !== undefined ? { memberId: hexId(id), type: alarmType(type) } : undefined;
}

/** @param name as it came: `NOSPACE` in texts, `Nospace` from etcd3, a number where etcd3 does not know it */
export function alarmType(name: unknown): AlarmType {
  const upper = String(name).toUpperCase();
  return upper === 'NOSPACE' || upper === 'CORRUPT' ? upper : 'UNKNOWN';
}

/** An id as etcdctl prints it. @param decimal a uint64, as etcd3 hands them out */
export function hexId(decimal: string): string {
  return BigInt(decimal).toString(16);
}

/** A hexadecimal id as the wire needs it. */
export function decimalId(hex: string): string {
  return BigInt(`0x${hex}`).toString();
}
