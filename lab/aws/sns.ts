// SNS as far as telling people needs it: Publish in the query protocol (a form goes in, XML comes out), with the rules
// that SNS has for a topic's ARN, a subject and a message.
import { type ApiCall, type Response, type RunningServer, signerOf, startServer } from './server.ts';

interface PublishedMessage {
  readonly topicArn: string;
  /** Of the endpoint that the client chose, from its signature. */
  readonly region: string;
  readonly subject: string;
  readonly message: string;
}

export interface SnsStandIn extends RunningServer {
  /** The ARN of a topic that is there. */
  readonly topic: string;
  /** ARNs of those that are there; more can be added. */
  readonly topics: Set<string>;
  /** Every message that was taken, in order. */
  readonly messages: readonly PublishedMessage[];
  /** Topics by ARN that refuse every message: with 403, as where a policy is missing, or with 500. */
  readonly refusing: Map<string, 403 | 500>;
}

const TOPIC = 'arn:aws:sns:eu-west-1:111122223333:etcd-medic-demo';

export async function startSns(calls: ApiCall[]): Promise<SnsStandIn> {
  const topics = new Set([TOPIC]);
  const messages: PublishedMessage[] = [];
  const refusing = new Map<string, 403 | 500>();
  const server = await startServer(async ({ headers, body }) => {
    const form = new URLSearchParams(body);
    if (form.get('Action') !== 'Publish') return failure(400, 'InvalidAction', 'not known here');
    const field = (name: string) => form.get(name) ?? '';
    const [topicArn, subject, message] = [field('TopicArn'), field('Subject'), field('Message')] as const;
    calls.push({ action: 'sns:Publish', resource: topicArn, ...signerOf(headers) });
    // Credential=<key>/<date>/<region>/sns/aws4_request
    const region = /Credential=[^/]+\/\d+\/([^/]+)\/sns\//.exec(String(headers.authorization))?.[1] ?? '';
    const refusal = refusing.get(topicArn);
    if (refusal === 403) return failure(403, 'AuthorizationError', 'is not authorized to perform: SNS:Publish');
    if (refusal === 500) return failure(500, 'InternalError', 'Try again.');
    if (topicArn.split(':')[3] !== region) return failure(400, 'InvalidParameter', 'Invalid parameter: TopicArn');
    if (!topics.has(topicArn)) return failure(404, 'NotFound', 'Topic does not exist');
    // "Publish" in the SNS API reference: less than 100 characters, no line breaks; ASCII, as SNS's e-mails had it for
    // years.
    if (!/^[!-~][ -~]{0,98}$/.test(subject)) return failure(400, 'InvalidParameter', 'Invalid parameter: Subject');
    const bytes = Buffer.byteLength(message);
    if (bytes === 0 || bytes > 256 * 1024) return failure(400, 'InvalidParameter', 'Invalid parameter: Message');
    messages.push({ topicArn, region, subject, message });
    const id = `00000000-0000-4000-8000-${String(messages.length).padStart(12, '0')}`;
    return xml(
      200,
      `<PublishResponse xmlns="${NAMESPACE}"><PublishResult><MessageId>${id}</MessageId></PublishResult>` +
        `<ResponseMetadata><RequestId>${id}</RequestId></ResponseMetadata></PublishResponse>`,
    );
  });
  return { ...server, topic: TOPIC, topics, messages, refusing };
}

const NAMESPACE = 'http://sns.amazonaws.com/doc/2010-03-31/';

function failure(status: number, code: string, message: string): Response {
  const type = status < 500 ? 'Sender' : 'Receiver';
  return xml(
    status,
    `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>${type}</Type><Code>${code}</Code><Message>${message}</Message></Error>` +
      '<RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>',
  );
}

function xml(status: number, body: string): Response {
  return { status, headers: { 'content-type': 'text/xml' }, body };
}
