// Client URLs: what of them matters to a connection, and when two of them are the same.
import { InvalidInputError } from '../contract/errors.ts';

/** @throws InvalidInputError for anything but an http or https URL */
export function hostAndPort(endpoint: string): string {
  const url = parse(endpoint);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return `${url.hostname}:${port}`;
}

/** @throws InvalidInputError for anything but an http or https URL */
export function isTls(endpoint: string): boolean {
  return parse(endpoint).protocol === 'https:';
}

/** One spelling for all spellings of a client URL. @throws InvalidInputError */
export function normalizeEndpoint(endpoint: string): string {
  return `${isTls(endpoint) ? 'https' : 'http'}://${hostAndPort(endpoint)}`;
}

function parse(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url && ['http:', 'https:'].includes(url.protocol) && url.hostname) return url;
  throw new InvalidInputError('etcd endpoint', [
    `found '${endpoint}', expected a client URL such as https://10.0.0.1:2379`,
  ]);
}
