// The sample alarm through dispatch, as Lambda delivers it, to a recovery that may order a pruning.
import { readFile } from 'node:fs/promises';
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import type { Context } from 'aws-lambda';
import type { RunReport } from '../../functions/contract/report.ts';
import type { AwsStandIn } from '../aws/stand-in.ts';
import type { ControlPlane } from '../control-plane/plane.ts';

const OPTIONS = { skipTime: true, remainingTimeMs: () => 900_000 };

/**
 * @param configuration merged into the plane's
 * @param prune the prune function's handler
 * @returns what came of the recovery, and of the pruning that it ordered; undefined: it ordered none
 */
export async function alarmPlane(
  aws: AwsStandIn,
  plane: ControlPlane,
  configuration: Readonly<Record<string, unknown>>,
  prune: DurableLambdaHandler,
): Promise<{ readonly recovery: RunReport; readonly pruning: RunReport | undefined }> {
  const [{ handler: dispatch }, { handler: recover }] = await Promise.all([
    import('../../functions/dispatch/handler.ts'),
    import('../../functions/recover/handler.ts'),
  ]);
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(plane.configuration({ name: 'demo', ...configuration }));
  process.env.ETCD_MEDIC_PRUNE_FUNCTION = aws.lambda.register('etcd-medic-demo-prune', {
    durable: prune,
    options: OPTIONS,
  });
  const functionArn = aws.lambda.register('etcd-medic-demo-recover', { durable: recover, options: OPTIONS });
  process.env.ETCD_MEDIC_WORKFLOWS = JSON.stringify({ recover: functionArn });
  try {
    const event = JSON.parse(await readFile(new URL('../../events/alarm-eventbridge.json', import.meta.url), 'utf8'));
    await dispatch(event, { awsRequestId: crypto.randomUUID(), getRemainingTimeInMillis: () => 60_000 } as Context);
    const recovery = (await aws.lambda.executions[0]?.result)?.result as RunReport;
    return { recovery, pruning: (await aws.lambda.executions[1]?.result)?.result as RunReport | undefined };
  } finally {
    delete process.env.ETCD_MEDIC_PRUNE_FUNCTION;
  }
}
