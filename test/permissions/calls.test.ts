// Every function run for real, with the variables and the name that its template gives it: all that it calls is allowed
// to its role, and all that its role has is called. And nothing of that shows a secret.
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fillWithReports } from '../../lab/control-plane/fill.ts';
import { kindNamed } from '../../lab/kubernetes/kinds.ts';
import { staleReports } from '../../lab/kubernetes/sample-cluster.ts';
import { churn } from '../../lab/runs/maintain.ts';
import { authorityKey, Secrets } from '../secrets/material.ts';
import { type Traces, watchTraces } from '../secrets/traces.ts';
import { arnOf } from './deployed.ts';
import { isAllowed, matches, type Request } from './iam.ts';
import { NEVER_CALLED } from './reasons.ts';
import { OTHER_TOPIC } from './stack.ts';
import { type Stage, startStage } from './stage.ts';

vi.hoisted(() => {
  // What they print is looked at, too.
  process.env.POWERTOOLS_LOG_LEVEL = 'DEBUG';
  delete process.env.POWERTOOLS_METRICS_DISABLED;
  delete process.env.POWERTOOLS_DEV;
});

const ROLES = ['credentials', 'dispatch', 'maintain', 'notify', 'probe', 'prune', 'recover', 'widget'];
const REPORTS = kindNamed('VulnerabilityReport');
const NO_SNAPSHOT = { operation: 'UploadPart', how: 'AccessDenied' } as const;

let stage: Stage;
let traces: Traces;
/** How each run ended, so that a run that got nowhere is seen. */
const outcomes: string[] = [];

beforeAll(async () => {
  traces = watchTraces();
  stage = await startStage({ onOperation: traces.onOperation });
  await onAGoodDay(stage);
  await onABadDay(stage);
});
afterAll(async () => {
  traces?.[Symbol.dispose]();
  await stage?.[Symbol.asyncDispose]();
});

/** Credentials, a probe, maintenance with pruning, a snapshot that fails, runs that meet another. */
async function onAGoodDay({ api, aws, plane, call, run, rotate, whileLeased, settled }: Stage): Promise<void> {
  await rotate();
  await traces.watch(call('credentials', { issue: 'etcd' }));
  await traces.watch(call('probe', {}));
  await churn(plane, { reports: 50, reportBytes: 20_000, rewrites: 10 });
  await api.create(REPORTS, staleReports(3));
  aws.s3.fail(NO_SNAPSHOT);
  await noted(run('maintain'));
  aws.s3.fail(undefined);
  await noted(run('maintain'));
  await api.create(REPORTS, staleReports(3));
  await noted(run('prune'));
  await whileLeased(async () => {
    for (const workflow of ['recover', 'maintain', 'prune']) {
      await call('dispatch', { workflow });
      await settled();
    }
  });
}

/** NOSPACE, first with a member that is away, and runs that are told of and that died. */
async function onABadDay({ aws, plane, call, run }: Stage): Promise<void> {
  await fillWithReports(plane, { mode: 'live', reportBytes: 50_000 });
  await plane.stopMember('cp-1');
  aws.s3.fail(NO_SNAPSHOT);
  const recovery = run('recover');
  await until(() => aws.ssm.commands.some(({ document }) => document.endsWith('RestartKubelet')));
  plane.startMember('cp-1');
  await noted(recovery);
  aws.s3.fail(undefined);
  await noted(run('recover'));
  const finished = sampleEvent('run-finished');
  aws.sns.refusing.set(OTHER_TOPIC, 403);
  await expect(call('notify', finished)).rejects.toThrow(OTHER_TOPIC);
  aws.sns.refusing.clear();
  await traces.watch(call('notify', finished));
  await traces.watch(call('notify', sampleEvent('durable-execution-failed')));
  await traces.watch(call('widget', {}));
}

async function noted(run: ReturnType<Stage['run']>): Promise<void> {
  await traces.watch(run);
  const { workflow, outcome, reason } = await run;
  outcomes.push(`${workflow} ${outcome}: ${reason}`);
}

async function until(condition: () => boolean): Promise<void> {
  for (const giveUpAt = Date.now() + 60_000; !condition(); ) {
    if (Date.now() > giveUpAt) throw new Error('it did not come about');
    await wait(20);
  }
}

function sampleEvent(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../events/${name}.json`, import.meta.url), 'utf8'));
}

/** What a role's function has called, each once, with the caller's own function as IAM sees it. */
function requestsOf(role: string): Request[] {
  const functionName = stage.deployed.functions.get(role)?.name;
  const requests = stage.callsOf(role).map(({ action, resource, conditions }) => ({
    action,
    resource: arnOf(action, resource),
    conditions: {
      ...conditions,
      'lambda:SourceFunctionArn': [`arn:aws:lambda:eu-west-1:111122223333:function:${functionName}`],
    },
  }));
  return [...new Map(requests.map((request) => [JSON.stringify(request), request])).values()];
}

function statementsOf(role: string) {
  return stage.deployed.functions.get(role)?.statements ?? [];
}

describe('the runs', () => {
  it('went as they were meant to, as far as they could', () => {
    expect(outcomes).toEqual([
      expect.stringMatching(/^maintain \w+: .*R13/),
      expect.stringMatching(/^maintain maintained: /),
      expect.stringMatching(/^prune pruned: /),
      expect.stringMatching(/^recover escalated: .*R13/),
      expect.stringMatching(/^recover escalated: Full of live data/),
    ]);
  });

  it('are of all functions that the stack has', () => {
    expect([...stage.deployed.functions.keys()].toSorted()).toEqual(ROLES);
  });

  it('have no call that is nobody’s', () => {
    const names = new Set([...stage.deployed.functions.values()].map(({ name }) => name));
    const strangers = stage.aws.calls.filter(({ signedBy }) => signedBy !== undefined && !names.has(signedBy));

    expect(strangers).toEqual([]);
  });
});

describe('R15: no key is left where somebody could read it', () => {
  it('by runs that do all there is to do', async () => {
    const secrets = new Secrets();
    secrets.addKeys(await authorityKey(stage.plane));

    const found = await traces.secretsLeft(stage, secrets);

    expect(found).toEqual([]);
    // Three certificates were issued.
    expect(secrets.size).toBeGreaterThan(300);
    const left = await traces.left(stage);
    expect([...left.values()].filter((text) => text === '')).toEqual([]);
  });
});

describe.each(ROLES)('the role of %s', (role) => {
  it('allows everything that the function calls', () => {
    const requests = requestsOf(role);

    const refused = requests.filter((request) => !isAllowed(statementsOf(role), request));

    expect(requests.length).toBeGreaterThan(0);
    expect(refused).toEqual([]);
  });

  it('has nothing that the function never calls, but for what Lambda does in its name', () => {
    const requests = requestsOf(role);
    const allowed = statementsOf(role).filter(({ effect }) => effect === 'Allow');

    const idle = allowed.flatMap(({ actions, resources, ...rest }) =>
      actions.flatMap((action) =>
        resources
          .filter((resource) => !isAnotherSpelling(resource))
          .filter(
            (resource) =>
              !requests.some((asked) => matches({ ...rest, actions: [action], resources: [resource] }, asked)),
          )
          .map((resource) => ({ action, resource })),
      ),
    );

    const unexplained = idle.filter(
      ({ action }) => !NEVER_CALLED.some(({ roles, actions }) => roles.includes(role) && actions.includes(action)),
    );
    expect(unexplained).toEqual([]);
  });
});

/** The secret's ARN as it would be if the configuration had left out its last characters. */
function isAnotherSpelling(resource: string): boolean {
  return resource.endsWith('-??????');
}
