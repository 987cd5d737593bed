// The test events are what the Lambda console reads, and what the functions take.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { parseEvent } from '../../functions/credentials/event.ts';
import { parseTrigger } from '../../functions/dispatch/parse.ts';
import { isRoutine } from '../../functions/notify/announce.ts';
import { composeMessage } from '../../functions/notify/message.ts';
import { parseNotice } from '../../functions/notify/notice.ts';
import { readEvent } from '../../functions/widget/event.ts';
import { CONSOLE_EVENTS, ConsoleEvents, type ConsoleFunction, eventsOf } from '../../lib/console-events.ts';
import { clusterWith, sampleKubernetes, smallStack } from './small-stack.ts';
import { synth } from './synth.ts';

const NAMES: readonly ConsoleFunction[] = ['dispatch', 'probe', 'notify', 'widget', 'credentials'];
const cluster = clusterWith({
  name: 'production',
  etcd: { endpoints: ['https://10.0.0.11:2379'], credentials: { issued: true } },
  nodes: { tag: { key: 'cluster', value: 'production' } },
  kubernetes: { ...sampleKubernetes, credentials: { issued: true } },
});

const build = (registry: 'create' | 'existing', configured = cluster) =>
  smallStack((stack) => new ConsoleEvents(stack, 'ConsoleEvents', { cluster: configured, functions: NAMES, registry }));

const EVENTS = path.resolve(import.meta.dirname, '../../events');
const files = readdirSync(EVENTS).map((file) => file.replace('.json', ''));
const sampleText = (file: string) => readFileSync(path.join(EVENTS, `${file}.json`), 'utf8');

/** As the console and `sam remote test-event` read it. */
const contentSchema = z.object({
  openapi: z.literal('3.0.0'),
  info: z.object({ version: z.string(), title: z.string() }),
  paths: z.object({}),
  components: z.object({
    schemas: z.object({ Event: z.object({ type: z.string() }) }),
    examples: z.record(z.string(), z.strictObject({ value: z.unknown() })),
  }),
});

describe('ConsoleEvents', () => {
  it('keeps a schema for each function where the console looks for it', () => {
    const { template, findings } = build('existing');

    const schemas = Object.values(template.findResources('AWS::EventSchemas::Schema')).map(
      ({ Properties }) => Properties,
    );
    expect(schemas.map(({ SchemaName }) => SchemaName).toSorted()).toEqual(
      NAMES.map((name) => `_etcd-medic-production-${name}-schema`).toSorted(),
    );
    for (const { RegistryName, Type, Content } of schemas) {
      expect([RegistryName, Type]).toEqual(['lambda-testevent-schemas', 'OpenApi3']);
      expect(Content.length).toBeLessThan(100_000); // CreateSchema takes no more
      const { examples } = contentSchema.parse(JSON.parse(Content)).components;
      expect(Object.keys(examples).length).toBeGreaterThan(0);
      // A component's name in OpenAPI, and the console's own limit.
      for (const title of Object.keys(examples)) expect(title).toMatch(/^[A-Za-z0-9._-]{1,25}$/);
    }
    template.resourceCountIs('AWS::EventSchemas::Registry', 0);
    expect(findings).toEqual([]);
  });

  it('makes the registry where it is asked to, before the schemas, and leaves it there when the stack goes, but not when its first deployment fails', () => {
    const { template, findings } = build('create');

    const [[registryId = '', registry] = []] = Object.entries(template.findResources('AWS::EventSchemas::Registry'));
    expect(registry).toMatchObject({
      Properties: { RegistryName: 'lambda-testevent-schemas' },
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
    });
    template.allResources('AWS::EventSchemas::Schema', { DependsOn: Match.arrayWith([registryId]) });
    expect(findings).toEqual([]);
  });

  it('offers nothing that this cluster’s function would refuse', () => {
    const bare = clusterWith();

    expect(Object.keys(eventsOf(bare, 'dispatch'))).toEqual([
      '1-recover-dry-run',
      '2-recover',
      '3-maintain-dry-run',
      '4-maintain',
    ]);
    expect(eventsOf(bare, 'credentials')).toEqual({});
    build('existing', bare).template.resourceCountIs('AWS::EventSchemas::Schema', 4);
  });

  it('is made of files that are there; every file about a single function’s press is used', () => {
    const used = Object.values(CONSOLE_EVENTS).flatMap((events): readonly string[] => Object.values(events));

    expect(used.filter((file) => !files.includes(file))).toEqual([]);
    const presses = files.filter((file) => /^(probe|widget|issue|notify)/.test(file));
    expect(presses.toSorted()).toEqual(used.toSorted());
  });

  it('orders of dispatch what the samples of a person’s commands do', () => {
    const orders = Object.values(eventsOf(cluster, 'dispatch'));
    const samples = files.filter((file) => file.startsWith('manual-')).map((file) => JSON.parse(sampleText(file)));

    expect(samples.length).toBeGreaterThan(0);
    expect(orders).toEqual(expect.arrayContaining(samples));
  });
});

describe('each event', () => {
  const events = NAMES.flatMap((name) =>
    Object.entries(eventsOf(cluster, name)).map(([title, event]): [string, ConsoleFunction, unknown] => [
      title,
      name,
      event,
    ]),
  );
  const of = (wanted: ConsoleFunction) => events.filter(([, name]) => name === wanted);

  it.each(of('dispatch'))('%s starts what it is called after', (title, _, event) => {
    const decisions = parseTrigger(event, { cluster: 'production', alarms: [], requestId: 'r-1', kinds: {} });

    const [, workflow, dry] = /^\d-([a-z]+)(-dry-run)?$/.exec(title) ?? [];
    expect(decisions).toMatchObject([
      { kind: 'start', command: { cluster: 'production', workflow, dryRun: dry !== undefined } },
    ]);
  });

  it.each(of('notify'))('%s tells people that it is a test', (_title, _, event) => {
    const notice = parseNotice(event, 'production');

    if (notice.kind !== 'report') throw new Error(`it is ${notice.kind}`);
    expect(isRoutine(notice.report)).toBe(false);
    const { subject, body } = composeMessage(notice.report, {
      switchParameter: 'x',
      execution: undefined,
      topicArn: 'y',
    });
    expect(subject).toContain('production');
    expect(body).toContain('This is a test message');
  });

  it.each(of('widget'))('%s is what the dashboard asks', (title, _, event) => {
    const frame = readEvent(event);

    expect(frame).toEqual(title === 'documentation' ? 'describe' : { theme: 'dark', width: 1200, offsetMinutes: 0 });
  });

  it.each(of('credentials'))('%s is an order to issue', (title, _, event) => {
    expect(parseEvent(event)).toEqual({ issue: title.replace('issue-', ''), trust: [] });
  });

  it.each(of('probe'))('%s is taken by the probe', async (title, _, event) => {
    const { handler } = await probeHandler();

    const report = await handler(event);

    expect(report).toMatchObject({ trigger: { kind: 'manual' }, dryRun: title === 'look-and-keep-nothing' });
  });
});

/** Of a cluster where nobody answers. */
async function probeHandler() {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify({ name: 'production', etcd: { endpoints: ['http://127.0.0.1:1'] } });
  return import('../../functions/probe/handler.ts');
}

describe('docs/console.md', () => {
  const spans = readFileSync(path.resolve(import.meta.dirname, '../../docs/console.md'), 'utf8').matchAll(
    /`(\{.*?\})`/g,
  );
  const shown = [...spans].map(([, json = '']): unknown => JSON.parse(json));
  const readyMade = NAMES.flatMap((name) => Object.values(eventsOf(cluster, name)));

  it('shows every order that dispatch takes by hand', () => {
    for (const event of Object.values(eventsOf(cluster, 'dispatch'))) expect(shown).toContainEqual(event);
  });

  it('shows nothing that is not ready-made', () => {
    for (const event of shown) expect(readyMade).toContainEqual(event);
  });
});

describe('what the console says above a function', () => {
  const longest = 'x'.repeat(39);
  const descriptions = describedFunctions(longest);

  it.each(descriptions)('%s: fits, whatever the cluster is called', (_, description) => {
    expect(description.length).toBeLessThanOrEqual(256);
    expect(description).toContain(longest);
  });

  it.each(descriptions)('%s: says what a press of Test does', (_, description) => {
    expect(description).toMatch(/\bTest\b/);
  });

  it.each(['dispatch', 'credentials'] as const)('%s: the event that it names is one of the ready-made ones', (name) => {
    const [, description = ''] = descriptions.find(([each]) => each === name) ?? [];
    const [named = ''] = /\{"[^}]*\}/.exec(description) ?? [];

    expect(Object.values(eventsOf(cluster, name))).toContainEqual(JSON.parse(named));
  });
});

/** Name and description of each function of a stack that has them all. */
function describedFunctions(name: string): [string, string][] {
  const nodes = { tag: { key: 'cluster', value: 'production' } };
  const kubernetes = { server: 'https://10.0.0.10:6443', credentials: { issued: true } };
  using synthesis = synth([{ name, etcd: { credentials: { issued: true } }, nodes, kubernetes }]);
  const functions = synthesis.template(`etcd-medic-${name}`).findResources('AWS::Lambda::Function');
  return Object.values(functions).map(({ Properties }) => [
    Properties.FunctionName.replace(`etcd-medic-${name}-`, ''),
    Properties.Description,
  ]);
}
