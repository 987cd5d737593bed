// Fetches the client certificate for etcd, from files or from a secret. Whether the certificates are any good is
// checked in the etcd room; here no error ever holds a word of what was read (R15).
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { TlsMaterial } from '../etcd/types.ts';
import { clientDefaults } from './aws.ts';
import type { EtcdCredentials } from './configuration.ts';
import { SetupError } from './errors.ts';

/**
 * @param credentials `etcd.credentials` of the configuration; undefined: plain http
 * @param baseDirectory what relative file names are relative to: the configuration file's folder
 * @returns the PEM texts, or undefined for plain http
 * @throws SetupError naming the file and why it can't be read, or the secret and which field is missing
 */
export async function loadTlsMaterial(
  credentials: EtcdCredentials | undefined,
  baseDirectory = process.cwd(),
): Promise<TlsMaterial | undefined> {
  if (credentials === undefined) return undefined;
  if ('secretArn' in credentials) return readSecret(credentials.secretArn);
  const { caFile, certFile, keyFile } = credentials;
  const [ca, cert, key] = await Promise.all([
    readPem('caFile', resolve(baseDirectory, caFile)),
    readPem('certFile', resolve(baseDirectory, certFile)),
    readPem('keyFile', resolve(baseDirectory, keyFile)),
  ]);
  return { ca, cert, key };
}

async function readPem(field: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new SetupError(`etcd.credentials.${field}: ${path} can't be read: ${code}`, { cause });
  }
}

async function readSecret(secretArn: string): Promise<TlsMaterial> {
  const { SecretsManagerClient, GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient(clientDefaults);
  let text: string | undefined;
  try {
    ({ SecretString: text } = await client.send(new GetSecretValueCommand({ SecretId: secretArn })));
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : 'unknown error';
    throw new SetupError(`etcd.credentials.secretArn: secret ${secretArn} can't be read: ${name}`, { cause });
  } finally {
    client.destroy();
  }
  const secret = parseObject(text, secretArn);
  return {
    ca: pemField(secret, 'ca', secretArn),
    cert: pemField(secret, 'cert', secretArn),
    key: pemField(secret, 'key', secretArn),
  };
}

function parseObject(text: string | undefined, secretArn: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    // The parser's own error quotes the text, so it must not become the cause.
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new SetupError(
    `secret ${secretArn}: expected a JSON object with ca, cert and key, each in PEM; found no object`,
  );
}

function pemField(secret: object, field: keyof TlsMaterial, secretArn: string): string {
  const value: unknown = Reflect.get(secret, field);
  if (typeof value === 'string' && value.trim() !== '') return value;
  const found = value === undefined ? 'nothing' : typeof value === 'string' ? 'an empty text' : 'no text';
  throw new SetupError(`secret ${secretArn}, field ${field}: expected a PEM text, found ${found}`);
}
