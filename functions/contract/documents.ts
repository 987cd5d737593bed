// The SSM documents of a cluster: what the stack calls them is what the functions send.

/** `RestartKubelet` changes something, `InspectNode` only looks. */
export type DocumentKind = 'RestartKubelet' | 'InspectNode';

/** @returns the document's name in AWS, as `etcd-medic-production-RestartKubelet` */
export function documentName(clusterName: string, kind: DocumentKind): string {
  return `etcd-medic-${clusterName}-${kind}`;
}
