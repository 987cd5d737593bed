import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { expect, it } from 'vitest';
import { troubleAtEveryCall } from '../../lab/aws/every-call.ts';
import { startHiccups } from '../../lab/aws/hiccup.ts';
import { startAws } from '../../lab/aws/stand-in.ts';

it('AWS answers 500 for two seconds when dispatch starts a run: it is started, once', async () => {
  await using aws = await startAws();
  aws.enter();
  await using hiccups = await startHiccups(aws);
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify({ name: 'demo', etcd: { endpoints: ['http://127.0.0.1:1'] } });
  const arn = aws.lambda.register('etcd-medic-demo-recover', { durable: withDurableExecution(async () => 'ran') });
  process.env.ETCD_MEDIC_WORKFLOWS = JSON.stringify({ recover: arn });
  const { handler } = await import('../../functions/dispatch/handler.ts');

  let before = 0;

  const { hit, different } = await troubleAtEveryCall({
    hiccups,
    prepare: async () => {
      before = aws.lambda.executions.length;
    },
    run: async () => {
      const context = { awsRequestId: crypto.randomUUID(), getRemainingTimeInMillis: () => 60_000 };
      const answer: unknown = await Reflect.apply(handler, undefined, [{ workflow: 'recover', dryRun: true }, context]);
      return { outcome: 'planned', reason: JSON.stringify(answer) };
    },
    check: async () => {
      const started = aws.lambda.executions.length - before;
      return started === 1 ? [] : [`${started} runs were started`];
    },
  });

  expect(hit).toEqual(['lambda POST 1', 'lambda POST 1, done']);
  expect(different).toEqual([]);
});
