// An object that the API server can't decode: on every API server there is, it is told as what it is, and everything
// else goes on.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { exitCode } from '../../functions/contract/report.ts';
import type { TestApiServer } from '../../lab/kubernetes/api-server.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { createOwners, GONE, staleReports, trivyReport } from '../../lab/kubernetes/sample-cluster.ts';
import { servers } from '../../lab/kubernetes/servers.ts';
import {
  clear,
  createAll,
  of,
  only,
  type PruneOptions,
  reportNames,
  runPrune,
  VULNERABILITY_REPORTS,
} from '../../lab/runs/prune.ts';

const REPORT = kindNamed('VulnerabilityReport');
const SBOM = kindNamed('SbomReport');
const SBOM_REPORTS = 'sbomreports.aquasecurity.github.io';
const SPOILT = { namespace: 'default', name: 'stale-00230' };
const KEY = '/registry/aquasecurity.github.io/sbomreports/default/stale-00230';
const ALLOWED = { maxStaleShare: 1, kinds: only(VULNERABILITY_REPORTS, SBOM_REPORTS) };

describe.each(servers())('what cannot be decoded, on $name', ({ start }) => {
  describe.each([true, false])('with the feature gate for it: %s', (unsafeDeletion) => {
    let api: TestApiServer;
    let asked: string[];
    beforeAll(async () => {
      api = await start({ unsafeDeletion });
    });
    afterAll(async () => {
      await api?.[Symbol.asyncDispose]();
    });
    beforeEach(async () => {
      await clear(api);
      await createOwners(api);
      asked = [];
    });

    const run = (options: PruneOptions = {}) =>
      runPrune(api, {
        prune: ALLOWED,
        ...options,
        onOperation: ({ name, to }) => void (to === 'STARTED' && name !== undefined && asked.push(name)),
      });

    it('ends a run as escalated that would have had nothing to do, names what it is, and what helps', async () => {
      await createAll(api, SBOM, staleReports(231));
      await api.spoil(SBOM, SPOILT);

      const report = await run();
      await api.create(SBOM, [trivyReport(SPOILT.name)]);

      expect(report.outcome, report.reason).toBe('escalated');
      expect(exitCode(report.outcome)).toBe(2);
      expect(report.reason).toContain("the server can't decode");
      expect(report.reason).toContain('etcdctl del ');
      expect(report.reason).not.toContain('apiservices');
      expect(of(report, SBOM_REPORTS).note).toContain("can't decode");
      if (unsafeDeletion) {
        expect(report.reason).toContain(KEY);
        expect(report.reason).toContain('ignoreStoreReadErrorWithClusterBreakingPotential');
      } else {
        expect(report.reason).toContain('right after default/stale-00229, in the order of its keys');
        expect(report.reason).toContain('/registry/aquasecurity.github.io/sbomreports/');
        expect(report.reason).not.toContain('ignoreStoreRead');
      }
    });

    it('is told at once, and the other kinds are pruned', async () => {
      await createAll(api, SBOM, staleReports(231));
      await createAll(api, REPORT, staleReports(3));
      await api.spoil(SBOM, SPOILT);

      const report = await run();
      await api.create(SBOM, [trivyReport(SPOILT.name)]);

      expect(report.outcome, report.reason).toBe('escalated');
      expect(report.reason).toMatch(/^Deleted 3 stale reports of 1 kind.*Unreadable: list sbomreports/);
      expect(of(report)).toMatchObject({ deleted: 3 });
      expect(asked.filter((name) => name.includes(SBOM_REPORTS))).toEqual([`survey ${SBOM_REPORTS}`]);
    });

    it('in a dry run is escalated too, beside the plan for all else', async () => {
      await createAll(api, SBOM, staleReports(231));
      await createAll(api, REPORT, staleReports(3));
      await api.spoil(SBOM, SPOILT);

      const report = await run({ dryRun: true });
      await api.create(SBOM, [trivyReport(SPOILT.name)]);

      expect(report.outcome, report.reason).toBe('escalated');
      expect(report.plan).toMatchObject([{ name: `delete ${VULNERABILITY_REPORTS}` }]);
      expect(report.reason).toContain("the server can't decode");
    });

    it('among owners keeps the reports of that kind of owner, and is escalated', async () => {
      const replicaSet = kindNamed('ReplicaSet');
      await createAll(api, REPORT, [
        trivyReport('of-nobody-knows', GONE),
        trivyReport('stale-pod-gone', { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'no', uid: 'no' }] }),
      ]);
      await api.spoil(replicaSet, { namespace: 'default', name: 'at-work' });

      const report = await run();
      await createOwners(api);

      expect(await reportNames(api)).toEqual(['of-nobody-knows']);
      expect(report.outcome, report.reason).toBe('escalated');
      expect(report.reason).toMatch(/Unreadable: list replicasets\.apps /);
    });
  });
});
