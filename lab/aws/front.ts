// What stands before a service of AWS and either hands a request on or answers 500 itself.
import { type IncomingMessage, request, type ServerResponse } from 'node:http';

const S3_ERROR =
  '<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>Try again.</Message></Error>';
const JSON_ERROR = '{"__type":"InternalServerError","message":"Try again."}';

/** Answers 500, as S3 or as the services that speak JSON. */
export function refuse(outgoing: ServerResponse, isXml: boolean): void {
  const type = isXml ? 'application/xml' : 'application/x-amz-json-1.1';
  outgoing.writeHead(500, { 'content-type': type }).end(isXml ? S3_ERROR : JSON_ERROR);
}

/**
 * @param instead answers in the place of the service, once that has answered. @default the service's own answer is
 *   given
 */
export function passOn(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { hostname, port }: URL,
  instead?: () => void,
): void {
  const { method, url: path, headers } = incoming;
  const onward = request({ hostname, port, method, path, headers }, (answer) => {
    if (instead !== undefined) return answer.resume().on('end', instead);
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    return answer.pipe(outgoing);
  });
  // Either side may go away, as a client does that has waited for long enough.
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
