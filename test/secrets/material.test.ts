import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { createAuthority } from '../../lab/control-plane/certificates.ts';
import { readMaterial } from '../etcd/material.ts';
import { privateLetters, Secrets } from './material.ts';

const TOKEN = `${randomBytes(12).toString('base64url')}.${randomBytes(60).toString('base64url')}`;

let material: TlsMaterial;
const secrets = new Secrets();

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'etcd-medic-search-'));
  try {
    material = await readMaterial(await (await createAuthority(folder)).issue({ name: 'client' }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  secrets.addKeys(material.key);
  secrets.addToken(TOKEN);
});

describe('the search for what is secret', () => {
  const der = (key: string) => Buffer.from(key.replace(/-----[^-]*-----/g, ''), 'base64');
  const number = (key: string) => Buffer.from(`${createPrivateKey(key).export({ format: 'jwk' }).d}`, 'base64url');

  it.each<[string, (key: string) => string]>([
    ['as it is', (key) => key],
    ['in JSON', (key) => JSON.stringify({ key })],
    ['in JSON within JSON', (key) => JSON.stringify(JSON.stringify({ key }))],
    ['wrapped otherwise', (key) => (key.replace(/\s/g, '').match(/.{1,30}/g) ?? []).join('\n  ')],
    ['without line breaks', (key) => key.replaceAll('\n', '')],
    ['as one of its lines', (key) => key.split('\n')[2] ?? ''],
    ['as ten of its letters', (key) => privateLetters(key).slice(13, 23)],
    ['in base64 once more', (key) => Buffer.from(key).toString('base64')],
    ['in base64 once more, behind something', (key) => Buffer.from(`x${key}`).toString('base64')],
    ['in base64, its number alone', (key) => number(key).toString('base64')],
    ['in base64url', (key) => der(key).toString('base64url')],
    ['in base64url, as a JWK', (key) => JSON.stringify(createPrivateKey(key).export({ format: 'jwk' }))],
    ['in hexadecimal', (key) => der(key).toString('hex')],
    ['in hexadecimal as openssl prints it', (key) => (number(key).toString('hex').match(/../g) ?? []).join(':\n    ')],
    ['in hexadecimal and capitals', (key) => number(key).toString('hex').toUpperCase()],
    ['as a Buffer is printed', (key) => inspect(number(key))],
    ['as an array of bytes is printed', (key) => inspect(new Uint8Array(der(key)))],
    ['as a Buffer in JSON', (key) => JSON.stringify(der(key), undefined, 2)],
    ['in a URL', (key) => encodeURIComponent(key)],
  ])('finds a key %s', (_, write) => {
    expect(secrets.size).toBeGreaterThan(100);
    expect(secrets.foundIn(`before ${write(material.key)} after`)).toBeDefined();
  });

  it.each([
    ['in a header', `Authorization: Bearer ${TOKEN}`],
    ['cut', `the token "${TOKEN.slice(20, 40)}…"`],
  ])('finds a token %s', (_, text) => {
    expect(secrets.foundIn(text)).toBeDefined();
  });

  it('finds nothing in what is public: certificates, and the key that is in them', () => {
    const spki = createPublicKey(material.cert);

    for (const text of [material.cert, material.ca, `${spki.export({ type: 'spki', format: 'pem' })}`]) {
      expect(secrets.foundIn(text)).toBeUndefined();
    }
  });
});
