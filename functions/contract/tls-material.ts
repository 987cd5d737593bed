// Finds out, before anything is connected, what is wrong with the PEM files that a person gave.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { InvalidInputError } from './errors.ts';

export interface TlsMaterial {
  /** PEM texts. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * Checks that `ca` and `cert` are certificates that are valid at `now`, that `key` is a private key that can be read,
 * and that it belongs to `cert`. Whether the server trusts them, only the server knows.
 * @param source where they come from, for the message: a secret's ARN, "etcd.credentials"
 * @throws InvalidInputError with one problem each for `ca`, `cert` and `key`; it never quotes a key
 */
export function checkTlsMaterial(material: TlsMaterial, now: Date, source = 'etcd.credentials'): void {
  const problems: string[] = [];
  checkCa(material.ca, now, problems);
  const certificate = checkCertificate(material.cert, now, problems);
  const key = checkKey(material.key, problems);
  if (certificate && key && !certificate.checkPrivateKey(key)) {
    problems.push(
      `key: found a private key that does not belong to the certificate in \`cert\` (${subject(certificate)}), expected the one it was made with`,
    );
  }
  if (problems.length > 0) throw new InvalidInputError(source, problems);
}

const RENEW =
  'Put a new one in its place; where the stack issues it, press Test on etcd-medic-<cluster>-credentials with {"issue":"etcd"} or {"issue":"kubernetes"}, which says what keeps it from being renewed';

function checkCa(pem: string, now: Date, problems: string[]): void {
  const certificates = readCertificates('ca', pem, problems);
  if (!certificates) return;
  // A bundle may keep an old CA beside the new one while they change over.
  if (certificates.some((certificate) => validity(certificate, now) === undefined)) return;
  const [first] = certificates;
  if (first)
    problems.push(`ca: found ${subject(first)}, which ${validity(first, now)}, expected a CA certificate valid now`);
}

function checkCertificate(pem: string, now: Date, problems: string[]): X509Certificate | undefined {
  const certificate = readCertificates('cert', pem, problems)?.[0];
  const problem = certificate && validity(certificate, now);
  if (certificate && problem) {
    const remedy = now > certificate.validToDate ? `. ${RENEW}` : '';
    problems.push(
      `cert: found ${subject(certificate)}, which ${problem}, expected a client certificate valid now${remedy}`,
    );
  }
  return certificate;
}

function checkKey(pem: string, problems: string[]): KeyObject | undefined {
  const expected = 'expected a private key in PEM without a passphrase';
  if (pem.includes('ENCRYPTED')) {
    problems.push(`key: found a private key that is protected by a passphrase, ${expected}`);
    return undefined;
  }
  try {
    return createPrivateKey(pem);
  } catch {
    // OpenSSL's own words are left out: they tell a person nothing, and a parser's error may quote what it parsed.
    problems.push(`key: found ${describePem(pem)} that cannot be read as a private key, ${expected}`);
    return undefined;
  }
}

const CERTIFICATE = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED )?CERTIFICATE-----/g;

function readCertificates(field: 'ca' | 'cert', pem: string, problems: string[]): X509Certificate[] | undefined {
  const blocks = pem.match(CERTIFICATE);
  if (!blocks) {
    problems.push(`${field}: found ${describePem(pem)}, expected a certificate in PEM (-----BEGIN CERTIFICATE-----)`);
    return undefined;
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    problems.push(`${field}: found a PEM block that cannot be read as a certificate, expected a whole, undamaged one`);
    return undefined;
  }
}

/** Completes "a certificate which …"; undefined when it is valid. */
function validity({ validFromDate, validToDate }: X509Certificate, now: Date): string | undefined {
  if (now > validToDate) return `expired on ${validToDate.toISOString()}`;
  if (now < validFromDate)
    return `is not valid before ${validFromDate.toISOString()} (it is ${now.toISOString()} here)`;
  return undefined;
}

function subject(certificate: X509Certificate): string {
  return `the certificate of ${certificate.subject?.replaceAll('\n', ', ') || 'an unnamed subject'}`;
}

/** What a text that isn't what it should be looks like, without quoting it. */
function describePem(text: string): string {
  if (text.trim() === '') return 'an empty text';
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(text)?.[1];
  return label ? `a PEM block "${label}"` : 'a text that is not PEM';
}
