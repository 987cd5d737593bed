// What S3's requests and answers look like: operations, error codes, XML and headers.
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

export type S3Operation =
  | 'PutObject'
  | 'GetObject'
  | 'HeadObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload'
  | 'ListMultipartUploads';

/** S3's error codes: status and message. */
const REFUSALS = {
  AccessDenied: [403, 'Access Denied'],
  BadDigest: [400, 'The checksum you specified did not match what we received.'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed object size.'],
  IncompleteBody: [400, 'You did not provide the number of bytes specified by the Content-Length HTTP header.'],
  InternalError: [500, 'We encountered an internal error. Please try again.'],
  InvalidPart: [400, 'One or more of the specified parts could not be found.'],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order.'],
  InvalidRequest: [400, 'Invalid request.'],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size.'],
  NoSuchBucket: [404, 'The specified bucket does not exist'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchUpload: [404, 'The specified multipart upload does not exist.'],
  NotImplemented: [501, 'A header you provided implies functionality that is not implemented.'],
  SlowDown: [503, 'Please reduce your request rate.'],
  XAmzContentSHA256Mismatch: [400, "The provided 'x-amz-content-sha256' header does not match what was computed."],
} as const;

export type RefusalCode = keyof typeof REFUSALS;

/** What S3 answers where it doesn't do what it was asked. */
export class Refusal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string = REFUSALS[code][1]) {
    super(message);
    this.code = code;
  }
}

/** As IAM names them. */
export const ACTIONS: Readonly<Record<S3Operation, string>> = {
  PutObject: 's3:PutObject',
  GetObject: 's3:GetObject',
  HeadObject: 's3:GetObject',
  CreateMultipartUpload: 's3:PutObject',
  UploadPart: 's3:PutObject',
  CompleteMultipartUpload: 's3:PutObject',
  AbortMultipartUpload: 's3:AbortMultipartUpload',
  ListMultipartUploads: 's3:ListBucketMultipartUploads',
};

/** @throws Refusal */
export function operationOf(method: string, key: string, query: URLSearchParams): S3Operation {
  const [uploads, upload] = [query.has('uploads'), query.has('uploadId')];
  if (method === 'GET' && key === '' && uploads) return 'ListMultipartUploads';
  if (key === '') throw new Refusal('NotImplemented');
  if (method === 'PUT') return upload ? 'UploadPart' : 'PutObject';
  if (method === 'POST' && uploads) return 'CreateMultipartUpload';
  if (method === 'POST' && upload) return 'CompleteMultipartUpload';
  if (method === 'DELETE' && upload) return 'AbortMultipartUpload';
  if (method === 'GET') return 'GetObject';
  if (method === 'HEAD') return 'HeadObject';
  throw new Refusal('NotImplemented');
}

/** The content of the first element of that name. */
export function element(content: string, name: string): string | undefined {
  return new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(content)?.[1];
}

/** Every object is encrypted; without a wish of the caller's, as the bucket says. */
export function encryptionOf(headers: IncomingHttpHeaders): Record<string, string> {
  return { 'x-amz-server-side-encryption': String(headers['x-amz-server-side-encryption'] ?? 'AES256') };
}

/** @throws Refusal: over REST it is US-ASCII and 2 KB of names and values ("Working with object metadata") */
export function metadataOf(headers: IncomingHttpHeaders): Record<string, string> {
  const prefix = 'x-amz-meta-';
  const named = Object.entries(headers).filter(([name]) => name.startsWith(prefix));
  if (named.some(([, value]) => !/^[\x20-\x7e]*$/.test(String(value)))) throw new Refusal('InvalidRequest');
  const bytes = named.reduce((sum, [name, value]) => sum + name.length - prefix.length + String(value).length, 0);
  if (bytes > 2_048) throw new Refusal('MetadataTooLarge');
  return Object.fromEntries(named.map(([name, value]) => [name.slice(prefix.length), String(value)]));
}

export function xml(
  outgoing: ServerResponse,
  root: string,
  content: string,
  headers: Record<string, string> = {},
): void {
  outgoing.writeHead(200, { 'content-type': 'application/xml', ...headers });
  outgoing.end(`<?xml version="1.0" encoding="UTF-8"?><${root}>${content}</${root}>`);
}

/** Ends the request, whatever state it is in. */
export function refuse(incoming: IncomingMessage, outgoing: ServerResponse, error: unknown): void {
  if (outgoing.headersSent || outgoing.destroyed) {
    outgoing.destroy();
    return;
  }
  const code = error instanceof Refusal ? error.code : 'InternalError';
  const message = error instanceof Error ? error.message : String(error);
  // A body that was only asked about won't come. Any other is read to its end, so that the answer isn't lost on its
  // way.
  const close = incoming.headers.expect === undefined ? {} : { connection: 'close' };
  outgoing.writeHead(REFUSALS[code][0], { 'content-type': 'application/xml', ...close });
  const document = `<Error><Code>${code}</Code><Message>${escaped(message)}</Message></Error>`;
  outgoing.end(incoming.method === 'HEAD' ? undefined : document);
}

export function escaped(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
