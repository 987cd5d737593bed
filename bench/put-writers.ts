// A process of its own with one writer for each member, who puts a small key every so often, one after the other.
// Started by bench/maintain.ts; when its standard input ends, it prints every put as JSON and ends.
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { noop } from 'cockatiel';
import { Etcd3 } from 'etcd3';
import { parseCluster } from '../functions/contract/configuration.ts';

/** One put: when it was sent (milliseconds since 1970), how long it took, and what went wrong. */
export interface TimedPut {
  readonly endpoint: string;
  readonly at: number;
  readonly ms: number;
  readonly problem?: string;
}

const DEADLINE_MS = 60_000;
const VALUE = Buffer.alloc(256, 'x');

const { etcd } = parseCluster(JSON.parse(process.argv[2] ?? ''), 'the first argument');
const intervalMs = Number(process.argv[3]);
const { credentials, endpoints = [] } = etcd;
if (credentials === undefined || !('caFile' in credentials)) throw new Error('credentials: expected files');
const tls = {
  rootCertificate: readFileSync(credentials.caFile),
  certChain: readFileSync(credentials.certFile),
  privateKey: readFileSync(credentials.keyFile),
};
let stopped = false;
const puts: TimedPut[] = [];
const writers = endpoints.map(write);
process.stdout.write('ready\n');
await text(process.stdin);
stopped = true;
await Promise.all(writers);
process.stdout.write(JSON.stringify(puts));

async function write(endpoint: string): Promise<void> {
  const client = new Etcd3({
    hosts: [endpoint],
    credentials: tls,
    faultHandling: { host: () => noop, global: noop },
    grpcOptions: { 'grpc.ssl_target_name_override': 'localhost' },
  });
  const key = Buffer.from(`/bench/writer/${endpoint}`);
  while (!stopped) {
    const at = Date.now();
    const began = performance.now();
    let problem: string | undefined;
    try {
      await client.kv.put({ key, value: VALUE }, { deadline: Date.now() + DEADLINE_MS });
    } catch (error) {
      problem = String(error);
    }
    const ms = performance.now() - began;
    puts.push({ endpoint, at, ms, ...(problem !== undefined && { problem }) });
    await wait(Math.max(0, intervalMs - ms));
  }
  client.close();
}
