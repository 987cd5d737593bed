// A secret that has no credentials in it, as before the first certificate was issued or after a slip of the hand: every
// function that reads one ends with a sentence that says which secret it is and what it lacks, and has changed nothing.
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { NOT_ISSUED_YET } from '../../functions/aws/credentials.ts';
import type { Command } from '../../functions/contract/command.ts';
import { REPORTERS, type Reporter, type RunReport } from '../../functions/contract/report.ts';
import type { WorkflowName } from '../../functions/contract/workflows.ts';
import { handler as probe } from '../../functions/probe/handler.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';
import { workflowHandler } from '../../lab/execution/workflow-handler.ts';

vi.hoisted(() => {
  process.env.POWERTOOLS_LOG_LEVEL = 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED = 'true';
});

/** Nobody listens there: who gets as far as asking says something else. */
const NOWHERE = 'https://127.0.0.1:1';

/** What there is instead of credentials; undefined: no version at all, as in a secret that was just made. */
const EMPTY: readonly (readonly [string, string | undefined, RegExp])[] = [
  [
    'has no version',
    undefined,
    /can't be read: ResourceNotFoundException\. It is not there, or nothing was ever put into it; .*Press Test /,
  ],
  [
    'says that nothing was issued yet',
    JSON.stringify(NOT_ISSUED_YET),
    /no certificate has been issued yet\. Press Test /,
  ],
  ['has an empty text', '', /expected a JSON object with .*found no object/],
  ['has blanks', ' \n', /expected a JSON object with .*found no object/],
  ['has nothing in its object', '{}', /expected .*, found nothing/],
  ['has null', 'null', /expected a JSON object with .*found no object/],
  ['has empty fields', '{"ca":"","cert":"","key":""}', /field ca: expected a PEM text, found an empty text/],
  ['has other fields', '{"username":"admin","password":"a-password"}', /expected .*, found nothing/],
];

let aws: AwsStandIn;
/** A new one for each test, so that nothing is remembered of another's. */
let secretArn: string;

beforeAll(async () => {
  aws = await startAws();
  aws.enter();
});
afterAll(() => aws?.stop());
beforeEach(() => {
  secretArn = `arn:aws:secretsmanager:eu-west-1:111122223333:secret:${crypto.randomUUID()}`;
  const credentials = { secretArn };
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify({
    name: 'demo',
    etcd: { endpoints: [NOWHERE], credentials },
    kubernetes: { server: NOWHERE, credentials },
    snapshot: false,
  });
});

function run(reader: Reporter): Promise<RunReport> {
  return reader === 'probe' ? probe({}) : runDurable(reader);
}

async function runDurable(workflow: WorkflowName): Promise<RunReport> {
  const command: Command = { cluster: 'demo', workflow, trigger: { kind: 'manual', source: 'test' }, dryRun: false };
  const options = { skipTime: true, remainingTimeMs: () => 900_000 };
  const { result, error } = await runLocally(await workflowHandler(workflow), command, options);
  if (error !== undefined) throw new Error(`${workflow} failed: ${error.message}`);
  return result as RunReport;
}

describe.each(REPORTERS)('%s, where its secret', (reader) => {
  it.each(EMPTY)('%s, fails and says so', async (_, text, problem) => {
    if (text === undefined) aws.secretsManager.create(secretArn);
    else aws.secretsManager.secrets.set(secretArn, text);

    const report = await run(reader);

    expect(report.outcome).toBe('failed');
    expect(report.reason).toContain(`secret ${secretArn}`);
    expect(report.reason).toMatch(problem);
    expect(report.reason).not.toContain('a-password');
    expect(report.reason).not.toContain('127.0.0.1');
  });
});

describe.each(REPORTERS)('%s, where no certificate has been issued yet', (reader) => {
  it('names the order that issues the one it lacks', async () => {
    aws.secretsManager.secrets.set(secretArn, JSON.stringify(NOT_ISSUED_YET));

    const { reason } = await run(reader);

    expect(reason).toContain(`-credentials with {"issue":"${reader === 'prune' ? 'kubernetes' : 'etcd'}"}`);
  });
});
