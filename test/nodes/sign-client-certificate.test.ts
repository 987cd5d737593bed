import { execFile } from 'node:child_process';
import { webcrypto, X509Certificate } from 'node:crypto';
import { access, mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { type SignedOutput, signedOutput } from '../../functions/credentials/signed.ts';
import { projectRoot } from '../../lib/bundling.ts';
import { signClientCertificateDocument } from '../../lib/documents/sign-client-certificate.ts';
import {
  ED25519,
  makeAuthority,
  makeRequest,
  P256,
  P384,
  P521,
  rsa,
  secretLines,
  type TestAuthority,
} from '../credentials/authorities.ts';
import { findShellcheck } from '../lib/documents-shellcheck.ts';
import { type FolderNode, folderNode, runDocument } from './scripts.ts';

const CA = '/etc/kubernetes/pki/ca.crt';
const KEY = '/etc/kubernetes/pki/ca.key';
const DAY_MS = 86_400_000;
const document = signClientCertificateDocument();
const scriptFile = join(projectRoot, 'lib/documents/sign-client-certificate.sh');

/** Notes the folders that the script makes, and makes them. */
const NOTING_MKTEMP = 'exec /usr/bin/mktemp "$@" | tee -a "$HERE/folders"';

let authority: TestAuthority;
let request: Awaited<ReturnType<typeof makeRequest>>;

beforeAll(async () => {
  [authority, request] = await Promise.all([makeAuthority(), makeRequest()]);
});

/** A node with the authority's files, or what is given instead; undefined: that file isn't there. */
async function nodeWith(files: { readonly [path: string]: string | undefined } = {}): Promise<FolderNode> {
  const node = await folderNode();
  await node.program('mktemp', NOTING_MKTEMP);
  const all = { [CA]: authority.certificate, [KEY]: authority.key, ...files };
  for (const [path, text] of Object.entries(all)) if (text !== undefined) await node.file(path, text);
  return node;
}

const oneLine = (pem: string) => Buffer.from(pem).toString('base64');

function sign(node: FolderNode, changes: Readonly<Record<string, string>> = {}) {
  return runDocument(node, document, {
    Request: oneLine(request.request),
    CaCertificatePath: CA,
    CaKeyPath: KEY,
    ServerCaPath: CA,
    CommonName: 'etcd-medic',
    Organization: 'etcd-medic:pruner',
    ValidityDays: '90',
    ...changes,
  });
}

async function signed(node: FolderNode, changes?: Readonly<Record<string, string>>) {
  const { exitCode, stdout, stderr } = await sign(node, changes);
  expect({ exitCode, stderr, stdout }).toMatchObject({ exitCode: 0, stderr: '' });
  expect(stdout).toMatch(/^[^\n]+\n$/);
  const output = signedOutput.parse(JSON.parse(stdout));
  return { output, certificate: new X509Certificate(pem(output.certificate)) };
}

const pem = (text: SignedOutput[keyof SignedOutput]) => Buffer.from(text, 'base64').toString();

const spki = async (key: webcrypto.CryptoKey) => Buffer.from(await webcrypto.subtle.exportKey('spki', key));

/** What openssl says of it: Node doesn't tell apart all that X.509 has. */
async function described(node: FolderNode, certificate: X509Certificate): Promise<string> {
  await node.file('/signed.pem', certificate.toString());
  const args = ['x509', '-in', join(node.root, 'signed.pem'), '-noout', '-text'];
  return (await promisify(execFile)('openssl', args)).stdout;
}

/** The script's own folders; none may be left. */
async function leftFolders(node: FolderNode): Promise<readonly string[]> {
  const text = await readFile(join(node.workingDirectory, 'folders'), 'utf8').catch(() => '');
  const folders = text.split('\n').filter(Boolean);
  const left = await Promise.all(
    folders.map((folder) =>
      access(folder).then(
        () => [folder],
        () => [],
      ),
    ),
  );
  return left.flat();
}

describe.concurrent('sign-client-certificate.sh', () => {
  it('signs the request’s key for etcd-medic and for client authentication, whatever else the request asks for', async ({
    expect,
  }) => {
    await using node = await nodeWith();

    const { certificate, output } = await signed(node);

    const text = await described(node, certificate);
    expect(certificate.subject).toBe('O=etcd-medic:pruner\nCN=etcd-medic');
    expect(certificate.publicKey.export({ type: 'spki', format: 'der' })).toEqual(await spki(request.publicKey));
    expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\s*\n/);
    expect(text).toMatch(/Extended Key Usage: *\s+TLS Web Client Authentication\s*\n/);
    expect(text).toContain('Authority Key Identifier');
    expect(text).not.toMatch(/Alternative Name|kubernetes\.default|system:masters|Server Authentication/);
    expect(pem(output.signedBy)).toBe(authority.certificate);
    expect(pem(output.serverCa)).toBe(authority.certificate);
    expect(await leftFolders(node)).toEqual([]);
    expect((await node.calls()).filter((call) => call.startsWith('mktemp'))).toHaveLength(1);
  });

  it('gives it a random serial number, a start slightly in the past, and the days that were asked for', async ({
    expect,
  }) => {
    await using node = await nodeWith();

    const [one, other] = [await signed(node), await signed(node, { ValidityDays: '7' })];

    expect(one.certificate.serialNumber).toMatch(/^[0-9A-F]{32,40}$/);
    expect(one.certificate.serialNumber).not.toBe(other.certificate.serialNumber);
    const days = ({ certificate }: typeof one) =>
      Math.round((certificate.validToDate.getTime() - certificate.validFromDate.getTime()) / DAY_MS);
    expect([days(one), days(other)]).toEqual([90, 7]);
    const agoMs = Date.now() - one.certificate.validFromDate.getTime();
    expect(agoMs).toBeGreaterThanOrEqual(590_000);
  });

  it('never lets it outlive the authority', async ({ expect }) => {
    const ending = await makeAuthority({ toDays: 20 });
    await using node = await nodeWith({ [CA]: ending.certificate, [KEY]: ending.key });

    const { certificate } = await signed(node);

    expect(certificate.validTo).toBe(new X509Certificate(ending.certificate).validTo);
  });

  it.for([
    ['EC P-384', P384, 'pkcs8'],
    ['RSA', rsa(2048), 'pkcs8'],
    ['RSA, whose key is in the old form', rsa(2048), 'pkcs1'],
    ['EC P-256, whose key is in the old form', P256, 'sec1'],
  ] as const)('signs as an authority with %s', async ([, algorithm, type], { expect }) => {
    const other = await makeAuthority({ algorithm });
    const key = other.keyObject.export({ type, format: 'pem' } as { type: 'pkcs8'; format: 'pem' }).toString();
    await using node = await nodeWith({ [CA]: other.certificate, [KEY]: key });

    const { certificate } = await signed(node);

    expect(certificate.verify(new X509Certificate(other.certificate).publicKey)).toBe(true);
  });

  it('signs as an authority whose certificate has no identifier', async ({ expect }) => {
    const plain = await makeAuthority({ identified: false });
    await using node = await nodeWith({ [CA]: plain.certificate, [KEY]: plain.key });

    const { certificate } = await signed(node);

    expect(certificate.verify(new X509Certificate(plain.certificate).publicKey)).toBe(true);
  });

  it.for([
    ['EC P-384', P384],
    ['RSA 2048', rsa(2048)],
  ] as const)('signs for a key of type %s', async ([, algorithm], { expect }) => {
    await using node = await nodeWith();

    const { certificate } = await signed(node, { Request: oneLine((await makeRequest(algorithm)).request) });

    expect(certificate.subject).toContain('CN=etcd-medic');
  });

  it('hands out the servers’ authorities of another file, and nothing else that stands in it', async ({ expect }) => {
    const [one, other] = await Promise.all([makeAuthority({ name: 'one' }), makeAuthority({ name: 'other' })]);
    const file = `some words\n${one.certificate}${one.key}\n${other.certificate.replaceAll('\n', '\r\n')}`;
    await using node = await nodeWith({ '/var/lib/rancher/server-ca.crt': file });

    const { output } = await signed(node, { ServerCaPath: '/var/lib/rancher/server-ca.crt' });

    expect(pem(output.serverCa)).toBe(`${one.certificate}${other.certificate}`);
    expect(pem(output.signedBy)).toBe(authority.certificate);
  });
});

describe.concurrent('sign-client-certificate.sh fails with one line of JSON, and lets no word of a key out', () => {
  const encrypted = () =>
    authority.keyObject
      .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' })
      .toString();
  const expired = makeAuthority({ fromDays: -20, toDays: -10 });
  const notYet = makeAuthority({ fromDays: 10 });
  const noAuthority = makeAuthority({ isAuthority: false });
  const stranger = makeAuthority({ name: 'stranger' });
  const tampered = async () => {
    const der = Buffer.from(request.request.replace(/-----.*?-----|\s/g, ''), 'base64');
    const last = der.length - 3;
    der.writeUInt8(der.readUInt8(last) ^ 1, last);
    return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  };
  const requestOf = async (algorithm: Parameters<typeof makeRequest>[0]) => ({
    changes: { Request: oneLine((await makeRequest(algorithm)).request) },
  });

  interface Case {
    readonly files?: { readonly [path: string]: string | undefined };
    readonly changes?: Readonly<Record<string, string>>;
  }
  it.for<[string, () => Promise<Case>, string | RegExp]>([
    ['the certificate is not there', async () => ({ files: { [CA]: undefined } }), `${CA} is not on this node`],
    ['the key is not there', async () => ({ files: { [KEY]: undefined } }), `${KEY} is not on this node`],
    ['the key is no file', async () => ({ files: { [KEY]: undefined, [`${KEY}/x`]: '' } }), `${KEY} cannot be read`],
    [
      'the key is encrypted',
      async () => ({ files: { [KEY]: encrypted() } }),
      `${KEY}: the authority's key is encrypted`,
    ],
    [
      'the key is another’s',
      async () => ({ files: { [KEY]: (await stranger).key } }),
      'does not belong to the certificate',
    ],
    ['the key is none', async () => ({ files: { [KEY]: 'no key' } }), `${KEY}: there is no private key in it`],
    ['the certificate is none', async () => ({ files: { [CA]: 'no certificate' } }), 'there is no certificate in it'],
    [
      'the authority has expired',
      async () => ({ files: { [CA]: (await expired).certificate, [KEY]: (await expired).key } }),
      /the authority expired on \d{4}-.*: renew it first/,
    ],
    [
      'the authority is not valid yet, as where the node’s clock is behind',
      async () => ({ files: { [CA]: (await notYet).certificate, [KEY]: (await notYet).key } }),
      "is this node's clock right?",
    ],
    [
      'the certificate is no authority’s',
      async () => ({ files: { [CA]: (await noAuthority).certificate, [KEY]: (await noAuthority).key } }),
      "found a certificate that is no authority's",
    ],
    [
      'the servers’ authority is not there',
      async () => ({ changes: { ServerCaPath: '/etc/other.crt' } }),
      '/etc/other.crt is not on this node',
    ],
    [
      'the servers’ authority is a key',
      async () => ({ files: { '/etc/other.crt': authority.key }, changes: { ServerCaPath: '/etc/other.crt' } }),
      '/etc/other.crt: there is no certificate in it',
    ],
    [
      'the request is garbage',
      async () => ({ changes: { Request: oneLine('hello '.repeat(30)) } }),
      'it decodes to no certificate request',
    ],
    [
      'the request is a key',
      async () => ({ changes: { Request: oneLine((await stranger).key) } }),
      'it decodes to no certificate request',
    ],
    [
      'the request is cut off',
      async () => ({ changes: { Request: oneLine(request.request).slice(0, 301) } }),
      'Request: ',
    ],
    ['the request is too long', async () => ({ changes: { Request: 'A'.repeat(6_001) } }), 'found 6001 characters'],
    [
      'the request’s signature is wrong',
      async () => ({ changes: { Request: oneLine(await tampered()) } }),
      'its signature is not by the key that it is for',
    ],
    ['the key is RSA 1024', () => requestOf(rsa(1024)), 'found an RSA key with 1024 bits'],
    ['the key is on another curve', () => requestOf(P521), 'found a key on the curve secp521r1'],
    ['the key is of another type', () => requestOf(ED25519), 'found a key of another type'],
    ['it is to be valid for too long', async () => ({ changes: { ValidityDays: '367' } }), 'ValidityDays: found 367'],
  ])('when %s', async ([_when, prepare, message], { expect }) => {
    const { files, changes } = await prepare();
    await using node = await nodeWith(files);

    const { exitCode, stdout, stderr } = await sign(node, changes);

    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: '' });
    expect(stdout).toMatch(/^[^\n]+\n$/);
    const { error, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({});
    expect(error).toMatch(message);
    for (const key of [authority.key, (await stranger).key, encrypted()]) {
      for (const line of secretLines(key)) expect(stdout).not.toContain(line);
    }
    expect(await leftFolders(node)).toEqual([]);
  });

  it('when openssl is not there', async ({ expect }) => {
    await using node = await nodeWith();
    const few = join(node.workingDirectory, 'few');
    await mkdir(few);
    for (const name of ['bash', 'mktemp', 'rm', 'base64', 'timeout', 'date', 'stat', 'grep', 'cat']) {
      await symlink(`/usr/bin/${name}`, join(few, name));
    }

    const { exitCode, stdout } = await sign({ ...node, path: few });

    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout).error).toContain('openssl is not on this node');
  });

  it('when openssl cannot sign', async ({ expect }) => {
    await using node = await nodeWith();
    await node.program(
      'openssl',
      'case "$1" in ca) echo "unable to sign" >&2; exit 1 ;; esac\nexec /usr/bin/openssl "$@"',
    );

    const { exitCode, stdout } = await sign(node);

    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout).error).toBe('openssl could not sign: unable to sign');
    expect(await leftFolders(node)).toEqual([]);
  });

  it('when what was signed does not hold', async ({ expect }) => {
    await using node = await nodeWith();
    await node.program(
      'openssl',
      'case "$1" in verify) echo "certificate is not yet valid" >&2; exit 2 ;; esac\nexec /usr/bin/openssl "$@"',
    );

    const { stdout } = await sign(node);

    expect(JSON.parse(stdout)).toEqual({ error: 'what openssl signed does not hold: certificate is not yet valid' });
  });

  it('when the agent is too old to hand over parameters', async ({ expect }) => {
    await using node = await nodeWith();

    const { exitCode, stdout } = await runDocument(node, { ...document, parameters: {} });

    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout).error).toContain('SSM Agent 3.3.2746.0');
  });
});

describe.concurrent('past every check of Systems Manager', () => {
  const attacks = ['$(touch canary)', '`touch canary`', '\ntouch canary\n', '-x', '../x', 'a b', '', '/CN=x', 'größe'];

  it.for(Object.keys(document.parameters))('nothing odd in %s gets further', async (parameter, { expect }) => {
    await using node = await nodeWith();
    for (const attack of attacks) {
      const { exitCode, stdout } = await sign(node, { [parameter]: attack });

      expect(exitCode).toBe(1);
      expect(JSON.parse(stdout)).toEqual({ error: expect.stringContaining(`${parameter}: found "`) });
    }
    await expect(access(join(node.workingDirectory, 'canary'))).rejects.toThrow('ENOENT');
    // It was refused before anything was looked at.
    expect(await node.calls()).toEqual([]);
  });
});

describe('the document SignClientCertificate', () => {
  const pattern = (name: string) => new RegExp(document.parameters[name]?.allowedPattern ?? '^$');

  it.each([
    'system:masters',
    'system:nodes',
    'kubeadm:cluster-admins',
    'etcd-medic',
    'etcd-medic:x/CN=admin',
    'x:etcd-medic:y',
  ])('cannot be made to sign for the group %s', (group) => expect(group).not.toMatch(pattern('Organization')));

  it.each([
    'kubernetes-admin',
    'system:node:cp-1',
    'kube-apiserver-etcd-client',
    'root',
    'etcd-medic/O=system:masters',
    'etcd-medicx',
  ])('cannot be made to sign for the user %s', (user) => expect(user).not.toMatch(pattern('CommonName')));

  it('has the script’s file as it is, and the same patterns as its script', async () => {
    const script = document.mainSteps[0].inputs.runCommand.join('\n');

    expect(`${script}\n`).toBe(await readFile(scriptFile, 'utf8'));
    for (const [name, { allowedPattern, interpolationType }] of Object.entries(document.parameters)) {
      expect(interpolationType).toBe('ENV_VAR');
      expect(allowedPattern).toMatch(/^\^[^|]+\$$/);
      expect(script).toContain(`read_parameter ${name} '${allowedPattern}'`);
    }
  });

  it('has nothing that Systems Manager or its agent would stumble over', () => {
    expect(document.mainSteps[0].inputs.runCommand.join('\n')).not.toContain('{{');
    expect(Buffer.byteLength(JSON.stringify(document))).toBeLessThan(64 * 1024);
    // The agent's regular expressions repeat nothing more than 1,000 times.
    for (const { allowedPattern } of Object.values(document.parameters)) {
      const repeats = [...allowedPattern.matchAll(/\{\d*,?(\d+)\}/g)].map(([, most]) => Number(most));
      expect(Math.max(0, ...repeats)).toBeLessThanOrEqual(1_000);
    }
  });

  it('writes JSON texts in the same way as the others', async () => {
    const jsonString = (text: string) => /^json_string\(\) \{.*?^\}$/ms.exec(text)?.[0];

    const other = await readFile(join(projectRoot, 'lib/documents/restart-kubelet.sh'), 'utf8');

    expect(jsonString(await readFile(scriptFile, 'utf8'))).toBe(jsonString(other));
    expect(jsonString(other)).toContain('printf');
  });

  it('has a page that names its input and its output', async () => {
    const page = await readFile(join(projectRoot, 'docs/documents/sign-client-certificate.md'), 'utf8');

    for (const name of [...Object.keys(document.parameters), ...Object.keys(signedOutput.def.shape)]) {
      expect(page).toContain(`\`${name}\``);
    }
    expect(page).toContain('```json');
  });

  it('has a script that shellcheck finds nothing in', async () => {
    const strict = '--enable=quote-safe-variables,check-unassigned-uppercase,avoid-nullary-conditions';

    const findings = await promisify(execFile)(await findShellcheck(), ['--norc', strict, scriptFile]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );

    expect(findings).toBe('');
  });
});
