// The one document every run ends in: what was found, what was done, what it led to. Written for a person at breakfast.
import type { Trigger } from './command.ts';
import { WORKFLOW_NAMES, type WorkflowName } from './workflows.ts';

export const OUTCOMES = [
  'recovered',
  'maintained',
  'pruned',
  'nothing-to-do',
  'planned',
  'healthy',
  'refused',
  'escalated',
  'skipped',
  'failed',
] as const;
/** What a run came to. */
export type Outcome = (typeof OUTCOMES)[number];

/** Whose reports there are: the probe's, which is no workflow, goes to whoever calls it. */
export const REPORTERS: readonly Reporter[] = [...WORKFLOW_NAMES, 'probe'];
export type Reporter = WorkflowName | 'probe';

export const STEP_OUTCOMES = [
  'done',
  'nothing-to-do',
  'not-configured',
  'refused',
  'failed',
  'unknown',
  'skipped',
] as const;
/** How one step of a run ended. `not-configured`: what the step needs isn't in the configuration. */
export type StepOutcome = (typeof STEP_OUTCOMES)[number];

/** The step that reads the switch (R16); `failed` where nobody can tell what it says. */
export const SWITCH_STEP = 'switch';

export interface ReportStep {
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly outcome: StepOutcome;
  /** One sentence. */
  readonly detail: string;
}

/** One member's database file at one moment. Sizes in bytes. */
export interface MemberSizes {
  readonly dbSize: number;
  readonly dbSizeInUse: number;
  /** Alarms raised by this member: `NOSPACE`, `CORRUPT`. */
  readonly alarms: readonly string[];
}

export interface ReportMember {
  /** Hexadecimal, as etcdctl prints it. */
  readonly id: string;
  readonly name: string;
  readonly endpoint: string;
  readonly version?: string | undefined;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
  /** `null`: could not be read; `"none"`: the member has no quota. */
  readonly quotaBytes: number | 'none' | null;
  /** Left out where the member did not answer. */
  readonly before?: MemberSizes | undefined;
  readonly after?: MemberSizes | undefined;
  readonly defragmented: boolean;
  /** How long its defragmentation took; left out where it was not defragmented. */
  readonly durationMs?: number | undefined;
  /** Why it could not be read or was left alone. */
  readonly note?: string | undefined;
}

export interface PlannedStep {
  readonly name: string;
  readonly detail: string;
}

export interface PrunedResource {
  /** `<plural>.<group>`. */
  readonly resource: string;
  readonly listed: number;
  readonly stale: number;
  readonly deleted: number;
  /** Stale, but left alone: rewritten, gone, given a finalizer or its owner scaled up in the meantime. */
  readonly skipped: number;
  /**
   * Stale at first, and not stale or not there any more when the kind was looked at again. After an interruption it is
   * most likely this run that had deleted them, with the record of it lost. Left out where there were none.
   */
  readonly missing?: number | undefined;
  /** Why they are stale: how many for each reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /**
   * Of `reasons`, those that no report was deleted for, since a person has to look first; left out where there are
   * none.
   */
  readonly held?: Readonly<Partial<Record<string, number>>> | undefined;
  /** Why others were kept, where that is worth knowing: how many for each reason. */
  readonly kept?: Readonly<Record<string, number>> | undefined;
  /** About how many bytes the stale ones take in etcd; measured on a few of them. */
  readonly staleBytes?: number | undefined;
  /** Why this kind was passed over or stopped at. */
  readonly note?: string | undefined;
}

export interface RunReport {
  readonly cluster: string;
  readonly workflow: Reporter;
  readonly outcome: Outcome;
  /** One or two sentences: what happened and, where somebody must act, what to do now. */
  readonly reason: string;
  readonly trigger: Trigger;
  readonly dryRun: boolean;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly members: readonly ReportMember[];
  readonly steps: readonly ReportStep[];
  /** Only in a dry run. */
  readonly plan?: readonly PlannedStep[] | undefined;
  readonly pruned?: readonly PrunedResource[] | undefined;
}

/** The contract of `npm run invoke`: 0 done, 2 a person should look, 1 failed. */
export function exitCode(outcome: Outcome): 0 | 1 | 2 {
  if (outcome === 'failed') return 1;
  return outcome === 'refused' || outcome === 'escalated' || outcome === 'skipped' ? 2 : 0;
}

/** Bytes for a person: 2147483648 is "2.00 GiB". */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${units[power]}`;
}
