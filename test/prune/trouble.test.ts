// Pruning where something is not as it should be: budgets, the guard, rights, a lost lease, a server that is away.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { needsAPerson } from '../../functions/aws/events.ts';
import { createLease } from '../../functions/aws/lease.ts';
import { readProducers, recordProducers } from '../../functions/aws/producer-records.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { LEASE_TTL_MS } from '../../functions/contract/times.ts';
import { openKubernetes } from '../../functions/kubernetes/client.ts';
import { DeniedError } from '../../functions/kubernetes/errors.ts';
import { type Batch, deleteBatch } from '../../functions/prune/batch.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { createAuthority } from '../../lab/control-plane/certificates.ts';
import type { ApiServerOptions } from '../../lab/kubernetes/api-server.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import type { NewObject } from '../../lab/kubernetes/objects.ts';
import {
  createOwners,
  createReports,
  GONE,
  KEPT,
  STALE,
  staleReports,
  trivyReport,
} from '../../lab/kubernetes/sample-cluster.ts';
import { type StandInApiServer, startStandIn } from '../../lab/kubernetes/stand-in.ts';
import {
  CLUSTER,
  executePrune,
  of,
  only,
  type PruneOptions,
  reportNames,
  runPrune,
  temporaryFile,
  VULNERABILITY_REPORTS,
} from '../../lab/runs/prune.ts';
import { recordsOf } from '../../lab/runs/recover.ts';

const REPORT = kindNamed('VulnerabilityReport');
const SBOM = kindNamed('SbomReport');
const SBOM_REPORTS = 'sbomreports.aquasecurity.github.io';
const KINDS = only(VULNERABILITY_REPORTS, SBOM_REPORTS);
const ALLOWED = { maxStaleShare: 1, kinds: KINDS };
const IMPATIENT = { session: { patienceMs: 100 } };

let api: StandInApiServer;
let cleanUp: AsyncDisposableStack;
beforeEach(async () => {
  cleanUp = new AsyncDisposableStack();
  await start();
});
afterEach(() => cleanUp.disposeAsync());

async function start(options: ApiServerOptions = {}): Promise<void> {
  api = cleanUp.use(await startStandIn(options));
  await createOwners(api);
}

async function startServices(): Promise<AwsStandIn> {
  const aws = cleanUp.use(await startAws());
  aws.enter();
  return aws;
}

async function holdLease({ table }: AwsStandIn, owner: string): Promise<void> {
  const lease = createLease({ table, cluster: CLUSTER, owner, workflow: 'recover', ttlMs: LEASE_TTL_MS });
  expect(await lease.acquire()).toEqual({ kind: 'acquired' });
}

const deletes = () => api.requests.filter(({ method }) => method === 'DELETE').length;
const stepNames = (report: RunReport) => report.steps.map(({ name }) => name);

describe('R12: the budget of a run', () => {
  it('ends it after so many reports, of all kinds together, and says how many are left', async () => {
    await api.create(REPORT, staleReports(30));
    await api.create(SBOM, staleReports(30));

    const report = await runPrune(api, { prune: { ...ALLOWED, maxDeletes: 40 } });

    expect(report.outcome).toBe('pruned');
    expect(report.reason).toContain('Deleted 40 stale reports of 2 kinds');
    expect(report.reason).toContain('20 stale reports are left for the next run.');
    expect(await api.list(REPORT)).toHaveLength(0);
    expect(await api.list(SBOM)).toHaveLength(20);
    expect(deletes()).toBe(40);
  });

  it('is not touched further where it is used up to the last report', async () => {
    await api.create(REPORT, staleReports(20));
    await api.create(SBOM, staleReports(20));

    const report = await runPrune(api, { prune: { ...ALLOWED, maxDeletes: 20 } });

    expect(report.reason).toContain('20 stale reports are left for the next run.');
    expect(of(report, SBOM_REPORTS)).toMatchObject({ stale: 20, deleted: 0 });
    expect(deletes()).toBe(20);
  });

  it('ends it after so many minutes', async () => {
    await api.create(REPORT, staleReports(520));
    let now = Date.now();
    const clock = Date.now;
    cleanUp.defer(() => {
      Date.now = clock;
    });

    const report = await runPrune(api, {
      prune: { ...ALLOWED, maxMinutes: 5 },
      onOperation: ({ name, to }) => {
        if (name === `delete ${VULNERABILITY_REPORTS}, batch 1` && to === 'SUCCEEDED') {
          now = clock() + 6 * 60_000;
          Date.now = () => now;
        }
      },
    });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report)).toMatchObject({ stale: 520, deleted: 500 });
    expect(of(report).note).toContain('prune.maxMinutes');
    expect(report.reason).toContain('20 stale reports are left for the next run.');
  });

  it('lets batches follow one another until nothing stale is left', async () => {
    await api.create(REPORT, staleReports(520));

    const report = await runPrune(api, { prune: ALLOWED });

    expect(of(report)).toMatchObject({ stale: 520, deleted: 520 });
    expect(report.steps.find(({ name }) => name === `delete ${VULNERABILITY_REPORTS}`)?.detail).toContain(
      '520 deleted, in 2 batches',
    );
    expect(await api.list(REPORT)).toHaveLength(0);
  });
});

describe('R12: limits that a person raises for one run', () => {
  it('let go what the guard has held, by the very event that it advises; the next run is held again', async () => {
    await api.create(REPORT, staleReports(60));
    await api.create(SBOM, staleReports(60));

    const held = await runPrune(api, { prune: { kinds: KINDS } });
    const advised = JSON.parse(/\{"workflow":"prune","limits":.*?\}\}\}/.exec(held.reason)?.[0] ?? '');
    const own = { [VULNERABILITY_REPORTS]: advised.limits[VULNERABILITY_REPORTS] };
    const allowed = await runPrune(api, { prune: { kinds: KINDS }, limits: own });
    const again = await runPrune(api, { prune: { kinds: KINDS } });

    expect(held.outcome).toBe('escalated');
    expect(Object.keys(advised.limits).toSorted()).toEqual([SBOM_REPORTS, VULNERABILITY_REPORTS]);
    // Of the kind that was named, and of no other.
    expect([of(held).deleted, of(allowed).deleted, of(allowed, SBOM_REPORTS).deleted]).toEqual([0, 60, 0]);
    expect([allowed.outcome, again.outcome]).toEqual(['escalated', 'escalated']);
    expect((await api.list(REPORT)).length).toBe(0);
    expect((await api.list(SBOM)).length).toBe(60);
  });

  it('end at the number that they name, with the others on the budget of all', async () => {
    await api.create(REPORT, staleReports(60));
    await api.create(SBOM, staleReports(60));
    const limits = { [VULNERABILITY_REPORTS]: { maxStaleShare: 1, maxDeletes: 25 } };
    const kinds = { ...KINDS, [SBOM_REPORTS]: { maxStaleShare: 1 } };

    const report = await runPrune(api, { prune: { kinds, maxDeletes: 40 }, limits });

    expect([of(report).deleted, of(report, SBOM_REPORTS).deleted]).toEqual([25, 40]);
  });
});

describe('R12: the blast-radius guard', () => {
  it('does not touch a kind of which too much seems stale, prunes the others, and escalates', async () => {
    await api.create(REPORT, [...staleReports(60), trivyReport('keep-one')]);
    await api.create(SBOM, staleReports(10));

    const report = await runPrune(api, { prune: { kinds: KINDS } });

    expect(report.outcome).toBe('escalated');
    expect(report.reason).toContain('R12: 60 of 61 vulnerabilityreports.aquasecurity.github.io (98 %) seem stale');
    expect(report.reason).toContain('Deleted 10 stale reports of 1 kind');
    expect(await api.list(REPORT)).toHaveLength(61);
    expect(await api.list(SBOM)).toHaveLength(0);
    expect(of(report)).toMatchObject({ stale: 60, deleted: 0, note: expect.stringContaining('maxStaleShare') });
  });

  it.each([
    [false, true],
    [true, undefined],
  ])('can wait for the day, but not in an emergency (%s)', async (emergency, canWait) => {
    await api.create(REPORT, staleReports(60));

    const report = await runPrune(api, { emergency, prune: { kinds: KINDS } });

    expect(report.outcome).toBe('escalated');
    expect(report.canWait).toBe(canWait);
    expect(needsAPerson(report)).toBe(emergency);
  });

  it('says in a dry run what it would not touch', async () => {
    await api.create(REPORT, staleReports(60));

    const report = await runPrune(api, { dryRun: true, prune: { kinds: KINDS } });

    expect(report.outcome).toBe('planned');
    expect(report.plan).toEqual([
      { name: `leave ${VULNERABILITY_REPORTS}`, detail: expect.stringContaining('maxStaleShare') },
    ]);
  });

  it('is asked again where the kind is looked at again', async () => {
    await api.create(REPORT, [
      ...staleReports(520),
      ...Array.from({ length: 700 }, (_, i) => trivyReport(`keep-${i}`)),
    ]);

    const report = await runPrune(api, {
      prune: { kinds: KINDS },
      // The first batch's invocation has no time for another one, and meanwhile their owner goes.
      remainingTimeMs: (invocation) => (invocation === 1 && deletes() > 0 ? 1_000 : 900_000),
      onOperation: ({ name, to }) => {
        if (name === `delete ${VULNERABILITY_REPORTS}, batch 2` && to === 'PENDING') {
          void api.remove(kindNamed('ReplicaSet'), { namespace: 'default', name: 'at-work' });
        }
      },
    });

    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toMatch(/R12: 720 of 720 .* seem stale/);
    expect(of(report).deleted).toBe(500);
    expect(await api.list(REPORT)).toHaveLength(720);
  });
});

describe('the invocations of a run', () => {
  it('are changed for a fresh one where too little is left, which looks at the kind again', async () => {
    await api.create(REPORT, staleReports(520));

    const execution = await executePrune(api, {
      prune: ALLOWED,
      remainingTimeMs: (invocation) => (invocation === 1 && deletes() > 0 ? 60_000 : 900_000),
    });

    expect(execution.result).toMatchObject({ outcome: 'pruned' });
    expect(execution.invocations).toBeGreaterThan(1);
    expect(of(execution.result as RunReport)).toMatchObject({ deleted: 520, skipped: 0 });
    expect(deletes()).toBe(520);
  });

  it('list each kind of owner once to look at the reports, however many reports and kinds of reports there are', async () => {
    await api.create(REPORT, [
      ...staleReports(520),
      ...Array.from({ length: 700 }, (_, i) => trivyReport(`keep-${i}`)),
    ]);
    await api.create(SBOM, staleReports(300));

    await runPrune(api, { dryRun: true, prune: ALLOWED });

    const lists = api.requests.filter(({ method, path }) => method === 'GET' && /\/replicasets\?/.test(path));
    expect(lists).toHaveLength(1);
    const found = api.requests.filter(({ method, path }) => method === 'GET' && /\/apis\/apps\/v1\?/.test(path));
    expect(found).toHaveLength(1);
  });

  it('list metadata only, a page at a time', async () => {
    await api.create(REPORT, staleReports(450));

    await runPrune(api, { dryRun: true, prune: ALLOWED });

    const lists = api.requests.filter(({ path }) => /\/vulnerabilityreports\?/.test(path));
    expect(lists).toHaveLength(3);
    for (const { headers, path } of lists) {
      expect(headers.accept).toContain('as=PartialObjectMetadataList');
      expect(path).toContain('limit=200');
    }
  });
});

describe('R16: the switch', () => {
  it('ends a run after its decision where it says observe', async () => {
    const aws = await startServices();
    aws.ssm.parameters.set(aws.switchParameter, 'observe');
    await createReports(api);

    const report = await runPrune(api);

    expect(report).toMatchObject({ outcome: 'planned', dryRun: false });
    expect(report.reason).toContain('R16');
    expect(report.plan).toHaveLength(8);
    expect(deletes()).toBe(0);
  });
});

describe('R9: the lease', () => {
  it('is held while it deletes, and let go at the end', async () => {
    const aws = await startServices();
    await createReports(api);
    const during: Promise<readonly string[]>[] = [];

    const report = await runPrune(api, {
      onOperation: ({ name, to }) => {
        if (name?.startsWith('delete ') && to === 'STARTED') during.push(recordsOf(aws, CLUSTER));
      },
    });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(during).toHaveLength(8);
    for (const records of await Promise.all(during)) expect(records).toContain('lease');
    expect(await recordsOf(aws, CLUSTER)).toEqual([expect.stringMatching(/^run#/)]);
    expect(aws.events.map(({ detailType }) => detailType)).toEqual(['Report Pruning Finished']);
    expect(aws.events[0]?.detail).toMatchObject({ outcome: 'pruned' });
  });

  it('of another run keeps it from touching anything', async () => {
    const aws = await startServices();
    await createReports(api);
    await holdLease(aws, 'arn:aws:lambda:eu-west-1:1:function:other:1/durable-execution/a/b');

    const report = await runPrune(api);

    expect(report.outcome).toBe('skipped');
    expect(deletes()).toBe(0);
    expect(await recordsOf(aws, CLUSTER)).toContain('lease');
  });

  it('of the run on whose behalf it works is its own, and is left to that run', async () => {
    const aws = await startServices();
    await createReports(api);
    const parent = 'arn:aws:lambda:eu-west-1:1:function:recover:1/durable-execution/a/b';
    await holdLease(aws, parent);

    const report = await runPrune(api, { parent });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(KEPT);
    expect(await recordsOf(aws, CLUSTER)).toContain('lease');
    expect(stepNames(report)).not.toContain('release lease');
    expect(stepNames(report)).toEqual(expect.arrayContaining(['history', 'bus']));
  });

  it('that is lost stops it before the next batch, and the report says what is done', async () => {
    const aws = await startServices();
    await api.create(REPORT, staleReports(520));
    const later = () => Date.now() + 2 * LEASE_TTL_MS;
    const thief = createLease({
      table: aws.table,
      cluster: CLUSTER,
      owner: 'x',
      workflow: 'recover',
      ttlMs: 1,
      now: later,
    });
    let theft: Promise<unknown> | undefined;

    const report = await runPrune(api, {
      prune: ALLOWED,
      onOperation: ({ name }) => {
        if (name === `delete ${VULNERABILITY_REPORTS}, batch 1`) theft ??= thief.acquire();
      },
    });

    expect(await theft).toEqual({ kind: 'acquired' });
    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toMatch(/^R9: .*"delete .*, batch 2" and all after it were not done\. Deleted 500/);
    expect(deletes()).toBe(500);
  });
});

describe('rights that are missing', () => {
  const reports = (verbs: readonly string[], ...resources: string[]) => ({
    verbs,
    apiGroups: ['aquasecurity.github.io'],
    resources,
  });
  const owners = { verbs: ['list', 'get'], apiGroups: ['apps', ''], resources: ['*'] };
  const all = ['list', 'get', 'delete'];

  it('for one kind are named, and the others are pruned', async () => {
    await start({ rules: [reports(all, 'sbomreports'), owners] });
    await api.create(REPORT, staleReports(3));
    await api.create(SBOM, staleReports(3));

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(report.reason).toMatch(/Passed over: list vulnerabilityreports\.aquasecurity\.github\.io/);
    expect(of(report).note).toMatch(/list vulnerabilityreports/);
    expect(await reportNames(api)).toEqual(['stale-00000', 'stale-00001', 'stale-00002']);
  });

  it('to delete stop that kind, and the others are pruned', async () => {
    await start({ rules: [reports(['list', 'get'], 'vulnerabilityreports'), reports(all, 'sbomreports'), owners] });
    await api.create(REPORT, staleReports(3));
    await api.create(SBOM, staleReports(3));

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(report.reason).toMatch(/delete vulnerabilityreports\.aquasecurity\.github\.io/);
    expect(of(report)).toMatchObject({ stale: 3, deleted: 0, note: expect.stringContaining('delete') });
    expect(await api.list(SBOM)).toHaveLength(0);
  });

  it('to delete anything are refused', async () => {
    await start({ rules: [reports(['list', 'get'], '*'), owners] });
    await api.create(REPORT, staleReports(3));

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome).toBe('refused');
    expect(await api.list(REPORT)).toHaveLength(3);
  });

  it('to see owners keep their reports', async () => {
    await start({ rules: [reports(all, '*'), { ...owners, apiGroups: [''] }] });
    await api.create(REPORT, [...staleReports(3), trivyReport('keep-one')]);

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome).toBe('nothing-to-do');
    expect(report.reason).toMatch(
      /^None of 4 reports of \d+ kinds is known to be stale\. Of 4 it cannot be told, because .*: list replicasets\.apps/,
    );
    expect(of(report).kept).toEqual({ 'owner-unknown': 4 });
    expect(of(report).note).toMatch(/ReplicaSet \(apps\/v1\): list replicasets\.apps/);
  });

  it('for one kind make a run refused that found nothing to do in the others', async () => {
    await start({ rules: [reports(all, 'sbomreports'), owners] });
    await api.create(REPORT, staleReports(3));

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toMatch(/^None of 0 reports .*Passed over: list vulnerabilityreports/);
  });

  it('to read a report only leave its size unknown', async () => {
    await start({ rules: [reports(['list', 'delete'], '*'), owners] });
    await api.create(REPORT, staleReports(3));

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report)).not.toHaveProperty('staleBytes');
    expect(of(report).deleted).toBe(3);
  });
});

describe('where the API server cannot be used, nothing is changed and the run fails', () => {
  const failing = async (options: PruneOptions): Promise<string> => {
    await createReports(api);
    const report = await runPrune(api, { ...IMPATIENT, ...options });
    expect(report.outcome).toBe('failed');
    expect(deletes()).toBe(0);
    return report.reason;
  };

  it('because another authority signed its certificate', async () => {
    await using directory = await temporaryFile('');
    const { caFile } = await createAuthority(`${directory.path}-pki`);
    const { server, credentials } = api.configuration();

    const reason = await failing({ kubernetes: { server, credentials: { ...credentials, caFile } } });

    expect(reason).toMatch(/certificate/);
  });

  it('because nobody listens there', async () => {
    const kubernetes = api.configuration();
    await api.kill();

    const reason = await failing({ kubernetes });

    expect(reason).toMatch(/^The API server could not be used, and nothing was changed: .*connection was refused/);
  });

  it.each([
    [{ direct: 'when-the-api-is-down' }, 0],
    [{ direct: 'always' }, 0],
    [{ direct: 'never' }, 2],
  ])('in an emergency with %j, after waiting for it %i times', async (prune, expected) => {
    const kubernetes = api.configuration();
    await api.kill();
    let waits = 0;

    const report = await runPrune(api, {
      ...IMPATIENT,
      ...{ kubernetes, prune, emergency: true },
      onOperation: ({ name, to }) => {
        if (name?.startsWith('survey') && to === 'PENDING') waits++;
      },
    });

    expect(report).toMatchObject({ outcome: 'failed', unavailable: 'kubernetes' });
    expect(waits).toBe(expected);
  });

  it('because it hangs', async () => {
    api.fail({ effect: 'hang', times: 100 });

    const reason = await failing({ session: { patienceMs: 100, timeoutMs: 100 } });

    expect(reason).toMatch(/^The API server could not be used, and nothing was changed: .*no answer in time/);
  });

  it('because it says 429 all the time', async () => {
    api.fail({ effect: { status: 429, headers: { 'retry-after': '0.05' } }, times: 1_000 });

    const reason = await failing({ session: { patienceMs: 100 } });

    expect(reason).toMatch(/^The API server could not be used, and nothing was changed: .*too busy/);
  });

  it('because a file of its credentials is not there', async () => {
    const { server, credentials } = api.configuration();

    const reason = await failing({ kubernetes: { server, credentials: { ...credentials, tokenFile: '/nowhere' } } });

    expect(reason).toMatch(/kubernetes\.credentials\.tokenFile: \/nowhere/);
  });
});

describe('a server in trouble half-way', () => {
  it('that has lost the caller’s rights altogether ends the run as failed, with what is done', async () => {
    await api.create(REPORT, staleReports(520));
    const unauthorized = { status: 401, message: 'Unauthorized', reason: 'Unauthorized' };

    const report = await runPrune(api, {
      ...IMPATIENT,
      prune: ALLOWED,
      onOperation: ({ name, to }) => {
        if (name === `delete ${VULNERABILITY_REPORTS}, batch 1` && to === 'SUCCEEDED') {
          api.fail({ method: 'DELETE', effect: unauthorized, times: 1_000 });
        }
      },
    });

    expect(report.outcome).toBe('failed');
    expect(report.reason).toMatch(
      /^Deleted 500 stale reports of 1 kind, .*20 stale reports are left.*does not know who is asking/,
    );
    expect(await api.list(REPORT)).toHaveLength(20);
  });

  it('that does not come back ends the run as failed, with what is done', async () => {
    await api.create(REPORT, staleReports(520));

    const report = await runPrune(api, {
      ...IMPATIENT,
      prune: ALLOWED,
      onOperation: ({ name, to }) => {
        if (name === `delete ${VULNERABILITY_REPORTS}, batch 1` && to === 'SUCCEEDED') void api.kill();
      },
    });

    expect(report.outcome).toBe('failed');
    expect(of(report)).toMatchObject({ stale: 520, deleted: 500 });
  });

  it('that breaks connections after it has deleted counts each report once', async () => {
    await api.create(REPORT, staleReports(40));
    api.fail({ method: 'DELETE', effect: 'done-then-reset', times: 10 });

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report)).toMatchObject({ stale: 40, deleted: 40, skipped: 0 });
  });
});

describe('what is dead beside an API server that works', () => {
  const dead = (path: RegExp) => {
    const text = 'service unavailable\n';
    api.fail({ path, effect: { status: 503, text }, times: 10_000 });
  };

  it('a group’s own server: its kinds are passed over by name, and the others pruned', async () => {
    await createReports(api);
    dead(/\/apis\/wgpolicyk8s\.io\//);

    const report = await runPrune(api, IMPATIENT);

    expect(report.outcome, report.reason).toBe('pruned');
    expect(report.reason).toMatch(/Passed over: list policyreports\.wgpolicyk8s\.io .*503.*kubectl get apiservices/);
    expect(of(report, 'policyreports.wgpolicyk8s.io')).toMatchObject({
      deleted: 0,
      note: expect.stringContaining('503'),
    });
    const left = ['stale-namespace-gone', 'stale-policy'];
    expect((await reportNames(api)).filter((name) => name.startsWith('stale'))).toEqual(left);
  });

  it('a group’s own server: where the others have nothing to do, the run is refused all the same', async () => {
    dead(/\/apis\/wgpolicyk8s\.io\//);

    const report = await runPrune(api, IMPATIENT);

    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toMatch(/Passed over: list policyreports\.wgpolicyk8s\.io .*503/);
  });

  it('Kyverno’s newer group: what may be left over by that is kept, and the others pruned', async () => {
    await createReports(api);
    dead(/\/apis\/reports\.kyverno\.io\//);

    const report = await runPrune(api, IMPATIENT);

    expect(report.outcome, report.reason).toBe('pruned');
    const left = ['stale-ephemeral', 'stale-idle', 'stale-leftover'];
    expect((await reportNames(api)).filter((name) => name.startsWith('stale'))).toEqual(left);
  });

  it.each([
    ['found', /\/apis\/apps\/v1\?/],
    ['listed', /\/replicasets\?/],
  ])('one kind of owners, which can’t be %s: its reports are kept, and the others pruned', async (_what, path) => {
    await api.create(REPORT, [
      ...staleReports(3),
      trivyReport('stale-pod', { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'none', uid: 'none' }] }),
    ]);
    dead(path);

    const report = await runPrune(api, { ...IMPATIENT, prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(await reportNames(api)).toEqual(['stale-00000', 'stale-00001', 'stale-00002']);
    expect(of(report).kept).toEqual({ 'owner-unknown': 3 });
    expect(of(report).note).toMatch(/owners could not be listed: ReplicaSet \(apps\/v1\): .*503/);
  });

  it('once all of it is away, it ends the run', async () => {
    await api.create(SBOM, staleReports(3));
    dead(/\/vulnerabilityreports\?/);

    const report = await runPrune(api, {
      ...IMPATIENT,
      prune: ALLOWED,
      onOperation: ({ name, to }) => {
        if (name === `survey ${VULNERABILITY_REPORTS}` && to === 'SUCCEEDED') dead(/\/deployments\?/);
      },
    });

    expect(report.outcome).toBe('failed');
    expect(report.reason).toMatch(/^The API server could not be used, and nothing was changed: .*503/);
    expect(deletes()).toBe(0);
  });
});

describe('a look that takes longer than its invocation has', () => {
  async function surveys(slowFrom: number, slowTo: number): Promise<{ report: RunReport; names: readonly string[] }> {
    await api.create(REPORT, staleReports(450));
    const names: string[] = [];
    const clock = Date.now;
    let attempt = 0;
    let aheadMs = 0;
    cleanUp.defer(() => {
      Date.now = clock;
    });
    Date.now = () => clock() + aheadMs;
    // The server answers, and by our clock that took a quarter of an hour.
    api.now = () => {
      const isSlow =
        attempt >= slowFrom && attempt <= slowTo && /vulnerabilityreports\?/.test(api.requests.at(-1)?.path ?? '');
      if (isSlow) aheadMs += 15 * 60_000;
      return new Date(clock());
    };
    const report = await runPrune(api, {
      prune: { ...ALLOWED, kinds: only(VULNERABILITY_REPORTS) },
      onOperation: ({ name, to }) => {
        if (!name?.startsWith('survey') || to !== 'STARTED') return;
        attempt++;
        names.push(name);
      },
    });
    return { report, names };
  }

  it('is begun again in a fresh one', async () => {
    const { report, names } = await surveys(1, 1);

    expect(names).toHaveLength(2);
    expect(report.outcome, report.reason).toBe('pruned');
  });

  it('is given up after three times, and the kind passed over', async () => {
    const { report, names } = await surveys(1, 100);

    expect(names).toHaveLength(3);
    expect(report.outcome).toBe('refused');
    expect(report.reason).toMatch(/took longer than there was time for/);
    expect(deletes()).toBe(0);
  });
});

describe('reports that admission does not let go', () => {
  const deny = (path: RegExp) => {
    const message = 'admission webhook "validate.kyverno.svc-fail" denied the request: no deletes here';
    api.fail({ method: 'DELETE', path, effect: { status: 403, reason: 'Forbidden', message }, times: 10_000 });
  };

  async function deleteAll(): Promise<Batch> {
    await using client = openKubernetes({ server: api.server, credentials: api.credentials(), patienceMs: 100 });
    const candidates = [...(await api.list(REPORT))];
    return await deleteBatch(client, REPORT, candidates, { reports: 500, untilMs: Date.now() + 60_000 });
  }

  it('are named, and all others are deleted', async () => {
    await api.create(REPORT, staleReports(120));
    deny(/stale-000[3-8]1/);

    const batch = await deleteAll();

    expect(batch).toMatchObject({ deleted: 114, changed: 0, problem: undefined });
    expect(batch.denied).toMatchObject({ count: 6, detail: expect.stringContaining('no deletes here') });
    expect(batch.denied?.names).toHaveLength(5);
    expect(batch.denied?.names).toContain('default/stale-00081');
    expect(await api.list(REPORT)).toHaveLength(6);
  });

  it('make a run that was let delete nothing a refused one, however few they are', async () => {
    await api.create(REPORT, staleReports(3));
    deny(/./);

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('refused');
    expect(report.reason).toContain('no deletes here');
    expect(of(report)).toMatchObject({ stale: 3, deleted: 0, skipped: 3 });
  });

  it('stop the kind where it is one after the other', async () => {
    await api.create(REPORT, staleReports(120));
    deny(/./);

    const batch = await deleteAll();

    expect(batch.deleted).toBe(0);
    expect(batch.problem).toBeInstanceOf(DeniedError);
    // Ten, and what was begun with the tenth.
    expect(batch.denied?.count).toBe(deletes());
    expect(deletes()).toBeLessThanOrEqual(10 + 63);
  });
});

describe('an operator', () => {
  const DEPLOYMENT = kindNamed('Deployment');
  const idle = (name: string) => trivyReport(name, { ownerReferences: [] });

  async function leftOfIdle(...deployments: readonly NewObject[]): Promise<readonly string[]> {
    for (const { name, namespace } of await api.list(DEPLOYMENT)) await api.remove(DEPLOYMENT, { name, namespace });
    await api.create(DEPLOYMENT, deployments);
    await api.create(REPORT, [idle('of-an-operator')]);
    await runPrune(api, { prune: ALLOWED });
    return reportNames(api);
  }

  it.each<[string, NewObject]>([
    ['label of its chart', { name: 'scanner', labels: { app: 'scanner', 'helm.sh/chart': 'trivy-operator-0.24.1' } }],
    ['name', { name: 'my-trivy-scanner' }],
    ['namespace', { name: 'operator', namespace: 'Trivy-System' }],
    ['name on the last of many pages', { name: 'zz-trivy' }],
  ])('that is there under another name is known by its %s, and its reports are kept', async (_what, deployment) => {
    const others = Array.from({ length: 600 }, (_, i) => ({ name: `app-${i}` }));

    expect(await leftOfIdle(...others, deployment)).toEqual(['of-an-operator']);
  });

  const KYVERNO_ALONE = { name: 'kyverno', labels: { app: 'kyverno' } };
  const seenGone = async ({ table }: AwsStandIn, hoursAgo: number) => {
    const at = new Date(Date.now() - hoursAgo * 3_600_000).toISOString();
    await recordProducers(table, CLUSTER, { at, producers: { trivy: 'gone', kyverno: 'there' } });
  };

  it('that is not there any more, nor was last night, leaves reports that are deleted', async () => {
    await seenGone(await startServices(), 24);

    expect(await leftOfIdle(KYVERNO_ALONE)).toEqual([]);
  });

  it('R12: that is not there for the first time leaves reports that are kept, and the run says what is missing', async () => {
    const { table } = await startServices();
    await leftOfIdle(KYVERNO_ALONE);

    const report = await runPrune(api, { prune: ALLOWED });

    expect(report.outcome, report.reason).toBe('escalated');
    expect(report.reason).toMatch(
      /R12: 1 of 1 .* 1 producer-gone\. .* the only look before, of .*, is less than an hour old/,
    );
    expect(of(report)).toMatchObject({ stale: 1, deleted: 0, held: { 'producer-gone': 1 } });
    const records = await readProducers(table, CLUSTER);
    expect(records.map(({ producers }) => producers)).toEqual([
      { trivy: 'gone', kyverno: 'there' },
      { trivy: 'gone', kyverno: 'there' },
    ]);
  });

  it('R12: whose absence a dry run has seen counts as well as if a night had', async () => {
    const { table } = await startServices();
    await api.remove(DEPLOYMENT, { namespace: 'default', name: 'trivy-operator' });
    await runPrune(api, { prune: ALLOWED, dryRun: true });

    expect(await readProducers(table, CLUSTER)).toHaveLength(1);
  });
});

describe('what was changed between the list and the delete', () => {
  it('is left alone, counted and told', async () => {
    await api.create(REPORT, staleReports(5));
    const at = (i: number) => ({ namespace: 'default', name: `stale-0000${i}` });

    const report = await runPrune(api, {
      prune: ALLOWED,
      onOperation: ({ name, to }) => {
        if (name !== `survey ${VULNERABILITY_REPORTS}` || to !== 'SUCCEEDED') return;
        void api.rewrite(REPORT, at(0));
        void api.remove(REPORT, at(1));
        void api.addFinalizer(REPORT, at(2), 'example.com/archive');
      },
    });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report)).toMatchObject({ stale: 5, deleted: 2, skipped: 3 });
    expect(report.reason).toContain('3 more changed, vanished or got a finalizer');
    expect(await reportNames(api)).toEqual(['stale-00000', 'stale-00002']);
  });
});

describe('configuration', () => {
  it('without kubernetes refuses, and says what to set', async () => {
    const report = await runPrune(api, { kubernetes: undefined });

    expect(report.outcome).toBe('refused');
    expect(report.reason).toContain('kubernetes.server');
  });

  it('R12: of a kind that is never pruned fails, and nothing is looked at', async () => {
    await createReports(api);

    const report = await runPrune(api, { prune: { kinds: { 'clustercompliancereports.aquasecurity.github.io': {} } } });

    expect(report.outcome).toBe('failed');
    expect(report.reason).toContain('never pruned');
    expect(api.requests).toHaveLength(0);
  });

  it('of a kind that the cluster does not serve passes it over by name', async () => {
    await createReports(api);

    const report = await runPrune(api, {
      kubernetes: api.configuration('admin'),
      prune: { kinds: { 'scans.example.com': { version: 'v1' } } },
    });

    expect(report.outcome, report.reason).toBe('pruned');
    expect(of(report, 'scans.example.com').note).toBe('not served by this cluster');
    expect(report.steps.find(({ name }) => name === 'not served')?.detail).toBe('scans.example.com');
    expect(await reportNames(api)).toEqual(KEPT);
  });

  it('of another kind prunes it as well', async () => {
    await api.create(kindNamed('ConfigMap'), []);
    await api.create(kindNamed('ClusterReport'), [trivyReport('stale-foreign', { ...GONE, labels: {} })]);

    const report = await runPrune(api, {
      prune: { kinds: { ...only(), 'reports.openreports.io': {}, 'clusterreports.openreports.io': { prune: true } } },
    });

    expect(report.outcome).toBe('nothing-to-do');
    expect(of(report, 'clusterreports.openreports.io').kept).toEqual({ foreign: 1 });
  });

  it('with nothing to look at has nothing to do', async () => {
    const report = await runPrune(api, { prune: { kinds: only() } });

    expect(report.outcome).toBe('nothing-to-do');
    expect(STALE.length).toBeGreaterThan(0);
  });
});
