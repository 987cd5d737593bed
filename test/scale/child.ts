// One run in a process of its own, whose memory and received bytes are measured: `prune`, `dry-run`, or `list`, the
// plain list of whole objects to compare with. Prints one JSON line.
import { subscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Agent } from 'undici';
import { parseCluster } from '../../functions/contract/configuration.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { runLocally } from '../../lab/execution/local-execution.ts';

/** What the parent reads. */
export interface Measured {
  readonly report: RunReport | undefined;
  readonly milliseconds: number;
  readonly peakRssBytes: number;
  /** Over all connections, TLS included. */
  readonly receivedBytes: number;
}

/** Not getrusage's: that begins with what the process which made this one had. */
function peakRssBytes(): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  if (kib === undefined) throw new Error('/proc/self/status does not say what the peak was');
  return Number(kib) * 1024;
}

const sockets: Socket[] = [];
subscribe('undici:client:connected', (message) => {
  const socket: unknown = Reflect.get(Object(message), 'socket');
  if (socket !== null && typeof socket === 'object' && 'bytesRead' in socket) sockets.push(socket as Socket);
});

const job = process.argv[2] ?? 'prune';
const started = performance.now();
const report = job === 'list' ? await listWhole() : await prune(job === 'dry-run');
const measured: Measured = {
  report,
  milliseconds: Math.round(performance.now() - started),
  peakRssBytes: peakRssBytes(),
  receivedBytes: sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
};
console.log(JSON.stringify(measured));

async function prune(dryRun: boolean): Promise<RunReport> {
  const { handler } = await import('../../functions/prune/handler.ts');
  const trigger = { kind: 'manual', source: 'scale' } as const;
  const cluster = parseCluster(JSON.parse(process.env.ETCD_MEDIC_CLUSTER ?? '')).name;
  const { result, error } = await runLocally(handler, { cluster, workflow: 'prune', trigger, dryRun });
  if (error !== undefined) throw new Error(error.message);
  return result as RunReport;
}

/** Page by page, compressed, and nothing kept: as sparing as a list of whole objects can be. */
async function listWhole(): Promise<undefined> {
  const { kubernetes } = parseCluster(JSON.parse(process.env.ETCD_MEDIC_CLUSTER ?? ''));
  if (kubernetes === undefined || !('tokenFile' in kubernetes.credentials)) throw new Error('a token is needed');
  const { caFile, tokenFile } = kubernetes.credentials;
  const agent = new Agent({ connections: 1, connect: { ca: readFileSync(caFile) } });
  const headers = { authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`, 'accept-encoding': 'gzip' };
  const { gunzipSync } = await import('node:zlib');
  for (let next: string | undefined = ''; next !== undefined; ) {
    const path: string = `/apis/aquasecurity.github.io/v1alpha1/vulnerabilityreports?limit=500&continue=${encodeURIComponent(next)}`;
    const answer = await agent.request({ origin: kubernetes.server, path, method: 'GET', headers });
    const bytes = Buffer.from(await answer.body.arrayBuffer());
    const text = (answer.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
    const { continue: token } = (JSON.parse(text) as { metadata: { continue?: string } }).metadata;
    next = token || undefined;
  }
  await agent.close();
  return undefined;
}
