// A workflow is one entry and one folder: a fourth one, in a scratch copy of the sources, is everywhere. What is
// left to do for it the compiler names.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../lib/bundling.ts';
import { sampleCluster } from './synth.ts';

const SOURCES = ['bench', 'bin', 'events', 'functions', 'lab', 'lib', 'test', 'cdk.json', 'package.json'];
const SETTINGS = ['tsconfig.json', 'vitest.config.ts'];

const ENTRY = `
  toy: {
    reaches: 'etcd',
    ordersPruning: true,
    documents: ['InspectNode'],
    readsHistory: false,
    hours: { alone: 1, withPruning: 5 },
    startedBy: ['soon-full'],
    finishedEvent: 'Toy Finished',
    refusalNeedsAPerson: true,
    description: (cluster) => \`Plays with \${cluster}\`,
    subject: 'playing',
    title: 'Toy',
    buttons: { dryRun: 'Dry run: play', forReal: 'Play…', question: (cluster) => \`Play with \${cluster}?\` },
  },
`;

/** What is configured of it: the one thing that the compiler asks for. */
const POLICY = `
  toy: z._default(z.strictObject({ schedule }), { schedule: { cron: '0 5 * * ? *', timeZone: 'UTC' } }),
`;

const HANDLER = `
import { clusterWorkflow } from '../engine/cluster-workflow.ts';

export const handler = clusterWorkflow(async () => ({ outcome: 'nothing-to-do', reason: 'Played.', members: [] }));
`;

/** Asks every part of the copy for its fourth workflow. */
const QUESTIONS = `
import { parseTrigger } from './functions/dispatch/parse.ts';
import { needsAPerson } from './functions/aws/events.ts';
import { composeMessage } from './functions/notify/message.ts';
import { parseNotice } from './functions/notify/notice.ts';
import { drawActions } from './functions/widget/actions.ts';
import { nameOf } from './functions/widget/names.ts';
import { sampleReport } from './test/contract/sample-report.ts';
import { sampleCluster, synth } from './test/lib/synth.ts';

const context = { cluster: 'demo', alarms: [], requestId: 'r-1', kinds: {} };
const mode = { mode: 'auto', detail: '', isProblem: false } as const;
const situation = { cluster: 'demo', now: 0, look: null, lease: null, runs: [], mode, schedules: [], problems: [] };
const report = sampleReport({ workflow: 'toy', outcome: 'refused', trigger: { kind: 'alarm', source: 'x' } });
const event = { source: 'etcd-medic', 'detail-type': 'Toy Finished', time: '2026-03-01T02:00:00Z', detail: report };
const place = { switchParameter: '', execution: undefined, topicArn: '' };
const clusters = [{ ...sampleCluster, console: { registry: 'create' } }];
console.log(JSON.stringify({
  command: parseTrigger({ workflow: 'toy', dryRun: true }, context),
  notice: parseNotice(event, 'demo').kind,
  needsAPerson: needsAPerson(report),
  subject: composeMessage(report, place).subject,
  title: nameOf('toy'),
  buttons: JSON.stringify(drawActions({ ...situation, workflows: ['toy'], dispatchArn: 'arn:x' })),
  template: synth(clusters).template().toJSON(),
}));
`;

const copy = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-fourth-'));
afterAll(() => rmSync(copy, { recursive: true, force: true }));

beforeAll(() => {
  for (const name of [...SOURCES, ...SETTINGS]) {
    cpSync(path.join(projectRoot, name), path.join(copy, name), { recursive: true });
  }
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(copy, 'node_modules'));
  insert('functions/contract/workflows.ts', '} as const satisfies Readonly<Record<string, Workflow>>;', ENTRY);
  mkdirSync(path.join(copy, 'functions/toy'));
  writeFileSync(path.join(copy, 'functions/toy/handler.ts'), HANDLER);
});

function insert(file: string, before: string, text: string): void {
  const source = readFileSync(path.join(copy, file), 'utf8');
  expect(source.split(before)).toHaveLength(2);
  writeFileSync(
    path.join(copy, file),
    source.replace(before, () => `${text}${before}`),
  );
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(file: string, args: readonly string[]): Promise<Ended> {
  const options = { cwd: copy, maxBuffer: 64 * 1024 * 1024, env: { ...process.env, POWERTOOLS_DEV: 'true' } };
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr });
    });
  });
}

/** The files that the compiler names, each once; anything else that it says is shown, too. */
async function unfinished(): Promise<string[]> {
  const { code, stdout, stderr } = await run('node_modules/typescript/bin/tsc', ['--noEmit', '--pretty', 'false']);
  const lines = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !line.startsWith(' '));
  const files = [...new Set(lines.map((line) => /^(.+)\(\d+,\d+\): error TS/.exec(line)?.[1] ?? line))];
  return code === 0 || files.length > 0 ? files : [`tsc ended with ${code}`];
}

describe('a fourth workflow, as one entry and one folder', () => {
  it('leaves to the compiler what is configured of it, and nothing else', async () => {
    expect(await unfinished()).toEqual(['functions/contract/policies.ts']);
  });

  it('leaves nothing, once that is written', async () => {
    insert('functions/contract/policies.ts', '} satisfies Readonly<Record<WorkflowName, z.ZodMiniType>>;', POLICY);

    expect(await unfinished()).toEqual([]);
  });

  it('is started, told, drawn and deployed as the others are', async () => {
    writeFileSync(path.join(copy, 'questions.ts'), QUESTIONS);
    const { stdout, stderr } = await run('questions.ts', []);
    expect(stdout, stderr).not.toBe('');
    const { template, buttons, ...answers } = JSON.parse(stdout);

    expect(answers).toEqual({
      command: [expect.objectContaining({ kind: 'start', command: expect.objectContaining({ workflow: 'toy' }) })],
      notice: 'report',
      needsAPerson: true,
      subject: 'ACT NOW - Refused: demo, playing',
      title: 'Toy',
    });
    expect(buttons).toContain('Dry run: play');
    expect(buttons).toContain('Play with demo?');
    expect(deployed(template)).toEqual({
      functions: ['toy'],
      timeoutHours: [4 + 1],
      outputs: ['ToyFunctionName'],
      schedules: ['etcd-medic-demo-dry-toy', 'etcd-medic-demo-toy'],
      named: {
        'the map of dispatch': true,
        'the rule of alarms': true,
        'the rule of reports': true,
        'the rule of deaths': true,
        'the alarm of failed runs': true,
        'the test events': true,
      },
    });
  });

  it('is run by hand', async () => {
    const endpoints = ['http://127.0.0.1:1'];
    writeFileSync(path.join(copy, 'cluster.json'), JSON.stringify({ name: 'demo', etcd: { endpoints } }));

    const { code, stdout, stderr } = await run('bin/invoke.ts', ['toy', '--config', 'cluster.json']);

    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ workflow: 'toy', outcome: 'nothing-to-do', reason: 'Played.' });
  });
});

interface Resource {
  readonly Type: string;
  readonly Properties: {
    readonly FunctionName?: string;
    readonly DurableConfig?: { readonly ExecutionTimeout: number };
    readonly Name?: string;
  };
}

function deployed({ Resources, Outputs }: { Resources: Record<string, Resource>; Outputs: object }) {
  const of = (type: string) => Object.values(Resources).filter(({ Type }) => Type === type);
  const toys = of('AWS::Lambda::Function').filter(({ Properties }) => Properties.FunctionName?.endsWith('-toy'));
  const says = (type: string, ...words: readonly string[]) =>
    of(type).some((resource) => words.every((word) => JSON.stringify(resource).includes(word)));
  return {
    functions: toys.map(({ Properties }) => Properties.FunctionName?.replace(`etcd-medic-${sampleCluster.name}-`, '')),
    timeoutHours: toys.map(({ Properties }) => (Properties.DurableConfig?.ExecutionTimeout ?? 0) / 3_600),
    outputs: Object.keys(Outputs).filter((name) => name.startsWith('Toy')),
    schedules: of('AWS::Scheduler::Schedule')
      .map(({ Properties }) => Properties.Name)
      .filter((name) => name?.endsWith('toy'))
      .sort(),
    named: {
      'the map of dispatch': says('AWS::Lambda::Function', 'ETCD_MEDIC_WORKFLOWS', '\\"toy\\":'),
      'the rule of alarms': says('AWS::Events::Rule', 'aws.cloudwatch', 'etcd-medic-demo-soon-full'),
      'the rule of reports': says('AWS::Events::Rule', 'Toy Finished'),
      'the rule of deaths': says('AWS::Events::Rule', 'aws.lambda', ':function:etcd-medic-demo-toy:'),
      'the alarm of failed runs': says('AWS::CloudWatch::Alarm', 'FILL(toy_failed, 0)'),
      'the test events': says('AWS::EventSchemas::Schema', '7-toy-dry-run'),
    },
  };
}
