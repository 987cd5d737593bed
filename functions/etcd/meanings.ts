// What the texts mean that etcd, gRPC and TLS fail with, and what a person can do about each.
import {
  type CallOutcome,
  CorruptError,
  type EtcdCall,
  type EtcdError,
  EtcdTimeoutError,
  EtcdTlsError,
  EtcdUnreachableError,
  LearnerError,
  NoSpaceError,
  NotEtcdError,
  NotLeaderError,
  PermissionDeniedError,
  QuorumLostError,
  UnaskedError,
} from './errors.ts';

type ErrorClass = new (call: EtcdCall, outcome: CallOutcome, text: string) => EtcdError;

export interface Meaning {
  readonly pattern: RegExp;
  readonly type: ErrorClass;
  readonly outcome: CallOutcome;
  /** What it means and what to do; what came back is put in brackets behind its first sentence. */
  readonly text: string;
}

/**
 * What etcd itself says behind "etcdserver: " or "auth: "; the texts are the same from 3.4 to 3.7, the gRPC codes are
 * not.
 */
export const ETCD_ANSWERS: readonly Meaning[] = [
  {
    pattern: /database space exceeded/,
    type: NoSpaceError,
    outcome: 'not-done',
    text: 'refused, because a NOSPACE alarm stands',
  },
  {
    pattern: /corrupt cluster|corrupt alarm/i,
    type: CorruptError,
    outcome: 'not-done',
    text: 'refused, because a CORRUPT alarm stands. A person has to find the broken member and replace it',
  },
  {
    pattern: /not supported for learner/,
    type: LearnerError,
    outcome: 'not-done',
    text: 'refused, because this member is a learner',
  },
  {
    pattern: /etcdserver: not leader/,
    type: NotLeaderError,
    outcome: 'not-done',
    text: 'refused, because this member is not the leader',
  },
  {
    pattern: /leader transfer took too long/,
    type: EtcdTimeoutError,
    outcome: 'unknown',
    text: 'the leadership was not handed over in time',
  },
  {
    pattern: /etcdserver: no leader|etcdserver: leader changed/,
    type: QuorumLostError,
    outcome: 'unknown',
    text: 'the member has no leader at this moment. Bring a majority of the voters up',
  },
  {
    pattern: /etcdserver: request timed out/,
    type: QuorumLostError,
    outcome: 'unknown',
    text: 'the cluster did not agree in time. Bring a majority of the voters up',
  },
  {
    pattern:
      /permission denied|user name is empty|user name not found|auth: user not found|invalid auth token|authentication failed|root user/,
    type: PermissionDeniedError,
    outcome: 'not-done',
    text: "etcd's authorization refused it. Give the user named in the client certificate's common name the role `root`",
  },
  {
    pattern: /etcdserver: server stopped/,
    type: EtcdUnreachableError,
    outcome: 'unknown',
    text: 'the member is stopping',
  },
];

/**
 * Without a leader, 3.5 gives up on its own after 7 s in the words of a deadline that has passed, though the caller's
 * hasn't.
 */
export const NOT_PROPOSED: Meaning = {
  pattern: /context deadline exceeded/,
  type: QuorumLostError,
  outcome: 'unknown',
  text: 'the cluster did not take the request in time. Bring a majority of the voters up',
};
/** Why no connection came about. In this order: the more telling first. */
export const CONNECTION_FAILURES: readonly Meaning[] = [
  {
    pattern:
      /unable to verify the first certificate|self[- ]signed certificate|unable to get (local )?issuer|certificate signature failure|invalid CA/i,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: "the server's certificate is not signed by the given CA. Set `ca` to the CA that etcd's server certificates come from (kubeadm: /etc/kubernetes/pki/etcd/ca.crt)",
  },
  {
    pattern: /certificate has expired/,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: "the server's own certificate has expired. Renew it on that node (kubeadm: `kubeadm certs renew etcd-server`) and restart etcd",
  },
  {
    pattern: /certificate is not yet valid/,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: "the server's certificate is not valid yet. Compare the clocks of the two machines",
  },
  {
    pattern: /altnames|Hostname\/IP/i,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: "the server's certificate is for other names than this endpoint's. Use a name or an address that is in the certificate, or make one that has it",
  },
  {
    pattern: /alert certificate expired/,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: 'the server refused the client certificate as expired. Renew `cert` and `key` (kubeadm: `kubeadm certs renew etcd-healthcheck-client`)',
  },
  {
    pattern: /alert certificate required/,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: 'the server wants a client certificate and got none. Give `cert` and `key`',
  },
  {
    pattern:
      /alert (unknown ca|bad certificate|unsupported certificate|certificate revoked|certificate unknown|decrypt error|access denied)/,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: "the server refused the client certificate. `cert` must come from the CA in etcd's --trusted-ca-file, be made for client authentication, and not have expired",
  },
  {
    pattern: /no application protocol/,
    type: NotEtcdError,
    outcome: 'not-done',
    text: 'a TLS server that is not etcd (it has no HTTP/2). Check the address and the port',
  },
  {
    pattern: /wrong version number|packet length too long|http request/,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: 'the endpoint does not speak TLS. Use http:// if etcd serves in plain text, and check that it is etcd',
  },
  {
    pattern: /\balert\b|ERR_SSL|ERR_TLS|handshake|certificate/i,
    type: EtcdTlsError,
    outcome: 'not-done',
    text: 'the TLS handshake failed',
  },
  {
    pattern: /before secure TLS connection was established/,
    type: EtcdUnreachableError,
    outcome: 'not-done',
    text: 'the connection was closed during the TLS handshake. The member may be stopping, or serve in plain text (then use http://)',
  },
  {
    pattern: /Protocol error|Parse Error|HPE_/,
    type: NotEtcdError,
    outcome: 'not-done',
    text: 'what answered does not speak HTTP/2, so it is not etcd. Check the address and the port',
  },
  {
    pattern: /ECONNREFUSED/,
    type: EtcdUnreachableError,
    outcome: 'not-done',
    text: 'the connection was refused. Nothing listens there: etcd is down, or the address or the port is wrong',
  },
  {
    pattern: /Name resolution failed|ENOTFOUND|EAI_AGAIN/,
    type: UnaskedError,
    outcome: 'not-done',
    text: 'the name does not resolve. Check its spelling and the DNS of this network',
  },
  {
    pattern: /EHOSTUNREACH|ETIMEDOUT/,
    type: EtcdUnreachableError,
    outcome: 'not-done',
    text: 'there is no way to that address. Check the security groups, the routes and whether the node is up',
  },
  {
    pattern: /ENETUNREACH|EACCES|EPERM|EADDRNOTAVAIL|EMFILE|ENFILE|ENOBUFS/,
    type: UnaskedError,
    outcome: 'not-done',
    text: 'this side has no way out to that address. Check the routes and the rules of the network that this runs in',
  },
  {
    pattern: /Failed to connect|Connection closed before/,
    type: EtcdUnreachableError,
    outcome: 'not-done',
    text: 'the connection was closed at once. The member may be stopping, or want TLS (then use https://)',
  },
];
