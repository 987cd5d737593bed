// The probe on real etcd, in good days and bad ones: what it puts out as metrics, leaves in the table, and says.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { SetupError } from '../../functions/contract/errors.ts';
import { LookNotStoredError } from '../../functions/probe/store.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { raiseCorrupt } from '../../lab/control-plane/alarms.ts';
import { createAuthority, openAuthority } from '../../lab/control-plane/certificates.ts';
import { within, withMember } from '../../lab/control-plane/client.ts';
import { startControlPlane } from '../../lab/control-plane/control-plane.ts';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import type { ControlPlane } from '../../lab/control-plane/plane.ts';
import { materialOf } from '../etcd/material.ts';
import { hanging } from '../etcd/stand-ins.ts';
import { connectionsOf, figuresOf, recordOf, reportOf, runHandler } from './harness.ts';

const MiB = 1024 * 1024;
const QUOTA_BYTES = 16 * MiB;
/** What issue and design ask for. */
const LIMIT_MS = 10_000;

const ALL_WELL = { NospaceAlarms: 0, CorruptAlarms: 0, MembersAway: 0, HasLeader: 1 };

let aws: AwsStandIn;
beforeAll(async () => {
  aws = await startAws();
  aws.enter();
});
afterAll(() => aws?.stop());
afterEach(() => vi.unstubAllEnvs());

const durationMs = ({ startedAt, finishedAt }: { readonly startedAt: string; readonly finishedAt: string }) =>
  Date.parse(finishedAt) - Date.parse(startedAt);

describe('the probe, on a cluster of three', () => {
  let plane: ControlPlane;

  beforeAll(async () => {
    plane = await startControlPlane({ quotaBytes: QUOTA_BYTES });
  });
  afterAll(() => plane?.stop());
  afterEach(async () => {
    for (const { name, pid } of plane.members) {
      if (pid === undefined) plane.startMember(name);
      else plane.resume(name);
    }
    await plane.ready();
  });

  it('that is healthy: says so in every metric, with its unit and its dimensions alone', async () => {
    const written = await runHandler(plane.configuration());

    const { outcome, reason, members } = reportOf(written);
    expect(outcome, reason).toBe('healthy');
    const { cluster, members: figures } = figuresOf(written.metrics);
    expect(cluster).toEqual({ ...ALL_WELL, MembersAnswering: 3, QuotaUsage: expect.any(Number) });
    const largest = Math.max(...members.map(({ before }) => before?.dbSize ?? Number.NaN));
    expect(cluster.QuotaUsage).toBeCloseTo((100 * largest) / QUOTA_BYTES, 2);
    for (const { name, before } of members) {
      const sizes = { DbSizeBytes: before?.dbSize, DbSizeInUseBytes: before?.dbSizeInUse };
      expect(figures[name]).toEqual({ MemberHealthy: 1, ...sizes });
      expect(sizes.DbSizeInUseBytes).toBeGreaterThan(0);
    }
    const directives = written.metrics.map(({ _aws, cluster, member, service }) => ({
      ..._aws.CloudWatchMetrics[0],
      is: { cluster, member, service },
    }));
    expect(directives).toEqual([
      {
        Namespace: 'etcd-medic',
        Dimensions: [['cluster']],
        is: { cluster: 'control-plane' },
        Metrics: expect.arrayContaining([
          { Name: 'NospaceAlarms', Unit: 'Count' },
          { Name: 'CorruptAlarms', Unit: 'Count' },
          { Name: 'MembersAnswering', Unit: 'Count' },
          { Name: 'MembersAway', Unit: 'Count' },
          { Name: 'QuotaUsage', Unit: 'Percent' },
          { Name: 'HasLeader', Unit: 'Count' },
        ]),
      },
      ...['cp-1', 'cp-2', 'cp-3'].map((member) => ({
        Namespace: 'etcd-medic',
        Dimensions: [['cluster', 'member']],
        is: { cluster: 'control-plane', member },
        Metrics: expect.arrayContaining([
          { Name: 'DbSizeBytes', Unit: 'Bytes' },
          { Name: 'DbSizeInUseBytes', Unit: 'Bytes' },
          { Name: 'MemberHealthy', Unit: 'Count' },
        ]),
      })),
    ]);
    expect(new Set(written.metrics.map(({ _aws }) => _aws.Timestamp)).size).toBe(1);
  });

  it('leaves its look in the table, over the one before, and one line in the log', async () => {
    const event = {
      source: 'aws.events',
      'detail-type': 'Scheduled Event',
      resources: ['arn:rule'],
      time: '2026-11-20T02:13:00Z',
    };
    await runHandler(plane.configuration());

    const written = await runHandler(plane.configuration(), { event });

    const report = reportOf(written);
    expect(report).toMatchObject({
      workflow: 'probe',
      trigger: { kind: 'schedule', source: 'arn:rule', at: '2026-11-20T02:13:00Z' },
    });
    const record = await recordOf(aws);
    expect(record).toMatchObject({ at: report.startedAt, look: { at: report.startedAt, problem: null } });
    expect(record?.look.durationMs).toBeLessThanOrEqual(durationMs(report));
    expect(record?.look.members).toEqual(
      plane.members.map(({ id, name, endpoint }) => ({
        id,
        name,
        endpoint,
        version: plane.version,
        isLeader: expect.any(Boolean),
        isLearner: false,
        healthy: true,
        quotaBytes: QUOTA_BYTES,
        dbSize: expect.any(Number),
        dbSizeInUse: expect.any(Number),
        alarms: [],
        problem: null,
      })),
    );
    expect(record?.look.members.filter(({ isLeader }) => isLeader)).toHaveLength(1);
    expect(written.logs).toEqual([
      expect.objectContaining({ level: 'INFO', message: 'probed', cluster: 'control-plane', outcome: 'healthy' }),
    ]);
  });

  it('dry run: looks, and puts nothing anywhere', async () => {
    const before = await recordOf(aws);

    const written = await runHandler(plane.configuration(), { event: { dryRun: true } });

    expect(reportOf(written)).toMatchObject({ outcome: 'healthy', dryRun: true });
    expect(written.metrics).toEqual([]);
    expect(await recordOf(aws)).toEqual(before);
  });

  it('finds all members from one endpoint', async () => {
    const [one] = plane.endpoints;

    const written = await runHandler(plane.configuration({ etcd: { endpoints: [one] } }));

    expect(figuresOf(written.metrics).cluster).toMatchObject({ ...ALL_WELL, MembersAnswering: 3 });
  });

  it.each<[string, (name: string) => Promise<void>]>([
    ['dead', (name) => plane.stopMember(name, 'SIGKILL')],
    ['hanging', async (name) => plane.pause(name)],
  ])(
    'with one member %s: the others are told as ever, the one is away, and every connection is closed',
    async (_how, away) => {
      await away('cp-2');
      // Where it was the leader, the others elect another one first.
      await plane.ready(['cp-1', 'cp-3']);

      const { result: written, sockets } = await connectionsOf(() => runHandler(plane.configuration()));

      const report = reportOf(written);
      expect(report.outcome).toBe('escalated');
      expect(report.reason).toContain('cp-2 is away');
      expect(durationMs(report)).toBeLessThan(LIMIT_MS);
      const { cluster, members } = figuresOf(written.metrics);
      expect(cluster).toMatchObject({ NospaceAlarms: 0, CorruptAlarms: 0, MembersAnswering: 2, MembersAway: 1 });
      expect(members).toEqual({
        'cp-1': expect.objectContaining({ DbSizeBytes: expect.any(Number) }),
        'cp-2': { MemberHealthy: 0 },
        'cp-3': expect.objectContaining({ DbSizeBytes: expect.any(Number) }),
      });
      const stored = (await recordOf(aws))?.look.members.find(({ name }) => name === 'cp-2');
      expect(stored).toMatchObject({ healthy: false, dbSize: null, version: null, quotaBytes: null });
      expect(stored?.problem).toMatch(/Status at https:/);
      expect(sockets.length).toBeGreaterThan(plane.members.length);
      await vi.waitFor(() => expect(sockets.filter(({ destroyed }) => !destroyed)).toEqual([]), { timeout: 10_000 });
    },
  );

  it('without a quorum: tells the one member that is left, that nobody leads, and that all are away', async () => {
    await Promise.all(['cp-2', 'cp-3'].map((name) => plane.stopMember(name, 'SIGKILL')));
    await untilNobodyLeads(plane, 'cp-1');

    const written = await runHandler(plane.configuration());

    const report = reportOf(written);
    expect(report.outcome).toBe('escalated');
    expect(durationMs(report)).toBeLessThan(LIMIT_MS);
    const { cluster, members } = figuresOf(written.metrics);
    // Nothing of alarms: what it knows of them may be of yesterday.
    expect(cluster).toEqual({
      MembersAnswering: 1,
      MembersAway: 3,
      QuotaUsage: expect.any(Number),
      HasLeader: 0,
    });
    expect(members).toEqual({
      'cp-1': { MemberHealthy: 0, DbSizeBytes: expect.any(Number), DbSizeInUseBytes: expect.any(Number) },
      'cp-2': { MemberHealthy: 0 },
      'cp-3': { MemberHealthy: 0 },
    });
  });

  it.each<[string, (name: string) => Promise<void>]>([
    ['dead', (name) => plane.stopMember(name, 'SIGKILL')],
    ['hanging', async (name) => plane.pause(name)],
  ])('with all members %s: says that nobody answers, and nothing of what it cannot know', async (_how, away) => {
    for (const { name } of plane.members) await away(name);

    const written = await runHandler(plane.configuration());

    // Nobody answers: that is a finding, not an error of the function.
    const report = reportOf(written);
    expect(report.outcome).toBe('escalated');
    expect(durationMs(report)).toBeLessThan(LIMIT_MS);
    expect(figuresOf(written.metrics)).toEqual({
      cluster: { MembersAnswering: 0, MembersAway: 3, HasLeader: 0 },
      members: {},
    });
    expect(await recordOf(aws)).toMatchObject({
      look: { members: [], problem: expect.stringContaining(`Status at ${plane.endpoints[0]}`) },
    });
    expect(written.logs).toEqual([expect.objectContaining({ level: 'WARN', outcome: 'escalated' })]);
  });

  it.each<[string, () => Promise<Readonly<Record<string, unknown>>>, RegExp]>([
    [
      'a certificate of another CA',
      async () => ({ ...(await (await createAuthority(`${plane.directory}/other`)).issue({ name: 'client' })) }),
      /TLS failed at every one of them/,
    ],
    [
      'an expired certificate',
      async () => ({
        ...(await (await openAuthority(`${plane.directory}/pki`)).issue({ name: 'late', expired: true })),
      }),
      /cert: .* expired on/,
    ],
    ['a file that is not there', async () => ({ ...plane.credentials, keyFile: '/nowhere/client.key' }), /ENOENT/],
    [
      'a secret that is not there',
      async () => ({ secretArn: 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:gone' }),
      /can't be read: ResourceNotFoundException/,
    ],
  ])('R15: with %s: puts that out as metrics first, and then fails as a function', async (_what, make, words) => {
    const configuration = plane.configuration({ etcd: { credentials: await make() } });

    const written = await runHandler(configuration);

    expect(written.outcome).toMatchObject({ status: 'rejected', reason: expect.any(SetupError) });
    expect(written.outcome).toMatchObject({ reason: { message: expect.stringMatching(words) } });
    expect(figuresOf(written.metrics)).toEqual({
      cluster: { MembersAnswering: 0, MembersAway: 3, HasLeader: 0 },
      members: {},
    });
    expect(await recordOf(aws)).toMatchObject({ look: { members: [], problem: expect.stringMatching(words) } });
    expect(written.logs).toEqual([expect.objectContaining({ level: 'ERROR', outcome: 'failed' })]);
    expect(JSON.stringify(written.logs)).not.toMatch(/PRIVATE KEY/);
  });

  it('finds a certificate that was put right at its next look', async () => {
    const secretArn = 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:renewed';
    const right = await materialOf(plane);
    aws.secretsManager.secrets.set(secretArn, JSON.stringify({ ...right, ca: right?.cert }));
    const configuration = plane.configuration({ etcd: { credentials: { secretArn } } });
    const refused = await runHandler(configuration);
    aws.secretsManager.secrets.set(secretArn, JSON.stringify(right));

    const written = await runHandler(configuration);

    expect(refused.outcome.status).toBe('rejected');
    expect(reportOf(written).outcome).toBe('healthy');
  });

  it('on a terminal, without a table, such a failure is a report', async () => {
    const credentials = { ...plane.credentials, keyFile: '/nowhere/client.key' };
    vi.stubEnv('ETCD_MEDIC_TABLE', undefined);

    const written = await runHandler(plane.configuration({ etcd: { credentials } }), { inLambda: false });

    const report = reportOf(written);
    expect(report).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('ENOENT') });
    expect(report.steps.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['look', 'failed'],
      ['metrics', 'done'],
      ['record', 'not-configured'],
    ]);
  });

  it('with a table that hangs: the metrics are out, it ends in time, and it is an error of the function', async () => {
    await using silent = await hanging();
    vi.stubEnv('AWS_ENDPOINT_URL_DYNAMODB', `http://${silent.hostAndPort}`);
    const started = performance.now();

    const written = await runHandler(plane.configuration());

    expect(written.outcome).toMatchObject({ status: 'rejected', reason: expect.any(LookNotStoredError) });
    expect(figuresOf(written.metrics).cluster).toMatchObject({ ...ALL_WELL, MembersAnswering: 3 });
    expect(performance.now() - started).toBeLessThan(LIMIT_MS);
    expect(silent.count()).toBeGreaterThan(0);
    await vi.waitFor(() => expect(silent.open()).toBe(0), { timeout: 10_000 });
  });
});

describe('the probe, on a cluster with an alarm', () => {
  let plane: ControlPlane | undefined;
  afterEach(async () => {
    await plane?.stop();
    plane = undefined;
  });

  it('NOSPACE: counts the members that raised it, and the fullest one stands at its quota', async () => {
    plane = await startControlPlane({
      version: '3.4.23',
      quotaBytes: 4 * MiB,
      memberQuotaBytes: { 'cp-3': 256 * MiB },
    });
    await fillWithReports(plane, { reportBytes: 20_000 });

    const written = await runHandler(plane.configuration());

    const report = reportOf(written);
    expect(report).toMatchObject({ outcome: 'escalated', reason: expect.stringMatching(/NOSPACE on cp-1, cp-2:/) });
    const { cluster } = figuresOf(written.metrics);
    expect(cluster).toMatchObject({ NospaceAlarms: 2, CorruptAlarms: 0, MembersAnswering: 3, MembersAway: 0 });
    expect(cluster.QuotaUsage).toBeGreaterThan(95);
    const { look } = (await recordOf(aws)) ?? {};
    expect(look?.members.map(({ name, alarms }) => [name, alarms])).toEqual([
      ['cp-1', ['NOSPACE']],
      ['cp-2', ['NOSPACE']],
      ['cp-3', []],
    ]);
  });

  it('CORRUPT: counts it apart from NOSPACE, and asks for a person', async () => {
    plane = await startControlPlane({ members: 1, tls: false });
    await raiseCorrupt(plane, plane.member('cp-1').id);

    const written = await runHandler(plane.configuration());

    const report = reportOf(written);
    expect(report).toMatchObject({ outcome: 'escalated', reason: expect.stringMatching(/CORRUPT on cp-1: a person/) });
    expect(figuresOf(written.metrics).cluster).toMatchObject({
      NospaceAlarms: 0,
      CorruptAlarms: 1,
      MembersAnswering: 1,
      MembersAway: 0,
    });
  });
});

describe('the probe, on a single member without a quota', () => {
  it('has no usage of it to tell, and a learner is no voter', async () => {
    await using plane = await startControlPlane({ members: 1, tls: false, quotaBytes: -1 });
    const learner = await plane.addLearner();

    const written = await runHandler(plane.configuration());

    expect(reportOf(written).outcome).toBe('healthy');
    const { cluster, members } = figuresOf(written.metrics);
    expect(cluster).toEqual({ ...ALL_WELL, MembersAnswering: 2 });
    expect(members[learner.name]).toMatchObject({ MemberHealthy: 1, DbSizeBytes: expect.any(Number) });
    const { look } = (await recordOf(aws)) ?? {};
    expect(look?.members).toMatchObject([
      { name: 'cp-1', isLeader: true, isLearner: false, quotaBytes: 'none' },
      { name: learner.name, isLeader: false, isLearner: true, healthy: true },
    ]);

    await plane.stopMember(learner.name);
    const alone = await runHandler(plane.configuration());

    expect(reportOf(alone).outcome).toBe('healthy');
    expect(figuresOf(alone.metrics)).toMatchObject({
      cluster: { MembersAnswering: 1, MembersAway: 0 },
      members: { [learner.name]: { MemberHealthy: 0 } },
    });
  });
});

describe('the handler', () => {
  it('in Lambda wants its table', async () => {
    vi.stubEnv('ETCD_MEDIC_TABLE', '');
    const configuration = parseCluster({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:1'] } });

    const { outcome } = await runHandler(configuration);

    expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(SetupError) });
    expect(outcome).toMatchObject({ reason: { message: expect.stringContaining('ETCD_MEDIC_TABLE') } });
  });

  it('refuses a dryRun that is neither true nor false, rather than guess', async () => {
    const configuration = parseCluster({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:1'] } });

    const { outcome, metrics } = await runHandler(configuration, { event: { dryRun: 'yes' } });

    expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'InvalidInputError' } });
    expect(metrics).toEqual([]);
  });
});

async function untilNobodyLeads(plane: ControlPlane, name: string): Promise<void> {
  await withMember(plane, plane.member(name).endpoint, async (client) => {
    await vi.waitFor(
      async () => {
        const { leader } = await client.maintenance.status(within(2_000));
        expect(leader).toBe('0');
      },
      { timeout: 30_000, interval: 50 },
    );
  });
}
