// An alarm of etcd's, as every part of the program passes it on.

export const ALARM_TYPES = ['NOSPACE', 'CORRUPT', 'UNKNOWN'] as const;
export type AlarmType = (typeof ALARM_TYPES)[number];

export interface Alarm {
  readonly memberId: string;
  /** `UNKNOWN` is a kind that this program does not know: like CORRUPT, it is never disarmed. */
  readonly type: AlarmType;
}
