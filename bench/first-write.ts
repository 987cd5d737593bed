// A process of its own that asks every 20 ms whether the cluster takes a write again, through one member after the
// other, and prints the time (milliseconds since 1970) of the first that is accepted. Started by bench/recover.ts.
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { noop } from 'cockatiel';
import { Etcd3 } from 'etcd3';
import { parseCluster } from '../functions/contract/configuration.ts';

const EVERY_MS = 20;

const { etcd } = parseCluster(JSON.parse(process.argv[2] ?? ''), 'the first argument');
const { credentials, endpoints = [] } = etcd;
if (credentials === undefined || !('caFile' in credentials)) throw new Error('credentials: expected files');
const tls = {
  rootCertificate: readFileSync(credentials.caFile),
  certChain: readFileSync(credentials.certFile),
  privateKey: readFileSync(credentials.keyFile),
};
const connect = (endpoint: string) =>
  new Etcd3({
    hosts: [endpoint],
    credentials: tls,
    faultHandling: { host: () => noop, global: noop },
    grpcOptions: { 'grpc.ssl_target_name_override': 'localhost' },
  });
const clients = endpoints.map(connect);
const busy = new Set<number>();

process.stdout.write('ready\n');
for (let turn = 0; ; turn++) {
  const index = turn % clients.length;
  if (!busy.has(index)) {
    busy.add(index);
    attempt(index).finally(() => busy.delete(index));
  }
  await wait(EVERY_MS);
}

async function attempt(index: number): Promise<void> {
  try {
    await clients[index]?.kv.put(
      { key: Buffer.from('/bench/first-write'), value: Buffer.from('x') },
      { deadline: Date.now() + 60_000 },
    );
  } catch {
    // Refused, as it is for as long as the alarm stands: that is what is being timed.
    return;
  }
  process.stdout.write(`${Date.now()}\n`, () => process.exit(0));
}
