// R15: what is deployed holds no secret: no file of the cloud assembly, no resource, no output, no variable of a
// function. A secret gets its value from the credentials function, or from the person whose secret it is; the stack
// knows its ARN.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { type CredentialFiles, createAuthority } from '../../lab/control-plane/certificates.ts';
import { readMaterial, rejection } from '../etcd/material.ts';
import { fullCluster, sampleCluster, synth } from '../lib/synth.ts';
import { Secrets } from './material.ts';

const TOKEN = `eyJhbGciOiJSUzI1NiJ9.${randomBytes(60).toString('base64url')}`;
const SECRET_ARN = /^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/-]+$/;

const issued = { credentials: { issued: true } };
const CLUSTERS: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ['whose secrets are its owner’s', fullCluster],
  [
    'whose certificates are issued',
    {
      ...fullCluster,
      etcd: { endpoints: fullCluster.etcd.endpoints, ...issued },
      kubernetes: { server: 'https://10.0.0.10:6443', ...issued },
    },
  ],
];

let folder: string;
let files: CredentialFiles;
let material: TlsMaterial;
const secrets = new Secrets();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'etcd-medic-template-'));
  files = await (await createAuthority(folder)).issue({ name: 'client' });
  material = await readMaterial(files);
  secrets.addKeys(material.key);
  secrets.addToken(TOKEN);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const templateSchema = z.looseObject({
  Resources: z.record(z.string(), z.looseObject({ Type: z.string(), Properties: z.optional(z.looseObject({})) })),
  Outputs: z.record(z.string(), z.looseObject({ Value: z.unknown() })),
});

/** The template, and all files of the cloud assembly by their names. */
function assemble(cluster: unknown) {
  // Not the one that is kept in memory: its folder is gone.
  using synthesis = synth([cluster], () => {});
  const template = templateSchema.parse(synthesis.template().toJSON());
  const names = readdirSync(synthesis.folder, { recursive: true, withFileTypes: true });
  const texts = names
    .filter((entry) => entry.isFile())
    .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), 'utf8')] as const);
  return { template, files: new Map(texts) };
}

describe.each(CLUSTERS)('the stack of a cluster %s', (_, cluster) => {
  let assembly: ReturnType<typeof assemble>;
  beforeAll(() => {
    assembly = assemble(cluster);
  });

  it('has no key in any file of its assembly, and none that CloudFormation would put in', () => {
    const { files: all } = assembly;

    expect([...all.keys()]).toEqual(expect.arrayContaining(['manifest.json', 'etcd-medic-demo.template.json']));
    for (const [name, text] of all) {
      expect(text, name).not.toMatch(/PRIVATE KEY-----/);
      // A reference that is resolved at deployment leaves the secret in the resource.
      expect(text, name).not.toMatch(/\{\{resolve:/);
    }
  });

  it('gives no secret its value', () => {
    const { Resources } = assembly.template;

    const made = Object.values(Resources).filter(({ Type }) => Type === 'AWS::SecretsManager::Secret');

    const fields = made.flatMap(({ Properties = {} }) => Object.keys(Properties));
    expect(fields.filter((field) => /SecretString/.test(field))).toEqual([]);
    expect(JSON.stringify(Resources)).not.toContain('GenerateSecretString');
  });

  it('has outputs that are names and ARNs, of secrets the ARN alone', () => {
    const { Outputs, Resources } = assembly.template;

    for (const [name, { Value }] of Object.entries(Outputs)) {
      if (typeof Value === 'string') {
        expect(Value, name).toMatch(/^[a-z0-9/-]{1,64}$|^arn:aws:/);
        continue;
      }
      const [kind = '', of] = Object.entries(z.record(z.string(), z.unknown()).parse(Value))[0] ?? [];
      // Of a secret, a Ref is its ARN; no attribute of one is asked for.
      expect([name, kind]).toEqual([name, expect.stringMatching(/^(Ref|Fn::GetAtt)$/)]);
      const [id, attribute] = [of].flat();
      expect(Resources[String(id)]?.Type, name).toBeDefined();
      expect([undefined, 'Arn'], name).toContain(attribute);
    }
  });

  it('tells its functions where their secrets are, and nothing of what is in them', () => {
    const { Resources } = assembly.template;
    const functions = Object.values(Resources).filter(({ Type }) => Type === 'AWS::Lambda::Function');

    const variables = functions.flatMap(({ Properties }) =>
      Object.entries(environmentSchema.parse(Properties).Environment?.Variables ?? {}),
    );

    expect(variables.length).toBeGreaterThan(20);
    const suspicious = variables.filter(([name]) =>
      /^(?!AWS_ENDPOINT_URL_).*(KEY|TOKEN|PASSWORD|CERT|SECRET)/i.test(name),
    );
    expect(suspicious).toEqual([]);
    const credentials = variables.flatMap(([name, value]) =>
      name === 'ETCD_MEDIC_CLUSTER' ? credentialsIn(value) : [],
    );
    expect(credentials.length).toBeGreaterThan(4);
    for (const each of credentials) {
      expect(each).toEqual({ secretArn: expect.stringMatching(SECRET_ARN) });
    }
  });
});

const environmentSchema = z.looseObject({
  Environment: z.optional(z.looseObject({ Variables: z.record(z.string(), z.unknown()) })),
});
const clusterSchema = z.looseObject({
  etcd: z.looseObject({ credentials: z.optional(z.unknown()) }),
  kubernetes: z.optional(z.looseObject({ credentials: z.optional(z.unknown()) })),
});

/** Of a cluster's configuration in a variable; what CloudFormation puts in is a secret's ARN here. */
function credentialsIn(value: unknown): unknown[] {
  const parts: readonly unknown[] =
    typeof value === 'string'
      ? [value]
      : z.object({ 'Fn::Join': z.tuple([z.literal(''), z.array(z.unknown())]) }).parse(value)['Fn::Join'][1];
  const text = parts
    .map((part) =>
      typeof part === 'string' ? part : 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:made-by-the-stack',
    )
    .join('');
  const { etcd, kubernetes } = clusterSchema.parse(JSON.parse(text));
  return [etcd.credentials, kubernetes?.credentials].filter((each) => each !== undefined);
}

describe('a configuration with a key or a token in it', () => {
  const kubernetes = (credentials: unknown) => ({ kubernetes: { server: 'https://10.0.0.10:6443', credentials } });
  const etcd = (credentials: unknown) => ({ etcd: { ...sampleCluster.etcd, credentials } });

  it.each<[string, () => object]>([
    ['in place of the secret’s ARN', () => etcd({ secretArn: material.key })],
    ['in fields of their own', () => etcd({ ...material })],
    ['as the credentials', () => etcd(material.key)],
    ['by their files', () => etcd({ ...files })],
    ['as a token', () => kubernetes({ ca: material.ca, token: TOKEN })],
    ['as a token by its file', () => kubernetes({ caFile: files.caFile, tokenFile: files.keyFile })],
    ['as a token in place of the ARN', () => kubernetes({ secretArn: TOKEN })],
    ['in the API server’s URL', () => ({ kubernetes: { server: `https://me:${TOKEN}@10.0.0.10:6443`, ...issued } })],
    ['in an endpoint', () => ({ etcd: { ...sampleCluster.etcd, endpoints: [`https://me:${TOKEN}@10.0.0.11:2379`] } })],
    ['in place of the name', () => ({ name: material.key })],
    ['in a field that is not known', () => ({ key: material.key })],
  ])('%s is not deployed, and the error has nothing of it', async (_, changes) => {
    const cluster = { ...sampleCluster, ...changes() };

    const { message, stack } = await rejection(Promise.resolve().then(() => synth([cluster], () => {})));

    expect(message).toMatch(/found .*expected /s);
    expect(secrets.foundIn(`${message} ${stack}`)).toBeUndefined();
  });
});
