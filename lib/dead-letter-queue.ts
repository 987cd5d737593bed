// Where an event goes that no function could make anything of: nothing that might have been an alarm is ever lost.
import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

/** One for the whole stack: a message's attributes tell which function or rule gave up on it, and why. */
export class DeadLetterQueue extends Queue {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      // The longest that SQS keeps anything: whoever looks after a holiday still finds it.
      retentionPeriod: Duration.days(14),
    });
  }
}
