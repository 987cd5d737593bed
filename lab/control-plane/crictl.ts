// What `crictl ps` says about the etcd container of a simulated kubelet.
import { createHash } from 'node:crypto';
import type { Kubelet } from './kubelet.ts';
import type { CommandResult } from './shims.ts';

interface Row {
  readonly attempt: number;
  readonly state: 'Running' | 'Exited';
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

const CONTAINER = 'etcd';
const HEAD = ['CONTAINER', 'IMAGE', 'CREATED', 'STATE', 'NAME', 'ATTEMPT', 'POD ID', 'POD'];
/** crictl's tabwriter. */
const LEAST_WIDTH = 20;
const GAP = 3;
const SHORT_ID = 13;

/** @param nodeName which ends the static pod's name */
export function crictl(kubelet: Kubelet, nodeName: string, args: readonly string[]): CommandResult {
  const [verb, ...options] = args;
  if (verb !== 'ps') return { exitCode: 1, stderr: `No help topic for '${verb}'` };
  const at = options.findIndex((option) => option === '--name' || option.startsWith('--name='));
  const name = at < 0 ? '' : (options[at]?.split('=')[1] ?? options[at + 1] ?? '');
  const all = options.includes('-a') || options.includes('--all');
  const rows = new RegExp(name).test(CONTAINER)
    ? containers(kubelet).filter(({ state }) => all || state === 'Running')
    : [];
  const pod = `${CONTAINER}-${nodeName}`;
  const lines = rows.map(({ attempt, state, startedAt }) => [
    shortId(`${pod} ${attempt}`),
    shortId('image'),
    ago((Date.now() - startedAt) * kubelet.speed),
    state,
    CONTAINER,
    `${attempt}`,
    shortId(pod),
    pod,
  ]);
  return { exitCode: 0, stdout: table([HEAD, ...lines]) };
}

/** The newest first; of those that ended, the kubelet keeps the last one. */
function containers(kubelet: Kubelet): Row[] {
  const { restartCount: attempt, state, startedAt, lastExit, events } = kubelet;
  const starts = events.filter(({ event }) => event === 'Started').map(({ at }) => at);
  const exited = (of: number): Row => ({
    attempt: of,
    state: 'Exited',
    startedAt: starts.at(of - attempt - 1) ?? startedAt,
  });
  if (state === 'Running') return [{ attempt, state, startedAt }, ...(attempt > 0 ? [exited(attempt - 1)] : [])];
  return lastExit ? [exited(attempt)] : [];
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = HEAD.map((_, i) => Math.max(LEAST_WIDTH, ...rows.map((row) => (row[i]?.length ?? 0) + GAP)));
  return rows
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join(''))
    .join('\n');
}

function shortId(of: string): string {
  return createHash('sha256').update(of).digest('hex').slice(0, SHORT_ID);
}

function ago(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} seconds ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute ago';
  return minutes < 60 ? `${minutes} minutes ago` : `${Math.floor(minutes / 60)} hours ago`;
}
