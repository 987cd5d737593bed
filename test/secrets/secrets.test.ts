// R15: whatever goes wrong, no key and no token is in anything that a run leaves where somebody could read it. That it
// is so where all goes well is looked at in ../permissions/calls.test.ts, where all goes well.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod/mini';
import type { TlsMaterial } from '../../functions/contract/tls-material.ts';
import { type Stage, startStage } from '../permissions/stage.ts';
import { badCredentials, WRONG, type Wrong } from './bad-credentials.ts';
import { startGarbage } from './garbage.ts';
import { authorityKey, Secrets } from './material.ts';
import { type Traces, watchTraces } from './traces.ts';
import { startXRayDaemon, type XRayDaemon } from './xray.ts';

vi.hoisted(() => {
  // All that there is to say is said.
  process.env.POWERTOOLS_LOG_LEVEL = 'DEBUG';
  delete process.env.POWERTOOLS_METRICS_DISABLED;
  delete process.env.POWERTOOLS_DEV;
});

const TOKEN = `eyJhbGciOiJSUzI1NiIsImtpZCI6${'c2VjcmV0'.repeat(12)}.${'bm9ib2R5'.repeat(20)}.${'a1b2c3d4'.repeat(30)}`;
/** As in a file of static tokens. */
const PLAIN_TOKEN = '31ada4fd-adec-460c-809a-9e56ceb75269';

/** Outcomes of a run and names of errors. */
const BAD_ENDS = /^(failed|refused|escalated|\w*Error)$/;

let stage: Stage;
let traces: Traces;
let xray: XRayDaemon;
const secrets = new Secrets();
let bad: Readonly<Record<Wrong, string>>;
let good: Readonly<Record<'etcd' | 'kubernetes', TlsMaterial>>;

beforeAll(async () => {
  traces = watchTraces();
  xray = await startXRayDaemon();
  const { onOperation } = traces;
  stage = await startStage({ onOperation, pruneSession: { patienceMs: 300, timeoutMs: 300 } });
  await traces.watch(stage.rotate());
  good = { etcd: current('etcd'), kubernetes: current('kubernetes') };
  bad = await badCredentials(stage.plane, good.etcd);
  secrets.addKeys(await authorityKey(stage.plane));
  for (const token of [TOKEN, PLAIN_TOKEN]) secrets.addToken(token);
  // In JSON a line break is two characters.
  for (const text of Object.values(bad)) secrets.addKeys(text.replaceAll('\\n', '\n'));
});
afterEach(async () => {
  const { aws } = stage;
  aws.secretsManager.secrets.clear();
  aws.s3.fail(undefined);
  aws.eventBridge.refuse(undefined);
  aws.sns.refusing.clear();
  stage.api.faults.clear();
  for (const action of ['GetSecretValue', 'PutSecretValue']) aws.secretsManager.refuseNext(action, 0);
  for (const action of ['GetParameter', 'DescribeInstanceInformation', 'SendCommand']) aws.ssm.refuseNext(action, 0);
  Object.assign(stage.plane.nodes[0] ?? {}, { pingStatus: 'Online' });
});
afterAll(async () => {
  traces?.[Symbol.dispose]();
  await stage?.[Symbol.asyncDispose]();
  await xray?.[Symbol.asyncDispose]();
});

function current(purpose: 'etcd' | 'kubernetes'): TlsMaterial {
  return JSON.parse(stage.secrets[purpose].value('AWSCURRENT') ?? '');
}

/** Puts a text in the place of what was issued, until the test ends. */
function hold(purpose: 'etcd' | 'kubernetes', text: string): void {
  stage.aws.secretsManager.secrets.set(stage.secretArns[purpose], text);
}

/** What another test has found: tables and topics keep it. */
const known = new Set<string>();
/** How many events there were when people were told last. */
let told = 0;

/** People are told of what was put on the bus since, and look at the dashboard. Then everything is searched. */
async function expectNoSecret(): Promise<void> {
  const events = stage.aws.events.slice(told);
  told += events.length;
  for (const { source, detailType, detail } of events) {
    const event = { ...ENVELOPE, source, 'detail-type': detailType, detail };
    await traces.watch(stage.call('notify', event));
  }
  const page = await traces.watch(stage.call('widget', {}));

  const found = await traces.secretsLeft(stage, secrets);
  traces.forget();
  const news = found.filter((each) => !known.has(each));
  for (const each of news) known.add(each);
  expect(news).toEqual([]);
  expect(page).toContain('</svg>');
}

/** What EventBridge puts around an event. */
const ENVELOPE = {
  ...{ version: '0', id: '5b0f3d0c-93a4-4c0e-8c8f-0c5b5a0f7a11', account: '111122223333', region: 'eu-west-1' },
  ...{ time: '2026-11-20T02:16:02Z', resources: [] },
};

/** Each run's end: an outcome, or an error's name. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  const end = await traces.watch(work);
  if (end instanceof Error) return end.name;
  return typeof end === 'object' && end !== null && 'outcome' in end ? String(end.outcome) : typeof end;
}

describe('the search', () => {
  it('looks at what is really there', async () => {
    await traces.watch(stage.run('maintain', { dryRun: true }));

    const left = await traces.left(stage);

    const empty = [...left].filter(([, text]) => text.length < 50).map(([where]) => where);
    // A dry run takes no snapshot and tells nobody; the parameter is one word.
    expect(empty).toEqual(['messages', 'parameters', "snapshots' names and metadata"]);
    for (const part of ['"_aws"', '"level":"INFO"']) expect(left.get('logs and metrics')).toContain(part);
  });
});

describe('R15: no key and no token is left anywhere', () => {
  // Both read it in the same way, so that each need not meet all.
  it.each(WRONG.map((what, index) => [what, index % 2 === 0 ? 'recover' : 'maintain'] as const))(
    'where the secret for etcd has %s: probe and %s',
    async (what, workflow) => {
      hold('etcd', bad[what]);
      await stage.coldStart();

      const outcomes = [await outcomeOf(stage.call('probe', {})), await outcomeOf(stage.run(workflow))];

      expect(outcomes.filter((outcome) => !BAD_ENDS.test(outcome))).toEqual([]);
      await expectNoSecret();
    },
  );

  it.each(WRONG)('where the secret for the API server has %s', async (what) => {
    hold('kubernetes', bad[what]);

    const outcome = await outcomeOf(stage.run('prune'));

    expect(outcome).toMatch(BAD_ENDS);
    await expectNoSecret();
  });

  it.each([
    ['is nobody’s', TOKEN],
    ['is in two words', `${TOKEN.slice(0, 200)} ${TOKEN.slice(200)}`],
    ['has a line break', `${TOKEN.slice(0, 200)}\n${TOKEN.slice(200)}`],
  ])('where the token for the API server %s', async (_, token) => {
    hold('kubernetes', JSON.stringify({ ca: good.kubernetes.ca, token }));

    expect(await outcomeOf(stage.run('prune'))).toMatch(BAD_ENDS);
    await expectNoSecret();
  });

  it.each([401, 403])('where the API server answers %i', async (status) => {
    stage.api.fail({ effect: { status, message: 'as the test wants it' }, times: 1_000 });

    expect(await outcomeOf(stage.run('prune'))).toMatch(BAD_ENDS);
    await expectNoSecret();
  });

  it.each([
    [401, 'its header', `unknown: Authorization: Bearer ${TOKEN}`],
    [403, 'its header', `unknown: Authorization: Bearer ${TOKEN}`],
    [500, 'the token', `the token "${TOKEN}" is not known`],
    [200, 'the token', `the token "${TOKEN}" is not known`],
    [401, 'the token', `the token "${TOKEN}" is not known`],
    [401, 'the token, cut', `the token ${TOKEN.slice(0, 100)}... is not known`],
  ])('where the API server, or what stands before it, answers %i and says %s again', async (status, _, words) => {
    hold('kubernetes', JSON.stringify({ ca: good.kubernetes.ca, token: TOKEN }));
    const effect = { status, ...(status === 401 || status === 403 ? { message: words } : { text: words }) };
    stage.api.fail({ effect, times: 1_000 });

    expect(await outcomeOf(stage.run('prune'))).toMatch(BAD_ENDS);
    await expectNoSecret();
  });

  it('where the API server says a token again that is no JWT', async () => {
    hold('kubernetes', JSON.stringify({ ca: good.kubernetes.ca, token: PLAIN_TOKEN }));
    stage.api.fail({ effect: { status: 401, message: `who is ${PLAIN_TOKEN}?` }, times: 1_000 });

    expect(await outcomeOf(stage.run('prune'))).toMatch(BAD_ENDS);
    await expectNoSecret();
  });

  it('where the API server is away', async () => {
    await stage.api.kill();

    const outcome = await outcomeOf(stage.run('prune'));

    await stage.api.restart();
    expect(outcome).toMatch(BAD_ENDS);
    await expectNoSecret();
  });

  it.each<[string, string, string]>([
    ['the switch is not to be read', 'GetParameter', 'planned'],
    ['the nodes are not to be listed', 'DescribeInstanceInformation', 'failed'],
  ])('where %s', async (_, action, ends) => {
    stage.aws.ssm.refuseNext(action, 100, 'AccessDeniedException');
    await stage.coldStart();

    const outcomes = [await outcomeOf(stage.run('maintain')), await outcomeOf(stage.call('probe', {}))];

    expect(outcomes[0]).toBe(ends);
    await expectNoSecret();
  });

  it('where no secret is to be read', async () => {
    stage.aws.secretsManager.refuseNext('GetSecretValue', 100);
    await stage.coldStart();

    const outcomes: string[] = [];
    for (const workflow of ['recover', 'maintain', 'prune'] as const)
      outcomes.push(await outcomeOf(stage.run(workflow)));
    outcomes.push(
      await outcomeOf(stage.call('probe', {})),
      await outcomeOf(stage.call('credentials', { issue: 'etcd' })),
    );

    expect(outcomes.filter((outcome) => !BAD_ENDS.test(outcome))).toEqual([]);
    await expectNoSecret();
  });

  it.each([
    ['no node may be sent anything', () => stage.aws.ssm.refuseNext('SendCommand', 100, 'AccessDeniedException')],
    ['the node is away', () => Object.assign(stage.plane.nodes[0] ?? {}, { pingStatus: 'ConnectionLost' })],
    ['what was signed may not be kept', () => stage.aws.secretsManager.refuseNext('PutSecretValue', 100)],
    ['the API server does not take it', () => stage.api.fail({ effect: { status: 401 }, times: 1_000 })],
  ])('where a certificate is to be issued, and %s', async (_, act) => {
    act();

    expect(await outcomeOf(stage.call('credentials', { issue: 'kubernetes' }))).toMatch(BAD_ENDS);
    await expectNoSecret();
  });

  it('where nobody can be told', async () => {
    stage.aws.eventBridge.refuse('request');
    for (const topic of stage.aws.sns.topics) stage.aws.sns.refusing.set(topic, 403);
    await traces.watch(stage.run('prune'));

    const outcome = await outcomeOf(stage.call('notify', sampleEvent('notify-test')));

    expect(outcome).toMatch(BAD_ENDS);
    await expectNoSecret();
  });

  it('where etcd is away', async () => {
    await stage.plane.stopMember('cp-1');

    const outcomes = await lookAndPlan();

    await startMember();
    expect(outcomes).toMatchObject({ maintain: expect.stringMatching(BAD_ENDS) });
    await expectNoSecret();
  });

  it.each(['plain', 'tls'] as const)('where a member answers garbage: %s', async (kind) => {
    await stage.plane.stopMember('cp-1');
    const garbage = await startGarbage(stage.plane, stage.plane.member('cp-1').endpoint, kind);

    const outcomes = await lookAndPlan();

    await garbage[Symbol.asyncDispose]();
    await startMember();
    expect(Object.values(outcomes).filter((outcome) => !BAD_ENDS.test(outcome))).toEqual([]);
    await expectNoSecret();
  });

  it.each<[string, (key: string) => Promise<unknown>]>([
    ['dispatch, as a workflow', (key) => stage.call('dispatch', { workflow: key })],
    ['dispatch, as something unknown', (key) => stage.call('dispatch', { [key]: key, secret: { key } })],
    ['dispatch, in an alarm', (key) => stage.call('dispatch', { source: key, alarmArn: key, AlarmName: key })],
    ['probe', (key) => stage.call('probe', { dryRun: key })],
    ['credentials', (key) => stage.call('credentials', { issue: key, trust: [key] })],
    ['widget', (key) => stage.call('widget', { widgetContext: { width: key } })],
    ['notify, as what happened', (key) => stage.call('notify', { ...ENVELOPE, 'detail-type': key, detail: { key } })],
    ['notify, in a report', (key) => stage.call('notify', withReason(`it failed of ${key}`))],
  ])('where somebody sends a key by mistake to %s', async (_, send) => {
    await outcomeOf(send(good.etcd.key));

    await expectNoSecret();
  });
});

describe('R15: X-Ray', () => {
  it('hears nothing of the functions themselves, so that no key can be in what it is told', async () => {
    await xray.settle();

    expect(xray.packets).toEqual(['settled']);
  });
});

/** What needs nobody's answer, to see how etcd is. */
async function lookAndPlan(): Promise<Readonly<Record<string, string>>> {
  return {
    probe: await outcomeOf(stage.call('probe', {})),
    recover: await outcomeOf(stage.run('recover', { dryRun: true })),
    maintain: await outcomeOf(stage.run('maintain', { dryRun: true })),
  };
}

async function startMember(): Promise<void> {
  stage.plane.startMember('cp-1');
  await stage.plane.ready();
}

function withReason(reason: string): unknown {
  const event = z.looseObject({ detail: z.looseObject({}) }).parse(sampleEvent('notify-test'));
  return { ...event, detail: { ...event.detail, outcome: 'failed', reason } };
}

function sampleEvent(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../events/${name}.json`, import.meta.url), 'utf8'));
}
