import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../lib/bundling.ts';
import { type SynthesisWithBundles, synthWithBundles } from './synth.ts';

let synthesis: SynthesisWithBundles;

beforeAll(() => {
  synthesis = synthWithBundles();
  synthesis.app.synth();
});

afterAll(() => synthesis?.[Symbol.dispose]());

describe('the bundles that are deployed', () => {
  it.each([
    ['dispatch', 450_000],
    ['recover', 1_300_000],
  ])('%s stays below its budget of %d bytes', (name, budgetBytes) => {
    const { size } = statSync(path.join(synthesis.assetFolder(name), 'index.mjs'));

    expect(size).toBeLessThan(budgetBytes);
  });

  it.each(['dispatch', 'recover'])('%s is one module that names no folder of the machine that built it', (name) => {
    const folder = synthesis.assetFolder(name);
    const code = readFileSync(path.join(folder, 'index.mjs'), 'utf8');

    expect(readdirSync(folder).filter((file) => file !== 'proto')).toEqual(['index.mjs']);
    expect(code).not.toContain(projectRoot);
  });

  it("recover has etcd3's protocol files where etcd3 looks for them, and dispatch has none", () => {
    const protocolFiles = readdirSync(path.join(projectRoot, 'node_modules/etcd3/proto'));

    expect(readdirSync(path.join(synthesis.assetFolder('recover'), 'proto'))).toEqual(protocolFiles);
    expect(existsSync(path.join(synthesis.assetFolder('dispatch'), 'proto'))).toBe(false);
  });

  it.each(['dispatch', 'recover'])(
    '%s loads with nothing around it, and exports the handler that Lambda calls',
    (name) => {
      // A process of its own: vitest would lend the bundle a `__dirname` and a `require`.
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ['--input-type=module', '--eval', "console.log(typeof (await import('./index.mjs')).handler)"],
        { cwd: synthesis.assetFolder(name), encoding: 'utf8', env: {} },
      );

      expect({ stdout, stderr }).toEqual({ stdout: 'function\n', stderr: '' });
    },
  );
});
