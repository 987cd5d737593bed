// What is deployed is what was tested: the bundles that synth makes, run by a plain Node process as Lambda would, on real etcd.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/run/report.ts';
import { startAws } from '../aws/stand-in.ts';
import { listAlarms } from '../control-plane/alarms.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import { fillWithReports } from '../control-plane/fill.ts';
import { synthWithBundles } from '../lib/synth.ts';

const MiB = 1024 * 1024;
const runner = new URL('run-bundle.ts', import.meta.url).pathname;

let synthesised: ReturnType<typeof synthWithBundles>;
beforeAll(() => {
  synthesised = synthWithBundles();
});
afterAll(() => synthesised?.[Symbol.dispose]());

/** Loads the bundle in a process of its own, calls its handler with the event, and returns what it returned. */
async function run(bundle: string, event: unknown, env: Readonly<Record<string, string>>): Promise<unknown> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [runner, join(bundle, 'index.mjs'), JSON.stringify(event)],
    {
      env: { PATH: process.env.PATH, ...env },
      maxBuffer: 16 * MiB,
    },
  );
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last);
}

describe('the bundle of', () => {
  it('recover recovers a real etcd, as it lies in the asset', async () => {
    await using plane = await startControlPlane({ quotaBytes: 16 * MiB });
    await fillWithReports(plane, { reportBytes: 50_000 });
    await using aws = await startAws();
    const command = { cluster: 'demo', workflow: 'recover', trigger: { kind: 'manual', source: 'test' } };

    const result = await run(synthesised.assetFolder('recover'), command, {
      ...aws.environment,
      AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-recover',
      ETCD_MEDIC_CLUSTER: JSON.stringify(plane.configuration({ name: 'demo' })),
    });

    expect((result as RunReport).outcome).toBe('recovered');
    expect(await listAlarms(plane)).toEqual([]);
    expect(aws.events.map(({ detailType }) => detailType)).toEqual(['Etcd Recovery Finished']);
  });

  it('recover fails in Lambda without a table, rather than run without a lease', async () => {
    const command = { cluster: 'demo', workflow: 'recover', trigger: { kind: 'manual', source: 'test' } };
    const configuration = { name: 'demo', etcd: { endpoints: ['http://127.0.0.1:1'] } };

    const running = run(synthesised.assetFolder('recover'), command, {
      AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-recover',
      ETCD_MEDIC_CLUSTER: JSON.stringify(configuration),
      ETCD_MEDIC_BUS: 'default',
      ETCD_MEDIC_SWITCH: '/etcd-medic/demo/mode',
      ETCD_MEDIC_SNAPSHOT_BUCKET: 'snapshots',
    });

    await expect(running).rejects.toThrow(/ETCD_MEDIC_TABLE/);
  });

  it('dispatch starts a run for the alarm, over the wire', async () => {
    await using aws = await startAws();
    const functionArn = aws.lambda.register('etcd-medic-demo-recover', {
      durable: withDurableExecution(async () => 'ran'),
    });

    const result = await run(
      synthesised.assetFolder('dispatch'),
      { workflow: 'recover', dryRun: true },
      {
        ...aws.environment,
        AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-dispatch',
        ETCD_MEDIC_CLUSTER: JSON.stringify({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:1'] } }),
        ETCD_MEDIC_WORKFLOWS: JSON.stringify({ recover: functionArn }),
      },
    );

    expect(result).toMatchObject({ started: [{ workflow: 'recover' }], ignored: [] });
    expect(aws.lambda.executions).toHaveLength(1);
  });
});
