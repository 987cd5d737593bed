// R10: a crash at every checkpoint of a pruning. Whatever was lost, the next attempt ends well and deletes nothing
// else.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunReport } from '../../functions/contract/report.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { trackAttempts } from '../../lab/execution/local-attempts.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { createOwners, staleReports, trivyReport } from '../../lab/kubernetes/sample-cluster.ts';
import { type StandInApiServer, startStandIn } from '../../lab/kubernetes/stand-in.ts';
import { CLUSTER, executePrune, of, only, type PruneOptions, VULNERABILITY_REPORTS } from '../../lab/runs/prune.ts';
import { recordsOf } from '../../lab/runs/recover.ts';

const REPORT = kindNamed('VulnerabilityReport');
const SBOM = kindNamed('SbomReport');
const SBOM_REPORTS = 'sbomreports.aquasecurity.github.io';
const STALE = 8;
const BUDGET = 12;
const KINDS = only(VULNERABILITY_REPORTS, SBOM_REPORTS);

let api: StandInApiServer;
let aws: AwsStandIn;
/** How many checkpoints a run has that nothing happens to. */
let checkpoints = 0;

beforeAll(async () => {
  trackAttempts();
  aws = await startAws();
  aws.enter();
  api = await startStandIn();
  await createOwners(api);
  checkpoints = (await pruneWith({})).checkpoints;
});
afterAll(async () => {
  await aws?.stop();
  await api?.[Symbol.asyncDispose]();
});

async function pruneWith(options: PruneOptions) {
  for (const kind of [REPORT, SBOM]) {
    await api.create(kind, [...staleReports(STALE), trivyReport('keep-one'), trivyReport('keep-two')]);
  }
  api.requests.length = 0;
  const { result, error, checkpoints, invocations } = await executePrune(api, { prune: { kinds: KINDS }, ...options });
  const report = result as RunReport | undefined;
  const left = [...(await api.list(REPORT)), ...(await api.list(SBOM))].map(({ name }) => name);
  const gone = api.requests.filter(({ method }) => method === 'DELETE').map(({ path }) => path);
  return { report, problem: error?.message ?? report?.reason, checkpoints, invocations, left, gone };
}

describe('R10: a crash at any checkpoint', () => {
  it.each([
    ['is lost with its checkpoint', 'crashAtCheckpoint'],
    ['comes right after its checkpoint', 'crashAfterCheckpoint'],
  ] as const)('that %s: exactly what is stale is deleted, nothing twice, and no lease is left', async (_name, kind) => {
    expect(checkpoints).toBeGreaterThan(12);
    const unrecorded: unknown[] = [];
    for (let k = 1; k <= checkpoints; k++) {
      const run = await pruneWith({ [kind]: k });

      const at = `crash at checkpoint ${k} of ${checkpoints}: ${run.problem}`;
      expect(run.report?.outcome, at).toBe('pruned');
      expect(run.invocations, at).toBeGreaterThan(1);
      expect(run.left.toSorted(), at).toEqual(['keep-one', 'keep-one', 'keep-two', 'keep-two']);
      expect(new Set(run.gone).size, at).toBe(2 * STALE);
      expect(run.gone, at).toHaveLength(2 * STALE);
      for (const name of [VULNERABILITY_REPORTS, SBOM_REPORTS]) {
        const { stale, deleted, skipped, missing = 0, note } = of(run.report as RunReport, name);
        expect({ stale, accounted: deleted + missing, skipped }, at).toEqual({
          stale: STALE,
          accounted: STALE,
          skipped: 0,
        });
        if (missing > 0) unrecorded.push({ deleted, missing, note });
      }
      expect(await recordsOf(aws, CLUSTER), at).not.toContain('lease');
    }
    // The checkpoint of each kind's only batch.
    const batches = kind === 'crashAtCheckpoint' ? 2 : 0;
    const note = expect.stringMatching(/^8 were not stale or not there any more/);
    expect(unrecorded).toEqual(Array.from({ length: batches }, () => ({ deleted: 0, missing: STALE, note })));
  });

  it('R12: does not make a run delete more than it may', async () => {
    for (let k = 1; k <= checkpoints; k++) {
      const run = await pruneWith({ crashAtCheckpoint: k, prune: { kinds: KINDS, maxDeletes: BUDGET } });

      const at = `crash at checkpoint ${k} of ${checkpoints}: ${run.problem}`;
      expect(run.report?.outcome, at).toBe('pruned');
      expect(run.gone, at).toHaveLength(BUDGET);
      expect(run.report?.reason, at).toContain('4 stale reports are left for the next run.');
    }
  });
});
