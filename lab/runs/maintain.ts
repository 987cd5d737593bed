// Runs the maintain function's own handler against a plane, as Lambda would, and writes what a day writes.
import { setTimeout as wait } from 'node:timers/promises';
import type { Etcd3 } from 'etcd3';
import type { Command } from '../../functions/contract/command.ts';
import type { RunReport } from '../../functions/contract/report.ts';
import { within, withMember } from '../control-plane/client.ts';
import { isOfElection } from '../control-plane/elections.ts';
import type { ControlPlane } from '../control-plane/plane.ts';
import { reportMaker } from '../control-plane/reports.ts';
import { settled } from '../control-plane/settle.ts';
import { type LocalExecutionOptions, type LocalExecutionResult, runLocally } from '../execution/local-execution.ts';

process.env.POWERTOOLS_LOG_LEVEL ??= 'SILENT';
process.env.POWERTOOLS_METRICS_DISABLED ??= 'true';

const MiB = 1024 * 1024;
const CALL_TIMEOUT_MS = 30_000;
const COMPACTION_TIMEOUT_MS = 300_000;
const LOOK_EVERY_MS = 100;
const WRITE_ATTEMPTS = 20;

export const nightlyCommand: Command = {
  cluster: 'control-plane',
  workflow: 'maintain',
  trigger: { kind: 'manual', source: 'test' },
  dryRun: false,
};

/** Of files that a test fills in a second. */
export const SMALL_FILES = { revisionAgeSeconds: 1, minReclaimBytes: MiB };

export interface MaintainOptions extends LocalExecutionOptions {
  readonly dryRun?: boolean;
  readonly trigger?: Command['trigger'];
  /** Merged into SMALL_FILES. */
  readonly policy?: Readonly<Record<string, unknown>>;
  /** Merged into the plane's configuration. */
  readonly configuration?: Readonly<Record<string, unknown>>;
}

/** @returns the report; throws when the execution itself failed */
export async function maintainPlane(plane: ControlPlane, options: MaintainOptions = {}): Promise<RunReport> {
  const { status, result, error } = await executeMaintain(plane, options);
  if (status !== 'SUCCEEDED') throw new Error(`the execution failed: ${error?.message}`);
  return result as RunReport;
}

export async function executeMaintain(
  plane: ControlPlane,
  options: MaintainOptions = {},
): Promise<LocalExecutionResult> {
  const { dryRun = false, trigger = nightlyCommand.trigger, policy, configuration, ...execution } = options;
  process.env.ETCD_MEDIC_CLUSTER = JSON.stringify(
    plane.configuration({ maintain: { ...SMALL_FILES, ...policy }, ...configuration }),
  );
  const { handler } = await import('../../functions/maintain/handler.ts');
  return runLocally(
    handler,
    { ...nightlyCommand, trigger, dryRun },
    { skipTime: true, remainingTimeMs: () => 900_000, ...execution },
  );
}

export interface Churn {
  /** How many reports there are, which are the live data. */
  readonly reports: number;
  readonly reportBytes: number;
  /** How often each is written anew. */
  readonly rewrites: number;
}

/** Writes each report again and again, as a scanner does: all but the last version is history. */
export async function churn(plane: ControlPlane, { reports, reportBytes, rewrites }: Churn): Promise<void> {
  const report = reportMaker(reportBytes);
  const batch = Math.max(1, Math.min(100, Math.floor(MiB / reportBytes)));
  const voters = plane.members.filter(({ isLearner }) => !isLearner);
  await Promise.all(
    voters.map(({ endpoint }, turn) =>
      withMember(plane, endpoint, async (client) => {
        for (let generation = turn; generation < rewrites; generation += voters.length) {
          for (let first = 0; first < reports; first += batch) {
            const numbers = Array.from({ length: Math.min(batch, reports - first) }, (_, i) => first + i);
            const success = numbers.map((number) => {
              const { key, value } = report(number, generation);
              return { request_put: { key: Buffer.from(key), value } };
            });
            await write(client, success);
          }
        }
      }),
    ),
  );
  await settled(plane);
}

type Put = { readonly request_put: { readonly key: Buffer; readonly value: Buffer } };

/** On a slow disk leaders change, and what is under way then ends in an error: it is sent again, as a scanner would. */
async function write(client: Etcd3, success: Put[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.kv.txn({ compare: [], success, failure: [] }, within(CALL_TIMEOUT_MS));
      return;
    } catch (error) {
      if (attempt === WRITE_ATTEMPTS || !isOfElection(error)) throw error;
      await wait(LOOK_EVERY_MS);
    }
  }
}

/** What etcd's own tools say of one member, by its name. */
export async function sizesOf(plane: ControlPlane): Promise<Record<string, { dbSize: number; dbSizeInUse: number }>> {
  const sizes = plane.members.map(({ name, endpoint }) =>
    withMember(plane, endpoint, async (client) => {
      const { dbSize, dbSizeInUse } = await client.maintenance.status(within(CALL_TIMEOUT_MS));
      return [name, { dbSize: Number(dbSize), dbSizeInUse: Number(dbSizeInUse) }] as const;
    }),
  );
  return Object.fromEntries(await Promise.all(sizes));
}

/** Compacts to the newest revision, on every member. */
export async function compactByHand(plane: ControlPlane): Promise<void> {
  for (const { name } of plane.members) {
    await onMember(plane, name, async (client) => {
      const { header } = await client.kv.range({ key: Buffer.from('/') }, within(CALL_TIMEOUT_MS));
      await client.kv
        .compact({ revision: header.revision, physical: true }, within(COMPACTION_TIMEOUT_MS))
        .catch((error: unknown) => {
          // By another member's turn: then this one's own is through.
          if (!String(error).includes('required revision has been compacted')) throw error;
        });
    });
  }
}

/** Compacts, and defragments one member, as a person might have done. */
export async function tidyByHand(plane: ControlPlane, name: string): Promise<void> {
  await compactByHand(plane);
  await onMember(plane, name, (client) => client.maintenance.defragment(within(CALL_TIMEOUT_MS)));
}

export async function onMember<Result>(
  plane: ControlPlane,
  name: string,
  work: (client: Etcd3) => Promise<Result>,
): Promise<Result> {
  return withMember(plane, plane.member(name).endpoint, work);
}
