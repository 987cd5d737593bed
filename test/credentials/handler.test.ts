import { readFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InvalidInputError, SetupError } from '../../functions/contract/errors.ts';
import {
  FAILED_ROTATIONS,
  LATE_DAYS,
  LEAST_DAYS,
  ROTATION_DAYS,
  SUBJECTS,
  VALID_DAYS,
} from '../../functions/contract/purposes.ts';
import { RotationError } from '../../functions/credentials/errors.ts';
import { IssuedSecret } from '../../functions/credentials/secret.ts';
import { signClientCertificateDocument } from '../../lib/documents/sign-client-certificate.ts';
import { SECRET_ARNS, type Setting, startSetting } from './setting.ts';

let setting: Setting;

beforeEach(async () => {
  setting = await startSetting();
});
afterEach(() => setting[Symbol.asyncDispose]());

const step = (changes: object) => ({
  Step: 'createSecret',
  SecretId: SECRET_ARNS.etcd,
  ClientRequestToken: crypto.randomUUID(),
  ...changes,
});

describe('the credentials function', () => {
  it.each([
    ['nothing', {}, 'issue: found nothing, expected "etcd" or "kubernetes"'],
    ['something else to issue', { issue: 'admin' }, 'issue: found "admin", expected "etcd" or "kubernetes"'],
    ['what it does not know', { issue: 'etcd', force: true }, 'force: found a field that is not known here'],
    ['a fingerprint that is none', { issue: 'etcd', trust: ['1A:2B'] }, "expected a certificate's SHA-256 fingerprint"],
    ['a step that there isn’t', step({ Step: 'deleteSecret' }), 'Step: found "deleteSecret"'],
    ['a version that is none', step({ ClientRequestToken: 'x' }), 'ClientRequestToken: found "x"'],
    ['another secret', step({ SecretId: 'arn:aws:secretsmanager:x' }), `expected ${SECRET_ARNS.etcd} or`],
  ])('refuses %s, and nothing is sent or written', async (_what, event, message) => {
    const call = setting.call(event);

    await expect(call).rejects.toThrow(InvalidInputError);
    await expect(call).rejects.toThrow(message);
    expect(setting.ssm.commands).toEqual([]);
    expect(setting.secrets.etcd.written).toEqual([]);
  });

  it('issues nothing that it was not deployed for', async () => {
    vi.stubEnv('ETCD_MEDIC_ISSUED', '{}');

    await expect(setting.call({ issue: 'etcd' })).rejects.toThrow('no other credentials are issued here');
  });

  it.each([
    ['ETCD_MEDIC_CLUSTER', '', SetupError, 'found nothing. Deploy the stack again'],
    ['ETCD_MEDIC_ISSUED', '', SetupError, 'found nothing. Deploy the stack again'],
    ['ETCD_MEDIC_ISSUED', 'etcd', InvalidInputError, 'found text that is not JSON'],
    [
      'ETCD_MEDIC_ISSUED',
      '{"etcd":{"caFile":"/a","caKeyFile":"/a; rm","serverCaFile":"/a"}}',
      InvalidInputError,
      'etcd.caKeyFile: found "/a; rm", expected an absolute path',
    ],
  ])('names what is wrong with %s=%s', async (name, value, type, message) => {
    vi.stubEnv(name, value);

    const call = setting.call({ issue: 'etcd' });

    await expect(call).rejects.toThrow(type);
    await expect(call).rejects.toThrow(message);
  });

  it.each(['createSecret', 'testSecret', 'finishSecret'])(
    'changes nothing in %s for a version that is not the pending one',
    async (Step) => {
      setting.secrets.etcd.announce('another-version-is-the-pending-one');

      await expect(setting.call(step({ Step }))).rejects.toThrow(RotationError);

      expect(setting.secrets.etcd.versions).toMatchObject([
        { id: 'another-version-is-the-pending-one', labels: ['AWSPENDING'] },
      ]);
    },
  );

  it('waits for a pending version that can’t be read yet, and then says so', async () => {
    const ClientRequestToken = crypto.randomUUID();
    setting.secrets.etcd.announce(ClientRequestToken);

    const call = setting.call(step({ Step: 'testSecret', ClientRequestToken }));

    await expect(call).rejects.toThrow('has no credentials in it yet');
  });
});

describe('the times of a certificate', () => {
  it('let two rotations fail, and the one after those be late, before the old one ends', () => {
    const [, , third = 0] = [1, 2, 3].map((rotation) => rotation * ROTATION_DAYS);

    expect(VALID_DAYS - third).toBeGreaterThanOrEqual(LATE_DAYS);
    expect(FAILED_ROTATIONS).toBe(2);
  });

  it('have a rotation fail while the next one, even a late one, still comes before the old one ends', () => {
    expect(LEAST_DAYS).toBeGreaterThanOrEqual(ROTATION_DAYS + LATE_DAYS);
    // A certificate that a rotation left pending is as good at the rotation after it.
    expect(VALID_DAYS - ROTATION_DAYS).toBeGreaterThanOrEqual(LEAST_DAYS);
    expect(LATE_DAYS).toBeGreaterThanOrEqual(7);
  });

  it('are those of the documentation', async () => {
    const page = await readFile(new URL('../../docs/credentials.md', import.meta.url), 'utf8');

    expect(page).toContain(`good for ${VALID_DAYS} days and renewed every ${ROTATION_DAYS}`);
    expect(page).toContain(`for ${LEAST_DAYS} days at least (by hand`);
    expect(page).toContain(`it should be good for ${LEAST_DAYS} days at least`);
  });

  it('and whom it is made out to are what the document allows', () => {
    const { ValidityDays, CommonName, Organization } = signClientCertificateDocument().parameters;
    const allowed = (parameter: typeof ValidityDays) => new RegExp(parameter?.allowedPattern ?? '^$');

    expect(String(VALID_DAYS)).toMatch(allowed(ValidityDays));
    for (const { commonName, organization } of Object.values(SUBJECTS)) {
      expect(commonName).toMatch(allowed(CommonName));
      expect(organization).toMatch(allowed(Organization));
    }
  });
});

describe('a secret', () => {
  const credentials = { ca: 'the ca', cert: 'the certificate', key: 'the very secret key' };
  const id = (name: string) => name.padEnd(32, '-');

  it('keeps its current credentials until others are made current, and then the ones before', async () => {
    using secret = new IssuedSecret(SECRET_ARNS.etcd);
    await secret.putPlaceholder();
    const { currentId } = await secret.versions();
    await secret.putPending(id('one'), credentials);
    await secret.makeCurrent(id('one'), currentId);
    await secret.putPending(id('two'), { ...credentials, key: 'another' });

    const before = await secret.versions();
    await secret.makeCurrent(id('two'), before.currentId);

    expect(before).toEqual({ currentId: id('one'), pendingId: id('two') });
    expect(await secret.versions()).toEqual({ currentId: id('two'), pendingId: id('two') });
    expect(await secret.read(id('one'))).toEqual(credentials);
  });

  it('has its very first value current, whatever label that is given: which is why it is prepared', async () => {
    using secret = new IssuedSecret(SECRET_ARNS.etcd);

    await secret.putPending(id('one'), credentials);

    expect(await secret.versions()).toEqual({ currentId: id('one'), pendingId: id('one') });
  });

  it('is prepared by a text that is no credentials, before the first of which nobody knows yet whether they work', async () => {
    using secret = new IssuedSecret(SECRET_ARNS.etcd);

    await secret.putPlaceholder();
    await secret.putPending(id('one'), credentials);

    const { currentId, pendingId } = await secret.versions();
    expect(pendingId).toBe(id('one'));
    expect(currentId).toMatch(/^[\w-]{32,64}$/);
    expect(currentId).not.toBe(pendingId);
    expect(await secret.read(currentId ?? '')).toBeUndefined();
  });

  it('R10: is prepared once: a second time takes the place of nothing that has become current meanwhile', async () => {
    using secret = new IssuedSecret(SECRET_ARNS.etcd);
    await secret.putPlaceholder();
    await secret.putPending(id('one'), credentials);
    await secret.makeCurrent(id('one'), (await secret.versions()).currentId);

    await secret.putPlaceholder();

    expect(await secret.versions()).toMatchObject({ currentId: id('one') });
    expect(setting.secrets.etcd.written).toHaveLength(2);
  });

  it('R10: takes the same credentials twice, and no others for the same version', async () => {
    using secret = new IssuedSecret(SECRET_ARNS.etcd);
    await secret.putPending(id('one'), credentials);

    await secret.putPending(id('one'), credentials);
    const other = secret.putPending(id('one'), { ...credentials, ca: 'another' });

    await expect(other).rejects.toThrow(RotationError);
    expect(setting.secrets.etcd.written).toHaveLength(1);
  });

  it.each([
    ['no JSON', 'the very secret key'],
    ['not all fields', JSON.stringify({ ca: 'a', cert: 'b' })],
    ['a list', '[]'],
    ['no text in a field', JSON.stringify({ ...credentials, key: ['the very secret key'] })],
  ])('has no credentials where somebody put %s there', async (_what, text) => {
    setting.secrets.etcd.put(id('one'), text, ['AWSCURRENT']);
    using secret = new IssuedSecret(SECRET_ARNS.etcd);

    expect(await secret.read(id('one'))).toBeUndefined();
  });

  it.each([
    ['DescribeSecret', 'AccessDeniedException', SetupError],
    ['DescribeSecret', 'InvalidRequestException', RotationError],
    ['PutSecretValue', 'LimitExceededException', RotationError],
    ['UpdateSecretVersionStage', 'InvalidParameterException', RotationError],
    ['GetSecretValue', 'DecryptionFailure', RotationError],
  ])(
    'R15: says in one line that %s was answered with %s, and nothing of what it is about',
    async (action, error, type) => {
      setting.secretsManager.refuseNext(action, 9, error);
      using secret = new IssuedSecret(SECRET_ARNS.etcd);

      const [outcome] = await Promise.allSettled([
        (async () => {
          await secret.versions();
          await secret.putPending(id('one'), credentials);
          await secret.read(id('one'));
          await secret.makeCurrent(id('one'), undefined);
        })(),
      ]);

      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(type) });
      expect(outcome).toMatchObject({ reason: { message: expect.stringContaining(error) } });
      const whole = inspect(outcome, { showHidden: true, depth: 10 });
      expect(whole).toContain(error);
      expect(whole).not.toMatch(/secret key|cause/);
    },
  );
});
