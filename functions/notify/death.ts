// Puts in order what a run that died has left: its lease (R9), and what it did not say is said for it.

import { createLease, type Lease } from '../aws/lease.ts';
import { describeError } from '../contract/errors.ts';
import type { RunReport } from '../contract/report.ts';
import { LEASE_TTL_MS, LONGEST_INVOCATION_MS } from '../contract/times.ts';
import type { NotifyEnvironment } from './environment.ts';
import { duration, UNKNOWN_SOURCE } from './message.ts';
import type { Death } from './notice.ts';
import { findReport } from './past-report.ts';

export interface Ending {
  /** The run's own report, or the one that is made in its stead. */
  readonly report: RunReport;
  /** It left no report, so nobody has heard of it. */
  readonly unheard: boolean;
  /** What could not be done or read; the event has to be tried again for it. */
  readonly failures: readonly unknown[];
}

/**
 * Never throws: whoever depends on a message must get one. Can be repeated.
 *
 * The lease is touched only if it is this execution's: a pruning on another run's behalf has that run's lease, which
 * goes on.
 */
export async function settle({ cluster, table }: NotifyEnvironment, death: Death): Promise<Ending> {
  const { execution: owner, workflow } = death;
  const lease = createLease({ table, cluster: cluster.name, owner, workflow, ttlMs: LEASE_TTL_MS });
  const settled = await attempt(() => settleLease(lease, death));
  const found = await attempt(() => findReport(table, cluster.name, death));
  const failures = [settled, found].flatMap((result) => ('error' in result ? [result.error] : []));
  if ('value' in found && found.value !== undefined) return { report: found.value, unheard: false, failures };
  const leaseWords =
    'error' in settled
      ? `Its lease could not be freed (${describeError(settled.error)}): until it runs out by itself, at most ${duration(LEASE_TTL_MS)} after the run's last step, no other run starts.`
      : settled.value;
  return { report: obituary(cluster.name, death, leaseWords), unheard: true, failures };
}

/**
 * A run that failed has ended by itself. Of one that was ended from outside an invocation may be in the middle of a
 * step, which nothing recalls: StopDurableExecution says only that Lambda invokes the function for it no more. Until
 * that has ended, nobody else has its turn.
 * @returns what became of the lease, for the report
 */
async function settleLease(lease: Lease, { status, endedAt }: Death): Promise<string> {
  if (status === 'FAILED') {
    return (await lease.release()) === 'released'
      ? 'Its lease was freed, so another run can start.'
      : 'It held no lease.';
  }
  const until = Date.parse(endedAt) + LONGEST_INVOCATION_MS;
  if ((await lease.retire(until)) !== 'kept') return 'It held no lease.';
  const time = new Date(until).toISOString().slice(0, 16).replace('T', ' ');
  return (
    `The step that it was at may go on for up to ${LONGEST_INVOCATION_MS / 60_000} minutes, so its lease is kept until ${time} UTC: a run that is ` +
    'started before that waits until then.'
  );
}

const CAUSES: Readonly<Record<Death['status'], string>> = {
  FAILED: 'failed',
  TIMED_OUT: 'did not end within the time that it may take',
  STOPPED: 'was stopped by somebody',
};

/** A report as others can use it. What fired the run is not in the event. */
function obituary(cluster: string, death: Death, leaseWords: string): RunReport {
  const { workflow, status, startedAt = death.endedAt, endedAt } = death;
  const reason =
    `The run ${CAUSES[status]} (${status}) and left no report. etcd was left as it is: an alarm may still be armed, ` +
    `a defragmentation that had begun goes on by itself. Nothing more is done until the next alarm or schedule. ${leaseWords} ` +
    'Start a dry run to see what is left to do, then a run.';
  return {
    cluster,
    workflow,
    outcome: 'failed',
    reason,
    trigger: { kind: 'manual', source: UNKNOWN_SOURCE },
    dryRun: false,
    startedAt,
    finishedAt: endedAt,
    members: [],
    steps: [],
  };
}

type Result<Value> = { readonly value: Value } | { readonly error: unknown };

async function attempt<Value>(work: () => Promise<Value>): Promise<Result<Value>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error };
  }
}
