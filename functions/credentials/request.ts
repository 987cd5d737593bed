// A new private key and the request to certify it. The key is made here and goes into the secret, and nowhere else
// (R15).
import './reflect.ts';
import { createPublicKey, type KeyObject, webcrypto } from 'node:crypto';
import { cryptoProvider, PemConverter, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';

/** What every server of this field takes, and small. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface KeyAndRequest {
  /** PKCS #8 in PEM. */
  readonly privateKey: string;
  readonly publicKey: KeyObject;
  /** PKCS #10 in PEM. It proves that its sender has the key, and holds nothing secret. */
  readonly request: string;
}

export async function makeKeyAndRequest(commonName: string): Promise<KeyAndRequest> {
  cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: `CN=${commonName}`,
    keys,
    signingAlgorithm: ALGORITHM,
  });
  const [privateDer, publicDer] = await Promise.all([
    webcrypto.subtle.exportKey('pkcs8', keys.privateKey),
    webcrypto.subtle.exportKey('spki', keys.publicKey),
  ]);
  return {
    privateKey: `${PemConverter.encode(privateDer, 'PRIVATE KEY')}\n`,
    publicKey: createPublicKey({ key: Buffer.from(publicDer), format: 'der', type: 'spki' }),
    request: `${request.toString('pem')}\n`,
  };
}
