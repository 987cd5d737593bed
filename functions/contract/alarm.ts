// An alarm of etcd's, as every part of the program passes it on.

export type AlarmType = 'NOSPACE' | 'CORRUPT' | 'UNKNOWN';

export interface Alarm {
  readonly memberId: string;
  /** `UNKNOWN` is a kind that this program does not know: like CORRUPT, it is never disarmed. */
  readonly type: AlarmType;
}
