import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod/mini';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { parseTrigger } from '../../functions/dispatch/parse.ts';
import { projectRoot } from '../../lib/bundling.ts';
import { readClusters } from '../../lib/clusters.ts';
import { sampleCluster } from '../lib/synth.ts';
import { awsCommandsIn, problemOf } from './aws-commands.ts';
import { deployExample } from './example.ts';
import { allPages, anchorsOf, blocksOf, codeIn, localLinksOf, type Page, readPage } from './page.ts';

const pages = allPages();
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(path.join(projectRoot, 'package.json'), 'utf8')));

/** Shell lines and everything else that is set as code. */
function codeOf(page: Page): readonly string[] {
  return [...blocksOf(page).map(({ text }) => text), ...codeIn(page.text)];
}

describe('the documentation', () => {
  it.each(pages.map((page) => [page.file, page] as const))('has links that lead somewhere: %s', (file, page) => {
    const broken = localLinksOf(page).filter((link) => {
      const [target = '', anchor] = link.split('#');
      const found = target === '' ? file : path.join(path.dirname(file), target);
      if (!existsSync(path.join(projectRoot, found))) return true;
      return anchor !== undefined && found.endsWith('.md') && !anchorsOf(readPage(found)).has(anchor);
    });

    expect(broken).toEqual([]);
  });

  it('shows no npm script, and no command of the CDK, that is not there', () => {
    const code = pages.flatMap(codeOf).join('\n');
    const named = [...code.matchAll(/\bnpm run (?:-s )?([\w:-]+)/g)].map(([, name = '']) => name);
    const cdk = [...code.matchAll(/\bnpx cdk ([a-z]+)/g)].map(([, command]) => command);

    expect(named).toContain('demo');
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
    expect(cdk).toContain('deploy');
    expect(cdk.filter((command) => !/^(bootstrap|deploy|destroy|diff|synth)$/.test(command ?? ''))).toEqual([]);
  });

  it('shows no command of the AWS CLI, and no option of one, that is not there', () => {
    const commands = pages.flatMap((page) => codeOf(page).flatMap(awsCommandsIn));

    expect(commands.length).toBeGreaterThan(20);
    expect([...new Set(commands.map(problemOf))].filter((problem) => problem !== undefined)).toEqual([]);
  });

  it('would find a command that is not there: a check of this test itself', () => {
    const [wrong, other] = awsCommandsIn('aws ssm put-parametre --name x; aws ssm put-parameter --nme x');

    expect(wrong && problemOf(wrong)).toBe('aws ssm put-parametre: there is no such command');
    expect(other && problemOf(other)).toBe('aws ssm put-parameter: it has no --nme');
  });

  it('shows clusters that can be configured so', () => {
    const clusters = pages.flatMap(({ file, ...page }) =>
      blocksOf({ file, ...page })
        .filter(({ language, text }) => language === 'json' && text.includes('"name":') && text.includes('"etcd":'))
        .map(({ text }) => ({ file, cluster: JSON.parse(text) as unknown })),
    );

    expect(clusters.map(({ file }) => file)).toEqual(expect.arrayContaining(['README.md', 'docs/deploy.md']));
    for (const { file, cluster } of clusters) parseCluster(cluster, file);
  });

  it('shows parts of a configuration that are taken as they stand', () => {
    const fields = Object.keys(parseCluster(sampleCluster)).concat(
      'nodes',
      'kubernetes',
      'notify',
      'snapshot',
      'network',
    );
    const parts = pages.flatMap((page) =>
      codeOf(page)
        .filter((code) => fields.some((field) => code.startsWith(`"${field}":`)) && !/…|<|"secretArn" }/.test(code))
        .map((code) => ({ file: page.file, code, part: parsed(`{${code.trim().replace(/,$/, '')}}`) })),
    );

    expect(parts.length).toBeGreaterThan(3);
    for (const { file, code, part } of parts) {
      expect(part, `${file}: ${code}`).toBeTypeOf('object');
      parseCluster({ ...sampleCluster, ...(part as object) }, file);
    }
  });

  it('names every field that a configuration has without being written', () => {
    const texts = pages.filter(({ file }) => file !== 'CHANGELOG.md').map(({ text }) => text);

    const untold = fieldsOf(parseCluster(sampleCluster)).filter(
      (field) => !texts.some((text) => new RegExp(`\\b${field}\\b`).test(text)),
    );

    expect(untold).toEqual([]);
  });

  it('shows orders to dispatch that dispatch takes', () => {
    const orders = pages.flatMap((page) =>
      [
        ...codeOf(page)
          .join('\n')
          .matchAll(/\{ ?"workflow"[^{}]*\}/g),
      ].map(([text]) => parsed(text)),
    );

    expect(orders.length).toBeGreaterThan(5);
    for (const order of orders.filter((each) => each !== undefined)) {
      parseTrigger(order, { cluster: 'demo', alarms: [], requestId: 'one', kinds: {} });
    }
  });

  it("has a guide whose configuration can be deployed as it stands, into the reader's cdk.json", () => {
    expect(() => readClusters([deployExample()])).not.toThrow();
  });
});

/** Also of what is within. */
function fieldsOf(value: object): readonly string[] {
  return Object.entries(value).flatMap(([name, inner]) => [
    ...(Array.isArray(value) ? [] : [name]),
    ...(typeof inner === 'object' && inner !== null ? fieldsOf(inner) : []),
  ]);
}

/** Undefined where it isn't JSON, because something is left out in it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
