// Systems Manager in trouble for some seconds: what only asks, and what is known not to have been sent, is tried again.
import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sendPatiently } from '../../functions/control-plane/command-wait.ts';
import { Journal } from '../../functions/engine/journal.ts';
import { readMode } from '../../functions/engine/mode.ts';
import { type AwsStandIn, startAws } from '../../lab/aws/stand-in.ts';
import { type Trouble, troubled } from '../../lab/aws/trouble.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';
import { restartKubeletDocument } from '../../lib/documents/document-content.ts';
import { addNodes, bareNode, RESTART } from './service.ts';

const ALL_DAY_MS = 24 * 60 * 60_000;
/** Waits take no time here, so trouble is counted in calls: three tries with all that the SDK makes of each. */
const CALLS = 12;
let aws: AwsStandIn;
let ssm: Trouble;

beforeAll(async () => {
  aws = await startAws();
  aws.enter();
  aws.ssm.documents.set(RESTART, restartKubeletDocument());
});
beforeEach(async () => {
  ssm = await troubled('SSM');
});
afterEach(() => ssm[Symbol.asyncDispose]());
afterAll(() => aws.stop());

/** @returns what `work` came to, with the report's lines */
async function run<Result>(work: (journal: Journal) => Promise<Result>) {
  const handler = withDurableExecution(async (_event: unknown, context: DurableContext) => {
    const journal = new Journal(context, async () => undefined);
    const result = await work(journal);
    return { result, steps: journal.steps };
  });
  const { result } = await runLocally(handler, {}, { skipTime: true });
  return result as { readonly result: Result; readonly steps: Journal['steps'] };
}

describe('the switch', () => {
  it('R16: is read again where Systems Manager does not answer at first', async () => {
    ssm.begin(ALL_DAY_MS, ['GetParameter'], CALLS);

    const { result, steps } = await run((journal) => readMode({ journal, switchParameter: aws.switchParameter }));

    expect(result.mode).toBe('auto');
    expect(steps).toMatchObject([{ name: 'switch', outcome: 'done' }]);
    expect(ssm.refused).toBe(CALLS);
  });

  it('R16: means observe where nobody can read it for longer than a minute', async () => {
    ssm.begin(ALL_DAY_MS, ['GetParameter']);

    const { result, steps } = await run((journal) => readMode({ journal, switchParameter: aws.switchParameter }));

    expect(result).toMatchObject({ mode: 'observe', why: expect.stringContaining('could not be read') });
    expect(steps).toMatchObject([{ name: 'switch', outcome: 'failed' }]);
  });
});

describe('a command', () => {
  it('is sent where the list of what was sent could not be read at first', async () => {
    const instanceIds = addNodes(aws.ssm, [bareNode(1)]);
    ssm.begin(ALL_DAY_MS, ['ListCommands'], CALLS);

    const options = { document: RESTART, instanceIds, parameters: {}, stepId: 'a step', timeoutSeconds: 60 };
    const { result } = await run((journal) =>
      sendPatiently(journal, 'restart kubelet', 'sent', options, { changes: false }),
    );

    expect(ssm.refused).toBe(CALLS);
    expect(result).toMatchObject({ outcome: 'done', data: { commands: [{ instanceIds }] } });
  });
});
