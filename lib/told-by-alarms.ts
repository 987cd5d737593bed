// Whom an alarm tells: the stack's own topic, and those of `notify.topicArns`, which may be all that a user has
// subscribed to.
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';

/**
 * A user's own topic must let `cloudwatch.amazonaws.com` publish to it. That it is in the stack's region, and they are
 * few enough: regions.ts.
 */
export function toldByAlarms(scope: Construct, topic: ITopic, { notify }: ClusterConfiguration): SnsAction[] {
  const others = [...new Set(notify?.topicArns)].map((arn, index) =>
    Topic.fromTopicArn(scope, `Told${index + 1}`, arn),
  );
  return [topic, ...others].map((told) => new SnsAction(told));
}
