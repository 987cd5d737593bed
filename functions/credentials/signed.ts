// Looks at what a node has signed, before it is kept: is it ours, is it what was asked for, and by the authority that
// we know?
import { type KeyObject, X509Certificate } from 'node:crypto';
import * as z from 'zod/mini';
import type { Subject } from '../contract/purposes.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { UnfitCertificateError } from './errors.ts';

const base64 = z.string().check(z.regex(/^[A-Za-z0-9+/]+={0,2}$/, 'base64 in one line'));

/** Of SignClientCertificate: each in PEM, as base64 in one line. */
export const signedOutput = z.object({
  certificate: base64,
  /** The authority's own certificate. */
  signedBy: base64,
  /** The authorities of the servers' certificates. */
  serverCa: base64,
});
export type SignedOutput = z.output<typeof signedOutput>;

export interface Expectation {
  readonly publicKey: KeyObject;
  readonly subject: Subject;
  readonly now: Date;
  /** For how many days from now it must be valid. */
  readonly leastDays: number;
  /** What is trusted now; undefined: nothing yet. */
  readonly current: Trusted | undefined;
  /** SHA-256 fingerprints of authorities that a person vouches for. */
  readonly trust: readonly string[];
}

/** Of the credentials that are current now. */
export interface Trusted {
  /** The authorities that the servers' certificates are verified by. */
  readonly known: readonly X509Certificate[];
  readonly certificate: X509Certificate;
}

/** What is kept in the secret, but for the key. */
export interface FitCertificate {
  /** PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly certificate: X509Certificate;
}

const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
const DAY_MS = 24 * 60 * 60 * 1_000;
/** Below this OpenSSL refuses by itself. */
const LEAST_RSA_BITS = 2_048;

/** @throws UnfitCertificateError completing "<node>: …" */
export function checkSigned(output: SignedOutput, expected: Expectation): FitCertificate {
  const certificate = onlyOne('certificate', output.certificate);
  const authority = onlyOne('signedBy', output.signedBy);
  const serverAuthorities = readCertificates('serverCa', output.serverCa);

  // Against mistakes and against malice alike: only what the key in our hands belongs to is of any use.
  if (!samePublicKey(certificate.publicKey, expected.publicKey)) {
    throw unfit('it handed out a certificate for another key than the one that was sent', certificate);
  }
  if (!authority.ca || !certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    throw unfit(`it handed out a certificate that ${subjectOf(authority)} has not signed`, certificate);
  }
  for (const each of [authority, ...serverAuthorities]) checkKeyOf(each);
  checkContent(certificate, expected);
  checkDates(certificate, expected);
  checkAuthorities(authority, serverAuthorities, expected);
  return {
    // Written anew: nothing else that may have come along is kept.
    ca: [...new Set(serverAuthorities.map((each) => each.toString()))].join(''),
    cert: certificate.toString(),
    certificate,
  };
}

/**
 * With other keys OpenSSL, or Go as in etcd and the API server, takes no certificate, and says so in words that help
 * nobody.
 */
function checkKeyOf(authority: X509Certificate): void {
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: { modulusLength = 0 } = {} } = authority.publicKey;
  if (type === 'ec' || type === 'ed25519' || (type === 'rsa' && modulusLength >= LEAST_RSA_BITS)) return;
  const found = type === 'rsa' ? `an RSA key with ${modulusLength} bits` : `a key of type ${type}`;
  throw new UnfitCertificateError(
    `the authority ${subjectOf(authority)} has ${found}, by which no server's or client's certificate is taken: expected EC, Ed25519, or RSA ` +
      `with ${LEAST_RSA_BITS} bits at least. Renew the authority with such a key`,
  );
}

function checkContent(certificate: X509Certificate, { subject }: Expectation): void {
  const wanted = `O=${subject.organization}\nCN=${subject.commonName}`;
  if (certificate.subject !== wanted) {
    throw unfit(`it made the certificate out to another than ${oneLine(wanted)}`, certificate);
  }
  // Node's `keyUsage` is what X.509 calls the extended one.
  if (certificate.ca || certificate.keyUsage?.join() !== CLIENT_AUTHENTICATION) {
    throw unfit('it signed a certificate for more or other things than client authentication', certificate);
  }
}

function checkDates({ validFromDate, validToDate }: X509Certificate, { now, leastDays }: Expectation): void {
  if (validFromDate > now) {
    throw new UnfitCertificateError(
      `its certificate is not valid before ${validFromDate.toISOString()}, and it is ${now.toISOString()} here: is that node's clock ahead?`,
    );
  }
  if (validToDate.getTime() >= now.getTime() + leastDays * DAY_MS) return;
  throw new UnfitCertificateError(
    `its certificate ends on ${validToDate.toISOString()}, and it should be good for ${leastDays} days at least: does its authority ` +
      "end then, or is that node's clock behind? Renew the authority, or issue a short one by hand",
  );
}

/**
 * Who could make a function trust another authority, or take its certificates from one, could pass for etcd. A renewed
 * certificate of the same authority has the same key.
 */
function checkAuthorities(
  authority: X509Certificate,
  serverAuthorities: readonly X509Certificate[],
  { current, trust }: Expectation,
): void {
  const vouchedFor = ({ fingerprint256 }: X509Certificate) =>
    trust.some((each) => each.toUpperCase() === fingerprint256);
  if (current === undefined && trust.length === 0) return;
  const { known, certificate } = current ?? { known: [], certificate: undefined };
  for (const each of serverAuthorities) {
    if (!vouchedFor(each) && !known.some(({ publicKey }) => samePublicKey(publicKey, each.publicKey))) {
      throw stranger("the servers' certificates should be verified by", each);
    }
  }
  if (!vouchedFor(authority) && !certificate?.verify(authority.publicKey)) {
    throw stranger('the certificate is signed by', authority);
  }
}

/** @returns undefined for credentials that nobody could use: certificates that can't be read */
export function trustedBy({ ca, cert }: TlsMaterial): Trusted | undefined {
  try {
    const known = certificatesIn(ca);
    return known.length > 0 ? { known, certificate: new X509Certificate(cert) } : undefined;
  } catch {
    // OpenSSL's words may quote what they read.
    return undefined;
  }
}

function stranger(role: string, authority: X509Certificate): UnfitCertificateError {
  return new UnfitCertificateError(
    `${role} ${subjectOf(authority)}, which is not the authority of the current credentials. If it was replaced on purpose, compare its ` +
      `SHA-256 fingerprint with the one on the node and issue by hand with "trust": ["${authority.fingerprint256}"]`,
  );
}

function unfit(problem: string, found: X509Certificate): UnfitCertificateError {
  return new UnfitCertificateError(`${problem} (${subjectOf(found)}, SHA-256 ${found.fingerprint256})`);
}

function onlyOne(field: keyof SignedOutput, text: string): X509Certificate {
  const [first, ...more] = readCertificates(field, text);
  if (first !== undefined && more.length === 0) return first;
  throw new UnfitCertificateError(`${field}: found ${more.length + 1} certificates, expected one`);
}

function readCertificates(field: keyof SignedOutput, text: string): readonly X509Certificate[] {
  try {
    const certificates = certificatesIn(Buffer.from(text, 'base64').toString('latin1'));
    if (certificates.length > 0) return certificates;
  } catch {
    // OpenSSL's words may quote what they read.
  }
  throw new UnfitCertificateError(`${field}: found no certificate in PEM`);
}

function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

function samePublicKey(one: KeyObject, other: KeyObject): boolean {
  return one.equals(other);
}

function subjectOf({ subject }: X509Certificate): string {
  return oneLine(subject ?? '') || 'somebody without a name';
}

function oneLine(subject: string): string {
  return subject.replaceAll('\n', ', ').slice(0, 200);
}
