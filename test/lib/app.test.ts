import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../../lib/bundling.ts';
import { sampleCluster } from './synth.ts';

/**
 * Runs bin/app.ts as the cdk command does: the context in the environment, the assembly into a folder that it names.
 */
function runApp(context: Readonly<Record<string, unknown>>) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'etcd-medic-app-'));
  try {
    const { status, stderr } = spawnSync(process.execPath, ['bin/app.ts'], {
      cwd: projectRoot,
      encoding: 'utf8',
      env: { ...process.env, CDK_CONTEXT_JSON: JSON.stringify(context), CDK_OUTDIR: folder },
    });
    return { status, stderr, written: readdirSync(folder) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('bin/app.ts', () => {
  it('ends with the plain message and exit code 1 when the configuration is wrong, and writes nothing', () => {
    const { status, stderr, written } = runApp({ clusters: [{ ...sampleCluster, nmae: 'x' }] });

    expect(stderr).toBe(
      'cdk.json context "clusters": [0].nmae: found a field that is not known here, expected only the documented fields\n',
    );
    expect(status).toBe(1);
    expect(written).toEqual([]);
  });

  it('writes one stack for each cluster given on the command line', () => {
    const clusters = JSON.stringify([sampleCluster, { ...sampleCluster, name: 'other' }]);

    const { status, written } = runApp({ clusters, 'aws:cdk:bundling-stacks': [] });

    expect(status).toBe(0);
    expect(written.filter((file) => file.endsWith('.template.json')).sort()).toEqual([
      'etcd-medic-demo.template.json',
      'etcd-medic-other.template.json',
    ]);
  });
});
