// What a cluster's functions and alarms are called in AWS: fixed, because people, policies and events go by them.

/** @param name the folder of its handler under functions/ */
export function functionName(clusterName: string, name: string): string {
  return `etcd-medic-${clusterName}-${name}`;
}

/** What the stack's own alarms end in. No ending is the tail of another: two clusters' alarms never share a name. */
export type AlarmKind =
  | 'nospace'
  | 'nospace-persists'
  | 'corrupt'
  | 'quota-usage'
  | 'soon-full'
  | 'member-away'
  | 'probe-silent'
  | 'run-failed'
  | 'dead-letters'
  | 'credentials-failed';

export function alarmName(clusterName: string, kind: AlarmKind): string {
  return `etcd-medic-${clusterName}-${kind}`;
}
