// What the configuration names by its ARN must be where the stack is: CloudWatch, KMS and Secrets Manager look in their
// own region alone.
import { type Stack, Token } from 'aws-cdk-lib';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { InvalidInputError } from '../functions/contract/errors.ts';

/**
 * An alarm may take five actions for each of its states, of its own region (PutMetricAlarm, `AlarmActions`: "Maximum
 * number of 5 items"). One is the stack's own topic.
 */
const MAX_TOPICS = 5 - 1;

/**
 * Where a stack has no region of its own, all of the ARNs must at least be of one. What the CDK's command line says
 * (CDK_DEFAULT_REGION) is no evidence: it says us-east-1 also where nothing is configured.
 * @param source the configuration, for the message
 * @throws InvalidInputError naming the field, what was found and what was expected
 */
export function checkArns(stack: Stack, cluster: ClusterConfiguration, source: string): void {
  const topics = new Set(cluster.notify?.topicArns);
  const problems =
    topics.size > MAX_TOPICS
      ? [
          `notify.topicArns: found ${topics.size} topics, expected at most ${MAX_TOPICS}, because an alarm takes five actions, and one is the ` +
            "stack's own topic: subscribe the others to that one",
        ]
      : [];
  const arns = arnsOf(cluster);
  const known = Token.isUnresolved(stack.region) ? undefined : stack.region;
  const [first] = arns;
  const expected = known || (first && regionOf(first.arn));
  const why = known ? 'where the stack is deployed' : `as ${first?.field} is: the stack is in one region`;
  for (const { field, arn } of arns) {
    if (regionOf(arn) === expected) continue;
    problems.push(`${field}: found ${JSON.stringify(arn)}, expected an ARN of region ${expected}, ${why}`);
  }
  if (problems.length > 0) throw new InvalidInputError(source, problems);
}

function arnsOf({ encryptionKeyArn, etcd, kubernetes, notify }: ClusterConfiguration) {
  const credentials = Object.entries({ etcd: etcd.credentials, kubernetes: kubernetes?.credentials });
  return [
    ...(encryptionKeyArn === undefined ? [] : [{ field: 'encryptionKeyArn', arn: encryptionKeyArn }]),
    ...credentials.flatMap(([room, found]) =>
      found && 'secretArn' in found ? [{ field: `${room}.credentials.secretArn`, arn: found.secretArn }] : [],
    ),
    ...(notify?.topicArns ?? []).map((arn, index) => ({ field: `notify.topicArns[${index}]`, arn })),
  ];
}

function regionOf(arn: string): string {
  return arn.split(':')[3] ?? '';
}
