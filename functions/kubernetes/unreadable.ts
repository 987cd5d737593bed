// Tells from a server's words that it can't read what etcd keeps of a kind, which key that is, and what helps.
import { redact } from '../contract/errors.ts';
import { readStatus, type Status } from './answers.ts';
import { type ApiCall, StorageReadError } from './errors.ts';
import type { Answer } from './transport.ts';

/** How much of a server's own words is quoted. */
const QUOTED_CHARACTERS = 300;
/** Enough to begin with: a server names up to a hundred. */
const KEYS = 3;

export interface Unreadable {
  /** In etcd, as far as the server says. */
  readonly keys: readonly string[];
  /** The server's own words for the first of them. */
  readonly words: string;
  /**
   * It can't be decrypted, which may be a key service that is away for a moment. Otherwise it can't be decoded, and
   * that stays so.
   */
  readonly stays: boolean;
  /**
   * The server has the feature gate AllowUnsafeMalformedObjectDeletion on: 1.37 by itself, 1.32 to 1.36 where it was
   * asked for.
   */
  readonly deletable: boolean;
}

/**
 * With the feature gate, in words of its own: `StorageError: corrupt object, Code: 7, Key: …, AdditionalErrorMsg: …`.
 */
const BY_GATE = /\bStorageError: corrupt object\b/;
/** The encryption's, with the feature gate and without. */
const NOT_DECRYPTED = /\bnot transformable\b|\bunable to transform key\b/;
/**
 * Without the gate a decoder's words are the whole of the message, and there is no reason beside it: of JSON (what is
 * kept of custom resources), of protobuf (what is kept of built-in kinds), and of a kind or version that this server
 * doesn't know.
 */
const DECODERS = [
  /^invalid character .+ (looking for|in|after) /,
  /^unexpected end of JSON input/,
  /^(couldn't get version\/kind; )?json(:| parse error:) /,
  /^Object '(Kind|apiVersion)' is missing in /,
  /^no kind ".*" is registered for version /,
  /^provided data does not appear to be a protobuf message/,
  /^proto: /,
  /^unexpected EOF$/,
];
/** In the words about one object: a key in quotes behind `key`, or bare behind `Key:`. */
const KEY = /\bkey "([^"]+)"|\bKey: ([^\s,]+)/;

/** Undefined for every other answer. A server that lost sight of etcd does not speak like this. */
export function unreadableIn(answer: Answer): Unreadable | undefined {
  if (answer.status !== 429 && answer.status < 500) return undefined;
  const status = readStatus(answer);
  if (status === undefined) return undefined;
  const texts = [...status.causes.map(({ message }) => message), status.message ?? ''];
  const words = texts.find((text) => BY_GATE.test(text) || NOT_DECRYPTED.test(text)) ?? decodersWords(status);
  const deletable = status.reason === 'StorageReadError' || texts.some((text) => BY_GATE.test(text));
  if (words === undefined && !deletable) return undefined;
  return {
    keys: keysIn(status, texts),
    words: words ?? status.message ?? '',
    stays: !texts.some((text) => NOT_DECRYPTED.test(text)),
    deletable,
  };
}

/** @param near where it lies, where the server doesn't name a key */
export function storageReadError(call: ApiCall, unreadable: Unreadable, near?: string): StorageReadError {
  const { keys, words, stays, deletable } = unreadable;
  const more = keys.length > KEYS ? ` and ${keys.length - KEYS} more` : '';
  const which = keys.length > 0 ? `under ${keys.slice(0, KEYS).join(', ')}${more}` : (near ?? 'of this kind');
  const found = (what: string) => `the server can't ${what} what etcd has ${which}, so it lists none of it`;
  const said = `(${quoted(words)})`;
  if (!stays) {
    const text = `${found('decrypt')} ${said}. Look at --encryption-provider-config on every control-plane node, and at the key service behind it; delete nothing, the data may be whole`;
    return new StorageReadError(call, 'not-done', text);
  }
  const key = keys[0] ?? 'KEY';
  const byApi = `as an administrator by a DELETE of that object with ignoreStoreReadErrorWithClusterBreakingPotential: true in its DeleteOptions (\`kubectl delete --raw PATH -f OPTIONS\`), or in etcd: \`etcdctl del ${key}\``;
  const inEtcd = `in etcd, because this server can't (its feature gate AllowUnsafeMalformedObjectDeletion is off): \`etcdctl del ${key}\``;
  const text = `${found('decode')}, and a restarted server may never get ready ${said}. Nothing else mends it: keep the value (\`etcdctl get ${key} --print-value-only\`), then delete it, ${deletable ? byApi : inEtcd}`;
  return new StorageReadError(call, 'not-done', text);
}

/** The server's own words, short: they name users and kinds, never a token. */
export function quoted(text: string): string {
  const words = redact(text).trim();
  return words.length > QUOTED_CHARACTERS ? `${words.slice(0, QUOTED_CHARACTERS - 1)}…` : words;
}

function decodersWords({ reason, message = '' }: Status): string | undefined {
  return reason === undefined && DECODERS.some((pattern) => pattern.test(message)) ? message : undefined;
}

function keysIn({ causes }: Status, texts: readonly string[]): string[] {
  const fields = causes.map(({ field }) => field).filter((field) => field.startsWith('/'));
  const named = texts.flatMap((text) => {
    const [, inQuotes, bare] = KEY.exec(text) ?? [];
    return inQuotes ?? bare ?? [];
  });
  return [...new Set(fields.length > 0 ? fields : named)];
}
