import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTlsMaterial, NOT_ISSUED_YET } from '../../functions/aws/credentials.ts';
import { SetupError } from '../../functions/contract/errors.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';

const material = { ca: 'the ca', cert: 'the certificate', key: 'the very secret key' };
const secretArn = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:etcd';
const files = { caFile: 'ca.pem', certFile: 'cert.pem', keyFile: 'key.pem' };

let aws: AwsStandIn;
let directory: string;

beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  directory = await mkdtemp(join(tmpdir(), 'etcd-medic-credentials-'));
  for (const [name, text] of Object.entries(material)) await writeFile(join(directory, `${name}.pem`), text);
});
afterAll(async () => {
  await aws.stop();
  await rm(directory, { recursive: true, force: true });
});

describe('the credentials for etcd', () => {
  it('are none where none are configured', async () => {
    expect(await loadTlsMaterial(undefined)).toBeUndefined();
  });

  it('are read from files beside the configuration', async () => {
    expect(await loadTlsMaterial(files, directory)).toEqual(material);
  });

  it('name the file that can’t be read, and why', async () => {
    const loaded = loadTlsMaterial({ ...files, keyFile: 'none.pem' }, directory);

    await expect(loaded).rejects.toThrow(SetupError);
    await expect(loaded).rejects.toThrow(
      `etcd.credentials.keyFile: ${join(directory, 'none.pem')} can't be read: ENOENT`,
    );
  });

  it('are read from a secret', async () => {
    aws.secretsManager.secrets.set(secretArn, JSON.stringify({ ...material, comment: 'kubeadm' }));

    expect(await loadTlsMaterial({ secretArn })).toEqual(material);
  });

  it('name the secret that is not there', async () => {
    const loaded = loadTlsMaterial({ secretArn: `${secretArn}-none` });

    await expect(loaded).rejects.toThrow(SetupError);
    await expect(loaded).rejects.toThrow(`${secretArn}-none can't be read: ResourceNotFoundException`);
  });

  it('say what to press where the certificate has not been issued yet', async () => {
    aws.secretsManager.secrets.set(secretArn, JSON.stringify(NOT_ISSUED_YET));

    const loaded = loadTlsMaterial({ secretArn });

    await expect(loaded).rejects.toThrow(SetupError);
    await expect(loaded).rejects.toThrow(
      `secret ${secretArn}: no certificate has been issued yet. Press Test on the function etcd-medic-<cluster>-credentials with {"issue":"etcd"}`,
    );
  });

  it.each([
    [
      'no key',
      JSON.stringify({ ca: material.ca, cert: material.cert }),
      'field key: expected a PEM text, found nothing',
    ],
    ['an empty ca', JSON.stringify({ ...material, ca: ' ' }), 'field ca: expected a PEM text, found an empty text'],
    [
      'a list as key',
      JSON.stringify({ ...material, key: [material.key] }),
      'field key: expected a PEM text, found no text',
    ],
    ['no JSON', material.key, 'expected a JSON object with ca, cert and key'],
    ['a JSON text', JSON.stringify(material.key), 'expected a JSON object with ca, cert and key'],
  ])('R15: name what is wrong with a secret that has %s, and not a word of it', async (_what, text, problem) => {
    aws.secretsManager.secrets.set(secretArn, text);

    const error = await loadTlsMaterial({ secretArn }).catch((error: unknown) => error);

    expect(error).toBeInstanceOf(SetupError);
    expect(String(error)).toContain(problem);
    expect(`${error} ${error instanceof Error ? error.cause : ''}`).not.toContain('secret key');
  });
});
