// A process of its own that reads one member's Snapshot stream, and prints how long that took and how much memory it
// needed at most: with its contents told and hashed, or as it is. Started by bench/contents.ts.
import { loadTlsMaterial } from '../../functions/aws/credentials.ts';
import { ContentsReader } from '../../functions/contents/contents.ts';
import { parseCluster } from '../../functions/contract/configuration.ts';
import { connectMember } from '../../functions/etcd/member-client.ts';
import { verifiedSnapshot } from '../../functions/etcd/snapshot.ts';

export interface ReadInProcess {
  readonly bytes: number;
  /** From the first byte to the last, and to the sum of it all. */
  readonly durationMs: number;
  /** Of the processor, all threads together: what else the machine has to do is not in it. */
  readonly cpuMs: number;
  /** Of the process in its whole life. */
  readonly peakRssBytes: number;
  readonly keys?: number | undefined;
  readonly revisions?: number | undefined;
  /** HashKV, as it was made of the stream. */
  readonly hash?: string | undefined;
}

const [configuration = '', how = ''] = process.argv.slice(2);
const { etcd } = parseCluster(JSON.parse(configuration), 'the first argument');
const [endpoint = ''] = etcd.endpoints ?? [];
await using member = connectMember({ endpoint, tls: await loadTlsMaterial(etcd.credentials) });
await member.status();
const reader = how === 'contents' ? new ContentsReader() : undefined;
const snapshot = verifiedSnapshot(member.snapshot());
const startedMs = performance.now();
const startedCpu = process.cpuUsage();
for await (const piece of snapshot) reader?.write(piece);
const total = reader?.end().total;
const hash = reader?.hash(-1n);
const { user, system } = process.cpuUsage(startedCpu);
const read: ReadInProcess = {
  bytes: snapshot.summary.bytes,
  durationMs: performance.now() - startedMs,
  cpuMs: (user + system) / 1000,
  // Kibibytes, on Linux.
  peakRssBytes: process.resourceUsage().maxRSS * 1024,
  keys: total?.keys,
  revisions: total?.revisions,
  hash,
};
process.stdout.write(`${JSON.stringify(read)}\n`);
