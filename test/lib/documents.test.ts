import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { type DocumentKind, documentName } from '../../functions/contract/documents.ts';
import { projectRoot } from '../../lib/bundling.ts';
import { documentContent } from '../../lib/documents/document-content.ts';
import { nodeCommandStatements, SsmDocument } from '../../lib/documents/ssm-document.ts';
import { findShellcheck } from './documents-shellcheck.ts';
import { appOfTest } from './small-stack.ts';

const documents = [
  { kind: 'RestartKubelet', file: 'restart-kubelet.sh' },
  { kind: 'InspectNode', file: 'inspect-node.sh' },
] as const;

const scriptPath = (file: string) => path.join(projectRoot, 'lib/documents', file);
const scriptOf = (kind: DocumentKind) => documentContent(kind).mainSteps[0].inputs.runCommand.join('\n');

describe.each(documents)('the document $kind', ({ kind, file }) => {
  it('has the script’s file as it is', async () => {
    expect(`${scriptOf(kind)}\n`).toBe(await readFile(scriptPath(file), 'utf8'));
  });

  it('has nothing in its script that Systems Manager would put a value into', () => {
    expect(scriptOf(kind)).not.toContain('{{');
  });

  it('hands every parameter over as an environment variable, and only what its pattern allows', () => {
    for (const [name, parameter] of Object.entries(documentContent(kind).parameters)) {
      expect(parameter.interpolationType).toBe('ENV_VAR');
      expect(parameter.allowedPattern).toMatch(/^\^.*\$$/);
      expect(parameter.default).toMatch(new RegExp(parameter.allowedPattern));
      expect(scriptOf(kind)).toContain(name);
    }
  });

  it('has the same patterns as its script', () => {
    for (const { allowedPattern } of Object.values(documentContent(kind).parameters)) {
      expect(scriptOf(kind)).toContain(allowedPattern);
    }
  });

  it('gives its script an end', () => {
    expect(Number(documentContent(kind).mainSteps[0].inputs.timeoutSeconds)).toBeGreaterThan(0);
  });

  it('is smaller than the service allows', () => {
    expect(Buffer.byteLength(JSON.stringify(documentContent(kind)))).toBeLessThan(64 * 1024);
  });

  it('has a page that names its input and its output', async () => {
    const page = await readFile(path.join(projectRoot, 'docs/documents', file.replace('.sh', '.md')), 'utf8');

    for (const name of Object.keys(documentContent(kind).parameters)) expect(page).toContain(`\`${name}\``);
    expect(page).toContain('```json');
  });

  it('has a script that shellcheck finds nothing in', async () => {
    const shellcheck = await findShellcheck();

    const strict = '--enable=quote-safe-variables,check-unassigned-uppercase,avoid-nullary-conditions';
    const findings = await promisify(execFile)(shellcheck, ['--norc', strict, scriptPath(file)]).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );

    expect(findings).toBe('');
  });
});

describe('the patterns of the documents', () => {
  const { KubeletUnit, DataDir, ManifestPath } = documentContent('InspectNode').parameters;

  it.each(['kubelet', 'kubelet.service', 'rke2-server', 'k3s@server.service', 'snap.kubelet.daemon'])(
    'allow the unit %s',
    (unit) => expect(unit).toMatch(new RegExp(KubeletUnit?.allowedPattern ?? '')),
  );

  it.each(['', '-kubelet', '--all', 'a b', 'a*', 'a\n', 'a\nb', '../a', 'a'.repeat(129), 'kubelet;', 'größe'])(
    'do not allow the unit %j',
    (unit) => expect(unit).not.toMatch(new RegExp(KubeletUnit?.allowedPattern ?? '')),
  );

  it.each(['/var/lib/etcd', '/data', '/var/lib/rancher/rke2/server/db/etcd', '/mnt/vol-1_a.b@c+d', '/a'.repeat(16)])(
    'allow the path %s',
    (file) => {
      expect(file).toMatch(new RegExp(DataDir?.allowedPattern ?? ''));
      expect(file).toMatch(new RegExp(ManifestPath?.allowedPattern ?? ''));
    },
  );

  it.each([
    '',
    '/',
    'var/lib',
    '/var/../etc',
    '/a//b',
    '/a/',
    '/a b',
    '/a\n',
    '/-a',
    '/.a',
    '/a*',
    '/$HOME',
    '/a'.repeat(17),
  ])('do not allow the path %j', (file) => {
    expect(file).not.toMatch(new RegExp(DataDir?.allowedPattern ?? ''));
    expect(file).not.toMatch(new RegExp(ManifestPath?.allowedPattern ?? ''));
  });
});

describe('the scripts of both documents', () => {
  it('write JSON texts in the same way', () => {
    const [restart, inspect] = documents.map(({ kind }) => /^json_string\(\) \{.*?^\}$/ms.exec(scriptOf(kind))?.[0]);

    expect(restart).toContain('printf');
    expect(inspect).toBe(restart);
  });
});

describe('SsmDocument', () => {
  function synthesise() {
    const stack = new Stack(appOfTest(), 'Test', { env: { account: '111122223333', region: 'eu-central-1' } });
    const made = documents.map(({ kind }) => new SsmDocument(stack, kind, { clusterName: 'demo', kind }));
    return { stack, made, template: Template.fromStack(stack) };
  }

  it.each(documents)('is deployed as $kind of the cluster, a new version for each change', ({ kind }) => {
    const { template } = synthesise();

    template.hasResourceProperties('AWS::SSM::Document', {
      Name: `etcd-medic-demo-${kind}`,
      DocumentType: 'Command',
      DocumentFormat: 'JSON',
      UpdateMethod: 'NewVersion',
      TargetType: '/AWS::EC2::Instance',
      Content: JSON.parse(JSON.stringify(documentContent(kind))),
    });
    expect(documentName('demo', kind)).toMatch(/^[a-zA-Z0-9_.-]{3,128}$/);
  });

  it('lets a role send these documents alone, to instances with the tag alone', () => {
    const { stack, made } = synthesise();

    const statements = nodeCommandStatements(stack, { documents: made, tag: { key: 'cluster', value: 'demo' } });

    const sending = statements
      .map((each) => each.toStatementJson())
      .filter((each) => each.Action === 'ssm:SendCommand');
    expect(stack.resolve(sending)).toEqual([
      {
        Effect: 'Allow',
        Action: 'ssm:SendCommand',
        Resource: documents.map(({ kind }) => arn(`ssm:eu-central-1:111122223333:document/etcd-medic-demo-${kind}`)),
      },
      {
        Effect: 'Allow',
        Action: 'ssm:SendCommand',
        Resource: arn('ec2:eu-central-1:111122223333:instance/*'),
        Condition: { StringEquals: { 'ssm:resourceTag/cluster': 'demo' } },
      },
    ]);
  });

  it('lets a role read nodes and commands, and nothing else', () => {
    const { stack, made } = synthesise();

    const actions = nodeCommandStatements(stack, { documents: made, tag: { key: 'cluster', value: 'demo' } }).flatMap(
      (statement) => statement.actions,
    );

    expect([...new Set(actions)].sort()).toEqual([
      'ssm:DescribeInstanceInformation',
      'ssm:GetCommandInvocation',
      'ssm:ListCommandInvocations',
      'ssm:ListCommands',
      'ssm:SendCommand',
    ]);
  });
});

function arn(rest: string): object {
  return { 'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:${rest}`]] };
}
