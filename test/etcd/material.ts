// Reads a plane's credential files as the etcd room takes them.
import { readFile } from 'node:fs/promises';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import type { CredentialFiles } from '../../lab/control-plane/certificates.ts';

export async function readMaterial(files: CredentialFiles): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all(
    [files.caFile, files.certFile, files.keyFile].map((file) => readFile(file, 'utf8')),
  );
  if (ca === undefined || cert === undefined || key === undefined) throw new TypeError('a file is missing');
  return { ca, cert, key };
}

/** Of a plane, which has none where it serves in plain text. */
export async function materialOf({ credentials }: { readonly credentials: CredentialFiles | undefined }) {
  return credentials && (await readMaterial(credentials));
}

/** What a promise was rejected with, as the error it must be. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    (value) => new TypeError(`it was not rejected, but gave ${String(value)}`),
    (error: unknown) => error,
  );
  if (outcome instanceof Error) return outcome;
  throw new TypeError('it was rejected with something that is no Error');
}
