// Fetches what a call to the API server proves itself with, and finds out before anything is connected what is wrong
// with it.
import { X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { notDeployed, readCredentialFile, readSecret, secretField } from '../aws/credentials.ts';
import type { KubernetesConfiguration } from '../contract/configuration.ts';
import { InvalidInputError, SetupError } from '../contract/errors.ts';
import { checkTlsMaterial } from '../contract/tls-material.ts';

/** Certificates and keys in PEM; a service account's token as the API server issued it. */
export type KubernetesCredentials = { readonly ca: string } & (
  | { readonly token: string }
  | { readonly cert: string; readonly key: string }
);

const FIELD = 'kubernetes.credentials';

/**
 * @param credentials `kubernetes.credentials` of the configuration
 * @param baseDirectory what relative file names are relative to: the configuration file's folder
 * @throws SetupError naming the file or the secret, and the field; never what is in it (R15)
 */
export async function loadKubernetesCredentials(
  credentials: KubernetesConfiguration['credentials'],
  baseDirectory = process.cwd(),
): Promise<KubernetesCredentials> {
  if ('secretArn' in credentials) return fromSecret(credentials.secretArn);
  if ('issued' in credentials) throw notDeployed(FIELD);
  const read = (field: string, file: string) => readCredentialFile(`${FIELD}.${field}`, resolve(baseDirectory, file));
  const ca = await read('caFile', credentials.caFile);
  if ('tokenFile' in credentials) {
    const token = (await read('tokenFile', credentials.tokenFile)).trim();
    return checked({ ca, token }, FIELD, 'tokenFile');
  }
  const [cert, key] = await Promise.all([read('certFile', credentials.certFile), read('keyFile', credentials.keyFile)]);
  return checked({ ca, cert, key }, FIELD);
}

async function fromSecret(secretArn: string): Promise<KubernetesCredentials> {
  const secret = await readSecret(FIELD, secretArn, 'ca and either token, or cert and key');
  const source = `secret ${secretArn}`;
  const ca = secretField(secret, 'ca', secretArn);
  const hasToken = 'token' in secret;
  const hasCertificate = 'cert' in secret || 'key' in secret;
  if (hasToken && hasCertificate) {
    throw new SetupError(`${source}: expected either token, or cert and key; found both. Take one of them out`);
  }
  if (!hasToken && !hasCertificate) {
    throw new SetupError(`${source}: expected ca and either token, or cert and key; found neither`);
  }
  if (hasToken) {
    const token = secretField(secret, 'token', secretArn, "a service account's token").trim();
    return checked({ ca, token }, source, 'token');
  }
  const cert = secretField(secret, 'cert', secretArn);
  return checked({ ca, cert, key: secretField(secret, 'key', secretArn) }, source);
}

function checked(credentials: KubernetesCredentials, source: string, tokenField = 'token'): KubernetesCredentials {
  if ('token' in credentials) {
    // What isn't one word can't stand in a header; the header's own error would quote it.
    if (!/^[\x21-\x7e]+$/.test(credentials.token)) {
      throw new SetupError(`${source}, field ${tokenField}: expected a token, one word without blanks, found none`);
    }
    checkCa(credentials.ca, source);
    return credentials;
  }
  try {
    checkTlsMaterial(credentials, new Date(), source);
  } catch (error) {
    if (error instanceof InvalidInputError) throw new SetupError(error.message);
    throw error;
  }
  return credentials;
}

function checkCa(ca: string, source: string): void {
  try {
    new X509Certificate(ca);
  } catch {
    // OpenSSL's words may quote what they read.
    throw new SetupError(`${source}, field ca: expected a certificate in PEM, found a text that is none`);
  }
}
