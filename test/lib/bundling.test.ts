import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, projectRoot } from '../../lib/bundling.ts';
import { packFunction } from '../../lib/pack.ts';
import { SDK_PARTS } from '../../lib/sdk-parts.ts';
import { NOTICES_FILE } from '../../lib/third-party.ts';
import { sampleKubernetes } from './small-stack.ts';
import { type SynthesisWithBundles, sampleCluster, synthWithBundles } from './synth.ts';

/**
 * Bytes of JavaScript, minified, all modules of a bundle together: also those that a start does not load. Not counted
 * are the notices of third parties.
 */
const BUDGETS = {
  dispatch: 450_000,
  // Proofs of identity, waiting for who is away, rights, and matching nodes are 37 kB of it, telling a copy's contents
  // 15 kB.
  recover: 1_360_000,
  maintain: 1_345_000,
  prune: 1_650_000,
  probe: 900_000,
  notify: 450_000,
  // ECharts and its renderer are 500 kB of it, in the parts that draw two bar charts; a person waits for it, so no more
  // than twice that.
  widget: 1_000_000,
  // It speaks to etcd, to the API server, to Secrets Manager and to X.509, and to each of them only in some of its
  // steps.
  credentials: 2_000_000,
};
const functions = Object.keys(BUDGETS);

// With everything that brings a function of its own.
const kubernetes = { ...sampleKubernetes, credentials: { issued: true } };
const nodes = { tag: { key: 'kubernetes.io/cluster/demo', value: 'owned' } };
const cluster = { ...sampleCluster, kubernetes, nodes };

const temporary = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-bundles-'));
let synthesis: SynthesisWithBundles;

beforeAll(() => {
  synthesis = synthWithBundles([cluster, { ...cluster, name: 'other' }]);
  synthesis.app.synth();
});

afterAll(() => {
  synthesis?.[Symbol.dispose]();
  rmSync(temporary, { recursive: true, force: true });
});

/** The JavaScript of a bundle: file name to code. */
function modulesOf(name: string): Map<string, string> {
  const folder = synthesis.assetFolder(name);
  const files = readdirSync(folder).filter((file) => file.endsWith('.mjs'));
  return new Map(files.map((file) => [file, readFileSync(path.join(folder, file), 'utf8')]));
}

function noticesIn(folder: string): string {
  return readFileSync(path.join(folder, NOTICES_FILE), 'utf8');
}

/** Digests of every file, by its path in the folder. */
function digestsOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    statSync(path.join(folder, file)).isFile(),
  );
  return Object.fromEntries(
    files.toSorted().map((file) => [file, hash('sha256', readFileSync(path.join(folder, file)))]),
  );
}

describe('the bundles that are deployed', () => {
  it('have a budget, each of them', () => {
    const deployed = synthesis.template().findResources('AWS::Lambda::Function');
    const names = Object.values(deployed).map(({ Properties }) => String(Properties.FunctionName));

    expect(names.toSorted()).toEqual(functions.map((name) => `etcd-medic-demo-${name}`).toSorted());
  });

  it.each(Object.entries(BUDGETS))(
    '%s stays below its budget of %d bytes, all its modules together',
    (name, budgetBytes) => {
      const folder = synthesis.assetFolder(name);
      const sizes = [...modulesOf(name).keys()].map((file) => statSync(path.join(folder, file)).size);

      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(budgetBytes);
    },
  );

  it('recover loads the code of the snapshot and the clients of its calls only when it needs them', () => {
    const modules = modulesOf('recover');
    const atStart = new Set<string>();
    const visit = (file: string) => {
      if (atStart.has(file)) return;
      atStart.add(file);
      for (const imported of staticImports(modules.get(file) ?? '')) visit(imported);
    };
    visit('index.mjs');

    const later = [...modules.keys()].filter((file) => !atStart.has(file));
    expect(later.map((file) => file.replace(/-\w+\.mjs$/, ''))).toEqual(
      expect.arrayContaining(['snapshot-store', 'client-dynamodb', 'client-eventbridge', 'client-secrets-manager']),
    );
  });

  it.each(functions)('%s has nothing in it that is never loaded, and lacks nothing', (name) => {
    const modules = modulesOf(name);

    const mentioned = [...modules.values()].flatMap((code) => [...code.matchAll(/"\.\/([\w-]+\.mjs)"/g)]);
    const loaded = new Set(['index.mjs', ...mentioned.map(([, file]) => file)]);

    expect([...loaded].sort()).toEqual([...modules.keys()].sort());
  });

  it.each(functions)('%s names no folder of the machine that built it', (name) => {
    const folder = synthesis.assetFolder(name);

    const others = readdirSync(folder).filter((file) => !file.endsWith('.mjs'));
    expect(others).toEqual([NOTICES_FILE]);
    for (const code of modulesOf(name).values()) expect(code).not.toContain(projectRoot);
    expect(noticesIn(folder)).not.toContain(projectRoot);
  });

  it.each([
    ['recover', ['Daniel Wirtz', 'Connor Peet', 'Google Inc.']],
    // Its notice file, and what it has taken in itself.
    ['widget', ['The Apache Software Foundation', 'Mike Bostock', 'Baidu Inc.']],
    ['prune', ['Matteo Collina', 'Ethan Arrowood']],
    // Has no licence file.
    ['dispatch', ['Copyright (c) Middy contributors. Permission is hereby granted']],
  ])('%s brings the notices of whose code is in it', (name, parts) => {
    const notices = noticesIn(synthesis.assetFolder(name));

    expect(parts.filter((part) => !notices.includes(part))).toEqual([]);
    expect(notices).not.toMatch(/^(esbuild|vitest) /m);
  });

  it.each(functions)('%s loads with nothing around it, and exports the handler that Lambda calls', (name) => {
    // A process of its own: vitest would lend the bundle a `__dirname` and a `require`.
    const { stdout, stderr } = evaluate(name, "console.log(typeof (await import('./index.mjs')).handler)");

    expect({ stdout, stderr }).toEqual({ stdout: 'function\n', stderr: '' });
  });

  it('recover has modules that load when they are needed, each with the parts of its client', () => {
    const files = [...modulesOf('recover').keys()];

    for (const [client, names] of Object.entries(SDK_PARTS)) {
      const file = files.find((each) => each.startsWith(`${path.basename(client)}-`));
      const { stdout, stderr } = evaluate('recover', `console.log(Object.keys(await import('./${file}')).join())`);
      expect({ stdout: stdout.trim().split(',').sort(), stderr }).toEqual({ stdout: [...names].sort(), stderr: '' });
    }
  });

  it('are the same whenever they are built, so that a deployment without a change changes nothing', async () => {
    const folders = ['dispatch', 'recover'].map((name) => ({ name, again: path.join(temporary, name) }));

    await Promise.all(folders.map(({ name, again }) => packFunction(name, again)));

    for (const { name, again } of folders) expect(digestsOf(again)).toEqual(digestsOf(synthesis.assetFolder(name)));
  });

  it.each(functions)('%s is uploaded once for all clusters', (name) => {
    expect(synthesis.assetFolder(name, 'other')).toBe(synthesis.assetFolder(name));
  });

  it('fail the synthesis where the code cannot be packed, in the words of esbuild', () => {
    // A folder of functions/ that has no handler.
    const { code } = codeOf('engine');
    const app = new App({ outdir: path.join(temporary, 'broken') });

    expect(() => code.bind(new Stack(app, 'Broken'))).toThrow(
      /functions\/engine could not be packed: .*Could not resolve.*handler\.ts/s,
    );
  });
});

describe('the parts of the SDK that are packed', () => {
  const durableSdk = 'node_modules/@aws/durable-execution-sdk-js/dist/index.mjs';
  const sources = [...globSync('functions/**/*.ts', { cwd: projectRoot }), durableSdk].map((file) => ({
    file,
    code: readFileSync(path.join(projectRoot, file), 'utf8'),
  }));

  it.each(Object.entries(SDK_PARTS))('of %s are all that the sources name', async (client, names) => {
    const whole: object = await import(client);
    const importsItLater = sources.filter(({ code }) => code.includes(`import('${client}')`));

    const named = importsItLater
      .flatMap(({ code }) => code.match(/\b\w+(Command|Client)\b|\b(paginate|waitUntil)\w+/g) ?? [])
      .filter((word) => Object.hasOwn(whole, word));

    expect([...new Set(named)].sort()).toEqual([...names].sort());
  });
});

function staticImports(code: string): string[] {
  const imports = code.matchAll(/(?:from|import)\s*"\.\/([\w-]+\.mjs)"/g);
  return [...imports].map(([, file = '']) => file);
}

function evaluate(name: string, script: string) {
  return spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: synthesis.assetFolder(name),
    encoding: 'utf8',
    env: {},
  });
}
