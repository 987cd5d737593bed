// What is deployed is what was tested: the bundles that synth makes, run by a plain Node process as Lambda would, on
// real etcd.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { startAws } from '../../lab/aws/stand-in.ts';
import { listAlarms } from '../../lab/control-plane/alarms.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import { createOwners, createReports, KEPT } from '../../lab/kubernetes/sample-cluster.ts';
import { startStandIn } from '../../lab/kubernetes/stand-in.ts';
import { churn, SMALL_FILES } from '../../lab/runs/maintain.ts';
import { reportNames } from '../../lab/runs/prune.ts';
import { sampleKubernetes } from '../lib/small-stack.ts';
import { sampleCluster, synthWithBundles } from '../lib/synth.ts';

const MiB = 1024 * 1024;
const runner = new URL('run-bundle.ts', import.meta.url).pathname;

let synthesised: ReturnType<typeof synthWithBundles>;
beforeAll(() => {
  synthesised = synthWithBundles([{ ...sampleCluster, kubernetes: sampleKubernetes }]);
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
      // Before the test's own end, which would leave the process behind.
      timeout: 90_000,
      killSignal: 'SIGKILL',
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

  it('maintain compacts and defragments a real etcd, once it has read how earlier runs went', async () => {
    await using plane = await startControlPlane({ members: 1 });
    await churn(plane, { reports: 50, reportBytes: 20_000, rewrites: 10 });
    await using aws = await startAws();
    const command = { cluster: 'demo', workflow: 'maintain', trigger: { kind: 'manual', source: 'test' } };

    const result = (await run(synthesised.assetFolder('maintain'), command, {
      ...aws.environment,
      AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-maintain',
      ETCD_MEDIC_CLUSTER: JSON.stringify({ ...plane.configuration({ name: 'demo' }), maintain: SMALL_FILES }),
    })) as RunReport;

    expect(result.outcome, result.reason).toBe('maintained');
    expect(result.members.map(({ defragmented }) => defragmented)).toEqual([true]);
    expect(result.steps).toContainEqual(expect.objectContaining({ name: 'rates', outcome: 'done' }));
    expect(aws.events.map(({ detailType }) => detailType)).toEqual(['Etcd Maintenance Finished']);
  });

  it('prune deletes what is stale, with the part of undici that is packed', async () => {
    await using api = await startStandIn();
    await using aws = await startAws();
    await createOwners(api);
    await createReports(api);
    const command = { cluster: 'demo', workflow: 'prune', trigger: { kind: 'manual', source: 'test' } };
    const etcd = { endpoints: ['http://127.0.0.1:1'] };

    const result = await run(synthesised.assetFolder('prune'), command, {
      ...aws.environment,
      AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-prune',
      ETCD_MEDIC_CLUSTER: JSON.stringify({ name: 'demo', etcd, kubernetes: api.configuration() }),
    });

    expect((result as RunReport).outcome, (result as RunReport).reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(KEPT);
  });

  it('probe looks at a real etcd, and widget draws what it saw', async () => {
    await using plane = await startControlPlane({ members: 1 });
    await using aws = await startAws();
    const environment = {
      ...aws.environment,
      ETCD_MEDIC_CLUSTER: JSON.stringify(plane.configuration({ name: 'demo' })),
      ETCD_MEDIC_DISPATCH: 'arn:aws:lambda:eu-west-1:111122223333:function:etcd-medic-demo-dispatch',
    };

    const look = await run(
      synthesised.assetFolder('probe'),
      {},
      { ...environment, AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-probe' },
    );
    const page = await run(
      synthesised.assetFolder('widget'),
      { widgetContext: { theme: 'light', width: 1_200 } },
      { ...environment, AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-widget' },
    );

    expect((look as RunReport).outcome).toBe('healthy');
    expect(page).toContain('<svg');
    expect(page).toContain((look as RunReport).members[0]?.name);
  });

  it('notify tells of a run that has ended', async () => {
    await using aws = await startAws();
    const event: unknown = JSON.parse(
      await readFile(new URL('../../events/run-finished.json', import.meta.url), 'utf8'),
    );

    const result = await run(synthesised.assetFolder('notify'), event, {
      ...aws.environment,
      AWS_LAMBDA_FUNCTION_NAME: 'etcd-medic-demo-notify',
      ETCD_MEDIC_CLUSTER: JSON.stringify({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:1'] } }),
    });

    expect(result).toEqual({ told: [expect.stringMatching(/^arn:aws:sns:/)], ignored: null });
    expect(aws.calls.map(({ action }) => action)).toContain('sns:Publish');
  });
});
