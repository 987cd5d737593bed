import { access } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DocumentKind } from '../../functions/contract/documents.ts';
import { documentName } from '../../functions/contract/documents.ts';
import { sendCommandOnce } from '../../functions/nodes/commands.ts';
import { CommandRefusedError } from '../../functions/nodes/errors.ts';
import { documentContent, inspectNodeDocument, restartKubeletDocument } from '../../lib/documents/document-content.ts';
import { type FolderNode, folderNode, runDocument, WORKING_SYSTEMCTL } from './scripts.ts';
import { addNodes, type Service, startService } from './service.ts';

const kinds: readonly DocumentKind[] = ['RestartKubelet', 'InspectNode'];

/** Every parameter of every document. */
const parameters = kinds.flatMap((kind) =>
  Object.keys(documentContent(kind).parameters).map((parameter) => ({ kind, parameter })),
);

let node: FolderNode;

beforeEach(async () => {
  node = await folderNode();
  await node.program('systemctl', WORKING_SYSTEMCTL);
  await node.program('crictl', '');
});
afterEach(() => node[Symbol.asyncDispose]());

/**
 * What would make this file if a shell ever evaluated it, each in its own way. The script runs in the file's folder.
 */
const CANARY = 'canary';
const ATTACKS = [
  '$(touch canary)',
  '`touch canary`',
  ';touch canary;',
  '&&touch canary&&',
  '|touch canary|',
  '\ntouch canary\n',
  '"; touch canary; "',
  "'; touch canary; '",
  "$(touch$IFS''canary)",
  'a[$(touch canary)]',
  '<(touch canary)',
  '{touch,canary}',
  '>canary',
  '() { :;}; touch canary',
  '\\$(touch canary)',
  '%n$(touch canary)',
];

/** An attack with whatever a parameter may begin and end with, so that no part of a pattern alone keeps it out. */
const attack = fc
  .tuple(
    fc.constantFrom('', 'kubelet', '/var/lib/etcd', '-', '--', '/', ' ', '"', "'", '\\'),
    fc.constantFrom(...ATTACKS),
    fc.constantFrom('', 'kubelet', '/etcd.yaml', '\n', ' #', '"', "'", '\\'),
  )
  .map((parts) => parts.join(''));

/** Any text that can be in an environment variable and is not one that the document takes. */
const anything = (pattern: string) =>
  fc
    .string({ unit: 'binary', maxLength: 60 })
    .filter((text) => !text.includes('\0') && !new RegExp(pattern).test(text));

const wasExecuted = () =>
  access(join(node.workingDirectory, CANARY)).then(
    () => true,
    () => false,
  );

describe('the canary', () => {
  it.each(ATTACKS.slice(0, 3))('would be seen if %s were evaluated', async (text) => {
    const content = restartKubeletDocument();
    const [step] = content.mainSteps;
    const careless = { ...step, inputs: { ...step.inputs, runCommand: ['eval "echo $SSM_KubeletUnit"'] } };

    await runDocument(node, { ...content, mainSteps: [careless] }, { KubeletUnit: text });

    expect(await wasExecuted()).toBe(true);
  });
});

describe('a shell’s metacharacters', () => {
  let service: Service;

  beforeEach(async () => {
    service = await startService();
    addNodes(service.ssm, [node]);
  });
  afterEach(() => service[Symbol.asyncDispose]());

  it.each(parameters)('are refused in $parameter of $kind before anything is sent', async ({ kind, parameter }) => {
    await fc.assert(
      fc.asyncProperty(attack, async (value) => {
        const sending = sendCommandOnce({
          document: documentName('demo', kind),
          instanceIds: [node.instanceId],
          parameters: { [parameter]: value },
          stepId: value,
          timeoutSeconds: 30,
        });

        await expect(sending).rejects.toThrow(CommandRefusedError);
        await expect(sending).rejects.toMatchObject({ cause: { name: 'InvalidParameters' } });
      }),
      { numRuns: 60 },
    );
    expect(service.ssm.commands).toEqual([]);
  });
});

describe('past every check of Systems Manager', () => {
  it.each(parameters)('nothing in $parameter of $kind is ever executed', async ({ kind, parameter }) => {
    const content = documentContent(kind);
    const pattern = content.parameters[parameter]?.allowedPattern ?? '';
    await fc.assert(
      fc.asyncProperty(fc.oneof({ weight: 3, arbitrary: attack }, anything(pattern)), async (value) => {
        const { exitCode, stdout } = await runDocument(node, content, { [parameter]: value });

        expect(exitCode).toBe(1);
        expect(stdout).toMatch(/^[^\n]+\n$/);
        expect(JSON.parse(stdout)).toEqual({ error: expect.stringContaining(`${parameter}: found "`) });
        expect(await wasExecuted()).toBe(false);
      }),
      { numRuns: 60 },
    );
    // It was refused before anything was looked at.
    expect(await node.calls()).toEqual([]);
  });

  it('nothing that a node’s own files and programs say is ever executed', async () => {
    await fc.assert(
      fc.asyncProperty(attack, async (value) => {
        const oneLine = value.replaceAll('\n', ' ');
        const quoted = `'${oneLine.replaceAll("'", "'\\''")}'`;
        await node.program(
          'systemctl',
          `printf 'LoadState=loaded\\nActiveState=%s\\nSubState=%s\\n' ${quoted} ${quoted}`,
        );
        await node.program('crictl', `printf '%s  x  1 day ago  Running  etcd  %s  1\\n' ${quoted} ${quoted}`);
        const manifest = `    - --name=${oneLine}\n    - --data-dir='${oneLine}'\n    image: ${oneLine}\n`;
        await node.file('/etc/kubernetes/manifests/etcd.yaml', manifest);
        await node.file(`/var/lib/etcd/member/snap/db.tmp.${value.replaceAll('/', '_')}`, '');

        const { exitCode, stdout } = await runDocument(node, inspectNodeDocument());

        expect(exitCode).toBe(0);
        expect(stdout).toMatch(/^[^\n]+\n$/);
        expect(JSON.parse(stdout)).toMatchObject({ kubelet: { activeState: oneLine, subState: oneLine } });
        expect(await wasExecuted()).toBe(false);
      }),
      { numRuns: 40 },
    );
    // Each run starts a hundred processes.
  }, 1_200_000);

  it('a process id that is none is not calculated with', async () => {
    await node.program('sleep', '');
    await node.program(
      'systemctl',
      "printf 'LoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=a[$(touch canary)]\\n'",
    );

    const { exitCode, stdout } = await runDocument(node, restartKubeletDocument());

    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout).error).toContain('did not come up');
    expect(await wasExecuted()).toBe(false);
  });
});
