import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadTlsMaterial } from '../../functions/aws/credentials.ts';
import { SetupError } from '../../functions/contract/errors.ts';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import {
  CredentialsRefusedError,
  CredentialsUntestedError,
  NotSignedError,
  RotationError,
} from '../../functions/credentials/errors.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { troubled } from '../../lab/aws/trouble.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { signClientCertificateDocument } from '../../lib/documents/sign-client-certificate.ts';
import { materialOf } from '../etcd/material.ts';
import { ED25519, makeAuthority, makeKeys, rsa, secretLines } from './authorities.ts';
import { DOCUMENT, type Files, SECRET_ARNS, type Setting, STEPS, startSetting } from './setting.ts';

/** What is in a secret of which no certificate has been good yet. */
const NONE_YET = { value: '{"issued":"not yet"}', labels: ['AWSCURRENT'] };

let plane: ControlPlane;
/** etcd's own authority, as it lies on the nodes. */
let etcdAuthority: Files;
let setting: Setting;

beforeAll(async () => {
  plane = await startControlPlane({ members: 1 });
  const folder = dirname(plane.credentials?.caFile ?? '');
  etcdAuthority = {
    certificate: await readFile(join(folder, 'ca.crt'), 'utf8'),
    key: await readFile(join(folder, 'ca.key'), 'utf8'),
  };
});
afterAll(() => plane?.[Symbol.asyncDispose]());

beforeEach(async () => {
  setting = await startSetting({ endpoints: plane.members.map(({ endpoint }) => endpoint) });
});
afterEach(() => setting[Symbol.asyncDispose]());

const member = (tls: TlsMaterial | undefined) =>
  connectMember({ endpoint: plane.members[0]?.endpoint ?? '', ...(tls && { tls }) });

/** etcd answers a linearizable read to whoever has these. */
async function works(tls: TlsMaterial | undefined): Promise<void> {
  await using client = member(tls);
  await client.checkHealth();
}

describe('etcd’s client certificate', () => {
  it('is issued to a person who asks, and etcd takes it', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });

    const report = await setting.call({ issue: 'etcd' });

    expect(report).toMatchObject({
      cluster: 'demo',
      issued: 'etcd',
      secretArn: SECRET_ARNS.etcd,
      subject: 'O=etcd-medic:etcd, CN=etcd-medic',
      steps: [
        expect.stringMatching(/^cp-1 signed certificate [0-9A-F]+, valid until /),
        '1 of 1 members took them, 1 of those with a linearizable read',
        'the new credentials are current',
      ],
      warnings: [],
    });
    // As every other function reads it.
    await works(await loadTlsMaterial({ secretArn: SECRET_ARNS.etcd }));
    const { versions } = setting.secrets.etcd;
    expect(versions.map(({ labels }) => labels.toSorted())).toEqual([['AWSPREVIOUS'], ['AWSCURRENT', 'AWSPENDING']]);
  });

  it.each([
    ['DescribeInstanceInformation', 6],
    ['ListCommands', 6],
    // Each time it is looked for seven seconds whether it was sent after all (R5).
    ['SendCommand', 2],
    ['ListCommandInvocations', 6],
    ['GetCommandInvocation', 6],
  ])('is issued by the first node, with one command, though %s answers 500 %i times', async (action, times) => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    await setting.addNode('cp-2', { etcd: etcdAuthority });
    await using trouble = await troubled('SSM');
    trouble.begin(60_000, [action], times);

    const report = await setting.call({ issue: 'etcd' });

    expect(trouble.refused).toBe(times);
    expect(report).toMatchObject({
      steps: expect.arrayContaining([expect.stringMatching(/^cp-1 signed certificate /)]),
    });
    expect(
      setting.ssm.commands.flatMap(({ invocations }) => invocations.map(({ computerName }) => computerName)),
    ).toEqual(['cp-1']);
    await works(setting.credentials('etcd'));
  });

  it('is rotated while a run is going on: the run goes on with the old one, and the next has the new one', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    const first = await setting.rotate('etcd');
    const before = setting.credentials('etcd');
    await using running = member(before);
    await running.checkHealth();

    const second = await setting.rotate('etcd');

    await running.checkHealth();
    await works(before);
    const after = setting.credentials('etcd');
    expect(after?.key).not.toBe(before?.key);
    await works(after);
    expect(setting.secrets.etcd.versions).toMatchObject([
      { id: first, labels: ['AWSPREVIOUS'] },
      { id: second, labels: expect.arrayContaining(['AWSCURRENT']) },
    ]);
  });

  it('R10: is made once, however often Secrets Manager repeats a step', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });

    await setting.rotate(
      'etcd',
      [...STEPS, ...STEPS].toSorted((a, b) => STEPS.indexOf(a) - STEPS.indexOf(b)),
    );

    expect(setting.issued('etcd')).toHaveLength(1);
    expect(setting.ssm.commands).toHaveLength(1);
    await works(setting.credentials('etcd'));
  });

  it('is signed by the next node where one is away, or lacks the authority', async () => {
    const away = await setting.addNode('cp-1', { etcd: etcdAuthority });
    away.pingStatus = 'ConnectionLost';
    await setting.addNode('cp-2');
    const deaf = await setting.addNode('cp-3', { etcd: etcdAuthority });
    deaf.fault = { kind: 'offline' };
    await setting.addNode('cp-4', { etcd: etcdAuthority });

    const report = await setting.call({ issue: 'etcd' });

    const [signed] = (report as { steps: string[] }).steps;
    expect(signed).toMatch(
      /^cp-4 signed .*; before that, cp-1 .*: its SSM agent is offline; cp-2 .* is not on this node/,
    );
    expect(signed).toMatch(/cp-3 .*: its agent never fetched the command/);
    await works(setting.credentials('etcd'));
  });

  it('is found where the answer to the command was lost', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    setting.ssm.loseNextAnswers('SendCommand', 1);

    await setting.call({ issue: 'etcd' });

    expect(setting.ssm.commands).toHaveLength(1);
  });

  it('takes another authority’s place only where a person vouches for it', async () => {
    const replaced = await makeAuthority();
    const cert = await replaced.sign({ publicKey: (await makeKeys()).publicKey });
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    setting.secrets.etcd.put('v'.repeat(36), JSON.stringify({ ca: replaced.certificate, cert, key: 'k' }), [
      'AWSCURRENT',
    ]);
    const { fingerprint256 } = new X509Certificate(etcdAuthority.certificate);

    await expect(setting.call({ issue: 'etcd' })).rejects.toThrow(fingerprint256);
    await setting.call({ issue: 'etcd', trust: [fingerprint256] });

    await works(setting.credentials('etcd'));
  });
});

describe('the first certificate', () => {
  it('that etcd refuses never becomes current, and the right authority needs nobody’s word then', async () => {
    await setting.addNode('cp-1', { etcd: await makeAuthority() });

    const [refused] = await Promise.allSettled([setting.call({ issue: 'etcd' })]);
    const between = [...setting.secrets.etcd.versions];
    setting.ssm.nodes.clear();
    await setting.addNode('cp-2', { etcd: etcdAuthority });
    await setting.call({ issue: 'etcd' });

    expect(refused).toMatchObject({ reason: expect.any(CredentialsRefusedError) });
    expect(between).toMatchObject([NONE_YET]);
    await works(await loadTlsMaterial({ secretArn: SECRET_ARNS.etcd }));
  });

  it('is asked for in clear words by whoever reads the secret before', async () => {
    await expect(setting.rotate('etcd')).rejects.toThrow(NotSignedError);

    const read = loadTlsMaterial({ secretArn: SECRET_ARNS.etcd });

    await expect(read).rejects.toThrow(SetupError);
    await expect(read).rejects.toThrow('no certificate has been issued yet. Press Test on');
    await expect(read).rejects.toThrow('with {"issue":"etcd"}');
  });

  it('R10: comes where an earlier attempt got no further than to prepare the secret', async () => {
    const ClientRequestToken = crypto.randomUUID();
    const step = (Step: string) => setting.call({ Step, SecretId: SECRET_ARNS.etcd, ClientRequestToken });
    setting.secrets.etcd.announce(ClientRequestToken);
    await expect(step('createSecret')).rejects.toThrow(NotSignedError);
    await setting.addNode('cp-1', { etcd: etcdAuthority });

    for (const each of STEPS) await step(each);

    expect(setting.secrets.etcd.written).toEqual([NONE_YET.value, setting.secrets.etcd.value('AWSCURRENT')]);
    await works(setting.credentials('etcd'));
  });

  it('comes where two ask for it at once, and each is told what became of theirs', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });

    const both = await Promise.allSettled([setting.call({ issue: 'etcd' }), setting.call({ issue: 'etcd' })]);

    expect(both.map(({ status }) => status)).toContain('fulfilled');
    for (const each of both) {
      if (each.status === 'rejected') expect(each.reason).toBeInstanceOf(RotationError);
    }
    expect(setting.secrets.etcd.written.filter((text) => text === NONE_YET.value)).toHaveLength(1);
    await works(setting.credentials('etcd'));
  });

  it('takes the place of what somebody has put there by hand, and that is of no use, only where etcd takes it', async () => {
    const garbage = 'the password is on the fridge';
    setting.secrets.etcd.put('v'.repeat(36), garbage, ['AWSCURRENT']);
    await setting.addNode('cp-1', { etcd: await makeAuthority() });

    const [refused] = await Promise.allSettled([setting.rotate('etcd')]);
    const between = [...setting.secrets.etcd.versions];
    setting.ssm.nodes.clear();
    await setting.addNode('cp-2', { etcd: etcdAuthority });
    await setting.rotate('etcd');

    expect(refused).toMatchObject({ reason: expect.any(CredentialsRefusedError) });
    expect(between).toMatchObject([{ value: garbage, labels: ['AWSCURRENT'] }]);
    await works(await loadTlsMaterial({ secretArn: SECRET_ARNS.etcd }));
    expect(setting.secrets.etcd.written).not.toContain(NONE_YET.value);
    expect(setting.seen()).not.toContain('fridge');
  });
});

describe('where a certificate can’t be renewed', () => {
  /** Prints this, as if it were the answer. */
  const printing = (text: string) => ['#!/bin/sh', `printf '%s\\n' '${text}'`];
  const script = () => signClientCertificateDocument().mainSteps[0].inputs.runCommand;
  const b64 = (text: string) => Buffer.from(text).toString('base64');
  const onlyNode = () => [...setting.ssm.nodes.values()][0];

  interface Case {
    readonly when: string;
    readonly prepare: () => Promise<unknown> | unknown;
    readonly type: new (...args: never[]) => Error;
    readonly message: string;
  }
  const cases: readonly Case[] = [
    {
      when: 'the only node is offline',
      prepare: () => Object.assign(onlyNode() ?? {}, { pingStatus: 'ConnectionLost' }),
      type: NotSignedError,
      message: 'cp-1 (i-00000000000000001): its SSM agent is offline',
    },
    {
      when: 'the only node does not fetch its command',
      prepare: () => Object.assign(onlyNode() ?? {}, { fault: { kind: 'offline' } }),
      type: NotSignedError,
      message: 'its agent never fetched the command',
    },
    {
      when: 'there is no node',
      prepare: () => setting.ssm.nodes.clear(),
      type: NotSignedError,
      message: 'no node with the tag cluster=demo has an SSM agent',
    },
    {
      when: 'the authority is not on the node',
      prepare: async () => {
        setting.ssm.nodes.clear();
        await setting.addNode('cp-2');
      },
      type: NotSignedError,
      message: "the authority's certificate /etc/kubernetes/pki/etcd/ca.crt is not on this node",
    },
    {
      when: 'the node has another authority',
      prepare: async () => {
        setting.ssm.nodes.clear();
        await setting.addNode('cp-2', { etcd: await makeAuthority() });
      },
      type: NotSignedError,
      message: 'not the authority of the current credentials',
    },
    {
      when: 'the document is not there',
      prepare: () => setting.ssm.documents.delete(DOCUMENT),
      type: SetupError,
      message: DOCUMENT,
    },
    {
      when: 'the document must not be sent',
      prepare: () => setting.ssm.refuseNext('SendCommand', 9, 'AccessDeniedException'),
      type: SetupError,
      message: 'not allowed',
    },
    {
      when: 'the answer is garbage',
      prepare: () => setting.setScript(printing('{"certificate":"hello"')),
      type: NotSignedError,
      message: 'what it printed is not understood',
    },
    {
      when: 'the answer is somebody else’s certificate, by the right authority',
      prepare: async () => {
        const file = plane.credentials?.certFile ?? '';
        const authority = b64(etcdAuthority.certificate);
        const answer = { certificate: b64(await readFile(file, 'utf8')), signedBy: authority, serverCa: authority };
        setting.setScript(printing(JSON.stringify(answer)));
      },
      type: NotSignedError,
      message: 'a certificate for another key than the one that was sent',
    },
    {
      when: 'the node’s clock is a day ahead',
      // openssl itself knows the right time here, so its own look at the result is left out.
      prepare: () =>
        setting.setScript(
          script().map((line) =>
            line.replace('BACKDATED_SECONDS=600', 'BACKDATED_SECONDS=-86400').replace(/ssl verify.*\|\|/, 'true ||'),
          ),
        ),
      type: NotSignedError,
      message: "is that node's clock ahead?",
    },
    {
      when: 'the authority has an RSA key that is too short',
      prepare: async () => {
        setting.ssm.nodes.clear();
        await setting.addNode('cp-2', { etcd: await makeAuthority({ algorithm: rsa(1_024) }) });
      },
      type: NotSignedError,
      message: 'cp-2 (i-00000000000000002): the authority CN=kubernetes has an RSA key with 1024 bits',
    },
    {
      when: 'the authority’s key on the node is of another type than its certificate',
      prepare: async () => {
        setting.ssm.nodes.clear();
        const { key } = await makeAuthority({ algorithm: ED25519 });
        await setting.addNode('cp-2', { etcd: { ...etcdAuthority, key } });
      },
      type: NotSignedError,
      message: 'etcd/ca.key: the key does not belong to the certificate /etc/kubernetes/pki/etcd/ca.crt',
    },
    {
      when: 'the secret must not be written',
      prepare: () => setting.secretsManager.refuseNext('PutSecretValue', 1),
      type: SetupError,
      message: "can't be given new credentials: AccessDeniedException",
    },
  ];

  it.each(cases)('because $when, the old one stays', async ({ prepare, type, message }) => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    const first = 'the-first-version-of-the-secret-1';
    setting.secrets.etcd.put(first, JSON.stringify(await materialOf(plane)), ['AWSCURRENT']);
    const before = setting.credentials('etcd');
    await prepare();

    const [rotation] = await Promise.allSettled([setting.rotate('etcd')]);

    expect(rotation).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining(message) } });
    expect(rotation.status === 'rejected' && rotation.reason).toBeInstanceOf(type);
    expect(setting.credentials('etcd')).toEqual(before);
    expect(setting.secrets.etcd.versions[0]).toMatchObject({ id: first, labels: ['AWSCURRENT'] });
    assertNothingSecretSeen();
  });

  it('because etcd does not take the new one, that is thrown away, and the next rotation begins anew', async () => {
    const stranger = await makeAuthority();
    await setting.addNode('cp-1', { etcd: stranger });

    await expect(setting.rotate('etcd')).rejects.toThrow(CredentialsRefusedError);
    await expect(setting.rotate('etcd')).rejects.toThrow(CredentialsRefusedError);

    expect(setting.issued('etcd')).toHaveLength(2);
    expect(setting.secrets.etcd.versions).toMatchObject([NONE_YET]);
    assertNothingSecretSeen(stranger.key);
  });

  it('because etcd itself refuses what a person ordered, nothing of that is left in the next rotation’s way', async () => {
    await setting.addNode('cp-1', { etcd: await makeAuthority() });
    // The servers' authority is right, and only the clients' is another.
    setting.setScript(
      script().map((line) => line.replace('"$(one_line servers.pem)"', `'${b64(etcdAuthority.certificate)}'`)),
    );

    await expect(setting.call({ issue: 'etcd' })).rejects.toThrow(CredentialsRefusedError);

    expect(setting.issued('etcd')).toHaveLength(1);
    expect(setting.secrets.etcd.versions).toMatchObject([NONE_YET]);
  });

  it('because etcd is away, the new one waits, and is not made again once etcd is back', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    const ClientRequestToken = crypto.randomUUID();
    const step = (Step: string) => setting.call({ Step, SecretId: SECRET_ARNS.etcd, ClientRequestToken });
    setting.secrets.etcd.announce(ClientRequestToken);
    await step('createSecret');
    const cluster = process.env.ETCD_MEDIC_CLUSTER ?? '';
    process.env.ETCD_MEDIC_CLUSTER = cluster.replace(plane.members[0]?.endpoint ?? '', 'https://127.0.0.1:1');

    await expect(step('testSecret')).rejects.toThrow(CredentialsUntestedError);
    process.env.ETCD_MEDIC_CLUSTER = cluster;
    for (const each of STEPS) await step(each);

    expect(setting.issued('etcd')).toHaveLength(1);
    await works(setting.credentials('etcd'));
  });

  it('because a rotation was overtaken by a person’s order, its further steps change nothing', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    const ClientRequestToken = crypto.randomUUID();
    const step = (Step: string) => setting.call({ Step, SecretId: SECRET_ARNS.etcd, ClientRequestToken });
    setting.secrets.etcd.announce(ClientRequestToken);
    await step('createSecret');
    await setting.call({ issue: 'etcd' });
    const current = setting.credentials('etcd');

    await expect(step('testSecret')).rejects.toThrow(RotationError);
    await expect(step('finishSecret')).rejects.toThrow(RotationError);

    expect(setting.credentials('etcd')).toEqual(current);
  });

  it.each([
    ['a person’s order', () => setting.call({ issue: 'etcd' })],
    ['a rotation', () => setting.rotate('etcd')],
  ])('but %s whose last answer is lost has not failed: the new ones are current', async (_what, renew) => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    await setting.call({ issue: 'etcd' });
    const before = setting.credentials('etcd');
    // As often as the SDK asks.
    setting.secretsManager.loseNextAnswers('UpdateSecretVersionStage', 4);

    await renew();

    expect(setting.credentials('etcd')).not.toEqual(before);
    await works(setting.credentials('etcd'));
  });

  it('because pending credentials are too old, they are thrown away', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    const ClientRequestToken = crypto.randomUUID();
    const old = await makeAuthority();
    const cert = await old.sign({ publicKey: (await makeKeys()).publicKey, toDays: 10 });
    const value = JSON.stringify({ ca: old.certificate, cert, key: old.key });
    setting.secrets.etcd.put('v'.repeat(36), JSON.stringify(await materialOf(plane)), ['AWSCURRENT']);
    setting.secrets.etcd.put(ClientRequestToken, value, ['AWSPENDING']);

    const call = setting.call({ Step: 'createSecret', SecretId: SECRET_ARNS.etcd, ClientRequestToken });

    await expect(call).rejects.toThrow('too old, and have been thrown away');
    await setting.rotate('etcd');
    await works(setting.credentials('etcd'));
  });
});

/** How every P-256 key in PKCS #8 begins, in base64: also of those keys that this test never gets to see. */
const KEY_BEGINS = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg';

function assertNothingSecretSeen(...others: readonly string[]): void {
  const seen = setting.seen();
  expect(seen).toContain('credentials');
  const issued = setting.issued('etcd').map(({ key }) => key);
  for (const key of [etcdAuthority.key, ...others, ...issued]) {
    const lines = secretLines(key);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(seen).not.toContain(line);
  }
  expect(seen).not.toContain(KEY_BEGINS);
  expect(seen).not.toMatch(/BEGIN[A-Z ]* PRIVATE KEY/);
  expect(seen).not.toContain(Buffer.from('-----BEGIN PRIVATE KEY').toString('base64').slice(0, 24));
}

describe('R15: the keys', () => {
  it('are in no log, error, event, command or parameter where all goes well', async () => {
    await setting.addNode('cp-1', { etcd: etcdAuthority });
    await setting.call({ issue: 'etcd' });
    await setting.rotate('etcd');

    assertNothingSecretSeen();

    // The test can fail: the key begins as it should, and what is seen is seen.
    expect(setting.credentials('etcd')?.key).toContain(KEY_BEGINS);
    expect(setting.seen()).toContain(
      Buffer.from('-----BEGIN CERTIFICATE REQUEST-----').toString('base64').slice(0, 24),
    );
    expect(setting.seen()).toContain('the new credentials are current');
  });

  it.each([['Step'], ['issue']])('are not quoted where they come in by mistake, in %s', async (field) => {
    const [error] = await Promise.allSettled([setting.call({ [field]: etcdAuthority.key })]);

    expect(error?.status).toBe('rejected');
    for (const line of secretLines(etcdAuthority.key)) expect(setting.seen()).not.toContain(line);
  });
});
