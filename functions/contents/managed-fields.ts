// Who wrote an object last, by its own `metadata.managedFields`: names alone, never a value (R15). Kubernetes keeps
// custom resources as JSON, its own kinds as protobuf, and either one encrypted where it is told to.

/** What may stand before the end of `managedFields`; what comes later is not looked at. */
export const LOOK_BYTES = 16 * 1024;
/** Kubernetes' own limit for a manager's name. */
const LONGEST_NAME = 128;

interface Writer {
  /** By its own word, or by its user agent: `kubelet`, `trivy-operator`. */
  readonly manager: string;
  /** Milliseconds since 1970; 0 where it does not say. */
  readonly atMs: number;
}

/** `none`: it does not say, or is no object of Kubernetes'. */
export type Written = Writer | 'encrypted' | 'none';

const PROTOBUF = Buffer.from('k8s\0');
const ENCRYPTED = Buffer.from('k8s:enc:');
const BRACE = 0x7b;

/** @param start of the value in `bytes`. @param end of what is there of it, LOOK_BYTES at most */
export function writtenBy(bytes: Buffer, start: number, end: number): Written {
  const value = bytes.subarray(start, end);
  if (value[0] === BRACE) return newest(ofJson(value));
  if (value.subarray(0, PROTOBUF.length).equals(PROTOBUF)) return newest(ofProtobuf(value));
  return value.subarray(0, ENCRYPTED.length).equals(ENCRYPTED) ? 'encrypted' : 'none';
}

/** The last one of equals. */
function newest(writers: Iterable<Writer>): Writer | 'none' {
  let found: Writer | 'none' = 'none';
  for (const writer of writers) if (found === 'none' || writer.atMs >= found.atMs) found = writer;
  return found;
}

/**
 * A quote within a string has a backslash before it, so that this is a field; and metadata's comes before all others.
 */
const JSON_FIELD = Buffer.from('"managedFields":[');
const [QUOTE, BACKSLASH, CLOSING_BRACE, CLOSING_BRACKET] = [0x22, 0x5c, 0x7d, 0x5d];

function* ofJson(value: Buffer): Generator<Writer> {
  const field = value.indexOf(JSON_FIELD);
  if (field < 0) return;
  let from = field + JSON_FIELD.length;
  let depth = 0;
  for (let at = from; at < value.length; at++) {
    const byte = value[at];
    if (byte === QUOTE) {
      for (at++; at < value.length && value[at] !== QUOTE; at++) if (value[at] === BACKSLASH) at++;
    } else if (byte === BRACE) {
      if (depth === 0) from = at;
      depth++;
    } else if (byte === CLOSING_BRACE) {
      depth--;
      if (depth === 0) yield* ofEntry(value.toString('utf8', from, at + 1));
    } else if (byte === CLOSING_BRACKET && depth === 0) return;
  }
}

function* ofEntry(json: string): Generator<Writer> {
  let entry: unknown;
  try {
    entry = JSON.parse(json);
  } catch {
    return;
  }
  if (typeof entry !== 'object' || entry === null || !('manager' in entry)) return;
  const { manager } = entry;
  if (typeof manager !== 'string' || manager === '') return;
  const atMs = 'time' in entry && typeof entry.time === 'string' ? Date.parse(entry.time) : 0;
  yield { manager: manager.slice(0, LONGEST_NAME), atMs: Number.isNaN(atMs) ? 0 : atMs };
}

// Tags as k8s.io/apimachinery 0.37 has them, which never change: pkg/runtime/generated.proto (Unknown.raw) and
// pkg/apis/meta/v1/generated.proto (ObjectMeta.managedFields, ManagedFieldsEntry.manager and .time, Time.seconds). That
// `metadata` is the first field of a kind holds for all of k8s.io/api.
const UNKNOWN_RAW = 2;
const METADATA = 1;
const MANAGED_FIELDS = 17;
const [ENTRY_MANAGER, ENTRY_TIME] = [1, 4];
const TIME_SECONDS = 1;

function* ofProtobuf(value: Buffer): Generator<Writer> {
  for (const raw of messages(value.subarray(PROTOBUF.length), UNKNOWN_RAW, 'cut')) {
    for (const metadata of messages(raw, METADATA, 'cut')) {
      for (const entry of messages(metadata, MANAGED_FIELDS)) {
        const [manager] = messages(entry, ENTRY_MANAGER);
        const [time = Buffer.alloc(0)] = messages(entry, ENTRY_TIME);
        const [seconds] = [...fields(time)].filter(({ field }) => field === TIME_SECONDS);
        if (manager === undefined || manager.length === 0) continue;
        yield { manager: manager.toString('utf8').slice(0, LONGEST_NAME), atMs: (seconds?.number ?? 0) * 1000 };
      }
      return;
    }
  }
}

/** @param atLeast `cut`: the beginning will do, where there is no more of it */
function* messages(bytes: Buffer, wanted: number, atLeast: 'whole' | 'cut' = 'whole'): Generator<Buffer> {
  for (const { field, content, isCut } of fields(bytes)) {
    if (field === wanted && content !== undefined && !(isCut && atLeast === 'whole')) yield content;
  }
}

interface Field {
  readonly field: number;
  readonly number?: number;
  /** As much as there is of it. */
  readonly content?: Buffer;
  readonly isCut?: boolean;
}

/** Ends where it is cut off, or is no protobuf. */
function* fields(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = () => {
    let number = 0;
    for (let factor = 1; at < bytes.length && factor < 2 ** 63; factor *= 128) {
      const byte = bytes[at++] ?? 0;
      number += (byte & 0x7f) * factor;
      if (byte < 0x80) return number;
    }
    return undefined;
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === undefined) return;
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0: {
        const number = varint();
        if (number === undefined) return;
        yield { field, number };
        break;
      }
      case 1:
        at += 8;
        break;
      case 2: {
        const length = varint();
        if (length === undefined) return;
        yield { field, content: bytes.subarray(at, at + length), isCut: at + length > bytes.length };
        at += length;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        return;
    }
  }
}
