import { execFileSync } from 'node:child_process';
import { createPublicKey, type KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { LEAST_DAYS } from '../../functions/contract/purposes.ts';
import { UnfitCertificateError } from '../../functions/credentials/errors.ts';
import { checkSigned, type Expectation, trustedBy } from '../../functions/credentials/signed.ts';
import {
  ED25519,
  makeAuthority,
  makeKeys,
  P384,
  P521,
  rsa,
  type SignOptions,
  type TestAuthority,
} from './authorities.ts';

let own: TestAuthority;
let other: TestAuthority;
let keys: webcrypto.CryptoKeyPair;
let publicKey: KeyObject;

beforeAll(async () => {
  [own, other, keys] = await Promise.all([makeAuthority(), makeAuthority({ name: 'stranger' }), makeKeys()]);
  publicKey = await keyObject(keys.publicKey);
});

async function keyObject(key: webcrypto.CryptoKey): Promise<KeyObject> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('spki', key));
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

/** Of types that Node's WebCrypto makes no certificates with. */
function selfSigned(type: string): string {
  const options = ['-newkey', type, '-nodes', '-keyout', '/dev/null', '-subj', '/CN=another type'];
  return execFileSync('openssl', ['req', '-x509', ...options], { encoding: 'utf8', stdio: 'pipe' });
}

const text = (...pems: readonly string[]) => Buffer.from(pems.join('')).toString('base64');

const expecting = (changes: Partial<Expectation> = {}): Expectation => ({
  publicKey,
  subject: { commonName: 'etcd-medic', organization: 'etcd-medic:pruner' },
  now: new Date(),
  leastDays: LEAST_DAYS,
  current: undefined,
  trust: [],
  ...changes,
});

/** What a node that does as it should hands out, but for the changes. */
async function outputOf(signer = own, options: Partial<SignOptions> = {}) {
  const certificate = await signer.sign({ publicKey: keys.publicKey, ...options });
  return { certificate: text(certificate), signedBy: text(signer.certificate), serverCa: text(signer.certificate) };
}

const fingerprint = ({ certificate }: TestAuthority) => new X509Certificate(certificate).fingerprint256;

/** Credentials that were issued before by this authority. */
async function issuedBy(authority: TestAuthority) {
  const cert = await authority.sign({ publicKey: (await makeKeys()).publicKey });
  return trustedBy({ ca: authority.certificate, cert, key: '' });
}

describe('a signed certificate', () => {
  it('is taken, with the servers’ authorities, where it is what was asked for', async () => {
    const output = await outputOf();
    const serverCa = text('words\n', other.certificate, own.key, own.certificate, own.certificate);

    const { ca, cert } = checkSigned({ ...output, serverCa }, expecting());

    expect(text(cert)).toBe(output.certificate);
    expect(ca).toBe(`${other.certificate}${own.certificate}`);
  });

  it.each<[string, () => Promise<Awaited<ReturnType<typeof outputOf>>>, string]>([
    [
      'is for another key',
      async () => outputOf(own, { publicKey: (await makeKeys()).publicKey }),
      'for another key than the one that was sent',
    ],
    [
      'is for a key of another type',
      async () => outputOf(own, { publicKey: (await makeKeys(rsa(2_048))).publicKey }),
      'for another key than the one that was sent',
    ],
    [
      'is signed by another than it says',
      async () => ({ ...(await outputOf()), signedBy: text(other.certificate) }),
      'CN=stranger has not signed',
    ],
    [
      'is signed by another of the same name',
      async () => ({ ...(await outputOf()), signedBy: text((await makeAuthority()).certificate) }),
      'CN=kubernetes has not signed',
    ],
    [
      'is made out to somebody else',
      () => outputOf(own, { subject: 'O=system:masters, CN=etcd-medic' }),
      'made the certificate out to another than O=etcd-medic:pruner, CN=etcd-medic (O=system:masters',
    ],
    [
      'is for servers as well',
      () => outputOf(own, { usages: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'] }),
      'for more or other things than client authentication',
    ],
    ['is not valid yet', () => outputOf(own, { fromDays: 1 }), "is that node's clock ahead?"],
    ['has expired', () => outputOf(own, { fromDays: -9, toDays: -1 }), "is that node's clock behind?"],
    [
      'ends before the next rotation',
      () => outputOf(own, { toDays: LEAST_DAYS - 1 }),
      `should be good for ${LEAST_DAYS} days`,
    ],
    ['is two', async () => ({ ...(await outputOf()), certificate: text(own.certificate, own.certificate) }), 'found 2'],
    [
      'is none',
      async () => ({ ...(await outputOf()), certificate: text('hello') }),
      'certificate: found no certificate',
    ],
    [
      'is damaged',
      async () => ({
        ...(await outputOf()),
        certificate: text(own.certificate.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')),
      }),
      'certificate: found no certificate',
    ],
    [
      'comes with a key for an authority',
      async () => ({ ...(await outputOf()), serverCa: text(own.key) }),
      'serverCa: found',
    ],
  ])('is not taken where it %s', async (_what, prepare, message) => {
    const output = await prepare();

    const check = () => checkSigned(output, expecting());

    expect(check).toThrow(UnfitCertificateError);
    expect(check).toThrow(message);
  });
});

describe('the authority', () => {
  it.each([
    ['EC P-384', P384],
    ['EC P-521', P521],
    ['Ed25519', ED25519],
    ['RSA with 2048 bits', rsa(2_048)],
  ])('may have a key of type %s', async (_what, algorithm) => {
    const output = await outputOf(await makeAuthority({ algorithm }));

    expect(() => checkSigned(output, expecting())).not.toThrow();
  });

  it.each<[string, () => Promise<string> | string, string]>([
    ['RSA with 1024 bits', async () => (await makeAuthority({ algorithm: rsa(1_024) })).certificate, '1024 bits'],
    ['Ed448', () => selfSigned('ed448'), 'a key of type ed448'],
  ])('may not have a key of type %s, as no server takes what it signs', async (_what, certificate, found) => {
    const serverCa = text(own.certificate, await certificate());
    const output = { ...(await outputOf()), serverCa };

    const check = () => checkSigned(output, expecting());

    expect(check).toThrow(UnfitCertificateError);
    expect(check).toThrow(`has ${found.startsWith('a ') ? '' : 'an RSA key with '}${found}`);
    expect(check).toThrow('expected EC, Ed25519, or RSA with 2048 bits at least');
  });

  it('is taken where it is the one of the current credentials', async () => {
    const current = await issuedBy(own);

    const { ca } = checkSigned(await outputOf(), expecting({ current }));

    expect(ca).toBe(own.certificate);
  });

  it('is taken where it was renewed with the same key', async () => {
    const authorityKeys = await makeKeys();
    const [before, after] = [
      await makeAuthority({ keys: authorityKeys }),
      await makeAuthority({ keys: authorityKeys }),
    ];

    const output = await outputOf(after);

    const { ca } = checkSigned(output, expecting({ current: await issuedBy(before) }));
    expect(ca).toBe(after.certificate);
  });

  it('is not taken where it is another, and the message says how a person vouches for it', async () => {
    const output = await outputOf(other);

    const check = async () => checkSigned(output, expecting({ current: await issuedBy(own) }));

    await expect(check()).rejects.toThrow(UnfitCertificateError);
    await expect(check()).rejects.toThrow(`issue by hand with "trust": ["${fingerprint(other)}"]`);
  });

  it('is not taken where one that nobody knows is handed out beside the known one', async () => {
    const output = { ...(await outputOf()), serverCa: text(own.certificate, other.certificate) };

    const check = async () => checkSigned(output, expecting({ current: await issuedBy(own) }));

    await expect(check()).rejects.toThrow("the servers' certificates should be verified by CN=stranger");
  });

  it('is not taken where another one signs, and the servers’ is the known one', async () => {
    const output = { ...(await outputOf(other)), serverCa: text(own.certificate) };

    const check = async () => checkSigned(output, expecting({ current: await issuedBy(own) }));

    await expect(check()).rejects.toThrow('the certificate is signed by CN=stranger');
  });

  it('is taken where a person vouches for it, in upper or lower case', async () => {
    const output = await outputOf(other);
    const trust = [fingerprint(other).toLowerCase()];

    expect(checkSigned(output, expecting({ current: await issuedBy(own), trust })).ca).toBe(other.certificate);
  });

  it('is taken the first time as it comes, or only as a person vouches for', async () => {
    const output = await outputOf();

    expect(() => checkSigned(output, expecting())).not.toThrow();
    expect(() => checkSigned(output, expecting({ trust: [fingerprint(other)] }))).toThrow('not the authority');
    expect(() => checkSigned(output, expecting({ trust: [fingerprint(own)] }))).not.toThrow();
  });

  it('is none where the current credentials can’t be read', () => {
    expect(trustedBy({ ca: 'x', cert: 'y', key: 'z' })).toBeUndefined();
    expect(trustedBy({ ca: own.certificate, cert: 'y', key: 'z' })).toBeUndefined();
  });
});
