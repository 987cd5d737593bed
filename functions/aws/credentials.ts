// Fetches credentials from files or from a secret. Whether certificates are any good is checked in the room that uses
// them; here no error ever holds a word of what was read (R15).
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { EtcdCredentials } from '../contract/configuration.ts';
import { SetupError } from '../contract/errors.ts';
import type { TlsMaterial } from '../contract/tls-material.ts';
import { clientDefaults, withRetries } from './client.ts';

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
  if ('secretArn' in credentials) {
    const { secretArn } = credentials;
    const secret = await readSecret('etcd.credentials', secretArn, 'ca, cert and key, each in PEM');
    return {
      ca: secretField(secret, 'ca', secretArn),
      cert: secretField(secret, 'cert', secretArn),
      key: secretField(secret, 'key', secretArn),
    };
  }
  if ('issued' in credentials) throw notDeployed('etcd.credentials');
  const { caFile, certFile, keyFile } = credentials;
  const [ca, cert, key] = await Promise.all([
    readCredentialFile('etcd.credentials.caFile', resolve(baseDirectory, caFile)),
    readCredentialFile('etcd.credentials.certFile', resolve(baseDirectory, certFile)),
    readCredentialFile('etcd.credentials.keyFile', resolve(baseDirectory, keyFile)),
  ]);
  return { ca, cert, key };
}

/** The first value of a secret whose certificate is issued, until there is one. */
export const NOT_ISSUED_YET = { issued: 'not yet' } as const;

/** What is issued is in a secret of the stack's, which only the stack knows. */
export function notDeployed(field: string): SetupError {
  return new SetupError(
    `${field}: found { "issued": true }, expected the secret that the stack has made for it as { "secretArn" }: it is among the stack's outputs`,
  );
}

/**
 * @param field its place in the configuration, for the message
 * @throws SetupError naming the field, the file and the system's code
 */
export async function readCredentialFile(field: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw new SetupError(`${field}: ${path} can't be read: ${code}`, { cause });
  }
}

/** Every step that opens a connection needs it: a minute of trouble there must not end a run between two members. */
const READ_WITHIN_MS = 75_000;

/**
 * @param field the place in the configuration that has `secretArn`
 * @param expected what its JSON object should have, for the message
 * @throws SetupError naming the secret
 */
export async function readSecret(field: string, secretArn: string, expected: string): Promise<object> {
  const { SecretsManagerClient, GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient(clientDefaults);
  let text: string | undefined;
  try {
    const get = () => client.send(new GetSecretValueCommand({ SecretId: secretArn }));
    ({ SecretString: text } = await withRetries(READ_WITHIN_MS, get));
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : 'unknown error';
    const remedy =
      name === 'ResourceNotFoundException'
        ? `. It is not there, or nothing was ever put into it; where the stack issues its certificate: ${orderTo(field)}`
        : '';
    throw new SetupError(`${field}.secretArn: secret ${secretArn} can't be read: ${name}${remedy}`, { cause });
  } finally {
    client.destroy();
  }
  const secret = parseObject(text, secretArn, expected);
  if (Reflect.get(secret, 'issued') === NOT_ISSUED_YET.issued) throw notIssuedYet(field, secretArn);
  return secret;
}

function notIssuedYet(field: string, secretArn: string): SetupError {
  return new SetupError(`secret ${secretArn}: no certificate has been issued yet. ${orderTo(field)}`);
}

/** What a person can do. */
function orderTo(field: string): string {
  const [purpose] = field.split('.');
  return `Press Test on the function etcd-medic-<cluster>-credentials with {"issue":"${purpose}"}: its answer, or its log, says what is in the way`;
}

function parseObject(text: string | undefined, secretArn: string, expected: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    // The parser's own error quotes the text, so it must not become the cause.
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new SetupError(`secret ${secretArn}: expected a JSON object with ${expected}; found no object`);
}

/**
 * @param expected what kind of text
 * @throws SetupError naming the secret and the field
 */
export function secretField(secret: object, field: string, secretArn: string, expected = 'a PEM text'): string {
  const value: unknown = Reflect.get(secret, field);
  if (typeof value === 'string' && value.trim() !== '') return value;
  const found = value === undefined ? 'nothing' : typeof value === 'string' ? 'an empty text' : 'no text';
  throw new SetupError(`secret ${secretArn}, field ${field}: expected ${expected}, found ${found}`);
}
