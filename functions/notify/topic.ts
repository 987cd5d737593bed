// Sends a message to an SNS topic: the only place that knows SNS.
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { clientDefaults, isSetupProblem } from '../aws/client.ts';
import { SetupError } from '../contract/errors.ts';
import { NotificationError } from './errors.ts';

export interface Message {
  /** An e-mail's subject: ASCII without line breaks, less than 100 characters. */
  readonly subject: string;
  /** Plain text. */
  readonly body: string;
}

/**
 * At least once: a request that is cut off may have come through, and is sent again.
 * @throws SetupError when there is no such topic, or it must not be used
 * @throws NotificationError when it did not answer
 */
export async function publish(topicArn: string, { subject, body }: Message): Promise<void> {
  // A topic of the user's own may be in another region, and SNS takes a message for it only there.
  const [, , , region = ''] = topicArn.split(':');
  const client = new SNSClient({ ...clientDefaults, region });
  try {
    await client.send(new PublishCommand({ TopicArn: topicArn, Subject: subject, Message: body }));
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : '';
    if (isSetupProblem(cause) || /^(NotFound|AuthorizationError|InvalidParameter|KMS)/.test(name)) {
      throw new SetupError(`topic ${topicArn}: not allowed or not there (${name})`, { cause });
    }
    throw new NotificationError(`topic ${topicArn}: don't know whether the message was taken`, { cause });
  } finally {
    client.destroy();
  }
}
