// Credentials that are good, and every way in which they are not; and how to tell that a text holds some of a secret.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TlsMaterial } from '../../functions/etcd/types.ts';
import { createAuthority, openAuthority } from '../control-plane/certificates.ts';
import type { ControlPlane } from '../control-plane/plane.ts';
import { readMaterial } from '../etcd/material.ts';

/** What Secrets Manager may hold instead of good credentials, by what is wrong with it; each a text. */
export async function badCredentials(plane: ControlPlane, good: TlsMaterial): Promise<ReadonlyMap<string, string>> {
  const expired = await readMaterial(
    await (await openAuthority(dirname(plane.credentials?.caFile ?? ''))).issue({ name: 'expired', expired: true }),
  );
  const stranger = await strangers();
  const json = (secret: object) => JSON.stringify(secret);
  return new Map([
    ['a CA of somebody else', json({ ...good, ca: stranger.ca })],
    ['a certificate of another authority', json({ ...stranger, ca: good.ca })],
    ['an expired certificate', json(expired)],
    ["another certificate's key", json({ ...good, key: stranger.key })],
    ['certificate and key mixed up', json({ ...good, cert: good.key, key: good.cert })],
    ['a key without its line breaks', json({ ...good, key: good.key.replaceAll('\n', '') })],
    ['a key that is cut', json({ ...good, key: good.key.slice(0, -60) })],
    ['a key in a list', json({ ...good, key: [good.key] })],
    ['no certificate', json({ ca: good.ca, key: good.key })],
    ['JSON that is cut', json({ key: good.key, cert: good.cert }).slice(0, 400)],
    ['the key alone, and no JSON', good.key],
  ]);
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

export async function authorityKey(plane: ControlPlane): Promise<string> {
  return readFile(join(dirname(plane.credentials?.caFile ?? ''), 'ca.key'), 'utf8');
}

/** So many characters of a key in a row are no accident, however it was wrapped or cut. */
const TELLING = 16;

/** Where in the DER of a P-256 key (PKCS #8) the private number is; what stands around it is the same in all, or public. */
const [NUMBER_FROM, NUMBER_TO] = [36, 68];

/** Private keys of P-256 and tokens, whatever stands around them and however they are written. */
export class Secrets {
  readonly #parts = new Set<string>();

  /** @param text holds private keys in PEM, perhaps damaged ones */
  addKeys(text: string): void {
    for (const [, body = ''] of text.matchAll(/-----BEGIN PRIVATE KEY-----(.*?)(?:-----END|$)/gs)) {
      const letters = bare(body);
      // Three bytes are four letters.
      this.#addParts(letters.slice((NUMBER_FROM / 3) * 4, Math.floor((NUMBER_TO * 4) / 3)));
      const number = Buffer.from(letters, 'base64').subarray(NUMBER_FROM, NUMBER_TO);
      // As a JWK has it, and as somebody might print it.
      for (const encoding of ['base64url', 'hex'] as const) this.#addParts(number.toString(encoding));
    }
  }

  addToken(token: string): void {
    this.#addParts(bare(token));
  }

  get size(): number {
    return this.#parts.size;
  }

  /** Where the text holds some of a secret: what stands before it. */
  foundIn(text: string): string | undefined {
    const letters = bare(text);
    for (let start = 0; start + TELLING <= letters.length; start++) {
      if (this.#parts.has(letters.slice(start, start + TELLING))) return letters.slice(Math.max(0, start - 200), start);
    }
    return undefined;
  }

  #addParts(letters: string): void {
    for (let start = 0; start + TELLING <= letters.length; start++) {
      this.#parts.add(letters.slice(start, start + TELLING));
    }
  }
}

/** Without line breaks, however often they were escaped, and without blanks. */
function bare(text: string): string {
  return text.replace(/\\+[nr]|\s+/g, '');
}
