// R12: what is asked again while a pruning deletes, and what is not asked any more.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordProducers } from '../../functions/aws/producer-records.ts';
import { startAws } from '../../lab/aws/stand-in.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import type { NewObject } from '../../lab/kubernetes/objects.ts';
import {
  createOwners,
  hoursAgo,
  owner,
  staleReports,
  supersededReplicaSet,
  TRIVY,
  TRIVY_TTL,
  trivyReport,
} from '../../lab/kubernetes/sample-cluster.ts';
import { type StandInApiServer, startStandIn } from '../../lab/kubernetes/stand-in.ts';
import {
  CLUSTER,
  of,
  only,
  type PruneOptions,
  reportNames,
  runPrune,
  VULNERABILITY_REPORTS,
} from '../../lab/runs/prune.ts';

const REPORT = kindNamed('VulnerabilityReport');
const REPLICA_SET = kindNamed('ReplicaSet');
const ALLOWED = { maxStaleShare: 1, kinds: only(VULNERABILITY_REPORTS) };
const IMPATIENT = { session: { patienceMs: 100 } };
const OF_ZERO = { ownerReferences: [owner('ReplicaSet', 'at-zero')] };
const REPORT_LIST = /\/vulnerabilityreports\?/;
const OWNER_LIST = /\/replicasets\?/;

let api: StandInApiServer;
let cleanUp: AsyncDisposableStack;
beforeEach(async () => {
  cleanUp = new AsyncDisposableStack();
  api = cleanUp.use(await startStandIn());
  await createOwners(api);
});
afterEach(() => cleanUp.disposeAsync());

const lists = (path: RegExp) => api.requests.filter((request) => request.method === 'GET' && path.test(request.path));
const deletes = () => api.requests.filter(({ method }) => method === 'DELETE').length;
const away = () => api.fail({ method: 'GET', path: REPORT_LIST, times: 1_000, effect: { status: 500 } });

/** Does something as soon as a step is recorded. */
function upon(step: string, act: () => void): Pick<PruneOptions, 'onOperation'> {
  return { onOperation: ({ name, to }) => void (name === step && to === 'SUCCEEDED' && act()) };
}

/** From here to the end of the test it is so much later. */
function later(ms: number): void {
  const clock = Date.now;
  cleanUp.defer(() => {
    Date.now = clock;
  });
  Date.now = () => clock() + ms;
}

describe('R12: a budget that is used up', () => {
  it('of reports ends the run without another look at the kind', async () => {
    await api.create(REPORT, staleReports(300));

    const report = await runPrune(api, {
      ...IMPATIENT,
      prune: { ...ALLOWED, maxDeletes: 250 },
      ...upon(`delete ${VULNERABILITY_REPORTS}, batch 1`, away),
    });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(report.reason).toContain('50 stale reports are left for the next run.');
    expect(of(report)).toMatchObject({ deleted: 250, note: expect.stringContaining('prune.maxDeletes') });
    expect(lists(REPORT_LIST)).toHaveLength(2);
  });

  it('of minutes ends the run without another look at the kind', async () => {
    await api.create(REPORT, staleReports(520));

    const report = await runPrune(api, {
      ...IMPATIENT,
      prune: { ...ALLOWED, maxMinutes: 5 },
      // The second batch has to wait for a fresh invocation, which remembers nothing.
      remainingTimeMs: (invocation) => (invocation === 1 && deletes() > 0 ? 1_000 : 900_000),
      ...upon(`delete ${VULNERABILITY_REPORTS}, batch 1`, () => {
        away();
        later(6 * 60_000);
      }),
    });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report)).toMatchObject({ deleted: 500, note: expect.stringContaining('prune.maxMinutes') });
    expect(report.reason).toContain('20 stale reports are left for the next run.');
    expect(lists(REPORT_LIST)).toHaveLength(3);
  });
});

describe('R12: the blast-radius guard, asked again half-way', () => {
  it('does not say that none was deleted', async () => {
    const kept = Array.from({ length: 700 }, (_, i) => trivyReport(`keep-${i}`));
    await api.create(REPORT, [...staleReports(520), ...kept]);

    const report = await runPrune(api, {
      prune: { kinds: ALLOWED.kinds },
      // The second batch has to wait for a fresh invocation, and meanwhile the others' owner goes.
      remainingTimeMs: (invocation) => (invocation === 1 && deletes() > 0 ? 1_000 : 900_000),
      ...upon(`delete ${VULNERABILITY_REPORTS}, batch 1`, () => {
        void api.remove(REPLICA_SET, { namespace: 'default', name: 'at-work' });
      }),
    });

    expect(report.outcome, report.reason).toBe('escalated');
    expect(of(report).deleted).toBe(500);
    expect(report.reason).toContain('So no more of them are deleted');
    expect(report.reason).not.toContain('none of them was');
  });
});

describe('R12: an owner that a rollout had left behind', () => {
  const atZero = (replicas: number) => api.create(REPLICA_SET, [supersededReplicaSet('at-zero', replicas)]);
  const afterSurvey = (act: () => void) =>
    runPrune(api, { ...IMPATIENT, prune: ALLOWED, ...upon(`survey ${VULNERABILITY_REPORTS}`, act) });

  beforeEach(() => api.create(REPORT, [trivyReport('of-zero', OF_ZERO), ...staleReports(2)]));

  it('and was scaled up since keeps its report', async () => {
    const report = await afterSurvey(() => void atZero(3));

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(['of-zero']);
    expect(of(report)).toMatchObject({ stale: 3, deleted: 2, skipped: 1 });
    expect(report.reason).toContain('1 more changed');
    expect(lists(OWNER_LIST)).toHaveLength(2);
  });

  it('and was scaled up since keeps all of its reports, however many batches they are', async () => {
    await api.create(
      REPORT,
      Array.from({ length: 520 }, (_, i) => trivyReport(`of-zero-${i}`, OF_ZERO)),
    );

    const report = await afterSurvey(() => void atZero(3));

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report)).toMatchObject({ stale: 523, deleted: 2, skipped: 521 });
    expect(await api.list(REPORT)).toHaveLength(521);
  });

  it.each([
    ['is still without replicas', () => atZero(0)],
    ['is gone by now', () => api.remove(REPLICA_SET, { namespace: 'default', name: 'at-zero' })],
  ])('and %s loses its report', async (_name, meanwhile) => {
    const report = await afterSurvey(() => void meanwhile());

    expect(await reportNames(api)).toEqual([]);
    expect(of(report)).toMatchObject({ deleted: 3, skipped: 0 });
    expect(lists(OWNER_LIST)).toHaveLength(2);
  });

  it('and was scaled up between two batches keeps those of its reports that are left', async () => {
    await api.create(
      REPORT,
      Array.from({ length: 520 }, (_, i) => trivyReport(`of-zero-${i}`, OF_ZERO)),
    );

    const report = await runPrune(api, {
      ...IMPATIENT,
      prune: ALLOWED,
      ...upon(`delete ${VULNERABILITY_REPORTS}, batch 1`, () => void atZero(1)),
    });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report)).toMatchObject({ stale: 523, deleted: 500, skipped: 23 });
  });

  it('keeps its report, as all do whose owners cannot be listed any more, and the run says why', async () => {
    const effect = { status: 403, reason: 'Forbidden' };

    const report = await afterSurvey(() => api.fail({ method: 'GET', path: OWNER_LIST, times: 1_000, effect }));

    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toMatch(/owners could not be listed again: ReplicaSet \(apps\/v1\)/);
    expect(await reportNames(api)).toEqual(['of-zero', 'stale-00000', 'stale-00001']);
  });

  it('is asked for again in the reports’ namespaces alone, and not where no report depends on it', async () => {
    await api.create(
      REPORT,
      [...staleReports(1)].map((report) => ({ ...report, namespace: 'other' })),
    );
    await runPrune(api, { prune: ALLOWED });
    const paths = lists(OWNER_LIST).map(({ path }) => path.replace(/\?.*/, '').replace('/apis/apps/v1', ''));
    expect(paths.toSorted()).toEqual([
      '/namespaces/default/replicasets',
      '/namespaces/other/replicasets',
      '/replicasets',
    ]);
    api.requests.length = 0;
    await api.create(REPORT, [trivyReport('old', { annotations: { [TRIVY_TTL]: '24h0m0s' } })]);

    const report = await runPrune(api, { prune: ALLOWED });

    expect(of(report)).toMatchObject({ deleted: 1 });
    expect(lists(OWNER_LIST)).toHaveLength(1);
  });

  it('is looked for as it is now where more reports were stale than are remembered', async () => {
    await api.create(
      REPORT,
      Array.from({ length: 20 }, (_, i) => trivyReport(`of-zero-${i}`, OF_ZERO)),
    );

    const report = await runPrune(api, {
      ...IMPATIENT,
      // So many are remembered as may be deleted.
      prune: { ...ALLOWED, maxDeletes: 20 },
      onOperation: ({ name, to }) => {
        if (name === `survey ${VULNERABILITY_REPORTS}` && to === 'SUCCEEDED') {
          void atZero(3);
        }
        // Found stale and kept over and over, it would never end.
        if (name?.endsWith('batch 6') && to === 'STARTED') away();
      },
    });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await api.list(REPORT)).toHaveLength(21);
    expect(of(report)).toMatchObject({ deleted: 2 });
    expect(report.reason).not.toContain('left for the next run');
  });
});

describe('R12: a report that has taken another one’s place', () => {
  it('and is gone since keeps that one, and is asked for in its namespace alone', async () => {
    const labels = { 'app.kubernetes.io/managed-by': 'kyverno' };
    const name = 'policyreports.wgpolicyk8s.io';
    const newer = { labels, creationTimestamp: hoursAgo(1) };
    await api.create(kindNamed('PolicyReport'), [trivyReport('a', { labels }), trivyReport('b', { labels })]);
    await api.create(kindNamed('Report'), [trivyReport('a', newer), trivyReport('b', newer)]);

    const report = await runPrune(api, {
      prune: { kinds: only(name) },
      ...upon(`survey ${name}`, () => void api.remove(kindNamed('Report'), { namespace: 'default', name: 'a' })),
    });

    expect(of(report, name)).toMatchObject({ stale: 2, deleted: 1, skipped: 1 });
    expect((await api.list(kindNamed('PolicyReport'))).map((each) => each.name)).toEqual(['a']);
    const asked = lists(/openreports.io/).map(({ path }) => path.replace(/\?.*/, ''));
    expect(asked).toEqual([
      '/apis/openreports.io/v1alpha1/reports',
      '/apis/openreports.io/v1alpha1/namespaces/default/reports',
    ]);
  });

  it('is not known where it may not be listed, and that one is kept', async () => {
    const labels = { 'app.kubernetes.io/managed-by': 'kyverno' };
    await api.create(kindNamed('PolicyReport'), [trivyReport('a', { labels })]);
    await api.create(kindNamed('Report'), [trivyReport('a', { labels, creationTimestamp: hoursAgo(1) })]);
    api.fail({ method: 'GET', path: /openreports.io/, times: 1_000, effect: { status: 403, reason: 'Forbidden' } });

    const report = await runPrune(api, { prune: { kinds: only('policyreports.wgpolicyk8s.io') } });

    expect(report.outcome, report.reason).toBe('nothing-to-do');
  });
});

describe('R12: an operator that was not there', () => {
  const DEPLOYMENT = kindNamed('Deployment');

  beforeEach(async () => {
    const aws = cleanUp.adopt(await startAws(), (each) => each.stop());
    aws.enter();
    const at = new Date(Date.now() - 24 * 3_600_000).toISOString();
    await recordProducers(aws.table, CLUSTER, { at, producers: { trivy: 'gone', kyverno: 'there' } });
  });

  it.each<[string, Partial<NewObject>]>([
    ['nobody wrote any more', { labels: TRIVY, ownerReferences: [] }],
    ['it alone would keep past their TTL', { annotations: { [TRIVY_TTL]: '24h0m0s' } }],
  ])('and was installed again since keeps the reports that %s', async (_what, facts) => {
    const audits = kindNamed('ConfigAuditReport');
    const trivy = { namespace: 'default', name: 'trivy-operator' };
    await api.remove(DEPLOYMENT, trivy);
    await api.create(audits, [trivyReport('of-trivy', facts)]);

    const report = await runPrune(api, {
      prune: { maxStaleShare: 1, kinds: only('configauditreports.aquasecurity.github.io') },
      ...upon('survey configauditreports.aquasecurity.github.io', () => void api.create(DEPLOYMENT, [trivy])),
    });

    expect(of(report, 'configauditreports.aquasecurity.github.io')).toMatchObject({ stale: 1, deleted: 0, skipped: 1 });
    expect(await reportNames(api)).toEqual(['of-trivy']);
  });
});

describe('R12: reports that admission does not let go', () => {
  const deny = (path: RegExp) => {
    const message = 'admission webhook "validate.kyverno.svc-fail" denied the request: no deletes here';
    api.fail({ method: 'DELETE', path, effect: { status: 403, reason: 'Forbidden', message }, times: 10_000 });
  };

  it('stay, are named and counted over all batches, and all others go', async () => {
    await api.create(REPORT, staleReports(520));
    deny(/stale-00(000|505)$/);

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await api.list(REPORT)).toHaveLength(2);
    expect(of(report)).toMatchObject({ stale: 520, deleted: 518, skipped: 2 });
    expect(of(report).note).toMatch(
      /^2 were not let go by admission \(default\/stale-00505, default\/stale-00000\): .*no deletes/,
    );
    expect(report.reason).toContain('2 more were not let go by an admission webhook or policy, and stay.');
    expect(report.reason).not.toContain('left for the next run');
  });

  it('stop their kind where it is one after the other', async () => {
    await api.create(REPORT, staleReports(120));
    deny(/./);

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toContain('no deletes here');
    expect(await api.list(REPORT)).toHaveLength(120);
    expect(deletes()).toBeLessThan(120);
  });
});
