// One revision of a key, as etcd keeps it in the bucket `key`: the name is the revision, the value an
// mvccpb.KeyValue (server/storage/mvcc/revision.go and api/mvccpb/kv.proto, the same from 3.4 to 3.7).

const MAIN_BYTES = 8;
const SEPARATOR = 0x5f; // _
const TOMBSTONE = 0x74; // t
/** A revision's name: main (8), `_`, sub (8) and, where the key was deleted by it, `t`. */
export const REVISION_BYTES = 17;
/** The longest that may come between the key and the value: three numbers, and the value's length, with their tags. */
const BETWEEN = 3 * 11 + 11;
const LONGEST_LEASE = 11;

const KEY = 0x0a;
const CREATE_REVISION = 0x10;
const MOD_REVISION = 0x18;
const VERSION = 0x20;
const VALUE = 0x2a;
const LEASE = 0x30;

/** Filled anew for each revision: there are millions. */
export class KeyValue {
  main = 0;
  sub = 0;
  tombstone = false;
  /** Where the key is in the bytes that were read. */
  keyStart = 0;
  keyEnd = 0;
  /** The main revision in which the key came into being. */
  createRevision = 0;
  /** How often the key was written since. */
  version = 0;
  /** Where the value is in the element's bytes, perhaps behind what was read of them. */
  valueStart = 0;
  valueEnd = 0;
  /** What is left behind the value: 0, or a lease. */
  tailBytes = 0;
  /** What is wrong; undefined where nothing is. */
  problem: string | undefined;
  #at = 0;

  /**
   * @param have how many bytes of the element there are from `at` on
   * @returns how many bytes have to be there instead; 0 where it was read
   */
  read(bytes: Buffer, at: number, have: number, nameBytes: number, valueBytes: number): number {
    this.problem = undefined;
    this.tailBytes = 0;
    const whole = nameBytes + valueBytes;
    if (have < Math.min(whole, nameBytes + 6)) return Math.min(whole, nameBytes + 6);
    if (!this.#readName(bytes, at, nameBytes)) return this.#fail('a name that is no revision');
    const value = at + nameBytes;
    this.#at = value;
    if (valueBytes === 0 || bytes[value] !== KEY) return this.#fail('a value that is no KeyValue');
    this.#at++;
    const keyBytes = this.#number(bytes, value + valueBytes);
    this.keyStart = this.#at;
    this.keyEnd = this.#at + keyBytes;
    const keyEnds = this.keyEnd - at;
    if (keyBytes < 0 || keyEnds > whole) return this.#fail('a key that is longer than its KeyValue');
    const needed = Math.min(whole, keyEnds + BETWEEN);
    if (have < needed) return needed;
    return this.#readFields(bytes, value + valueBytes);
  }

  /** Whether these are a lease and nothing else. */
  isLease(bytes: Buffer, at: number, length: number): boolean {
    this.#at = at + 1;
    const end = at + length;
    return bytes[at] === LEASE && this.#number(bytes, end) >= 0 && this.#at === end;
  }

  #readName(bytes: Buffer, at: number, nameBytes: number): boolean {
    if (nameBytes !== REVISION_BYTES && nameBytes !== REVISION_BYTES + 1) return false;
    this.main = bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
    this.sub = bytes.readUInt32BE(at + MAIN_BYTES + 1) * 0x1_0000_0000 + bytes.readUInt32BE(at + MAIN_BYTES + 5);
    this.tombstone = nameBytes > REVISION_BYTES;
    if (this.tombstone && bytes[at + REVISION_BYTES] !== TOMBSTONE) return false;
    return bytes[at + MAIN_BYTES] === SEPARATOR && Number.isSafeInteger(this.main) && Number.isSafeInteger(this.sub);
  }

  #readFields(bytes: Buffer, end: number): number {
    this.#at = this.keyEnd;
    this.valueStart = this.valueEnd = this.keyEnd;
    this.createRevision = this.#field(bytes, CREATE_REVISION, end);
    const modRevision = this.#field(bytes, MOD_REVISION, end);
    this.version = this.#field(bytes, VERSION, end);
    if (this.createRevision < 0 || modRevision < 0 || this.version < 0) return this.#fail('a number that does not end');
    if (this.#at < end && bytes[this.#at] === VALUE) {
      this.#at++;
      const length = this.#number(bytes, end);
      this.valueStart = this.#at;
      this.#at += length < 0 ? end : length;
      this.valueEnd = this.#at;
    }
    const rest = end - this.#at;
    if (rest < 0 || rest > LONGEST_LEASE || rest === 1) return this.#fail('a value of another length than it says');
    this.tailBytes = rest;
    return 0;
  }

  /** 0 where it is left out; -1 where it does not end in time. */
  #field(bytes: Buffer, tag: number, end: number): number {
    if (this.#at >= end || bytes[this.#at] !== tag) return 0;
    this.#at++;
    return this.#number(bytes, end);
  }

  /** A varint, as far as a double counts exactly; -1 where it does not end in time. */
  #number(bytes: Buffer, end: number): number {
    let number = 0;
    for (let factor = 1, count = 0; count < 10 && this.#at < end; count++, factor *= 128) {
      const byte = bytes[this.#at++] ?? 0;
      number += (byte & 0x7f) * factor;
      if (byte < 0x80) return number;
    }
    return -1;
  }

  #fail(problem: string): number {
    this.problem = problem;
    return 0;
  }
}
