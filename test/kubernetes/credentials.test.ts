import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOT_ISSUED_YET } from '../../functions/aws/credentials.ts';
import { SetupError } from '../../functions/contract/errors.ts';
import { loadKubernetesCredentials } from '../../functions/kubernetes/credentials.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { createAuthority } from '../../lab/control-plane/certificates.ts';

const secretArn = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:kubernetes';
const token = 'a-token-nobody-may-see';

let aws: AwsStandIn;
let directory: string;
let pem: Readonly<Record<'ca' | 'cert' | 'key' | 'expired', string>>;

beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  directory = await mkdtemp(join(tmpdir(), 'etcd-medic-kubernetes-credentials-'));
  const authority = await createAuthority(directory);
  const { caFile, certFile, keyFile } = await authority.issue({ name: 'pruner', usages: ['client'] });
  const expired = await authority.issue({ name: 'expired', usages: ['client'], expired: true });
  const [ca = '', cert = '', key = '', old = ''] = await Promise.all(
    [caFile, certFile, keyFile, expired.certFile].map((file) => readFile(file, 'utf8')),
  );
  pem = { ca, cert, key, expired: old };
  await writeFile(join(directory, 'token'), `${token}\n`);
});
afterAll(async () => {
  await aws.stop();
  await rm(directory, { recursive: true, force: true });
});

describe('the credentials for the API server', () => {
  it('are a token and a CA from files beside the configuration', async () => {
    const loaded = await loadKubernetesCredentials({ caFile: 'ca.crt', tokenFile: 'token' }, directory);

    expect(loaded).toEqual({ ca: pem.ca, token });
  });

  it('are a client certificate from files', async () => {
    const files = { caFile: 'ca.crt', certFile: 'pruner.crt', keyFile: 'pruner.key' };

    expect(await loadKubernetesCredentials(files, directory)).toEqual({ ca: pem.ca, cert: pem.cert, key: pem.key });
  });

  it.each<[string, () => object]>([
    ['a token', () => ({ ca: pem.ca, token })],
    ['a client certificate', () => ({ ca: pem.ca, cert: pem.cert, key: pem.key })],
  ])('are %s from a secret', async (_what, material) => {
    aws.secretsManager.secrets.set(secretArn, JSON.stringify({ ...material(), comment: 'of March' }));

    expect(await loadKubernetesCredentials({ secretArn })).toEqual(material());
  });

  it.each([
    ['caFile', { caFile: 'none', tokenFile: 'token' }],
    ['tokenFile', { caFile: 'ca.crt', tokenFile: 'none' }],
    ['keyFile', { caFile: 'ca.crt', certFile: 'pruner.crt', keyFile: 'none' }],
  ])('name the %s that can’t be read', async (field, files) => {
    const loaded = loadKubernetesCredentials(files, directory);

    await expect(loaded).rejects.toThrow(SetupError);
    await expect(loaded).rejects.toThrow(
      `kubernetes.credentials.${field}: ${join(directory, 'none')} can't be read: ENOENT`,
    );
  });

  it.each<[string, () => unknown, string]>([
    ['no certificate yet', () => NOT_ISSUED_YET, 'no certificate has been issued yet. Press Test on'],
    ['no ca', () => ({ token }), 'field ca: expected a PEM text, found nothing'],
    ['a ca that is none', () => ({ ca: token, token }), 'field ca: expected a certificate in PEM'],
    ['neither', () => ({ ca: pem.ca }), 'expected ca and either token, or cert and key; found neither'],
    ['both', () => ({ ...pem, token }), 'found both'],
    ['no key', () => ({ ca: pem.ca, cert: pem.cert }), 'field key: expected a PEM text, found nothing'],
    [
      'a token that is no text',
      () => ({ ca: pem.ca, token: [token] }),
      "expected a service account's token, found no text",
    ],
    [
      'a token of two lines',
      () => ({ ca: pem.ca, token: `${token}\n${token}` }),
      'field token: expected a token, one word',
    ],
    ['an expired certificate', () => ({ ca: pem.ca, cert: pem.expired, key: pem.key }), 'which expired on'],
    ['a key that is none', () => ({ ca: pem.ca, cert: pem.cert, key: token }), 'key: found a text that is not PEM'],
    ['a text', () => token, 'expected a JSON object with ca and either token, or cert and key; found no object'],
  ])('R15: name what is wrong with a secret that has %s, and not a word of it', async (_what, material, problem) => {
    aws.secretsManager.secrets.set(secretArn, JSON.stringify(material()));

    const error = await loadKubernetesCredentials({ secretArn }).catch((error: unknown) => error);

    expect(error).toBeInstanceOf(SetupError);
    expect(String(error)).toContain(`secret ${secretArn}`);
    expect(String(error)).toContain(problem);
    expect(`${error} ${error instanceof Error ? error.cause : ''}`).not.toContain(token);
  });
});
