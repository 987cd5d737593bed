// Every way in which a secret's text can be wrong.
import { createPrivateKey } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { createAuthority, openAuthority } from '../../lab/control-plane/certificates.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { readMaterial } from '../etcd/material.ts';
import { privateLetters } from './material.ts';

/** What is wrong with each. */
export const WRONG = [
  'a CA of somebody else',
  'a certificate of another authority',
  'an expired certificate',
  "another certificate's key",
  'certificate and key mixed up',
  "the key in the CA's place",
  'a key without its line breaks',
  'a key without its first line',
  'a key that is cut',
  'a key with a letter that is none',
  'a key of another sort by its first line',
  'a key with its first line misspelt',
  'a key that says it has a passphrase',
  'a key as a JWK',
  'a key in a list',
  "a key behind a certificate's half",
  'no certificate',
  'JSON that is cut',
  'JSON with line breaks in its texts',
  'JSON without quotes around the key',
  'the key alone, as JSON',
  'the key alone, and no JSON',
] as const;
export type Wrong = (typeof WRONG)[number];

/** What Secrets Manager may hold instead of good credentials: each a text. */
export async function badCredentials(plane: ControlPlane, good: TlsMaterial): Promise<Readonly<Record<Wrong, string>>> {
  const expired = await readMaterial(
    await (await openAuthority(dirname(plane.credentials?.caFile ?? ''))).issue({ name: 'expired', expired: true }),
  );
  const stranger = await strangers();
  const { key } = good;
  const json = (changes: object) => JSON.stringify({ ...good, ...changes });
  const letters = privateLetters(key);
  const jwk = JSON.stringify(createPrivateKey(key).export({ format: 'jwk' }));
  return {
    'a CA of somebody else': json({ ca: stranger.ca }),
    'a certificate of another authority': json({ ...stranger, ca: good.ca }),
    'an expired certificate': json(expired),
    "another certificate's key": json({ key: stranger.key }),
    'certificate and key mixed up': json({ key: good.cert, cert: key }),
    "the key in the CA's place": json({ ca: key }),
    'a key without its line breaks': json({ key: key.replaceAll('\n', '') }),
    'a key without its first line': json({ key: key.split('\n').slice(1).join('\n') }),
    'a key that is cut': json({ key: key.slice(0, -60) }),
    'a key with a letter that is none': json({ key: key.replace(letters.slice(4, 8), '!!!!') }),
    'a key of another sort by its first line': json({ key: key.replaceAll(' PRIVATE KEY', ' RSA PRIVATE KEY') }),
    'a key with its first line misspelt': json({ key: key.replace('PRIVATE KEY', 'PRIVAT KEY') }),
    'a key that says it has a passphrase': json({ key: key.replaceAll('PRIVATE KEY', 'ENCRYPTED PRIVATE KEY') }),
    'a key as a JWK': json({ key: jwk }),
    'a key in a list': json({ key: [key] }),
    "a key behind a certificate's half": json({ cert: `${good.cert.slice(0, 300)}\n${key}` }),
    'no certificate': JSON.stringify({ ca: good.ca, key }),
    'JSON that is cut': JSON.stringify({ key, cert: good.cert }).slice(0, 400),
    'JSON with line breaks in its texts': json({}).replaceAll('\\n', '\n'),
    // V8 quotes what stands before and behind the place.
    'JSON without quotes around the key': `{"key":${letters}}`,
    'the key alone, as JSON': JSON.stringify(key),
    'the key alone, and no JSON': key,
  };
}

/** An authority that nobody here knows, with a client's certificate by it. */
async function strangers(): Promise<TlsMaterial> {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-strangers-'));
  try {
    return await readMaterial(await (await createAuthority(directory)).issue({ name: 'stranger' }));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
