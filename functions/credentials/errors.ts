// What can go wrong between a key and a certificate that works, as types. In all of these cases what was current stays
// so.
import { EtcdMedicError } from '../contract/errors.ts';

/**
 * No node signed the request, or what came back is not what was asked for. The message has a line for each node that
 * was asked.
 */
export class NotSignedError extends EtcdMedicError {
  override readonly name = 'NotSignedError';
}

/**
 * What a node handed out must not be used: somebody else's certificate, another authority's, or one that isn't valid
 * now.
 */
export class UnfitCertificateError extends EtcdMedicError {
  override readonly name = 'UnfitCertificateError';
}

/** etcd or the API server does not take the new credentials: they were thrown away. */
export class CredentialsRefusedError extends EtcdMedicError {
  override readonly name = 'CredentialsRefusedError';
}

/** Nobody could be asked whether the new credentials work: they wait, and can be tried again. */
export class CredentialsUntestedError extends EtcdMedicError {
  override readonly name = 'CredentialsUntestedError';
}

/** The secret is not in the state that this step of a rotation begins with, or Secrets Manager did not answer. */
export class RotationError extends EtcdMedicError {
  override readonly name = 'RotationError';
}
