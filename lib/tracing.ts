// X-Ray: which function took how long, and what called it, without a line in any function.
import { Validations } from 'aws-cdk-lib';
import { type FunctionProps, type Function as LambdaFunction, Tracing } from 'aws-cdk-lib/aws-lambda';

/** For a function's properties. The CDK lets its role send segments, and nothing else of X-Ray. */
export const ACTIVE_TRACING: Pick<FunctionProps, 'tracing'> = { tracing: Tracing.ACTIVE };

/** Says why the two actions are granted on everything. To be called once the function has been made with ACTIVE_TRACING. */
export function acknowledgeTracing(fn: LambdaFunction): void {
  // Where the CDK writes what a role of one's own is given later.
  const added = fn.role?.node.tryFindChild('DefaultPolicy');
  if (added === undefined) throw new Error(`${fn.node.path} has no policy that lets it send traces`);
  Validations.of(added).acknowledge({
    id: 'AwsSolutions-IAM5[Resource::*]',
    reason:
      'xray:PutTraceSegments and xray:PutTelemetryRecords know no resources. They add to traces and read nothing.',
  });
}
