// Runs the prune function's own handler against a test API server, as Lambda would, and says what is left there.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from '../../functions/contract/command.ts';
import { KNOWN_KINDS } from '../../functions/contract/kinds.ts';
import type { PrunedResource, RunReport } from '../../functions/contract/report.ts';
import type { ListedObject, Resource } from '../../functions/kubernetes/types.ts';
import type { SessionOptions } from '../../functions/prune/session.ts';
import { type LocalExecutionOptions, type LocalExecutionResult, runLocally } from '../execution/local-execution.ts';
import type { TestApiServer } from '../kubernetes/api-server.ts';
import { KINDS } from '../kubernetes/kinds.ts';
import type { NewObject } from '../kubernetes/objects.ts';

process.env.POWERTOOLS_LOG_LEVEL ??= 'SILENT';
process.env.POWERTOOLS_METRICS_DISABLED ??= 'true';

export const CLUSTER = 'demo';
export const VULNERABILITY_REPORTS = 'vulnerabilityreports.aquasecurity.github.io';

export interface PruneOptions extends LocalExecutionOptions {
  readonly dryRun?: boolean;
  /** `prune` of the configuration. */
  readonly prune?: Readonly<Record<string, unknown>>;
  /** `kubernetes` of the configuration. @default of the server's pruner */
  readonly kubernetes?: unknown;
  readonly parent?: string;
  /** Ordered by a recovery, while etcd refuses writes. @default false */
  readonly emergency?: boolean;
  /** Of this one run, as a person raises them. */
  readonly limits?: Command['limits'];
  readonly session?: SessionOptions;
}

/** @returns the report; throws when the execution itself failed */
export async function runPrune(api: TestApiServer, options: PruneOptions = {}): Promise<RunReport> {
  const { status, result, error } = await executePrune(api, options);
  if (status !== 'SUCCEEDED') throw new Error(`the execution failed: ${error?.message}`);
  return result as RunReport;
}

export async function executePrune(api: TestApiServer, options: PruneOptions = {}): Promise<LocalExecutionResult> {
  const { dryRun = false, prune = {}, parent, emergency = false, limits, session, ...execution } = options;
  const kubernetes = 'kubernetes' in options ? options.kubernetes : api.configuration();
  const etcd = { endpoints: ['http://127.0.0.1:2379'] };
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify({ name: CLUSTER, etcd, kubernetes, prune });
  const { pruneHandler } = await import('../../functions/prune/handler.ts');
  const command: Command = {
    cluster: CLUSTER,
    workflow: 'prune',
    trigger: { kind: 'manual', source: 'test' },
    dryRun,
    ...(parent !== undefined && { parent }),
    ...(emergency && { emergency }),
    ...(limits !== undefined && { limits }),
  };
  return runLocally(pruneHandler(session), command, {
    skipTime: true,
    remainingTimeMs: () => 900_000,
    ...execution,
  });
}

/** Only these kinds are looked at. */
export function only(...names: readonly string[]): Record<string, { prune: boolean }> {
  const others = KNOWN_KINDS.filter(({ name, request }) => !request && !names.includes(name));
  return Object.fromEntries(others.map(({ name }) => [name, { prune: false }]));
}

/** What the report says of one kind. */
export function of(report: RunReport, name = VULNERABILITY_REPORTS): PrunedResource {
  const found = report.pruned?.find(({ resource }) => resource === name);
  if (found === undefined) throw new Error(`the report says nothing of ${name}: ${report.reason}`);
  return found;
}

/** Names of all reports that are there, of every kind. */
export async function reportNames(api: TestApiServer): Promise<string[]> {
  const found: string[] = [];
  for (const kind of KINDS.filter(isReport)) found.push(...(await api.list(kind)).map(({ name }) => name));
  return found.toSorted();
}

/** Takes everything away that a test has put there. */
export async function clear(api: TestApiServer): Promise<void> {
  for (const kind of KINDS) {
    const objects = [...(await api.list(kind))];
    const remove = async () => {
      for (let object = objects.pop(); object !== undefined; object = objects.pop()) await api.remove(kind, object);
    };
    // What waits for a finalizer goes once it is replaced by one without.
    if (isReport(kind)) await api.create(kind, objects.map(placeOf));
    await Promise.all(Array.from({ length: 16 }, remove));
  }
}

/**
 * Creates them, and waits until the server has seen them all: it learns of what was put into its etcd a little later.
 */
export async function createAll(api: TestApiServer, kind: Resource, objects: Iterable<NewObject>): Promise<void> {
  const all = [...objects];
  const before = (await api.list(kind)).length;
  await api.create(kind, all);
  while ((await api.list(kind)).length < before + all.length) await wait(20);
}

/** A file with this text, which goes with the test. */
export async function temporaryFile(text: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-medic-prune-'));
  const path = join(directory, 'file');
  await writeFile(path, text);
  return { path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

function placeOf({ name, namespace }: ListedObject): NewObject {
  return { name, ...(namespace !== undefined && { namespace }) };
}

function isReport({ plural }: Resource): boolean {
  return plural.endsWith('reports') || plural === 'updaterequests';
}
