import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../functions/contract/errors.ts';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { checkTlsMaterial } from '../../functions/contract/tls-material.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { createAuthority } from '../../lab/control-plane/certificates.ts';
import { readMaterial } from '../etcd/material.ts';

const now = new Date();
let folder: string;
let good: TlsMaterial;
let expired: TlsMaterial;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etcd-medic-credentials-'));
  const authority = await createAuthority(folder);
  good = await readMaterial(await authority.issue({ name: 'client', usages: ['client'] }));
  expired = await readMaterial(await authority.issue({ name: 'late', usages: ['client'], expired: true }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function problems(material: TlsMaterial, at = now): readonly string[] {
  try {
    checkTlsMaterial(material, at, 'the secret');
  } catch (error) {
    if (error instanceof InvalidInputError) return error.problems;
    throw error;
  }
  return [];
}

const encryptedKey = () =>
  generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'sesame' },
  }).privateKey;

describe('credentials, before anything is connected', () => {
  it('takes good ones, and a bundle whose first CA has expired', () => {
    expect(problems(good)).toEqual([]);
    expect(problems({ ...good, ca: `${expired.cert}\n${good.ca}` })).toEqual([]);
  });

  it.each<[string, () => TlsMaterial, RegExp]>([
    ['an empty ca', () => ({ ...good, ca: '' }), /^ca: found an empty text, expected a certificate in PEM/],
    ['a ca that is a key', () => ({ ...good, ca: good.key }), /^ca: found a PEM block "PRIVATE KEY"/],
    ['an expired ca', () => ({ ...good, ca: expired.cert }), /^ca: found .*CN=late, which expired on \d{4}-/],
    ['a cert that is a path', () => ({ ...good, cert: '/pki/client.crt' }), /^cert: found a text that is not PEM/],
    [
      'a damaged cert',
      () => ({ ...good, cert: good.cert.replace(/\n.{20}/, '\n!!!!') }),
      /^cert: found a PEM block that cannot be read/,
    ],
    ['a key that is a certificate', () => ({ ...good, key: good.cert }), /^key: found a PEM block "CERTIFICATE" that/],
    ['a key with a passphrase', () => ({ ...good, key: encryptedKey() }), /^key: .*passphrase/],
    [
      'a key of another certificate',
      () => ({ ...good, key: expired.key }),
      /^key: found a private key that does not belong to .*CN=client/,
    ],
  ])('refuses %s, and names the field', (_name, material, problem) => {
    const found = problems(material());

    expect(found).toEqual([expect.stringMatching(problem)]);
  });

  it('names the date on which a client certificate expired, or from which it is valid', () => {
    const longAgo = new Date('2001-01-01');

    expect(problems(expired)[0]).toMatch(/^cert: found the certificate of CN=late, which expired on \d{4}-\d\d-\d\dT/);
    expect(problems(good, longAgo)).toEqual([
      expect.stringMatching(/^ca: .*is not valid before/),
      expect.stringMatching(/^cert: .*is not valid before .*\(it is 2001-01-01/),
    ]);
  });

  it('R15: says all that is wrong at once and never quotes a key', () => {
    const secret = good.key.split('\n')[1] ?? 'none';

    const found = problems({ ca: good.key, cert: good.key, key: good.key.replace('BEGIN PRIVATE', 'BEGIN') });

    expect(found).toHaveLength(3);
    expect(found.join()).not.toContain(secret);
  });

  it('stands before a connection: no client is made with credentials that cannot work', () => {
    const endpoint = 'https://127.0.0.1:1';

    expect(() => connectMember({ endpoint, tls: expired })).toThrow(/expired on/);
    expect(() => connectMember({ endpoint })).toThrow('expected credentials, because https://127.0.0.1:1 is https');
    expect(() => connectMember({ endpoint: '10.0.0.1:2379', tls: good })).toThrow('expected a client URL such as');
  });
});
