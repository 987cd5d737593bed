// The Status documents of an API server, in the words of the real one.

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a text as it is. */
  readonly body: unknown;
}

export interface StatusFields {
  readonly message: string;
  readonly reason?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export function failure(code: number, { message, reason, details, metadata = {}, headers = {} }: StatusFields): Reply {
  const body = { kind: 'Status', apiVersion: 'v1', metadata, status: 'Failure', message, reason, details, code };
  return { status: code, headers, body };
}

export const NOT_SERVED: Reply = {
  status: 404,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body: '404 page not found\n',
};

/** Before any API code runs, so that it isn't a Status. */
export const TOO_MANY: Reply = {
  status: 429,
  headers: { 'content-type': 'text/plain; charset=utf-8', 'retry-after': '1' },
  body: 'Too many requests, please try again later.\n',
};

export const UNAUTHORIZED = failure(401, { message: 'Unauthorized', reason: 'Unauthorized' });

export function forbidden(user: string, verb: string, group: string, plural: string): Reply {
  const kind = group ? `${plural}.${group}` : plural;
  const message = `${kind} is forbidden: User "${user}" cannot ${verb} resource "${plural}" in API group "${group}" at the cluster scope: no rule in the policy file`;
  return failure(403, { message, reason: 'Forbidden', details: { group, kind: plural } });
}

export function notFound(group: string, plural: string, name: string): Reply {
  const message = `${group ? `${plural}.${group}` : plural} "${name}" not found`;
  return failure(404, { message, reason: 'NotFound', details: { name, group, kind: plural } });
}

/** What can't be decoded, in a list: with the feature gate by its key, without it in the decoder's own words. */
export function unreadableList(group: string, plural: string, key: string, withGate: boolean): Reply {
  if (!withGate) return failure(500, { message: DECODER });
  const cause = { reason: 'UnexpectedServerResponse', message: corrupt(`/registry${key}`), field: `/registry${key}` };
  const message = `failed to read one or more ${plural}.${group} from the storage`;
  const details = { name: 'list', group, kind: plural, causes: [cause] };
  return failure(500, { message, reason: 'StorageReadError', details });
}

/** The same for one object. */
export function unreadableObject(key: string, withGate: boolean): Reply {
  if (!withGate) return failure(500, { message: DECODER });
  const details = { causes: [{ message: corrupt(key) }] };
  return failure(500, { message: `Internal error occurred: ${corrupt(key)}`, reason: 'InternalError', details });
}

const DECODER = "invalid character 'g' looking for beginning of value";

function corrupt(key: string): string {
  return `StorageError: corrupt object, Code: 7, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: object not decodable revision=40: ${DECODER}`;
}
