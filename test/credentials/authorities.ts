// Certificate authorities and requests of all kinds, good and bad, made by Node alone.
import '../../functions/credentials/reflect.ts';
import { createPrivateKey, type KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

const DAY_MS = 86_400_000;

export const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
export const P384 = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' } as const;
export const P521 = { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' } as const;
export const ED25519 = { name: 'Ed25519' } as const;
export const rsa = (modulusLength: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength,
});
type Algorithm = typeof P256 | typeof P384 | typeof P521 | typeof ED25519 | ReturnType<typeof rsa>;

export interface TestAuthority {
  /** PEM. */
  readonly certificate: string;
  /** PKCS #8 in PEM. */
  readonly key: string;
  readonly keyObject: KeyObject;
  /** Signs whatever it is asked to. */
  sign(options: SignOptions): Promise<string>;
}

export interface SignOptions {
  readonly publicKey: webcrypto.CryptoKey;
  /** @default that of the API server's client */
  readonly subject?: string;
  /** Days from now. @default -1 */
  readonly fromDays?: number;
  /** Days from now. @default 90 */
  readonly toDays?: number;
  /** Object identifiers. @default client authentication */
  readonly usages?: readonly string[];
}

export interface AuthorityOptions {
  readonly name?: string;
  readonly algorithm?: Algorithm;
  /** Days from now. @default -1 */
  readonly fromDays?: number;
  /** Days from now. @default 3650 */
  readonly toDays?: number;
  /** @default true */
  readonly isAuthority?: boolean;
  /** The authority's certificate has an identifier, as kubeadm's have. @default true */
  readonly identified?: boolean;
  /** The key of another, as a renewed authority has. */
  readonly keys?: webcrypto.CryptoKeyPair;
}

export async function makeKeys(algorithm: Algorithm = P256): Promise<webcrypto.CryptoKeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  if ('privateKey' in keys) return keys;
  throw new TypeError('not a pair of keys');
}

export async function makeAuthority(options: AuthorityOptions = {}): Promise<TestAuthority> {
  const { name = 'kubernetes', algorithm = P256, fromDays = -1, toDays = 3_650, isAuthority = true } = options;
  const keys = options.keys ?? (await makeKeys(algorithm));
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=${name}`,
    ...dates(fromDays, toDays),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(isAuthority, undefined, true),
      ...(options.identified === false ? [] : [await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)]),
    ],
  });
  const key = await privatePem(keys.privateKey);
  const sign = async (asked: SignOptions): Promise<string> => {
    const { publicKey, subject = 'O=etcd-medic:pruner, CN=etcd-medic', usages } = asked;
    const signed = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject,
      issuer: certificate.subject,
      ...dates(asked.fromDays ?? -1, asked.toDays ?? 90),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false),
        new x509.ExtendedKeyUsageExtension([...(usages ?? [x509.ExtendedKeyUsage.clientAuth])]),
      ],
    });
    return `${signed.toString('pem')}\n`;
  };
  return { certificate: `${certificate.toString('pem')}\n`, key, keyObject: createPrivateKey(key), sign };
}

/** A certificate request in PEM that asks for more than it should get. */
export async function makeRequest(
  algorithm: Algorithm = P256,
  given?: webcrypto.CryptoKeyPair,
): Promise<{ readonly request: string; readonly publicKey: webcrypto.CryptoKey }> {
  const keys = given ?? (await makeKeys(algorithm));
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'O=system:masters, CN=kubernetes-admin',
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'kubernetes.default' }]),
    ],
  });
  return { request: `${request.toString('pem')}\n`, publicKey: keys.publicKey };
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

function dates(fromDays: number, toDays: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() + fromDays * DAY_MS), notAfter: new Date(Date.now() + toDays * DAY_MS) };
}

/** Positive: its first byte is below 0x80. */
function serialNumber(): string {
  return `4${Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
    .toString('hex')
    .slice(1)}`;
}

/** The lines of a key's text that are the key itself: none of them may ever be seen anywhere. */
export function secretLines(pem: string): readonly string[] {
  return pem.split('\n').filter((line) => line.length >= 16 && !line.includes('-----'));
}
