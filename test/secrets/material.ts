// The keys that nobody may see, and how to tell that a text holds some of one, or of a token, however it is written
// there.
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';

/** Characters in a row that are no accident; V8's words on broken JSON quote ten. Of base64, 60 bits. */
const TELLING_LETTERS = 10;
/** 64 bits. */
const TELLING_DIGITS = 16;
const TELLING_BYTES = 8;

/**
 * Where in the DER of a P-256 key (PKCS #8) the private number is; what stands around it is the same in all, or public.
 */
const [NUMBER_FROM, NUMBER_TO] = [36, 68];
/** The same in base64, where three bytes are four letters: whole letters only. */
const [LETTERS_FROM, LETTERS_TO] = [(NUMBER_FROM / 3) * 4, Math.floor((NUMBER_TO * 4) / 3)];

/** The private number of a key in PEM, as it stands there: in base64, without line breaks. */
export function privateLetters(pem: string): string {
  return lettersOf(pem.replaceAll(/-----[^-]*-----/g, '')).slice(LETTERS_FROM, LETTERS_TO);
}

/** Of etcd's authority. PEM. */
export async function authorityKey(plane: ControlPlane): Promise<string> {
  return readFile(join(dirname(plane.credentials?.caFile ?? ''), 'ca.key'), 'utf8');
}

/** Private keys of P-256 and tokens. */
export class Secrets {
  readonly #letters = new Set<string>();
  readonly #digits = new Set<string>();
  readonly #bytes = new Set<string>();

  /** @param text holds private keys in PEM, perhaps damaged ones */
  addKeys(text: string): void {
    for (const [, body = ''] of text.matchAll(/-----BEGIN PRIVATE KEY-----(.*?)(?:-----END|$)/gs)) {
      const pem = lettersOf(body);
      const letters = pem.slice(LETTERS_FROM, LETTERS_TO);
      const number = Buffer.from(pem, 'base64').subarray(NUMBER_FROM, NUMBER_TO);
      this.#addLetters(letters);
      // As a JWK has it, and as any other format of a key would: the letters depend on what stands before it.
      for (const shift of [0, 1, 2]) this.#addLetters(inBase64(number, shift));
      // PEM that was encoded once more, as in an answer of one line.
      for (const shift of [0, 1, 2]) this.#addLetters(inBase64(Buffer.from(letters), shift));
      addParts(this.#digits, number.toString('hex'), TELLING_DIGITS);
      for (let start = 0; start + TELLING_BYTES <= number.length; start++) {
        this.#bytes.add(number.subarray(start, start + TELLING_BYTES).join());
      }
    }
  }

  addToken(token: string): void {
    this.#addLetters(lettersOf(token));
  }

  get size(): number {
    return this.#letters.size;
  }

  /** Where the text holds some of a secret: what stands before it. */
  foundIn(text: string): string | undefined {
    return (
      findPart(lettersOf(text), this.#letters, TELLING_LETTERS) ??
      findPart(digitsOf(text), this.#digits, TELLING_DIGITS) ??
      this.#foundBytes(text)
    );
  }

  #foundBytes(text: string): string | undefined {
    // As a Buffer becomes JSON, and as Node prints any other array of bytes.
    for (const [list] of text.matchAll(/\d{1,3}(?:\s*,\s*\d{1,3}){7,}/g)) {
      const bytes = list.split(/\s*,\s*/);
      for (let start = 0; start + TELLING_BYTES <= bytes.length; start++) {
        if (this.#bytes.has(bytes.slice(start, start + TELLING_BYTES).join())) return 'a list of bytes';
      }
    }
    return undefined;
  }

  #addLetters(letters: string): void {
    addParts(this.#letters, letters, TELLING_LETTERS);
  }
}

/**
 * @param shift how many bytes stand before it in its group of three; letters that depend on its neighbours are left out
 */
function inBase64(bytes: Uint8Array, shift: number): string {
  const letters = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString('base64')
    .replace(/=+$/, '');
  return letters.slice(shift === 0 ? 0 : shift + 1, (shift + bytes.length) % 3 === 0 ? undefined : -1);
}

/**
 * As one text of base64: without line breaks, however often they were escaped, without blanks, and with the letters of
 * PEM.
 */
function lettersOf(text: string): string {
  return text
    .replace(/%(2[BbFf]|3[Dd]|0[AaDd])/g, (escaped) => decodeURIComponent(escaped))
    .replace(/\\+u00(2[BbFf]|3[Dd])/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\+[nr]|\\+(?=\/)|\s+/g, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/');
}

/** Hexadecimal digits as one text: without what people and programs put between and before them. */
function digitsOf(text: string): string {
  return text.toLowerCase().replace(/\b0x|\\+[nrx]|[\s:,.-]+/g, '');
}

function addParts(parts: Set<string>, text: string, length: number): void {
  for (let start = 0; start + length <= text.length; start++) parts.add(text.slice(start, start + length));
}

function findPart(text: string, parts: ReadonlySet<string>, length: number): string | undefined {
  for (let start = 0; start + length <= text.length; start++) {
    if (parts.has(text.slice(start, start + length))) return text.slice(Math.max(0, start - 200), start);
  }
  return undefined;
}
