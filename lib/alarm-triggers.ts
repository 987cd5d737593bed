// The ways by which a CloudWatch alarm reaches dispatch: the bus, without any wiring, and the alarm's own Lambda
// action.
import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import { Rule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { TRIGGER_SHAPES } from '../functions/contract/trigger-shapes.ts';

export interface AlarmTriggersProps {
  /** Exact names; nobody else's alarm gets through. */
  readonly alarmNames: readonly string[];
  readonly target: IFunction;
  /** Gets the events that could not be handed to the target. */
  readonly deadLetterQueue: IQueue;
}

/**
 * Only a change into ALARM is passed on. An alarm that is wired both ways starts one run: dispatch sees the same cause.
 */
export class AlarmTriggers extends Construct {
  constructor(scope: Construct, id: string, { alarmNames, target, deadLetterQueue }: AlarmTriggersProps) {
    super(scope, id);
    const stack = Stack.of(this);
    const { source, detailType } = TRIGGER_SHAPES.alarmStateChange.rule;
    new Rule(this, 'Rule', {
      description: 'The alarms that start etcd-medic, when they go off',
      eventPattern: {
        source: [source],
        detailType: [detailType],
        detail: { alarmName: [...alarmNames], state: { value: ['ALARM'] } },
      },
      targets: [
        // A run that starts hours late is still wanted: neither NOSPACE nor a file that is nearly full goes away by
        // itself.
        new LambdaFunction(target, { deadLetterQueue, retryAttempts: 185, maxEventAge: Duration.hours(24) }),
      ],
    });
    for (const name of alarmNames) {
      target.addPermission(`AlarmAction-${name}`, {
        principal: new ServicePrincipal('lambda.alarms.cloudwatch.amazonaws.com'),
        sourceAccount: stack.account,
        sourceArn: stack.formatArn({
          service: 'cloudwatch',
          resource: 'alarm',
          resourceName: name,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      });
    }
  }
}
