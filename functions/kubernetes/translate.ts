// Says what an answer or a broken connection means, and what a person can do about it.
import { describeError, SetupError } from '../contract/errors.ts';
import { readStatus } from './answers.ts';
import {
  type ApiCall,
  ApiUnavailableError,
  DeniedError,
  ForbiddenError,
  KubernetesError,
  NotServedError,
  ThrottledError,
  UnauthorizedError,
} from './errors.ts';
import { adviceOn } from './rights.ts';
import type { Answer } from './transport.ts';
import { quoted, storageReadError, unreadableIn } from './unreadable.ts';

/**
 * A webhook's and a ValidatingAdmissionPolicy's words: `admission webhook "…" denied the request: …`,
 * `ValidatingAdmissionPolicy '…' with binding '…' denied request: …`. The status code is theirs to choose.
 */
const DENIED = /\bdenied (the )?request\b/;

/** The error that an answer which is no success means. */
export function refusal(answer: Answer, call: ApiCall): KubernetesError {
  const { status } = answer;
  const words = wordsOf(answer);
  const unreadable = unreadableIn(answer);
  if (unreadable !== undefined) return storageReadError(call, unreadable);
  if (DENIED.test(readStatus(answer)?.message ?? '')) {
    return new DeniedError(call, 'not-done', `an admission policy refused it (${words})`);
  }
  switch (status) {
    case 401:
      return new UnauthorizedError(
        call,
        'not-done',
        `the server does not know who is asking (${words}). The token or client certificate in kubernetes.credentials is expired, revoked or of another cluster: issue a new one`,
      );
    case 403:
      return forbidden(call, words);
    case 404:
      return new NotServedError(call, 'not-done', `the cluster does not have this kind in this version (${words})`);
    case 429:
      return new ThrottledError(
        call,
        'not-done',
        `the server is too busy (${words}), and was for as long as this waits. Run it again at a quieter time`,
      );
  }
  // The server calls a webhook before it deletes anything.
  if (status >= 500 && /failed calling webhook/.test(words)) {
    return new KubernetesError(
      call,
      'not-done',
      `an admission webhook does not answer, and the server does not do it without (${words}). Bring the webhook's service up, or delete its configuration`,
    );
  }
  if (status >= 500) {
    return new ApiUnavailableError(
      call,
      'unknown',
      `the server answered ${status} (${words}). Look at the API server's log and at etcd`,
    );
  }
  return new KubernetesError(call, 'not-done', `the server answered ${status} (${words})`);
}

function forbidden(call: ApiCall, words: string): ForbiddenError {
  return new ForbiddenError(call, 'not-done', `RBAC does not allow it. ${adviceOn(call)} (${words})`);
}

/** 404 for the kind: a missing object's names the object. */
export function isNotServed(answer: Answer): boolean {
  return answer.status === 404 && readStatus(answer)?.objectName === undefined;
}

/** The server's own words, short: they name users and kinds, never a token. */
function wordsOf(answer: Answer): string {
  const isPlain = `${answer.headers['content-type']}`.startsWith('text/plain');
  const other = isPlain ? answer.text : 'not in the words of a Kubernetes API server';
  return quoted(readStatus(answer)?.message ?? other);
}

/** TLS that does not come about. Trying again won't mend it. */
const TLS_FAILURES: readonly (readonly [RegExp, string])[] = [
  [
    /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT|CERT_SIGNATURE_FAILURE|INVALID_CA/,
    "the CA in kubernetes.credentials does not sign the server's certificate. Take the one that the API server's certificate comes from (kubeadm: /etc/kubernetes/pki/ca.crt)",
  ],
  [/CERT_HAS_EXPIRED/, "the server's certificate has expired. Renew it (kubeadm: `kubeadm certs renew apiserver`)"],
  [/CERT_NOT_YET_VALID/, "the server's certificate is not valid yet. Compare the clocks of the two machines"],
  [
    /ERR_TLS_CERT_ALTNAME_INVALID/,
    "the server's certificate is for other names than the one in kubernetes.server. Use one that is in the certificate, or add this one to it (kubeadm: apiServer.certSANs)",
  ],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_|DECRYPT_ERROR|ACCESS_DENIED)/,
    'the server refused the client certificate. It must come from the CA in --client-ca-file, be made for client authentication, and not have expired',
  ],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/,
    'what answers there does not speak TLS. Check kubernetes.server and its port',
  ],
  [/ERR_SSL|ERR_TLS|ERR_OSSL|CERT_/, 'the TLS handshake failed'],
];

/** A request that didn't leave: nothing was connected that it could have gone over. */
const NEVER_SENT: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'the connection was refused. The API server is down, or kubernetes.server or its port is wrong'],
  [
    /ENOTFOUND|EAI_AGAIN/,
    'the name in kubernetes.server does not resolve. Check its spelling and the DNS of this network',
  ],
  [
    /EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT:connect/,
    'there is no way to that address. Check the security groups, the routes and whether the node is up',
  ],
  [
    /before secure TLS connection was established/,
    'the connection was closed during the TLS handshake. The API server may be stopping',
  ],
];

/**
 * The error that a failure to send, or to hear the answer, means.
 * @returns SetupError for TLS, else ApiUnavailableError
 */
export function connectionFailure(error: unknown, call: ApiCall): SetupError | KubernetesError {
  const { code, details } = detailsOf(error);
  const of = `${call.verb} ${call.target} at ${call.server}`;
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new ApiUnavailableError(call, 'unknown', 'no answer in time. Look at the API server and at etcd behind it');
  }
  const unsafe = TLS_FAILURES.find(([pattern]) => pattern.test(code));
  // Without the cause: OpenSSL's words may hold pieces of what it was given, and they say no more than this.
  if (unsafe) return new SetupError(`${of}: ${unsafe[1]} (${code})`);
  const unsent = NEVER_SENT.find(([pattern]) => pattern.test(`${code} ${details}`));
  if (unsent) return new ApiUnavailableError(call, 'not-done', `${unsent[1]} (${code})`);
  if (/UND_ERR_(DESTROYED|CLOSED)/.test(code)) {
    return new KubernetesError(call, 'not-done', 'the connection to this API server has been closed on this side');
  }
  if (/HPE_/.test(code)) {
    return new KubernetesError(
      call,
      'unknown',
      `what answers there does not speak HTTP (${code}). Check kubernetes.server`,
    );
  }
  return new ApiUnavailableError(call, 'unknown', `the connection broke (${details || code})`);
}

function detailsOf(error: unknown): { code: string; details: string } {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const syscall = error instanceof Error && 'syscall' in error ? `:${String(error.syscall)}` : '';
  return { code: `${code}${syscall}`, details: describeError(error) };
}
