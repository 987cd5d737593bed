// The four steps by which a secret's credentials are renewed. Each can be repeated, and until the last, what was
// current is so still.
import { X509Certificate } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { ClusterConfiguration } from '../contract/configuration.ts';
import { LEAST_DAYS, SUBJECTS } from '../contract/purposes.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { checkTlsMaterial } from '../contract/tls-material.ts';
import type { Issuance } from './environment.ts';
import { CredentialsRefusedError, RotationError } from './errors.ts';
import { makeKeyAndRequest } from './request.ts';
import type { IssuedSecret, Versions } from './secret.ts';
import { haveSigned } from './sign.ts';
import { checkSigned, trustedBy } from './signed.ts';
import { tryOut } from './try-out.ts';

/** A version that was just written may not be readable everywhere yet. */
const READ_AGAIN_AFTER_MS = [500, 1_000, 2_000];

export interface Rotation {
  readonly configuration: ClusterConfiguration;
  readonly issuance: Issuance;
  readonly secret: IssuedSecret;
  /** Of the secret's version that this rotation makes. */
  readonly versionId: string;
}

export interface CreateOptions {
  /** For how many days the new certificate must be valid. @default LEAST_DAYS */
  readonly leastDays?: number;
  /** SHA-256 fingerprints of authorities that a person vouches for. @default none */
  readonly trust?: readonly string[];
}

/**
 * createSecret: a new key, a certificate for it, and both in the secret's pending version. Done already, it is left as
 * it is.
 * @returns what was done, in one sentence
 * @throws NotSignedError, SetupError, NodesUnreadableError, RotationError
 */
export async function createCredentials(rotation: Rotation, options: CreateOptions = {}): Promise<string> {
  const { secret, versionId } = rotation;
  const versions = await secret.versions();
  if (versions.currentId === versionId) return 'these credentials are current already';
  assertPending(rotation, versions);
  const made = await secret.read(versionId);
  if (made === undefined) return (await makeCredentials(rotation, versions.currentId, options)).said;
  if (isGood(made)) return 'the credentials of this rotation are there already';
  // Left from a rotation that never ended. A version's value can't be changed, so this one goes.
  await secret.dropPending(versionId);
  throw new RotationError(`secret ${secret.arn}: the pending credentials were too old, and have been thrown away`);
}

/** A certificate whose key is in the pending version. */
export interface MadeCredentials {
  readonly certificate: X509Certificate;
  /** What was done, in one sentence. */
  readonly said: string;
}

/** The same for a version that nobody has announced. @throws as createCredentials */
export async function makeCredentials(
  { configuration, issuance, secret, versionId }: Rotation,
  currentId: string | undefined,
  { leastDays = LEAST_DAYS, trust = [] }: CreateOptions = {},
): Promise<MadeCredentials> {
  const { purpose, authority } = issuance;
  if (currentId === undefined) await secret.putPlaceholder();
  const before = currentId === undefined ? undefined : await secret.read(currentId);
  const current = before && trustedBy(before);
  const subject = SUBJECTS[purpose];
  const { privateKey, publicKey, request } = await makeKeyAndRequest(subject.commonName);
  const { fit, node, problems } = await haveSigned({ configuration, authority, subject, request }, (output) =>
    checkSigned(output, { publicKey, subject, now: new Date(), leastDays, current, trust }),
  );
  await secret.putPending(versionId, { ca: fit.ca, cert: fit.cert, key: privateKey });
  const { serialNumber, validToDate } = fit.certificate;
  const others = problems.length > 0 ? `; before that, ${problems.join('; ')}` : '';
  return {
    certificate: fit.certificate,
    said: `${node.name} signed certificate ${serialNumber}, valid until ${validToDate.toISOString()}${others}`,
  };
}

/**
 * testSecret: tries the pending credentials. Refused ones are thrown away, so that the next rotation begins anew; ones
 * that nobody could be asked about are kept.
 * @returns what was seen, in one sentence
 * @throws CredentialsRefusedError, CredentialsUntestedError, SetupError, NodesUnreadableError, RotationError
 */
export async function testCredentials(rotation: Rotation): Promise<string> {
  const { secret, versionId, issuance, configuration } = rotation;
  const versions = await secret.versions();
  if (versions.currentId === versionId) return 'these credentials are current already';
  assertPending(rotation, versions);
  const credentials = await readSoon(secret, versionId);
  try {
    return await tryOut(issuance.purpose, configuration, credentials);
  } catch (error) {
    if (error instanceof CredentialsRefusedError) await secret.dropPending(versionId);
    throw error;
  }
}

/**
 * finishSecret: the pending credentials become current, and the ones before are kept as AWSPREVIOUS.
 * @returns what was done, in one sentence
 * @throws SetupError, RotationError
 */
export async function finishRotation(rotation: Rotation): Promise<string> {
  const { secret, versionId } = rotation;
  const versions = await secret.versions();
  if (versions.currentId === versionId) return 'these credentials are current already';
  assertPending(rotation, versions);
  try {
    await secret.makeCurrent(versionId, versions.currentId);
  } catch (error) {
    // It may be done, and only the answer be lost: then it is no failure.
    const { currentId } = await secret.versions().catch(() => versions);
    if (currentId !== versionId) throw error;
  }
  return 'the new credentials are current';
}

/** Another rotation may have taken over, or this one was given up. */
function assertPending({ secret, versionId }: Rotation, { pendingId }: Versions): void {
  if (pendingId === versionId) return;
  throw new RotationError(
    `secret ${secret.arn}: version ${versionId} is not the pending one, so this rotation is over. What is current stays so`,
  );
}

async function readSoon(secret: IssuedSecret, versionId: string): Promise<TlsMaterial> {
  for (const pauseMs of [0, ...READ_AGAIN_AFTER_MS]) {
    await wait(pauseMs);
    const credentials = await secret.read(versionId);
    if (credentials !== undefined) return credentials;
  }
  throw new RotationError(`secret ${secret.arn}: the pending version ${versionId} has no credentials in it yet`);
}

/** Whole, and valid until after the next rotation. */
function isGood(credentials: TlsMaterial): boolean {
  const later = new Date(Date.now() + LEAST_DAYS * 24 * 60 * 60 * 1_000);
  try {
    checkTlsMaterial(credentials, new Date());
    return new X509Certificate(credentials.cert).validToDate > later;
  } catch {
    return false;
  }
}
