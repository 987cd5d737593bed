// A small snapshot that etcd 3.7.3 has written, for what needs no server.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/**
 * One member, which was given, one after the other: four times 30 ConfigMaps of 3,000 bytes, ten in each of the
 * namespaces a, b and c, with `compact_rev_key` written after the second time; 5 nodes of 200 bytes; 20 Leases of 300
 * bytes, of which ten were deleted; 200 Events of 100 bytes with a lease of etcd's; 3 Widgets of 20,000 bytes. Then it
 * was compacted to the revision of `compact_rev_key`, and node-0 written again with 201 bytes.
 */
export function smallSnapshot(): Buffer {
  return gunzipSync(readFileSync(new URL('small.db.gz', import.meta.url)));
}

/** As a stream brings it. */
export async function* inPieces(file: Buffer, bytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < file.length; at += bytes) yield file.subarray(at, at + bytes);
}
