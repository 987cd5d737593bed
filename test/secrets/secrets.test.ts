// R15: whatever goes wrong, no key and no token is in anything that a run leaves where somebody could read it. That it
// is so where all goes well is looked at in ../permissions/calls.test.ts, where all goes well.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { TlsMaterial } from '../../functions/etcd/types.ts';
import { type Stage, startStage } from '../permissions/stage.ts';
import { authorityKey, badCredentials, Secrets } from './material.ts';
import { type Traces, watchTraces } from './traces.ts';

vi.hoisted(() => {
  // All that there is to say is said.
  process.env.POWERTOOLS_LOG_LEVEL = 'DEBUG';
  delete process.env.POWERTOOLS_METRICS_DISABLED;
  delete process.env.POWERTOOLS_DEV;
});

const TOKEN = `eyJhbGciOiJSUzI1NiIsImtpZCI6${'c2VjcmV0'.repeat(12)}.${'bm9ib2R5'.repeat(20)}.${'a1b2c3d4'.repeat(30)}`;
const WRONG = [
  'a CA of somebody else',
  'a certificate of another authority',
  'an expired certificate',
  "another certificate's key",
  'certificate and key mixed up',
  'a key without its line breaks',
  'a key that is cut',
  'a key in a list',
  'no certificate',
  'JSON that is cut',
  'the key alone, and no JSON',
];

/** Outcomes of a run and names of errors. */
const BAD_ENDS = /^(failed|refused|escalated|\w*Error)$/;

let stage: Stage;
let traces: Traces;
const secrets = new Secrets();
let bad: ReadonlyMap<string, string>;
let good: Readonly<Record<'etcd' | 'kubernetes', TlsMaterial>>;

beforeAll(async () => {
  traces = watchTraces();
  const { onOperation } = traces;
  stage = await startStage({ onOperation, pruneSession: { patienceMs: 300, timeoutMs: 300 } });
  await traces.watch(stage.rotate());
  good = { etcd: current('etcd'), kubernetes: current('kubernetes') };
  bad = await badCredentials(stage.plane, good.etcd);
  secrets.addKeys(await authorityKey(stage.plane));
  secrets.addToken(TOKEN);
  // In JSON a line break is two characters.
  for (const text of bad.values()) secrets.addKeys(text.replaceAll('\\n', '\n'));
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
});

function current(purpose: 'etcd' | 'kubernetes'): TlsMaterial {
  return JSON.parse(stage.secrets[purpose].value('AWSCURRENT') ?? '');
}

/** Puts a text in the place of what was issued, until the test ends. */
function hold(purpose: 'etcd' | 'kubernetes', text: string): void {
  stage.aws.secretsManager.secrets.set(stage.secretArns[purpose], text);
}

async function expectNoSecret(): Promise<void> {
  expect(await traces.secretsLeft(stage, secrets)).toEqual([]);
}

/** Each run's end: an outcome, or an error's name. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  const end = await traces.watch(work);
  if (end instanceof Error) return end.name;
  return typeof end === 'object' && end !== null && 'outcome' in end ? String(end.outcome) : typeof end;
}

describe('the search itself', () => {
  it.each([
    ['as it is', (key: string) => key],
    ['in JSON', (key: string) => JSON.stringify({ key })],
    ['in JSON within JSON', (key: string) => JSON.stringify(JSON.stringify({ key }))],
    ['wrapped otherwise', (key: string) => (key.replace(/\s/g, '').match(/.{1,30}/g) ?? []).join('\n  ')],
    ['one of its lines', (key: string) => key.split('\n')[2] ?? ''],
  ])('finds a key %s', (_, write) => {
    expect(secrets.size).toBeGreaterThan(100);
    expect(secrets.foundIn(`before ${write(good.etcd.key)} after`)).toBeDefined();
    expect(secrets.foundIn(`Authorization: Bearer ${TOKEN}`)).toBeDefined();
  });

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
      hold('etcd', bad.get(what) ?? '');
      await stage.coldStart();

      const outcomes = [await outcomeOf(stage.call('probe', {})), await outcomeOf(stage.run(workflow))];

      expect(outcomes.filter((outcome) => !BAD_ENDS.test(outcome))).toEqual([]);
      await expectNoSecret();
    },
  );

  it.each(WRONG)('where the secret for the API server has %s', async (what) => {
    hold('kubernetes', bad.get(what) ?? '');

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

    const outcomes = [await outcomeOf(stage.call('probe', {}))];
    for (const workflow of ['recover', 'maintain'] as const) {
      outcomes.push(await outcomeOf(stage.run(workflow, { dryRun: true })));
    }

    stage.plane.startMember('cp-1');
    await stage.plane.ready();
    expect(outcomes[2]).toMatch(BAD_ENDS);
    await expectNoSecret();
  });
});

function sampleEvent(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../events/${name}.json`, import.meta.url), 'utf8'));
}
