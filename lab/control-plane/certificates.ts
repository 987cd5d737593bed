// A certificate authority for etcd as kubeadm makes one, and the bad certificates that tests need. Pure Node: no
// openssl.
import './reflect.ts';
import { webcrypto } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** Paths of PEM files; the key's is readable by its owner only. */
export interface CredentialFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

interface CertificateOptions {
  /** The common name, and the files' name: `<name>.crt`, `<name>.key`. */
  readonly name: string;
  /** kubeadm gives members both, as they dial each other. @default both */
  readonly usages?: readonly ('server' | 'client')[];
  /** Valid until an hour ago. @default false */
  readonly expired?: boolean;
  /** IP addresses that it is good for beside 127.0.0.1. */
  readonly addresses?: readonly string[];
}

export interface Authority {
  readonly caFile: string;
  issue(options: CertificateOptions): Promise<CredentialFiles>;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;
/** A saved plane (bench) is started again months later. */
const VALID_MS = 10 * 365 * 24 * HOUR_MS;
const OWNER_ONLY = 0o600;

x509.cryptoProvider.set(webcrypto);

/**
 * Makes an authority in a folder (made if missing): `ca.crt` and `ca.key`.
 * Two authorities are strangers to each other: a certificate of the second is what "wrong CA" means.
 */
export async function createAuthority(directory: string): Promise<Authority> {
  await mkdir(directory, { recursive: true });
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=etcd-ca',
    ...validity(false),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writeFile(join(directory, 'ca.crt'), `${ca.toString('pem')}\n`);
  await writeKey(join(directory, 'ca.key'), keys.privateKey);
  return openAuthority(directory);
}

/** The authority that `createAuthority` left in this folder. */
export async function openAuthority(directory: string): Promise<Authority> {
  const caFile = join(directory, 'ca.crt');
  const ca = new x509.X509Certificate(await readFile(caFile, 'utf8'));
  const pem = await readFile(join(directory, 'ca.key'), 'utf8');
  const signingKey = await webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), ALGORITHM, false, [
    'sign',
  ]);

  const issue = async (options: CertificateOptions) => {
    const { name, usages = ['server', 'client'], expired = false, addresses = [] } = options;
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: `CN=${name}`,
      issuer: ca.subject,
      ...validity(expired),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
        new x509.ExtendedKeyUsageExtension(usages.map((usage) => x509.ExtendedKeyUsage[`${usage}Auth`])),
        await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: name },
          { type: 'dns', value: 'localhost' },
          ...['127.0.0.1', ...addresses].map((value) => ({ type: 'ip' as const, value })),
        ]),
      ],
    });
    const certFile = join(directory, `${name}.crt`);
    const keyFile = join(directory, `${name}.key`);
    await writeFile(certFile, `${certificate.toString('pem')}\n`);
    await writeKey(keyFile, keys.privateKey);
    return { caFile, certFile, keyFile };
  };

  return { caFile, issue };
}

function validity(expired: boolean): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  // A day of leeway: the machine's clock may have been set back since.
  return { notBefore: new Date(now - 24 * HOUR_MS), notAfter: new Date(expired ? now - HOUR_MS : now + VALID_MS) };
}

/** Positive (first byte below 0x80), and random, as two certificates of one authority must differ. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

async function writeKey(file: string, key: webcrypto.CryptoKey): Promise<void> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  await writeFile(file, `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`, { mode: OWNER_ONLY });
}
