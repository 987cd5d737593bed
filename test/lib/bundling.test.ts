import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { Stack } from 'aws-cdk-lib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, projectRoot } from '../../lib/bundling.ts';
import { SDK_PARTS } from '../../lib/sdk-parts.ts';
import { type SynthesisWithBundles, sampleCluster, synthWithBundles } from './synth.ts';

const functions = ['dispatch', 'recover'];

let synthesis: SynthesisWithBundles;

beforeAll(() => {
  synthesis = synthWithBundles();
  synthesis.app.synth();
});

afterAll(() => synthesis?.[Symbol.dispose]());

/** The JavaScript of a bundle: file name to code. */
function modulesOf(name: string): Map<string, string> {
  const folder = synthesis.assetFolder(name);
  const files = readdirSync(folder).filter((file) => file.endsWith('.mjs'));
  return new Map(files.map((file) => [file, readFileSync(path.join(folder, file), 'utf8')]));
}

describe('the bundles that are deployed', () => {
  it.each([
    ['dispatch', 450_000],
    ['recover', 1_300_000],
  ])('%s stays below its budget of %d bytes, all its modules together', (name, budgetBytes) => {
    const folder = synthesis.assetFolder(name);
    const sizes = [...modulesOf(name).keys()].map((file) => statSync(path.join(folder, file)).size);

    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(budgetBytes);
  });

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

    const others = readdirSync(folder).filter((file) => !file.endsWith('.mjs') && file !== 'proto');
    expect(others).toEqual([]);
    for (const code of modulesOf(name).values()) expect(code).not.toContain(projectRoot);
  });

  it("recover has etcd3's protocol files where etcd3 looks for them, and dispatch has none", () => {
    const protocolFiles = readdirSync(path.join(projectRoot, 'node_modules/etcd3/proto'));

    expect(readdirSync(path.join(synthesis.assetFolder('recover'), 'proto'))).toEqual(protocolFiles);
    expect(existsSync(path.join(synthesis.assetFolder('dispatch'), 'proto'))).toBe(false);
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

  it('are the same whenever they are built, so that a deployment without a change changes nothing', () => {
    using again = synthWithBundles([sampleCluster, { ...sampleCluster, name: 'other' }]);

    for (const name of functions) {
      const hash = path.basename(synthesis.assetFolder(name));
      expect(path.basename(again.assetFolder(name))).toBe(hash);
      expect(path.basename(again.assetFolder(name, 'other'))).toBe(hash);
    }
  });

  it('fail the synthesis where the code cannot be packed, in the words of esbuild', () => {
    // A folder of functions/ that has no handler.
    const { code } = codeOf('run');
    using broken = synthWithBundles();

    expect(() => code.bind(new Stack(broken.app, 'Broken'))).toThrow(
      /functions\/run could not be packed: .*Could not resolve.*handler\.ts/s,
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
