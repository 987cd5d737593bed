// Twenty thousand reports, of which 30 % are stale: exactly those go, in flat memory, with a fraction of the bytes.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatBytes } from '../../functions/contract/report.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { startRealApiServer, whyNoRealApiServer } from '../../lab/kubernetes/real-api-server.ts';
import { createOwners } from '../../lab/kubernetes/sample-cluster.ts';
import { startStandIn } from '../../lab/kubernetes/stand-in.ts';
import { createAll, of } from '../../lab/runs/prune.ts';
import type { Measured } from './child.ts';
import { isStale, nameOf, replicaSets, reports } from './population.ts';

const MiB = 1024 * 1024;
const REPORT = kindNamed('VulnerabilityReport');
const REPORT_BYTES = 12_000;
/**
 * With what Lambda starts Node in a function of 512 MB: a tenth for the young generation, the rest for the old one. The
 * young one is as large as it may be from the start: it would grow with the length of a run, whatever is kept.
 */
const LAMBDA_FLAGS = ['--min-semi-space-size=25', '--max-semi-space-size=25', '--max-old-space-size=461'];
const FEW = 2_000;
const MANY = 20_000;

let api: TestApiServer;
let cleanUp: AsyncDisposableStack;
beforeAll(async () => {
  cleanUp = new AsyncDisposableStack();
  if (whyNoRealApiServer() === undefined) {
    const plane = cleanUp.use(await startControlPlane({ members: 3, quotaBytes: 2048 * MiB }));
    api = cleanUp.use(await startRealApiServer({ plane }));
  } else {
    api = cleanUp.use(await startStandIn());
  }
  await createOwners(api);
  await createAll(api, kindNamed('ReplicaSet'), replicaSets());
});
afterAll(() => cleanUp?.disposeAsync());

async function measure(job: 'prune' | 'dry-run' | 'list'): Promise<Measured> {
  const child = new URL('child.ts', import.meta.url).pathname;
  const configuration = {
    name: 'scale',
    etcd: { endpoints: ['http://127.0.0.1:2379'] },
    kubernetes: api.configuration(),
  };
  const environment = { POWERTOOLS_LOG_LEVEL: 'SILENT', POWERTOOLS_METRICS_DISABLED: 'true' };
  const { stdout } = await promisify(execFile)(process.execPath, [...LAMBDA_FLAGS, child, job], {
    env: { ...process.env, ...environment, ETCD_MEDIC_CLUSTER: JSON.stringify(configuration) },
    maxBuffer: 16 * MiB,
  });
  const measured: Measured = JSON.parse(stdout);
  const { milliseconds, peakRssBytes, receivedBytes, report } = measured;
  console.log(
    `${job}: ${(milliseconds / 1000).toFixed(1)} s, peak memory ${formatBytes(peakRssBytes)}, received ${formatBytes(receivedBytes)}${report ? `; ${report.outcome}: ${report.reason}` : ''}`,
  );
  return measured;
}

const kept = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, i) => from + i)
    .filter((number) => !isStale(number))
    .map(nameOf);
const names = async () => (await api.list(REPORT)).map(({ name }) => name).toSorted();

describe(`pruning ${MANY} reports of about ${REPORT_BYTES} bytes`, () => {
  it('deletes exactly the stale ones, in no more memory than a tenth of them needs', async () => {
    await createAll(api, REPORT, reports(0, FEW, REPORT_BYTES));
    const fewDry = await measure('dry-run');
    const few = await measure('prune');
    expect(few.report?.outcome, few.report?.reason).toBe('pruned');
    expect(await names()).toEqual(kept(0, FEW));
    for (const report of await api.list(REPORT)) await api.remove(REPORT, report);
    await createAll(api, REPORT, reports(0, MANY, REPORT_BYTES));

    const whole = await measure('list');
    const dry = await measure('dry-run');
    expect(await api.list(REPORT)).toHaveLength(MANY);
    const real = await measure('prune');

    expect(dry.report).toMatchObject({
      outcome: 'planned',
      plan: [{ detail: expect.stringContaining('6,000 of 20,000') }],
    });
    expect(of(dry.report ?? fail())).toMatchObject({ stale: 6_000, deleted: 0 });
    expect(real.report?.outcome, real.report?.reason).toBe('pruned');
    expect(of(real.report ?? fail())).toMatchObject({
      listed: MANY,
      deleted: 6_000,
      skipped: 0,
      reasons: { 'owner-gone': 2_000, 'owner-superseded': 2_000, 'ttl-passed': 2_000 },
    });
    expect(await names()).toEqual(kept(0, MANY));
    // The peak of both runs at either size: one run's depends on when the garbage collector comes by.
    const [fewPeakBytes, manyPeakBytes] = [
      Math.max(fewDry.peakRssBytes, few.peakRssBytes),
      Math.max(dry.peakRssBytes, real.peakRssBytes),
    ];
    console.log(
      `memory ${(manyPeakBytes / fewPeakBytes).toFixed(2)} × that of ${FEW}; bytes received by the dry run ${(dry.receivedBytes / whole.receivedBytes).toFixed(3)} × the list of whole objects`,
    );
    expect(dry.receivedBytes).toBeLessThan(whole.receivedBytes / 5);
    expect(manyPeakBytes).toBeLessThan(1.3 * fewPeakBytes);
  });
});

function fail(): never {
  throw new Error('the run has no report');
}
